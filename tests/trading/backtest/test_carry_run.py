"""Spot–perpetual carry in the laboratory: basis, funding and fees, each exact and told apart."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mrmarket.core.clock import NS_PER_S
from mrmarket.core.errors import MrMarketError
from mrmarket.core.instrument import Instrument
from mrmarket.trading.backtest.carry_recording import CarryFilesError, Funding, read_funding
from mrmarket.trading.backtest.carry_run import run_carry
from mrmarket.trading.backtest.errors import EmptyWindowError, PairMismatchError, TapeChangedError
from mrmarket.trading.backtest.result import BacktestResult, outcome_key
from mrmarket.trading.backtest.runner import run_backtest
from mrmarket.trading.backtest.setting import BacktestSetting, TapeRef, Window
from mrmarket.trading.market.errors import TapeNotFoundError
from mrmarket.trading.market.event import EventKind, MarketEvent
from mrmarket.trading.market.tape import TapeWriter
from mrmarket.trading.strategy.carry.parameters import CarryParameters
from mrmarket.trading.strategy.carry.rules import CarryCosts, CarryView, FundingForecast
from mrmarket.trading.strategy.carry.strategy import SpotPerpetualCarry
from mrmarket.trading.strategy.registry import OtherFormError, Registry
from shared_data import SHARED, needs_shared

PLAIN = Registry(plugins=lambda: ())
HOUR_S = 3600
START_S = 1_600_000_000 // (8 * HOUR_S) * 8 * HOUR_S
FEES = {"taker_fee": Decimal("0.0004"), "maker_fee": Decimal("0.0002")}


def bars(folder: Path, name: str, price: Callable[[int], float], hours: int = 240) -> Path:
    """Hourly bars of BTC/USDT that open and close at the price of their hour."""
    lines = ["timestamp,open,high,low,close,volume"]
    for hour in range(hours):
        value = f"{price(hour):.2f}"
        lines.append(f"{START_S + hour * HOUR_S},{value},{value},{value},{value},1.001")
    (folder / name).mkdir(parents=True, exist_ok=True)
    path = folder / name / "BTC_USDT-1h.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def rates(folder: Path, rate: Callable[[int], str], hours: int = 240) -> Path:
    """Funding every eight hours."""
    lines = ["time,rate", *(f"{(START_S + at * HOUR_S) * 1000},{rate(at)}" for at in range(0, hours, 8))]
    path = folder / "funding.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def wave(hour: int) -> float:
    """Around 50,000, by a thousandth."""
    return 50_000 + 50 * ((hour % 8) - 4) / 4


def run(paths: list[Path], registry: Registry = PLAIN, **more: Any) -> BacktestResult:
    """A carry of 10,000 without slippage, at 4 bp an order."""
    parameters = {"slippage": "0", "decide_every": 3600, **more.pop("parameters", {})}
    values: dict[str, Any] = {
        "tapes": tuple(TapeRef(path=str(path)) for path in paths),
        "strategy": "spot_perpetual_carry",
        "parameters": parameters,
        **FEES,
        **more,
    }
    return run_backtest(BacktestSetting(**values), registry=registry)


def files(
    folder: Path,
    rate: Callable[[int], str] = lambda _hour: "0.0005",
    premium: Callable[[int], float] = lambda _hour: 0.0,
) -> list[Path]:
    """Spot, a perpetual with a premium in quote, and funding."""
    return [
        bars(folder, "spot", wave),
        bars(folder, "perp", lambda hour: wave(hour) + premium(hour)),
        rates(folder, rate),
    ]


def agrees(result: BacktestResult) -> None:
    """The parts make the whole, twice; the fills alone say what was paid."""
    totals, extra, fills = result.totals, result.extra, result.passes[0].fills
    parts = {name: Decimal(extra[f"{name}_quote"]) for name in ("basis", "funding", "carry_fees", "borrow")}
    whole = parts["basis"] + parts["funding"] - parts["carry_fees"] - parts["borrow"]
    assert abs(totals.pnl_quote - whole) < Decimal("1e-10")
    costs = totals.fees_quote - totals.rebates_quote
    assert totals.pnl_quote == totals.spread_quote + totals.inventory_quote - costs
    rows = zip(fills.side, fills.price, fills.size, fills.fee_quote, strict=True)
    cash = sum(((-1 if side == "buy" else 1) * price * size for side, price, size, _ in rows), Decimal(0))
    assert abs(cash - totals.cash_quote) < Decimal("1e-8")
    assert sum(fills.fee_quote, Decimal(0)) == costs
    assert result.failure is None


def test_funding_that_pays_is_collected(tmp_path: Path) -> None:
    """5 bp every eight hours on a flat basis: what comes in is funding, what goes out are fees."""
    result = run(files(tmp_path))
    agrees(result)
    extra = result.extra
    assert (extra["entries"], extra["exits"]) == (1, {})
    assert abs(Decimal(extra["held_at_end"]["spot"]) + Decimal(extra["held_at_end"]["perpetual"])) == 0
    size, held = Decimal(extra["held_at_end"]["spot"]), extra["funding_payments"]["while_held"]
    expected = held * Decimal("0.0005") * size * 50_000
    assert abs(Decimal(extra["funding_quote"]) - expected) < expected / 500
    assert Decimal(extra["basis_quote"]) == 0
    assert result.totals.pnl_quote > 100
    assert result.kind == "carry"
    assert result.passes[0].fills.venue == ["spot", "perpetual"]
    names = {each.name for each in result.assumptions}
    assert names >= {"fees", "fills", "funding", "margin", "borrowing", "market impact"}


def test_funding_that_does_not_pay_for_both_ways_is_left_alone(tmp_path: Path) -> None:
    """A tenth of a basis point over 21 intervals is less than four fees: nothing is traded."""
    result = run(files(tmp_path, lambda _hour: "0.00001"))
    agrees(result)
    assert result.totals.trades == 0
    assert result.totals.pnl_quote == 0
    assert set(result.passes[0].decisions.reasons) == {
        "it stays out, because the carry would not pay or may not be had"
    }


def test_it_leaves_when_funding_turns(tmp_path: Path) -> None:
    """Positive for five days, negative after: out, and not short in spot unless that is allowed."""
    turning = files(tmp_path, lambda hour: "0.0005" if hour < 120 else "-0.0008")
    result = run(turning)
    agrees(result)
    assert sum(result.extra["exits"].values()) == 1
    assert result.extra["held_at_end"] == {"spot": "0", "perpetual": "0"}
    short = run(turning, parameters={"short_spot": True, "borrow": "0.0001"})
    agrees(short)
    assert Decimal(short.extra["held_at_end"]["spot"]) < 0
    assert Decimal(short.extra["borrow_quote"]) > 0


def test_a_basis_that_runs_away_is_a_loss_and_a_stop(tmp_path: Path) -> None:
    """The perpetual rises two per cent above spot: the stop leaves with about that loss in the basis."""
    result = run(
        files(tmp_path, premium=lambda hour: 1_000.0 if hour > 100 else 0.0), window=Window(end=0.45)
    )
    agrees(result)
    assert any("basis has moved" in why for why in result.extra["exits"])
    assert Decimal(-215) < Decimal(result.extra["basis_quote"]) < Decimal(-180)


def test_a_thin_margin_is_liquidated(tmp_path: Path) -> None:
    """A perpetual that doubles eats a collateral of a half: closed, with the spot leg, and counted."""
    folder = tmp_path
    rising = [
        bars(folder, "spot", lambda hour: 50_000.0 if hour < 100 else 100_000.0),
        bars(folder, "perp", lambda hour: 50_000.0 if hour < 100 else 100_000.0),
        rates(folder, lambda _hour: "0.0005"),
    ]
    result = run(rising, window=Window(end=0.43))
    agrees(result)
    assert result.extra["liquidated"] == 1
    assert result.extra["exits"] == {"liquidated": 1}
    assert result.extra["held_at_end"]["perpetual"] == "0"


def test_a_run_repeats_from_its_own_report(tmp_path: Path) -> None:
    """The completed setting, through JSON, gives the same result; a changed file is refused."""
    paths = files(tmp_path)
    first = run(paths)
    setting = msgspec.json.decode(msgspec.json.encode(first.setting), type=BacktestSetting)
    assert outcome_key(run_backtest(setting, registry=PLAIN)) == outcome_key(first)
    paths[2].write_text("time,rate\n1600000000,0.0001\n")
    changed = msgspec.structs.replace(setting, symbol="BTC/USDT", seed=2)
    other = msgspec.structs.replace(
        changed, tapes=(*changed.tapes[:2], msgspec.structs.replace(changed.tapes[2], sha256="0" * 64))
    )
    with pytest.raises(TapeChangedError):
        run_backtest(other, registry=PLAIN)


def tape(path: Path, bid: int) -> Path:
    """Twenty seconds of a book, a snapshot a second."""
    instrument = Instrument("x", "BTC/USDT", "BTC", "USDT", Decimal("0.1"), Decimal("0.001"))
    with TapeWriter(path, instrument) as writer:
        for second in range(20):
            at_ns = (START_S + second) * NS_PER_S
            writer.write(
                MarketEvent(
                    kind=EventKind.SNAPSHOT,
                    exchange_ns=at_ns,
                    local_ns=at_ns,
                    last_id=second + 1,
                    bids=[(bid, 10)],
                    asks=[(bid + 2, 10)] if second else [],
                )
            )
    return path


def test_on_tapes_both_legs_pay_the_spread(tmp_path: Path) -> None:
    """Bought at the ask, sold at the bid: half a spread each, as the report says."""
    folder = tmp_path
    paths = [tape(folder / "s.jsonl", 500_000), tape(folder / "p.jsonl", 500_100), folder / "f.csv"]
    paths[2].write_text(f"fundingTime,fundingRate\n{START_S + 10},0.001\n{START_S - 8 * HOUR_S},0.001\n")
    result = run(paths, parameters={"decide_every": 1, "margin_sigmas": 0}, taker_fee=Decimal(0))
    agrees(result)
    size = Decimal(result.extra["held_at_end"]["spot"])
    assert size == Decimal("0.199")
    assert result.totals.spread_quote == -size * Decimal("0.2")
    assert result.extra["mean_basis_bp"] == pytest.approx(2.0, abs=0.01)
    assert Decimal(result.extra["funding_quote"]) == size * Decimal("50010.1") * Decimal("0.001")


@pytest.mark.parametrize(
    ("case", "error"),
    [
        ("two", CarryFilesError),
        ("quote", CarryFilesError),
        ("time", CarryFilesError),
        ("gone", TapeNotFoundError),
        ("columns", CarryFilesError),
        ("word", CarryFilesError),
        ("rate", CarryFilesError),
        ("pair", PairMismatchError),
        ("window", EmptyWindowError),
    ],
)
def test_files_that_show_no_carry_are_refused(tmp_path: Path, case: str, error: type[MrMarketError]) -> None:
    """One clear line each, and nothing is played."""
    paths = files(tmp_path)
    more: dict[str, Any] = {}
    if case == "two":
        paths = paths[:2]
    elif case == "quote":
        paths[1] = paths[1].rename(tmp_path / "ETH_USDT-1h.csv")
    elif case == "time":
        early = paths[1].read_text().splitlines()
        paths[1].write_text("\n".join([early[0], *(f"1000000{n}00,1,1,1,1,1" for n in range(1, 4))]) + "\n")
    elif case == "gone":
        paths[2] = tmp_path / "none.csv"
    elif case == "columns":
        paths[2].write_text("a,b\n1,2\n")
    elif case == "word":
        paths[2].write_text("time,rate\n1600000000,much\n")
    elif case == "rate":
        paths[2].write_text("time,rate\n1600000000,1.5\n")
    elif case == "pair":
        more = {"parameters": {"pair": "ETH/USDT"}}
    else:
        more = {"window": Window(begin_ns=10**18, end_ns=10**18 + 1)}
    with pytest.raises(error) as refused:
        run(paths, **more)
    assert "\n" not in str(refused.value)


def test_rates_are_read_in_any_unit_of_time(tmp_path: Path) -> None:
    """Seconds to nanoseconds, other names of the columns, lines in any order."""
    path = tmp_path / "f.csv"
    path.write_text(
        "fundingTime, fundingRate\n1600000060000000000,-0.1\n1600000000,0.1\n1600000030000000,0\n"
    )
    second = 1_600_000_000 * NS_PER_S
    assert list(read_funding(path)) == [
        Funding(second, Decimal("0.1")),
        Funding(second + 30 * NS_PER_S, Decimal(0)),
        Funding(second + 60 * NS_PER_S, Decimal("-0.1")),
    ]


def test_it_refuses_to_run_live_in_one_sentence() -> None:
    """No venue of ours has perpetuals: whoever asks for a live strategy is told so."""
    with pytest.raises(OtherFormError, match="needs a venue with perpetuals") as refused:
        PLAIN.make(PLAIN.parameters("spot_perpetual_carry", {}))
    assert refused.value.code == "other_form"


class Raises(SpotPerpetualCarry):
    """A strategy with a bug."""

    def decide(self, view: CarryView, costs: CarryCosts) -> Any:
        """Fail."""
        raise ZeroDivisionError("oh")


def test_a_strategy_that_raises_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The result says what happened, and when."""
    monkeypatch.setattr("mrmarket.trading.backtest.carry_run.SpotPerpetualCarry", Raises)
    paths = files(tmp_path)
    setting = BacktestSetting(
        tapes=tuple(TapeRef(path=str(path)) for path in paths), strategy="spot_perpetual_carry"
    )
    result = run_carry(setting, PLAIN, lambda _share, _doing: None)
    assert result.failure is not None
    assert result.failure.code == "strategy_raised"


def test_negative_rates_need_borrowed_base() -> None:
    """Without `short_spot` they are left alone, and a position is not turned round."""
    view = CarryView(FundingForecast(base_rate=-0.001).after(-0.001), 0.0, 0.0, 1.0)
    costs = CarryCosts(0, 0, 0)
    assert SpotPerpetualCarry(CarryParameters()).decide(view, costs).why == "spot may not be sold short"
    assert SpotPerpetualCarry(CarryParameters(short_spot=True)).decide(view, costs).action == "enter"


@needs_shared
def test_real_spot_and_perpetual_agree_within_some_basis_points() -> None:
    """Five real minutes: the perpetual stands a few basis points below spot, and every figure agrees."""
    folder = SHARED / "market" / "binance_raw_20240808"
    funding = Path(__file__).with_name("carry_midnight.csv")
    result = run([folder / "spot_btcusdt_20240808.gz", folder / "usdm_btcusdt_20240808.gz", funding])
    agrees(result)
    assert -10 < result.extra["mean_basis_bp"] < 0
