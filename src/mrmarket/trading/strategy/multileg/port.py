"""What one market of a run asks the run, and tells it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from mrmarket.store.order_journal import OrderRecord
from mrmarket.trading.execution.order import Order
from mrmarket.trading.execution.risk.board import RiskBoard, RiskChange
from mrmarket.trading.execution.risk.state import RiskState
from mrmarket.trading.strategy.observer import FillRecord

if TYPE_CHECKING:
    from mrmarket.trading.strategy.multileg.side import MarketSide


class Whole(Protocol):
    """The run that a side belongs to. Every method returns at once."""

    @property
    def board(self) -> RiskBoard:
        """The process's restrictions."""
        ...

    @property
    def risk_state(self) -> RiskState:
        """What the run as a whole may do."""
        ...

    @property
    def risk_reason(self) -> str:
        """The strictest reason for that."""
        ...

    @property
    def leg_number(self) -> int:
        """Of the legs at work: a part of their ids."""
        ...

    def is_leg(self, slot: str) -> bool:
        """Whether a slot is a leg's; else it is a quote's."""
        ...

    def owns(self, side: MarketSide, record: OrderRecord) -> bool:
        """Whether an order in the run's journal is this side's."""
        ...

    def exposure_lots(self, side: MarketSide) -> int:
        """What is to be brought back, in the side's lots: all that REDUCE lets through."""
        ...

    def on_order(self, side: MarketSide, order: Order) -> None:
        """An order of the side is new or has changed."""
        ...

    def on_leg(self, side: MarketSide, order: Order) -> None:
        """A leg may have ended, or fell into doubt."""
        ...

    def on_fill(self, side: MarketSide, record: FillRecord, client_order_id: str) -> None:
        """A trade is durable; venues may name only their own id in it, so whose it is comes with it."""
        ...

    def on_book(self, side: MarketSide) -> None:
        """Something changed that a decision depends on."""
        ...

    def on_side_risk(self, side: MarketSide, change: RiskChange) -> None:
        """More or less may be done."""
        ...

    def on_fault(self, error: Exception) -> None:
        """Trading cannot go on."""
        ...

    def on_task_ended(self, name: str, error: Exception | None) -> None:
        """A part ended by itself."""
        ...
