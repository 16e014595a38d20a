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
from mrmarket.trading.backtest.cross_passes import play_making, play_pairs
from mrmarket.trading.backtest.cross_recording import CrossRecording, load_cross, turned
from mrmarket.trading.backtest.cross_scene import Scene
from mrmarket.trading.backtest.errors import EmptyWindowError
from mrmarket.trading.backtest.leg_assumptions import leg_assumptions
from mrmarket.trading.backtest.result import Assumption, BacktestResult
from mrmarket.trading.backtest.setting import BacktestSetting
from mrmarket.trading.strategy.arbitrage.common_grid import CommonGrid, common_grid
from mrmarket.trading.strategy.arbitrage.parameters import LegSchema
from mrmarket.trading.strategy.cross_port import WashTradeRefusedError
from mrmarket.trading.strategy.multileg.amounts import decimal_of
from mrmarket.trading.strategy.multileg.budget import leg_budget
from mrmarket.trading.strategy.registry import Registry
from mrmarket.trading.strategy.schema import StrategyParameters

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
    found = _ordered(_with_fees(load_cross(setting.tapes, setting.symbol), setting), setting)
    parameters, snapshot = _parameters(setting, registry, found)
    hedged = registry.find(setting.strategy).kind.hedged
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
    scene = Scene(found, held, share, grid, common, full, begin_ns, end_ns)
    pause_s = float(getattr(parameters, "pause", 0.0))
    legs = _legs(parameters)
    budget = leg_budget("pair", legs, pause_s, legs.max_fees_per_hour)
    if hedged:
        makers = (registry.make_maker(parameters) for _ in full.queue)
        played = play_making(scene, makers, budget, tell)
    else:
        played = play_pairs(scene, registry.make_cross(parameters), budget, tell)
    tell(1.0, "done")
    return BacktestResult(
        setting=full,
        digest=full.digest,
        kind="venues",
        instrument=replace(common, venue=" + ".join(found.markets)),
        begin_ns=begin_ns,
        end_ns=end_ns,
        rows=len(found.events),
        passes=played.passes,
        assumptions=[*_assumptions(full, found, share, hedged=hedged)],
        failure=played.failure,
        made_by=__version__,
        extra=played.extra,
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
        laboratory["hedge_time"] = found.polled_ns / 1e9
    table = {**{key: value for key, value in laboratory.items() if key in known}, **table}
    full = msgspec.structs.replace(setting, parameters=table)
    return parameters_of(full, registry, [found.instruments[0].symbol])


def _ordered(found: CrossRecording, setting: BacktestSetting) -> CrossRecording:
    """The venue that the parameters name as `exchange` comes first.

    Raises:
        InvalidInputError: they name one that is not in the recording.
    """
    wanted = [str(setting.parameters.get(key, "")) for key in ("exchange", "other_exchange")]
    for name in wanted:
        if name and name not in found.markets:
            raise InvalidInputError("exchange", name, f"{found.markets[0]} or {found.markets[1]}")
    if wanted[0] and wanted[0] == wanted[1]:
        raise WashTradeRefusedError(wanted[0])
    return turned(found) if found.markets[1] == wanted[0] or found.markets[0] == wanted[1] else found


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


def _depth_share(parameters: StrategyParameters) -> Fraction:
    return Fraction(Decimal(getattr(parameters, "depth_share", 1)))


def _legs(parameters: StrategyParameters) -> LegSchema:
    return parameters if isinstance(parameters, LegSchema) else LegSchema()


def _assumptions(
    full: BacktestSetting, found: CrossRecording, share: Fraction, *, hedged: bool
) -> Iterator[Assumption]:
    fee = format_decimal((full.taker_fee or Decimal(0)) * 10_000)
    one = found.instruments[0]
    kept = format_decimal((full.maker_fee or Decimal(0)) * 10_000)
    yield Assumption(
        name="fees",
        value=f"{kept} bp for quotes, {fee} bp for hedges" if hedged else f"{fee} bp for each order",
        meaning=f"Of what is traded, in {one.quote}, on either venue.",
    )
    if hedged:
        yield Assumption(
            name="quotes",
            value=f"resting on {found.markets[0]}, each queue model a pass",
            meaning="A print fills what it leaves of us once the queue in front is through, a best price of"
            " the other side that reaches ours fills us at our price. The queue counts everybody at the"
            " price when we come as in front."
            + (
                " A polled recording has no prints. Risk-averse, a quote is then filled only when a poll"
                " shows the market through it, which is fewer than in life; under the other models all that"
                " the best level lost between two polls counts as traded, which is more."
                if found.polled_ns
                else ""
            ),
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
    what = "A pair or a hedge that could be neither completed nor undone"
    yield from leg_assumptions(full, share, what)
