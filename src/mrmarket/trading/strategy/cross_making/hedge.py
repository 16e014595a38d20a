"""What a maker owes to the hedge venue: a fold over fills, and the order that pays it off. Pure.

Nothing else says what is unhedged: after a crash the fills of both venues are read from the event log and
added up again. Orders that hedge go through the machine of `execution.legs`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from math import floor

from mrmarket.core.instrument import Instrument
from mrmarket.core.side import Side
from mrmarket.trading.execution.leg_pair import Leg, PairPlan
from mrmarket.trading.execution.legs import LegRules
from mrmarket.trading.execution.risk.pretrade import MarketTop
from mrmarket.trading.strategy.arbitrage.common_grid import CommonGrid
from mrmarket.trading.strategy.arbitrage.cross_exchange import least_grains
from mrmarket.trading.strategy.multileg.budget import LegParameters, leg_rules

MAKER, HEDGE = 0, 1
"""Places of both venues in a view and a plan."""


@dataclass(frozen=True, slots=True)
class Hedge:
    """One order that is due on the hedge venue."""

    plan: PairPlan
    """The second leg passes on, the first is how it is undone on the maker's venue."""
    units: int
    """Size units of the common grid that it passes on: bought by the maker is positive."""


def hedge_rules(parameters: LegParameters) -> LegRules:
    """How hedges of these parameters are carried out: what is too small is carried to the next one."""
    return replace(leg_rules(parameters), carries=True)


def hedge_due(
    owed: Fraction,
    grid: CommonGrid,
    instruments: tuple[Instrument, Instrument],
    maker: MarketTop,
    taker: MarketTop,
) -> Hedge | None:
    """The order for what is owed; None while that is less than the hedge venue takes.

    Args:
        owed: base bought less sold by all fills of both venues, fees in base taken off.
        grid: the common one.
        instruments: the maker's and the hedge venue's.
        maker: best prices of others where quotes stand: near them it would be undone.
        taker: best prices of the hedge venue.
    """
    here, there = instruments
    sells = owed > 0
    units = floor(abs(owed) / grid.size_unit)
    # Down to whole lots: never more is passed on than was filled.
    lots = units // grid.lot_units[HEDGE]
    best = taker.bid_ticks if sells else taker.ask_ticks
    second = Leg(
        HEDGE,
        Side.SELL if sells else Side.BUY,
        lots,
        best,
        lot_units=grid.lot_units[HEDGE],
        min_lots=there.min_lots,
        min_grains=least_grains(there),
    )
    if not lots or second.refusal():
        return None
    first = Leg(
        MAKER,
        Side.BUY if sells else Side.SELL,
        max(1, lots * grid.lot_units[HEDGE] // grid.lot_units[MAKER]),
        maker.bid_ticks if sells else maker.ask_ticks,
        lot_units=grid.lot_units[MAKER],
        min_lots=here.min_lots,
        min_grains=least_grains(here),
    )
    passed = lots * grid.lot_units[HEDGE]
    return Hedge(PairPlan(first, second), passed if sells else -passed)
