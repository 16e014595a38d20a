"""The `trading` schema of a PostgreSQL database as one object: any number of engines share it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final, Self

from mrmarket.core.events import Fact
from mrmarket.store.errors import StaleFenceError
from mrmarket.store.event_log import LogCheck, LoggedFact, LogHead
from mrmarket.store.lease_row import LeaseRow, Seizure
from mrmarket.store.migration import TRADING_SCHEMA, prepare_postgres
from mrmarket.store.order_journal import OrderIntent, OrderRecord
from mrmarket.store.postgres_event_log import PostgresEventLog
from mrmarket.store.postgres_leases import PostgresLeases
from mrmarket.store.postgres_order_journal import PostgresOrderJournal
from mrmarket.store.postgres_pool import PostgresPool
from mrmarket.store.run_fold import RunFold

TRADING: Final = "trading"
"""The schema that holds the tables of `trading.db`."""

_QUICK_PATIENCE_S: Final = 1.0
"""For orders and leases: better to hear of a lost server than to stand still."""
_QUICK_ANSWER_S: Final = 3.0
"""An event loop may be waiting: longer than for a lock, shorter than an Angel waits for a sign of life."""
_ANSWER_S: Final = 15.0
_DURABLE_PATIENCE_S: Final = 15.0
"""For facts, whose writers have time: a server restarts within it."""


class PostgresTradingStore:
    """The port `TradingLog` over PostgreSQL.

    Orders, facts, leases and reads each have connections of their own, so that none waits for the others.
    A lost connection is made again: for facts until a restarted server is back, for orders and leases for
    a second. The server's clock judges leases; `now_ns` is not looked at.
    """

    def __init__(
        self, address: str, schema: str = TRADING, *, patience_s: float = _DURABLE_PATIENCE_S
    ) -> None:
        """Opens no connection yet; the tables must be there (see `open`).

        Args:
            address: a connection string or URL of libpq's.
            schema: where the tables are.
            patience_s: how long facts wait for a server that was lost; orders and leases wait for a second.
        """
        brief = partial(PostgresPool, address, schema, patience_s=_QUICK_PATIENCE_S)
        quick = brief(size=2, durable=False, answer_s=_QUICK_ANSWER_S)
        numbers = brief(size=1, answer_s=_QUICK_ANSWER_S)
        durable = PostgresPool(address, schema, size=4, patience_s=patience_s, answer_s=_ANSWER_S)
        held = brief(size=3, answer_s=_QUICK_ANSWER_S)
        reads = brief(size=3, answer_s=_ANSWER_S)
        self.place = quick.place
        self._pools = (quick, numbers, durable, held, reads)
        self._leases = PostgresLeases(held, reads)
        self._journal = PostgresOrderJournal(quick, numbers, reads, self._leases)
        self._log = PostgresEventLog(durable, reads, self._leases)

    @classmethod
    def open(cls, address: str, schema: str = TRADING) -> Self:
        """Open the tables, creating or upgrading them.

        Args:
            address: a connection string or URL of libpq's.
            schema: where the tables are.

        Raises:
            DatabaseTooNewError: if a newer version wrote them; nothing is changed.
            StoreError: if the server refuses or cannot be reached.
        """
        prepare_postgres(address, TRADING_SCHEMA, schema)
        return cls(address, schema)

    def close(self) -> None:
        """Release the connections; closing twice is harmless."""
        for pool in self._pools:
            pool.close()

    def acquire_lease(self, name: str, owner: str, ttl_ns: int, now_ns: int) -> int:  # noqa: ARG002 - the server's clock judges
        """Take the right to write to the stream of that name; returns the fence, which only ever rises.

        The same owner may take it again at once (a restart). Waits for writes that are under way; those of
        a process that froze in the middle of one are undone first.

        Raises:
            LeaseHeldError: while another owner's lease runs.
        """
        return self._leases.take(name, owner, ttl_ns, seize=False).fence

    def acquire_leases(self, names: Sequence[str], owner: str, ttl_ns: int, now_ns: int) -> dict[str, int]:  # noqa: ARG002 - the same
        """Take those of several leases that are to be had, as one commit; the fence of each, by name.

        Waits for nobody: a lease whose stream somebody writes to at this moment is left out, too.
        """
        return self._leases.take_free(names, owner, ttl_ns)

    def seize_lease(self, name: str, owner: str, ttl_ns: int, now_ns: int) -> Seizure:  # noqa: ARG002 - the same
        """Take a lease whoever holds it and however long it runs."""
        return self._leases.take(name, owner, ttl_ns, seize=True)

    def renew_lease(self, name: str, ttl_ns: int, now_ns: int) -> None:  # noqa: ARG002 - the same
        """Extend our lease; raises `StaleFenceError` if somebody took it over."""
        if self._leases.renew((name,), ttl_ns):
            raise StaleFenceError(self.place, name, self._leases.held(name))

    def renew_leases(self, names: Sequence[str], ttl_ns: int, now_ns: int) -> list[str]:  # noqa: ARG002 - the same
        """Extend several of our leases at once; returns the names of those that somebody took over."""
        return self._leases.renew(names, ttl_ns)

    def release_lease(self, name: str) -> None:
        """Let others take the lease at once; raises `StaleFenceError` if somebody already did."""
        self._leases.release(name)

    def lease(self, name: str) -> LeaseRow | None:
        """Who holds a lease, or held it last; None if nobody ever did."""
        return self._leases.row(name)

    def leases(self) -> list[LeaseRow]:
        """Every lease that was ever taken, by name."""
        return self._leases.rows()

    def record_intent(self, intent: OrderIntent) -> None:
        """Write down an order before it is sent.

        Committed when this returns: a killed process loses nothing. Not synced: after the server's host
        has lost its power the venue must be asked by id prefix.

        Raises:
            DuplicateIntentError: if the client order id was used before.
            StaleFenceError: if the stream has a newer owner.
        """
        self._journal.record_intents((intent,))

    def record_intents(self, intents: Sequence[OrderIntent]) -> None:
        """Write several orders of one stream down before the first of them is sent, as `record_intent` does.

        All of them are written or none; one commit costs little more than one order's.
        """
        self._journal.record_intents(intents)

    def record_report(
        self,
        client_order_id: str,
        *,
        state: str,
        venue_order_id: str = "",
        filled_lots: int = 0,
        at_ns: int,
    ) -> None:
        """Write down what became of an order. An empty venue id and a smaller fill change nothing.

        Raises:
            UnknownIntentError: if no intent has that id.
            StaleFenceError: if the stream has a newer owner.
        """
        self._journal.record_report(
            client_order_id, state=state, venue_order_id=venue_order_id, filled_lots=filled_lots, at_ns=at_ns
        )

    def order(self, client_order_id: str) -> OrderRecord | None:
        """One order by our id."""
        return self._journal.order(client_order_id)

    def open_intents(self, stream: str) -> list[OrderRecord]:
        """Every order of a stream that may still stand at the venue, oldest first."""
        return self._journal.open_intents(stream)

    def orders(self, stream: str, *, open_only: bool = False, limit: int = 100) -> list[OrderRecord]:
        """The newest orders of a stream, newest first."""
        return self._journal.orders(stream, open_only=open_only, limit=limit)

    def next_sequence(self, stream: str) -> int:
        """An order number that this stream never had, rising from 1; a killed process leaves a gap.

        To be called from one thread a stream.
        """
        return self._journal.next_sequence(stream)

    def append_facts(self, stream: str, facts: Sequence[Fact]) -> list[LoggedFact]:
        """Append facts as one durable commit (it waits for the disk: call it from a writer thread).

        Returns what was appended. A fact whose natural key the log holds already (a trade reported
        twice) is left out; the first report stands.

        Raises:
            StaleFenceError: if the stream has a newer owner; none of the facts is appended.
        """
        return self._log.append(stream, facts)

    def read_facts(self, stream: str, after_seq: int, limit: int) -> list[LoggedFact]:
        """Up to `limit` facts with a sequence number above `after_seq`, in order."""
        return self._log.read(stream, after_seq, limit)

    def latest_facts(self, stream: str, limit: int, kinds: Sequence[str] = ()) -> list[LoggedFact]:
        """The newest facts, newest first, optionally of some kinds only (`filled`, `order_created` …)."""
        return self._log.latest(stream, limit, kinds)

    def head(self, stream: str) -> LogHead:
        """Where a stream ends."""
        return self._log.head(stream)

    def streams(self) -> list[str]:
        """Names of all streams that hold a fact."""
        return self._log.streams()

    def save_fold(self, fold: RunFold) -> None:
        """Keep what a stream adds up to, over what was kept; an older one changes nothing. Not synced.

        Raises:
            StaleFenceError: if the stream has a newer owner.
        """
        self._log.save_fold(fold)

    def load_fold(self, stream: str) -> RunFold | None:
        """The fold that was kept last."""
        return self._log.load_fold(stream)

    def verify_log(self) -> LogCheck:
        """Re-derive every hash of the event log and compare every column with its payload."""
        return self._log.verify()
