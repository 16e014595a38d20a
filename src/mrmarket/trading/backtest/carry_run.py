"""A backtest of spot–perpetual carry: basis, funding and fees, each told apart."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import msgspec

from mrmarket import __version__
from mrmarket.core.clock import NS_PER_S
from mrmarket.core.decimals import format_decimal
from mrmarket.trading.backtest.carry_driver import CarryDriver, CarryOutcome, CarryPlan
from mrmarket.trading.backtest.carry_recording import SPOT, CarryRecording, load_carry
from mrmarket.trading.backtest.completion import completed, parameters_of, with_fees
from mrmarket.trading.backtest.errors import EmptyWindowError
from mrmarket.trading.backtest.latency import delays
from mrmarket.trading.backtest.result import (
    Assumption,
    BacktestResult,
    Curve,
    Decisions,
    Fills,
    Pass,
    Totals,
)
from mrmarket.trading.backtest.setting import BacktestSetting
from mrmarket.trading.strategy.carry.parameters import CarryParameters
from mrmarket.trading.strategy.carry.strategy import SpotPerpetualCarry
from mrmarket.trading.strategy.registry import Registry

_DIGITS: Final = 12
_SAID: Final = MappingProxyType(
    {
        "enter": "it goes in",
        "hold": "it stays in",
        "exit": "it goes out",
        "stay_out": "it stays out, because the carry would not pay or may not be had",
    }
)
"""What each action is called where people read it."""


def run_carry(
    setting: BacktestSetting, registry: Registry, tell: Callable[[float, str], None]
) -> BacktestResult:
    """Run one setting of spot–perpetual carry.

    Raises:
        TapeError, BacktestError: the files cannot be used, as they say.
        ParameterRefusedError, ParametersRefusedError: a parameter is out of its range, or unknown.
    """
    tell(0.0, "reading spot, perpetual and funding")
    found = load_carry(setting.tapes, setting.symbol)
    parameters, snapshot = parameters_of(setting, registry, [found.spot.symbol])
    assert isinstance(parameters, CarryParameters)  # noqa: S101 - its kind brought us here
    strategy = SpotPerpetualCarry(parameters)
    spot = with_fees(found.spot, setting)
    begin_ns, end_ns = setting.window.bounds_ns(found.first_ns, found.last_ns)
    begin_ns, end_ns = max(begin_ns, found.first_ns), min(end_ns, found.last_ns + 1)
    if begin_ns >= end_ns:
        raise EmptyWindowError(Path(setting.tapes[0].path), "no time in which both markets have a price")
    held = Decimal(0) if setting.base is None else setting.base, setting.quote or parameters.notional * 2
    full = completed(setting, found.refs[0], parameters, snapshot, (spot.maker_fee, spot.taker_fee), held)
    full = msgspec.structs.replace(full, tapes=found.refs)
    perp_fee = spot.taker_fee if parameters.perp_fee is None else parameters.perp_fee
    driver = CarryDriver(
        found,
        strategy,
        strategy.costs(spot.taker_fee),
        CarryPlan(
            begin_ns,
            end_ns,
            full.latency.feed_ns + delays(full.latency, full.seed).order_ns(begin_ns),
            full.decision_limit_s,
            max(found.spot.lot_size, found.perp.lot_size),
            (spot.taker_fee, perp_fee),
        ),
    )
    outcome = driver.run()
    spot_mid, perp_mid = driver.mids
    totals = _totals(outcome, spot_mid, perp_mid)
    tell(1.0, "done")
    return BacktestResult(
        setting=full,
        digest=full.digest,
        kind="carry",
        instrument=spot,
        begin_ns=begin_ns,
        end_ns=end_ns,
        rows=len(found.touches) + len(found.funding),
        passes=[
            Pass(
                queue="taker",
                totals=totals,
                decisions=Decisions(
                    decisions=outcome.decided,
                    by_time=outcome.decided,
                    without_quotes=outcome.reasons["stay_out"],
                    reasons={_SAID.get(each, each): count for each, count in outcome.reasons.items()},
                ),
                curve=_curve(outcome, totals, spot_mid, end_ns),
                fills=_fills(outcome),
            )
        ],
        assumptions=list(_assumptions(full, found, parameters, perp_fee)),
        failure=outcome.failure,
        made_by=__version__,
        extra=_extra(outcome, found, begin_ns, end_ns, spot_mid, perp_mid),
    )


def _totals(outcome: CarryOutcome, spot_mid: Decimal, perp_mid: Decimal) -> Totals:
    """`inventory` holds what is neither spread nor fee: the basis' moves, funding, and what was borrowed."""
    books, fills = outcome.books, outcome.fills
    pnl, spread, fees = (_plain(each) for each in (books.pnl(spot_mid, perp_mid), books.spread, books.fees))
    high = worst = Decimal(0)
    for _, _, value, _, _ in outcome.points:
        high = max(high, value)
        worst = max(worst, high - value)
    return Totals(
        trades=len(fills),
        taker_fills=len(fills),
        taker_volume_quote=_plain(sum((each.price * each.size for each in fills), Decimal(0))),
        fees_quote=max(fees, Decimal(0)),
        rebates_quote=max(-fees, Decimal(0)),
        cash_quote=_plain(books.cash),
        base_change=books.spot + books.perp,
        final_mid=spot_mid,
        pnl_quote=pnl,
        spread_quote=spread,
        inventory_quote=pnl - spread + fees,
        max_drawdown_quote=_plain(worst),
        orders_placed=len(fills),
    )


