"""A backtest of a strategy on two venues: capital split equally, nothing transferred, every order late."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import msgspec

from mrmarket import __version__
from mrmarket.core.decimals import format_decimal
from mrmarket.core.errors import InvalidInputError
from mrmarket.core.instrument import Instrument
from mrmarket.trading.backtest.completion import balances, completed, parameters_of, with_fees
from mrmarket.trading.backtest.cross_books import LabVenue, Purse, decimal_of
from mrmarket.trading.backtest.cross_driver import CrossDriver, CrossOutcome, CrossPlan
from mrmarket.trading.backtest.cross_recording import CrossRecording, load_cross
from mrmarket.trading.backtest.errors import EmptyWindowError
from mrmarket.trading.backtest.latency import delays
from mrmarket.trading.backtest.result import Assumption, BacktestResult, Decisions, Pass
from mrmarket.trading.backtest.setting import BacktestSetting
from mrmarket.trading.backtest.tally import Counts, Tally, samples
from mrmarket.trading.strategy.arbitrage.budget import pair_budget
from mrmarket.trading.strategy.arbitrage.common_grid import CommonGrid, common_grid
from mrmarket.trading.strategy.arbitrage.parameters import LegSchema
from mrmarket.trading.strategy.registry import Registry
from mrmarket.trading.strategy.schema import StrategyParameters

_REASONS: Final = 20
_POLLS: Final = 2
"""A polled book may be this many polls old before it counts as lost."""


def run_cross(
    setting: BacktestSetting, registry: Registry, tell: Callable[[float, str], None]
) -> BacktestResult:
    """Run one setting of a strategy on two venues.

    Raises:
        TapeError, BacktestError: the recordings cannot be used, as they say.
        VenueCountError: the strategy quotes on one venue.
        ParameterRefusedError, ParametersRefusedError: a parameter is out of its range, or unknown.
    """
    tell(0.0, "reading the recording")
    found = _with_fees(load_cross(setting.tapes, setting.symbol), setting)
    parameters, snapshot = _parameters(setting, registry, found)
    strategy = registry.make_cross(parameters)
    begin_ns, end_ns = setting.window.bounds_ns(found.first_ns, found.last_ns)
    begin_ns, end_ns = max(begin_ns, found.first_ns), min(end_ns, found.last_ns + 1)
    if begin_ns >= end_ns:
        raise EmptyWindowError(Path(setting.tapes[0].path), "no time in which both venues show a book")
    grid = common_grid(*found.instruments)
    common = _common(found.instruments[0], grid)
    held = _held(setting, found, begin_ns)
    one = found.instruments[0]
    full = completed(setting, found.refs[0], parameters, snapshot, (one.maker_fee, one.taker_fee), held)
    full = msgspec.structs.replace(full, tapes=found.refs)
    share = _depth_share(parameters)
    venues = _venues(found, held, share)
    budget = pair_budget(_legs(parameters), float(getattr(parameters, "pause", 0.0)))
    driver = CrossDriver(
        found,
        venues,
        strategy,
        budget,
        grid,
        common,
        delays(full.latency, full.seed),
        CrossPlan(begin_ns, end_ns, full.latency.feed_ns, full.decide_every_ns, full.decision_limit_s),
        lambda done: tell(done, "playing both venues"),
    )
    outcome = driver.run()
    tally = Tally(common, driver.mids, begin_ns, end_ns)
    points = tally.points(outcome.trades, samples(begin_ns, end_ns, setting.sample_ns))
    counts = Counts(outcome.placed, 0, 0, outcome.lots_placed, None)
    fills = msgspec.structs.replace(tally.fills(outcome.trades), venue=outcome.venues)
    played = Pass(
        queue="taker",
        totals=tally.totals(outcome.trades, points, counts),
        decisions=Decisions(
            decisions=outcome.decided,
            by_book=outcome.decided,
            without_quotes=outcome.decided - outcome.reasons["taken"],
            reasons=dict(outcome.reasons.most_common(_REASONS)),
        ),
        markouts=tally.markouts(outcome.trades),
        curve=tally.curve(points),
        fills=fills,
    )
    tell(1.0, "done")
    return BacktestResult(
        setting=full,
        digest=full.digest,
        kind="venues",
        instrument=replace(common, venue=" + ".join(found.markets)),
        begin_ns=begin_ns,
        end_ns=end_ns,
        rows=len(found.events),
        passes=[played],
        assumptions=list(_assumptions(full, found, share)),
        failure=outcome.failure,
        made_by=__version__,
        extra=_extra(found, outcome, venues),
    )


def _parameters(
    setting: BacktestSetting, registry: Registry, found: CrossRecording
) -> tuple[StrategyParameters, str]:
    table = setting.parameters
    if table.get("fees_in", "quote") != "quote":
        wanted = "quote, in which both fees are charged here"
        raise InvalidInputError("fees_in", str(table["fees_in"]), wanted)
    schema = registry.find(setting.strategy).kind.schema
    known = {each.name for each in msgspec.structs.fields(schema)}
    laboratory: dict[str, Any] = {"fees_in": "quote"}
    if found.polled_ns:
        # Between two polls a book cannot be younger: what the strategy calls old live would never trade.
        patience_s = _POLLS * found.polled_ns / 1e9
        laboratory |= {"max_book_age": patience_s, "max_book_gap": patience_s}
        laboratory["leg_deadline"] = 2 * patience_s
    table = {**{key: value for key, value in laboratory.items() if key in known}, **table}
    full = msgspec.structs.replace(setting, parameters=table)
    return parameters_of(full, registry, [found.instruments[0].symbol])


def _with_fees(found: CrossRecording, setting: BacktestSetting) -> CrossRecording:
    one, two = found.instruments
    return replace(found, instruments=(with_fees(one, setting), with_fees(two, setting)))


def _common(instrument: Instrument, grid: CommonGrid) -> Instrument:
    """Both venues' trades on one grid; a tick is half a price unit, so that the mean of two mids is on it."""
    return replace(
        instrument,
        tick_size=decimal_of(grid.price_unit / 2),
        lot_size=decimal_of(grid.size_unit),
        min_notional=Decimal(0),
        min_lots=1,
    )


