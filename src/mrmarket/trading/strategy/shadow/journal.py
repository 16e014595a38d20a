"""An order journal that forgets: a shadow's life needs no disk."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from mrmarket.core.events import Fact, encode_fact
from mrmarket.store.event_log import LoggedFact
from mrmarket.store.order_journal import OrderIntent, OrderRecord, new_order


class ForgetfulJournal:
    """Implements `OrderJournal` for one life; only open orders are kept, so that it never grows."""

    def __init__(self) -> None:
        self._open: dict[str, OrderRecord] = {}
        self._seq = 0
        self._sequence = 0

    def record_intents(self, intents: Sequence[OrderIntent]) -> None:
        """Remember what is about to be sent."""
        self._open.update((intent.client_order_id, new_order(intent)) for intent in intents)

    def record_report(
        self,
        client_order_id: str,
        *,
        state: str,
        venue_order_id: str = "",
        filled_lots: int = 0,
        at_ns: int,
    ) -> None:
        """Remember what became of it while it is open."""
        before = self._open.get(client_order_id)
        if before is None:
            return
        after = replace(
            before,
            state=state,
            venue_order_id=venue_order_id or before.venue_order_id,
            filled_lots=max(filled_lots, before.filled_lots),
            updated_ns=max(at_ns, before.updated_ns),
        )
        if after.is_open:
            self._open[client_order_id] = after
        else:
            del self._open[client_order_id]

    def open_intents(self, stream: str) -> list[OrderRecord]:
        """Orders that are not recorded as closed."""
        return [record for record in self._open.values() if record.stream == stream]

    def append_facts(self, stream: str, facts: Sequence[Fact]) -> list[LoggedFact]:
        """Number them and let them go; nobody will verify this chain."""
        logged = []
        for fact in facts:
            self._seq += 1
            logged.append(
                LoggedFact(
                    stream=stream,
                    epoch=0,
                    seq=self._seq,
                    at_ns=fact.at_ns,
                    fact=fact,
                    payload=encode_fact(fact),
                    hash=b"",
                )
            )
        return logged

    def next_sequence(self, stream: str) -> int:  # noqa: ARG002 - one stream a life
        """A number that was not given before."""
        self._sequence += 1
        return self._sequence
