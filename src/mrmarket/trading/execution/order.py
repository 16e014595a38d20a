"""One order as a lattice: evidence only ever adds, so its arrival order does not matter."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType
from typing import Final

import msgspec
from msgspec.structs import replace

from mrmarket.core.side import Side
from mrmarket.trading.venue.port import FillReport, OrderKind, OrderReport, OrderStatus


class OrderStage(IntEnum):
    """How far an order is known to have come; a later stage is never taken back.

    Final stages are ordered by the strength of their evidence: a fill that completes the order
    outweighs a cancel, a cancel outweighs an expiry, and each outweighs a refusal.
    """

    NEW = 0
    SENT = 1
    ACKED = 2
    PARTIALLY_FILLED = 3
    REJECTED = 4
    EXPIRED = 5
    CANCELLED = 6
    FILLED = 7

    @property
    def is_final(self) -> bool:
        """Whether the venue will not fill it further."""
        return self >= OrderStage.REJECTED


_STAGE_OF: Final[Mapping[OrderStatus, OrderStage]] = MappingProxyType(
    {
        OrderStatus.OPEN: OrderStage.ACKED,
        OrderStatus.PARTIALLY_FILLED: OrderStage.PARTIALLY_FILLED,
        OrderStatus.FILLED: OrderStage.FILLED,
        OrderStatus.CANCELLED: OrderStage.CANCELLED,
        OrderStatus.REJECTED: OrderStage.REJECTED,
        OrderStatus.EXPIRED: OrderStage.EXPIRED,
    }
)

_WORDS: Final = tuple(stage.name.lower() for stage in OrderStage)
# Read at every decision, several times an order: a member asked for by name costs more.
_ACKED: Final = OrderStage.ACKED
_REJECTED: Final = OrderStage.REJECTED


class Order(msgspec.Struct, frozen=True):
    """One order of ours. `with_…` return what is known after one more piece of evidence.

    Sizes are lots, prices ticks, times wall nanoseconds.
    """

    client_order_id: str
    symbol: str
    slot: str
    side: Side
    kind: OrderKind
    price_ticks: int
    size_lots: int
    created_ns: int
    stage: OrderStage = OrderStage.NEW
    venue_order_id: str = ""
    place_doubted: bool = False
    """A time-out left open whether the placement had its effect."""
    cancel_attempts: int = 0
    cancel_doubted: bool = False
    """The last cancel had no answer."""
    reported_lots: int = 0
    """The largest cumulative fill that the venue named."""
    fills: Mapping[str, FillReport] = msgspec.field(default_factory=dict)
    """By trade id."""
    updated_ns: int = 0

    @property
    def filled_lots(self) -> int:
        """The fold over the fills that are known one by one."""
        return sum([fill.size_lots for fill in self.fills.values()]) if self.fills else 0

    @property
    def missing_lots(self) -> int:
        """What the venue says was filled and no fill report has accounted for yet."""
        return max(0, self.reported_lots - self.filled_lots) if self.reported_lots else 0

    @property
    def remaining_lots(self) -> int:
        """What may still be filled; 0 once final."""
        if self.stage >= _REJECTED:
            return 0
        return max(0, self.size_lots - max(self.reported_lots, self.filled_lots))

    @property
    def is_final(self) -> bool:
        """Whether the venue will not fill it further."""
        return self.stage >= _REJECTED

    @property
    def is_resting(self) -> bool:
        """Whether the venue has said that it stands in the book."""
        return _ACKED <= self.stage < _REJECTED

    @property
    def is_settled(self) -> bool:
        """Final, and every lot the venue counted is known as a fill."""
        return self.stage >= _REJECTED and not self.missing_lots

    @property
    def is_doubted(self) -> bool:
        """Whether we wait for proof that the placement or the cancel had its effect."""
        if not (self.cancel_doubted or self.place_doubted):
            return False
        return self.stage < _REJECTED and (self.cancel_doubted or self.stage < _ACKED)

    @property
    def state(self) -> str:
        """The word for people and for the journal."""
        if self.is_doubted:
            return "cancel_unknown" if self.cancel_doubted else "unknown"
        return _WORDS[self.stage]

    def sent(self, at_ns: int) -> Order:
        """The request is on its way."""
        return replace(self, stage=max(self.stage, OrderStage.SENT), updated_ns=max(self.updated_ns, at_ns))

    def doubted(self, at_ns: int) -> Order:
        """The placement had no answer; an acknowledgement, early or late, settles it."""
        return replace(
            self,
            stage=max(self.stage, OrderStage.SENT),
            place_doubted=True,
            updated_ns=max(self.updated_ns, at_ns),
        )

    def cancelling(self, at_ns: int) -> Order:
        """One more cancel is on its way."""
        return replace(
            self,
            cancel_attempts=self.cancel_attempts + 1,
            cancel_doubted=False,
            updated_ns=max(self.updated_ns, at_ns),
        )

    def with_cancel_doubt(self, at_ns: int, *, doubted: bool) -> Order:
        """The last cancel had no answer, or a query has since shown that it had no effect."""
        return replace(self, cancel_doubted=doubted, updated_ns=max(self.updated_ns, at_ns))

    def with_stage(self, stage: OrderStage, at_ns: int) -> Order:
        """At least this stage."""
        return replace(self, stage=max(self.stage, stage), updated_ns=max(self.updated_ns, at_ns))

    def with_report(self, report: OrderReport, at_ns: int) -> Order:
        """What a response, a query or the user stream says; the same news again changes nothing."""
        reported = max(self.reported_lots, report.filled_lots)
        stage = self._stage(max(self.stage, _STAGE_OF[report.status]), max(reported, self.filled_lots))
        venue_order_id = self.venue_order_id or report.venue_order_id
        if (stage, reported, venue_order_id) == (self.stage, self.reported_lots, self.venue_order_id):
            return self
        return replace(
            self,
            stage=stage,
            venue_order_id=venue_order_id,
            reported_lots=reported,
            updated_ns=max(self.updated_ns, at_ns),
        )

    def with_fill(self, fill: FillReport, at_ns: int) -> Order:
        """One trade; the same trade again changes nothing."""
        if fill.trade_id in self.fills:
            return self
        fills = {**self.fills, fill.trade_id: fill}
        filled = sum(each.size_lots for each in fills.values())
        return replace(
            self,
            fills=fills,
            stage=self._stage(self.stage, max(filled, self.reported_lots)),
            venue_order_id=self.venue_order_id or fill.venue_order_id,
            updated_ns=max(self.updated_ns, at_ns),
        )

    def _stage(self, stage: OrderStage, filled_lots: int) -> OrderStage:
        if filled_lots >= self.size_lots:
            return OrderStage.FILLED
        return max(stage, OrderStage.PARTIALLY_FILLED) if filled_lots else stage