def _held(setting: BacktestSetting, found: CrossRecording, begin_ns: int) -> tuple[Decimal, Decimal]:
    """Base and quote of both venues together; what the setting leaves open is worth as much as the other."""
    price = next(
        found.instruments[venue].price(event.bids[0][0])
        for venue, event in found.events
        if event.exchange_ns >= begin_ns and event.bids
    )
    return balances(setting, price)


def _venues(
    found: CrossRecording, held: tuple[Decimal, Decimal], share: Fraction
) -> tuple[LabVenue, LabVenue]:
    """Half of everything on each."""
    one, two = (
        LabVenue(
            instrument,
            market,
            Purse(int(held[0] / 2 // instrument.lot_size), Fraction(held[1]) / 2),
            share,
        )
        for instrument, market in zip(found.instruments, found.markets, strict=True)
    )
    return one, two


def _depth_share(parameters: StrategyParameters) -> Fraction:
    return Fraction(Decimal(getattr(parameters, "depth_share", 1)))


def _legs(parameters: StrategyParameters) -> LegSchema:
    return parameters if isinstance(parameters, LegSchema) else LegSchema()


def _extra(found: CrossRecording, outcome: CrossOutcome, venues: tuple[LabVenue, LabVenue]) -> dict[str, Any]:
    best = None if outcome.best_edge is None else round(float(outcome.best_edge) * 10_000, 3)
    return {
        "venues": list(found.markets),
        "pairs": dict(outcome.ends),
        "best_net_edge_bp": best,
        "held_at_end": {
            venue.market: {
                venue.instrument.base: format_decimal(venue.instrument.size(venue.purse.base_lots)),
                venue.instrument.quote: format_decimal(round(decimal_of(venue.purse.quote), 8)),
            }
            for venue in venues
        },
        "pairs_made": outcome.pairs,
    }


def _assumptions(full: BacktestSetting, found: CrossRecording, share: Fraction) -> Iterator[Assumption]:
    fee = format_decimal((full.taker_fee or Decimal(0)) * 10_000)
    one = found.instruments[0]
    yield Assumption(
        name="fees",
        value=f"{fee} bp for each order",
        meaning=f"Of what is traded, in {one.quote}, on either venue.",
    )
    yield Assumption(
        name="capital",
        value=f"{format_decimal(full.base or Decimal(0))} {one.base},"
        f" {format_decimal(full.quote or Decimal(0))} {one.quote}, half on each venue",
        meaning="Nothing is transferred: a venue that has sold its base, or spent its quote, is done in that"
        " direction. What was held at the start is not revalued.",
    )
    if found.polled_ns:
        yield Assumption(
            name="fills",
            value=f"the next poll after the order's arrival, about {found.polled_ns / 1e9:.1f} s later",
            meaning="An order meets the first recorded book of its venue after it has arrived; what lies"
            " between two polls nobody knows. The second order is sent once the first is answered, and meets"
            " a book that is one or two polls younger than the decision's.",
        )
        yield Assumption(
            name="book age",
            value=f"up to {_POLLS * found.polled_ns / 1e9:.1f} s",
            meaning="Books are compared that were polled up to so long apart; live, half a second is the"
            " limit.",
        )
    else:
        yield Assumption(
            name="fills",
            value="the book at the order's arrival",
            meaning="An order meets its venue's book as it stands when its latency is over.",
        )
    yield Assumption(
        name="depth",
        value=f"{float(share):.0%} of each level",
        meaning="The rest is taken to be gone when we come. What we took is gone until the level is updated.",
    )
    yield Assumption(
        name="latency",
        value=f"{type(full.latency).__name__}, feed {full.latency.feed_ns / 1e6:g} ms",
        meaning="Each request and each answer takes its time; nothing is lost on the way.",
    )
    yield Assumption(
        name="market impact",
        value="none on others",
        meaning="History goes on as it was recorded: nobody reacts to our orders.",
    )
    yield Assumption(
        name="halts",
        value="re-armed at once",
        meaning="A pair that could be neither completed nor undone is counted; live, the owner looks first.",
    )
