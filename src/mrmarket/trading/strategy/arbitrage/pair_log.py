"""What the event log and the journal say of a run's last pair of orders: enough to go on after a crash."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from math import floor

from mrmarket.core.events import Fact, Filled, OrderCreated, RiskChanged
from mrmarket.core.side import Side
from mrmarket.store.order_journal import OrderRecord
from mrmarket.trading.execution.leg_pair import LegPart, parse_leg_slot
from mrmarket.trading.execution.order_id import parse_order_id
from mrmarket.trading.execution.risk.state import Cause


@dataclass(slots=True)
class LastPair:
    """The newest pair that anything is known of."""

    number: int = 0
    base: Fraction = Fraction(0)
    """Bought less sold, fees in base taken off."""
    first_venue: int = 0
    first_side: Side = Side.BUY
    first_price: Decimal | None = None
    """Of the first order; None where only its fills are known."""
    unwound: set[int] = field(default_factory=set)
    """Attempts at undoing it that were made."""
    halted: bool = False
    """The owner was told what it holds, and has it in hand."""

    def units(self, size_unit: Fraction) -> int:
        """What it holds, in size units, rounded towards nothing."""
        whole = floor(abs(self.base) / size_unit)
        return whole if self.base > 0 else -whole


class PairLog:
    """A fold over facts and open intents, in any order: only the pair with the highest number is kept."""

    def __init__(self) -> None:
        self.last = LastPair()

    def take(self, fact: Fact) -> None:
        """One fact of the run's stream."""
        if isinstance(fact, Filled):
            size, fee = Decimal(fact.size), Decimal(fact.fee)
            self.fill(
                fact.client_order_id, base_of(fact.side, size, fee, in_base=fact.fee_asset == fact.base)
            )
        elif isinstance(fact, OrderCreated):
            self._order(fact.client_order_id, fact.slot, fact.side, Decimal(fact.price))
        elif isinstance(fact, RiskChanged) and fact.cause == Cause.PARTIAL_LEG:
            self.last.halted |= fact.detail.startswith(f"pair {self.last.number}:")

    def fill(self, client_order_id: str, base: Fraction) -> None:
        """One trade and what it changed in base."""
        pair = self._pair(client_order_id)
        if pair is not None:
            pair.base += base

    def intents(self, records: Iterable[OrderRecord], tick_sizes: tuple[Decimal, Decimal]) -> None:
        """Orders that the journal holds as open; the log may not have them yet."""
        for record in records:
            place = parse_leg_slot(record.slot)
            if place is not None:
                price = record.price_ticks * tick_sizes[place[0]]
                self._order(record.client_order_id, record.slot, record.side, price)

    def _order(self, client_order_id: str, slot: str, side: Side, price: Decimal) -> None:
        pair, place = self._pair(client_order_id), parse_leg_slot(slot)
        if pair is None or place is None:
            return
        venue, part, attempt = place
        if part is LegPart.FIRST:
            pair.first_venue, pair.first_side, pair.first_price = venue, side, price
        elif part is LegPart.UNWIND:
            pair.unwound.add(attempt)

    def _pair(self, client_order_id: str) -> LastPair | None:
        parsed = parse_order_id(client_order_id)
        if parsed is None or parse_leg_slot(parsed.slot) is None or parsed.sequence < self.last.number:
            return None
        if parsed.sequence > self.last.number:
            self.last = LastPair(number=parsed.sequence)
        return self.last


def base_of(side: Side, size: Decimal, fee: Decimal, *, in_base: bool) -> Fraction:
    """What a fill changed in base."""
    return side.sign * Fraction(size) - (Fraction(fee) if in_base else 0)
