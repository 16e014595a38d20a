"""The trading store as one pair of a round sees it: order numbers are the round's."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mrmarket.core.events import Fact
from mrmarket.store.event_log import LoggedFact
from mrmarket.store.order_journal import OrderIntent, OrderRecord
from mrmarket.trading.execution.journal import OrderJournal


class RoundJournal:
    """Passes everything on; an order's id says round, part and attempt.

    The same order therefore has the same id however often it is decided, and the journal refuses the second.
    """

    def __init__(self, journal: OrderJournal, symbol: str, round_number: Callable[[], int]) -> None:
        self._journal = journal
        self._symbol = symbol
        self._round_number = round_number

    def record_intents(self, intents: Sequence[OrderIntent]) -> None:
        """Write intents down before the first of them is sent; all or none."""
        self._journal.record_intents(intents)

    def record_report(
        self, client_order_id: str, *, state: str, venue_order_id: str, filled_lots: int, at_ns: int
    ) -> None:
        """Write down what became of an order."""
        self._journal.record_report(
            client_order_id,
            state=state,
            venue_order_id=venue_order_id,
            filled_lots=filled_lots,
            at_ns=at_ns,
        )

    def open_intents(self, stream: str) -> Sequence[OrderRecord]:
        """Those of this pair."""
        return [record for record in self._journal.open_intents(stream) if record.symbol == self._symbol]

    def append_facts(self, stream: str, facts: Sequence[Fact]) -> Sequence[LoggedFact]:
        """Append to the event log, durable when it returns."""
        return self._journal.append_facts(stream, facts)

    def next_sequence(self, stream: str) -> int:  # noqa: ARG002 - the port's
        """The number of the round at work."""
        return self._round_number()