def _curve(outcome: CarryOutcome, totals: Totals, mid: Decimal, end_ns: int) -> Curve:
    books = outcome.books
    last = (end_ns, mid, totals.pnl_quote, books.spread, books.fees)
    points = [*outcome.points, last]
    return Curve(
        at_ns=[each[0] for each in points],
        mid=[float(each[1]) for each in points],
        base=[0.0] * len(points),
        pnl_quote=[float(each[2]) for each in points],
        spread_quote=[float(each[3]) for each in points],
        fees_quote=[float(each[4]) for each in points],
    )


def _fills(outcome: CarryOutcome) -> Fills:
    fills = outcome.fills
    held, after = Decimal(0), []
    for each in fills:
        held += each.sign * each.size
        after.append(held)
    return Fills(
        at_ns=[each.at_ns for each in fills],
        venue=["spot" if each.market == SPOT else "perpetual" for each in fills],
        side=["buy" if each.sign > 0 else "sell" for each in fills],
        price=[_plain(each.price) for each in fills],
        size=[each.size for each in fills],
        fee_quote=[_plain(each.fee) for each in fills],
        maker=[False] * len(fills),
        slot=["spot" if each.market == SPOT else "perp" for each in fills],
        order=list(range(1, len(fills) + 1)),
        mid=[_plain(each.mid) for each in fills],
        base_after=after,
    )


def _extra(
    outcome: CarryOutcome,
    found: CarryRecording,
    begin_ns: int,
    end_ns: int,
    spot_mid: Decimal,
    perp_mid: Decimal,
) -> dict[str, Any]:
    books, basis = outcome.books, outcome.basis
    days = outcome.held_ns / NS_PER_S / 86_400
    return {
        "basis_quote": format_decimal(_plain(books.basis(spot_mid, perp_mid))),
        "funding_quote": format_decimal(_plain(books.funding)),
        "carry_fees_quote": format_decimal(_plain(books.fees)),
        "borrow_quote": format_decimal(_plain(books.borrow)),
        "entries": sum(outcome.exits.values()) + bool(books.perp),
        "exits": dict(outcome.exits),
        "liquidated": outcome.liquidated,
        "funding_payments": {
            "in_file": len(found.funding),
            "in_window": sum(begin_ns <= each.at_ns < end_ns for each in found.funding),
            "while_held": outcome.payments,
        },
        "days_held": round(days, 6),
        "mean_basis_bp": round(sum(basis) / len(basis) * 10_000, 4) if basis else None,
        "held_at_end": {
            "spot": format_decimal(books.spot),
            "perpetual": format_decimal(books.perp),
        },
    }


def _assumptions(
    full: BacktestSetting, found: CarryRecording, parameters: CarryParameters, perp_fee: Decimal
) -> Iterator[Assumption]:
    spot_fee = format_decimal((full.taker_fee or Decimal(0)) * 10_000)
    yield Assumption(
        name="fees",
        value=f"spot {spot_fee} bp, perpetual {format_decimal(perp_fee * 10_000)} bp an order",
        meaning=f"Of what is traded, in {found.spot.quote}, on either market.",
    )
    where = "a bar's close" if found.from_bars else "the best price, once a second"
    slippage = format_decimal(parameters.slippage * 10_000)
    yield Assumption(
        name="fills",
        value=f"{where}, and {slippage} bp beyond it",
        meaning="Both legs are filled as a whole, each at the first price that is known after the orders'"
        " delay; what is larger than the book shows would pay more.",
    )
    yield Assumption(
        name="funding",
        value=f"as recorded, every {found.interval_hours:g} h",
        meaning="A rate is known when it is paid, on the perpetual's mid; what was held then pays it.",
    )
    margin, kept = (format_decimal(each * 100) for each in (parameters.perp_margin, parameters.maintenance))
    yield Assumption(
        name="margin",
        value=f"{margin} % of the notional, closed below {kept} %",
        meaning="Collateral is not added later; a perpetual that is closed ends the spot leg, too.",
    )
    yield Assumption(
        name="borrowing",
        value=f"{format_decimal(parameters.borrow * 10_000)} bp an interval",
        meaning="Spot is sold short only with `short_spot`; the capital itself costs nothing.",
    )
    yield Assumption(
        name="market impact",
        value="none on others",
        meaning="History goes on as it was recorded: nobody reacts to our orders.",
    )


def _plain(value: Decimal) -> Decimal:
    return Decimal(format_decimal(round(value, _DIGITS)))
