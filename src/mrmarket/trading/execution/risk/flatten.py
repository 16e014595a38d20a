"""How a position is brought to its target: slices that take inside a band, never at any price."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from mrmarket.core.clock import NS_PER_MS, NS_PER_S
from mrmarket.core.instrument import Instrument
from mrmarket.core.side import Side
from mrmarket.trading.execution.risk.pretrade import MarketTop
from mrmarket.trading.execution.targets import Quote
from mrmarket.trading.market.event import Level

SLOT = "flat"
"""The slot of every such order."""


@dataclass(frozen=True, slots=True)
class FlattenRules:
    """Fractions are of 1."""

    band: Decimal = Decimal("0.002")
    """How much worse than the best opposite price a slice may trade."""
    depth_share: Decimal = Decimal("0.5")
    """Of what others show inside the band, what one slice takes."""
    tries: int = 60
    """Slices and waits together, before it gives up and says so."""
    pause_ns: int = 250 * NS_PER_MS
    """Between two slices: the book shows what the last one has left."""
    sweep_rounds: int = 6
    """How often open orders are asked for before it gives up."""
    answer_ns: int = 20 * NS_PER_S
    """How long one slice may be in doubt."""


@dataclass(frozen=True, slots=True)
class FlattenReport:
    """What flattening has done. Amounts in base, decimal."""

    flat: bool
    """Whether the position is within a lot, or the least the venue takes, of its target."""
    gap_before: Decimal
    gap_after: Decimal
    slices: int
    """Orders sent."""
    reason: str
    """Why it ended."""


def slice_of(
    gap_lots: int,
    instrument: Instrument,
    top: MarketTop,
    opposite: Iterable[Level],
    rules: FlattenRules,
) -> Quote | None:
    """The next order, or None where what is left is less than the venue takes.

    Args:
        gap_lots: base position less its target.
        instrument: the pair.
        top: best prices of others.
        opposite: (ticks, lots) that others show on the side to be taken, best first.
        rules: band and share.
    """
    side = Side.SELL if gap_lots > 0 else Side.BUY
    best = top.bid_ticks if side is Side.SELL else top.ask_ticks
    rounding = ROUND_CEILING if side is Side.SELL else ROUND_FLOOR
    worst = int((best * (1 + side.sign * rules.band)).to_integral_value(rounding))
    shown = sum(lots for ticks, lots in opposite if (ticks - worst) * side.sign <= 0)
    left, least = abs(gap_lots), least_lots(instrument, worst)
    if left < least:
        return None
    # A trade beyond the mid costs worth, and with it moves the target: what that can be is left for later.
    careful = left - int((left * rules.band).to_integral_value(ROUND_CEILING))
    enough = careful if left - careful >= least else left
    lots = min(enough, max(int(shown * rules.depth_share), least), instrument.max_lots)
    if 0 < left - lots < least and left <= shown:
        lots = min(left, instrument.max_lots)  # nothing is left that would be too small to trade
    return Quote(SLOT, side, worst, lots, why="brings the position to its target")


def least_lots(instrument: Instrument, price_ticks: int) -> int:
    """The smallest order at this price."""
    if price_ticks <= 0:
        return max(instrument.min_lots, 1)
    worth = instrument.min_notional / (price_ticks * instrument.grain)
    by_value = int(worth.to_integral_value(ROUND_CEILING))
    return max(instrument.min_lots, by_value, 1)
