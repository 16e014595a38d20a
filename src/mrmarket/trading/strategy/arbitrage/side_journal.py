"""One venue's part of a run's journal: one stream, of which each of two desks sees its own orders."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mrmarket.core.events import Fact
from mrmarket.store.event_log import LoggedFact
from mrmarket.store.order_journal import OrderIntent, OrderRecord
from mrmarket.trading.execution.journal import OrderJournal
from mrmarket.trading.execution.legs import parse_leg_slot


class SideJournal:
    """Passes everything on. A leg's number is its pair's: the id says pair, venue, part and attempt.

    The same leg therefore has the same id however often it is decided, and the journal refuses the second.
    Quotes, which only the first venue may have, are numbered like those of any other run.
    """

    def __init__(self, journal: OrderJournal, venue: int, pair_number: Callable[[], int]) -> None:
        """`venue` is 0 or 1."""
        self.quotes = False
        """Whether the orders that are written down now are quotes."""
        self._journal = journal
        self._venue = venue
        self._pair_number = pair_number

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
        """Those of this venue."""
        found = []
        for record in self._journal.open_intents(stream):
            place = parse_leg_slot(record.slot)
            if (0 if place is None else place[0]) == self._venue:
                found.append(record)
        return found

    def append_facts(self, stream: str, facts: Sequence[Fact]) -> Sequence[LoggedFact]:
        """Append to the event log, durable when it returns."""
        return self._journal.append_facts(stream, facts)

    def next_sequence(self, stream: str) -> int:
        """The number of the pair at work, or the next one for a quote."""
        return self._journal.next_sequence(stream) if self.quotes else self._pair_number()
