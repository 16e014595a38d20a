"""A backtest of triangular arbitrage: one purse on one venue, orders late, fees in what is received."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import msgspec

from mrmarket import __version__
from mrmarket.core.decimals import format_decimal
from mrmarket.core.errors import InvalidInputError
from mrmarket.trading.backtest.completion import balances, completed, parameters_of, with_fees
from mrmarket.trading.backtest.errors import EmptyWindowError
from mrmarket.trading.backtest.latency import delays
from mrmarket.trading.backtest.leg_assumptions import leg_assumptions
from mrmarket.trading.backtest.leg_player import PlayPlan
from mrmarket.trading.backtest.result import Assumption, BacktestResult, Decisions, Pass
from mrmarket.trading.backtest.setting import BacktestSetting
from mrmarket.trading.backtest.tally import samples
from mrmarket.trading.backtest.triangle_books import AssetPurse, LabPair
from mrmarket.trading.backtest.triangle_driver import TriangleDriver, TriangleOutcome
from mrmarket.trading.backtest.triangle_marks import curve_of, fills_of, totals_of, worths
from mrmarket.trading.backtest.triangle_recording import TriangleRecording, load_triangle
from mrmarket.trading.strategy.multileg.amounts import decimal_of
from mrmarket.trading.strategy.multileg.budget import leg_budget
from mrmarket.trading.strategy.registry import Registry
from mrmarket.trading.strategy.triangular.arbitrage import TriangularArbitrage
from mrmarket.trading.strategy.triangular.cycles import CycleIndex
from mrmarket.trading.strategy.triangular.parameters import TriangularParameters
from mrmarket.trading.strategy.triangular.port import NoTriangleError

_REASONS: Final = 20


def run_triangle(
    setting: BacktestSetting, registry: Registry, tell: Callable[[float, str], None]
) -> BacktestResult:
    """Run one setting of triangular arbitrage; `quote` in the result is the home asset.

    Raises:
        TapeError, BacktestError: the recordings cannot be used, as they say.
        NoTriangleError: the pairs close no triangle.
        ParameterRefusedError, ParametersRefusedError: a parameter is out of its range, or unknown.
    """
    tell(0.0, "reading the tapes")
    found = load_triangle(setting.tapes)
    found = replace(found, instruments=tuple(with_fees(each, setting) for each in found.instruments))
    parameters, snapshot = _parameters(setting, registry, found)
    strategy = TriangularArbitrage(parameters)
    begin_ns, end_ns = setting.window.bounds_ns(found.first_ns, found.last_ns)
    begin_ns, end_ns = max(begin_ns, found.first_ns), min(end_ns, found.last_ns + 1)
    if begin_ns >= end_ns:
        raise EmptyWindowError(Path(setting.tapes[0].path), "no time in which all pairs show a book")
    first = next(each for each in found.instruments if each.symbol == parameters.pair)
    if strategy.home not in (first.base, first.quote):
        raise InvalidInputError("home", strategy.home, f"an asset of {parameters.pair}, the first pair")
    if not CycleIndex(found.instruments, [strategy.home]).cycles:
        raise NoTriangleError(found.symbols, strategy.home)
    held = balances(setting, _price(found, parameters.pair, begin_ns))
    full = completed(setting, found.refs[0], parameters, snapshot, (first.maker_fee, first.taker_fee), held)
    full = msgspec.structs.replace(full, tapes=found.refs)
    purse = AssetPurse({strategy.home: Fraction(held[1] if strategy.home == first.quote else held[0])})
    share = Fraction(parameters.depth_share)
    driver = TriangleDriver(
        found,
        {each.symbol: LabPair(each, purse, share) for each in found.instruments},
        purse,
        strategy,
        leg_budget("round", parameters, parameters.pause),
        delays(full.latency, full.seed),
        PlayPlan(begin_ns, end_ns, full.latency.feed_ns, full.decide_every_ns, full.decision_limit_s),
        lambda done: tell(done, "playing every pair"),
    )
    outcome = driver.run()
    marks = driver.marks
    points = list(worths(outcome.trades, marks, samples(begin_ns, end_ns, setting.sample_ns)))
    played = Pass(
        queue="taker",
        totals=totals_of(outcome.trades, points, marks, outcome.placed, parameters.pair),
        decisions=Decisions(
            decisions=outcome.decided,
            by_book=outcome.decided,
            without_quotes=outcome.decided - outcome.reasons["taken"],
            reasons=dict(outcome.reasons.most_common(_REASONS)),
        ),
        curve=curve_of(points, marks, parameters.pair),
        fills=fills_of(outcome.trades, found.instruments, marks),
    )
    tell(1.0, "done")
    return BacktestResult(
        setting=full,
        digest=full.digest,
        kind="triangle",
        instrument=first,
        begin_ns=begin_ns,
        end_ns=end_ns,
        rows=len(found.events),
        passes=[played],
        assumptions=list(_assumptions(full, found, parameters, purse.held)),
        failure=outcome.failure,
        made_by=__version__,
        extra=_extra(strategy.home, outcome, purse),
    )


def _parameters(
    setting: BacktestSetting, registry: Registry, found: TriangleRecording
) -> tuple[TriangularParameters, str]:
    """The setting's, with the tapes' pairs where it names none."""
    table: dict[str, Any] = dict(setting.parameters)
    symbols = found.symbols
    pair = table.setdefault("pair", setting.symbol or symbols[0])
    others = [each for each in symbols if each != pair]
    wanted = table.get("pairs") or others
    if sorted(wanted) != sorted(others):
        raise InvalidInputError("pairs", ", ".join(wanted), f"those of the tapes: {', '.join(others)}")
    table["pairs"] = wanted
    full = msgspec.structs.replace(setting, parameters=table)
    parameters, snapshot = parameters_of(full, registry, symbols)
    assert isinstance(parameters, TriangularParameters)  # noqa: S101 - its kind brought us here
    return parameters, snapshot


def _price(found: TriangleRecording, symbol: str, begin_ns: int) -> Decimal:
    instrument = next(each for each in found.instruments if each.symbol == symbol)
    return next(
        instrument.price(event.bids[0][0])
        for name, event in found.events
        if name == symbol and event.bids and event.exchange_ns <= max(begin_ns, found.first_ns)
    )


def _extra(home: str, outcome: TriangleOutcome, purse: AssetPurse) -> dict[str, Any]:
    best = outcome.best_product
    return {
        "home": home,
        "rounds": dict(outcome.ends),
        "best_net_edge_bp": None if best is None else round(float(best - 1) * 10_000, 3),
        "held_at_end": {
            asset: format_decimal(round(decimal_of(amount), 8))
            for asset, amount in sorted(purse.held.items())
        },
        "rounds_made": outcome.rounds,
    }


def _assumptions(
    full: BacktestSetting,
    found: TriangleRecording,
    parameters: TriangularParameters,
    held: Mapping[str, Fraction],
) -> Iterator[Assumption]:
    fees = ", ".join(
        f"{each.symbol} {format_decimal(each.taker_fee * 10_000)} bp" for each in found.instruments
    )
    home = parameters.home_asset
    yield Assumption(
        name="fees",
        value=fees,
        meaning="Kept back from what each order receives, base or quote; amounts here are exact, a venue"
        " rounds each in its favour by less than 0.00000001.",
    )
    yield Assumption(
        name="capital",
        value=f"begins with {home} alone",
        meaning=f"Every figure is in {home}; other assets ({', '.join(sorted(set(held) - {home})) or 'none'}"
        f" touched) are valued at the mid of their own pair with {home}.",
    )
    yield Assumption(
        name="fills",
        value="the book at the order's arrival",
        meaning="Each order meets its pair's book as it stands when its latency is over; the next one is sent"
        " when its answer is there, and spends what it brought.",
    )
    yield from leg_assumptions(
        full, Fraction(parameters.depth_share), "A round that could not be brought home"
    )
