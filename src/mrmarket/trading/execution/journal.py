"""What execution asks of a store: intents before sending, facts before anybody acts on them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from mrmarket.core.events import Fact
from mrmarket.store.event_log import LoggedFact
from mrmarket.store.order_journal import OrderIntent, OrderRecord


class OrderJournal(Protocol):
    """The trading store, seen from execution. Every method is synchronous and may raise a StoreError.

    `append_facts` waits for the disk and is called from a writer's thread; the rest is called on the
    event loop and returns after a commit that survives the process, not the power.
    """

    def record_intents(self, intents: Sequence[OrderIntent]) -> None:
        """Write intents down before the first of them is sent; all or none."""
        ...

    def record_report(
        self, client_order_id: str, *, state: str, venue_order_id: str, filled_lots: int, at_ns: int
    ) -> None:
        """Write down what became of an order."""
        ...

    def open_intents(self, stream: str) -> Sequence[OrderRecord]:
        """Intents whose orders are not recorded as closed, oldest first."""
        ...

    def append_facts(self, stream: str, facts: Sequence[Fact]) -> Sequence[LoggedFact]:
        """Append to the event log, durable when it returns; what the log held already is left out."""
        ...

    def next_sequence(self, stream: str) -> int:
        """A number that this stream was never given before, for the next client order id."""
        ...
