"""What pure market making remembers between decisions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

import msgspec
from msgspec.structs import replace

from mrmarket.core.side import Side
from mrmarket.trading.execution.order import Order

_DIGITS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True)
class HangingOrder:
    """An order that stays although its layer has been filled on the other side."""

    slot: str
    side: Side
    price_ticks: int
    size_lots: int


class PureMarketMakingState(msgspec.Struct, frozen=True):
    """Everything that fills and time leave behind. Frozen; `with_…` return the next one."""

    last_fill_ticks: int | None = None
    held_lots: int = 0
    """Bought and not yet sold, never below zero."""
    held_cost_grains: int = 0
    """What these lots cost, in ticks times lots."""
    filled_balance: int = 0
    """Completed buys less completed sells."""
    quiet_until_ns: int = 0
    band_reference: Decimal | None = None
    band_taken_ns: int = 0
    hanging: tuple[HangingOrder, ...] = ()
    generations: tuple[tuple[str, int], ...] = ()
    """How often each slot was left to a hanging order."""

    def slot(self, side: Side, layer: int) -> str:
        """Name of a layer's slot: `b1`, or `b1x2` after two of its orders were left hanging."""
        first = f"{side.value[0]}{layer}"
        generation = dict(self.generations).get(first, 0)
        return f"{first}x{_base36(generation)}" if generation else first

    def with_fill(
        self, side: Side, price_ticks: int, size_lots: int, *, completed: bool
    ) -> PureMarketMakingState:
        """After one fill; a complete order also counts for ping-pong."""
        held, cost = self.held_lots, self.held_cost_grains
        if side is Side.BUY:
            held, cost = held + size_lots, cost + price_ticks * size_lots
        else:
            sold = min(size_lots, held)
            cost -= cost * sold // held if held else 0
            held -= sold
        return replace(
            self,
            last_fill_ticks=price_ticks,
            held_lots=held,
            held_cost_grains=cost,
            filled_balance=self.filled_balance + (side.sign if completed else 0),
        )

    def with_band(self, reference: Decimal, now_ns: int, every_ns: int) -> PureMarketMakingState:
        """Take the band's reference anew when it is due."""
        if self.band_reference is not None and now_ns - self.band_taken_ns < every_ns:
            return self
        return replace(self, band_reference=reference, band_taken_ns=now_ns)

    def with_hanging(self, filled_slot: str, live: Sequence[Order]) -> PureMarketMakingState:
        """The filled slot is done hanging; the live order opposite it stays where it is."""
        kept = tuple(order for order in self.hanging if order.slot != filled_slot)
        if len(kept) < len(self.hanging):
            return replace(self, hanging=kept)
        opposite = ("s" if filled_slot[0] == "b" else "b") + filled_slot[1:].partition("x")[0]
        current = self.slot(Side.SELL if opposite[0] == "s" else Side.BUY, int(opposite[1:]))
        partner = next((order for order in live if order.slot == current and not order.is_final), None)
        if partner is None:
            return self
        hanging = HangingOrder(partner.slot, partner.side, partner.price_ticks, partner.remaining_lots)
        counts = dict(self.generations)
        counts[opposite] = counts.get(opposite, 0) + 1
        return replace(self, hanging=(*kept, hanging), generations=tuple(sorted(counts.items())))

    def without_hanging(self, slots: Iterable[str]) -> PureMarketMakingState:
        """Give up some hanging orders."""
        given_up = set(slots)
        if not given_up:
            return self
        return replace(self, hanging=tuple(order for order in self.hanging if order.slot not in given_up))


def _base36(value: int) -> str:
    digits = ""
    while value:
        value, digit = divmod(value, 36)
        digits = _DIGITS[digit] + digits
    return digits
