"""How what an interrupted pair has left is undone: at the prices of now, where its first order traded."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from mrmarket.core.side import Side
from mrmarket.trading.execution.leg_pair import Leg, PairPlan
from mrmarket.trading.strategy.arbitrage.common_grid import CommonGrid
from mrmarket.trading.strategy.arbitrage.cross_exchange import least_grains
from mrmarket.trading.strategy.arbitrage.pair_log import LastPair
from mrmarket.trading.strategy.multileg.side import MarketSide


def plan_of(last: LastPair, units: int, sides: Sequence[MarketSide], grid: CommonGrid) -> PairPlan:
    """A plan whose first leg is what is undone, near the best opposite price; its venue must have a book."""
    first = _leg(sides[last.first_venue], last.first_side, units, grid)
    second = _leg(sides[1 - last.first_venue], last.first_side.opposite, units, grid)
    return PairPlan(first, second)


def _leg(side: MarketSide, direction: Side, units: int, grid: CommonGrid) -> Leg:
    top = side.watch.top
    price = 1 if top is None else top.bid_ticks if units > 0 else top.ask_ticks
    instrument, lot = side.instrument, grid.lot_units[side.number]
    return Leg(
        side.number,
        direction,
        max(1, abs(units) // lot),
        price,
        lot_units=lot,
        min_lots=instrument.min_lots,
        min_grains=least_grains(instrument),
        fee_in_base=Fraction(0),
    )
