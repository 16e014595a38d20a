"""Who watches a run. Calls come from the event loop, on the way of the orders: return at once."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from mrmarket.trading.execution.desk import OwnFill
from mrmarket.trading.execution.order import Order
from mrmarket.trading.execution.targets import TargetQuotes
from mrmarket.trading.market.event import MarketEvent


class RunState(StrEnum):
    """What a run is doing."""

    STARTING = "starting"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPING = "stopping"
    STOPPED = "stopped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class FillRecord:
    """One durable trade of ours and how far from the mid it was."""

    own: OwnFill
    spread_captured_bps: float | None
    """In our favour; None where the mid was not known."""


class RunObserver(Protocol):
    """Every method must be quick and must not raise."""

    def on_market(self, event: MarketEvent) -> None:
        """Any market event, after the book took it."""
        ...

    def on_book(self) -> None:
        """The best bid or ask changed, our own orders left out."""
        ...

    def on_quotes(self, targets: TargetQuotes) -> None:
        """The strategy wants other quotes than before."""
        ...

    def on_order(self, order: Order) -> None:
        """An order of ours changed."""
        ...

    def on_fill(self, record: FillRecord) -> None:
        """A trade of ours is durable in the event log."""
        ...

    def on_state(self, state: RunState, reason: str) -> None:
        """The run changed its state, or the reason for which its quotes are pulled."""
        ...


class Unobserved:
    """Nobody watches."""

    def on_market(self, event: MarketEvent) -> None:
        """Any market event."""

    def on_book(self) -> None:
        """The best bid or ask changed."""

    def on_quotes(self, targets: TargetQuotes) -> None:
        """The strategy wants other quotes."""

    def on_order(self, order: Order) -> None:
        """An order of ours changed."""

    def on_fill(self, record: FillRecord) -> None:
        """A trade of ours is durable."""

    def on_state(self, state: RunState, reason: str) -> None:
        """The run changed its state."""
