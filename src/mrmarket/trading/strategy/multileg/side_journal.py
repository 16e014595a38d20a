"""One market's part of a run's journal: one stream, of which each desk sees its own orders."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mrmarket.core.events import Fact
from mrmarket.store.event_log import LoggedFact
from mrmarket.store.order_journal import OrderIntent, OrderRecord
from mrmarket.trading.execution.journal import OrderJournal


class SideJournal:
    """Passes everything on. Legs are numbered by what is at work: their ids say number, part and attempt.

    The same leg therefore has the same id however often it is decided, and the journal refuses the second.
    Quotes are numbered like those of any other run.
    """

    def __init__(
        self, journal: OrderJournal, owns: Callable[[OrderRecord], bool], leg_number: Callable[[], int]
    ) -> None:
        """`owns`: whether an order is this market's; `leg_number`: of the legs at work."""
        self.quotes = False
        """Whether the orders that are written down now are quotes."""
        self._journal = journal
        self._owns = owns
        self._leg_number = leg_number

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
        """Those of this market."""
        return [record for record in self._journal.open_intents(stream) if self._owns(record)]

    def append_facts(self, stream: str, facts: Sequence[Fact]) -> Sequence[LoggedFact]:
        """Append to the event log, durable when it returns."""
        return self._journal.append_facts(stream, facts)

    def next_sequence(self, stream: str) -> int:
        """The number of the legs at work, or the next one for a quote."""
        return self._journal.next_sequence(stream) if self.quotes else self._leg_number()
