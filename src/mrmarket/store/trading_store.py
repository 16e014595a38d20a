"""`trading.db` as one object: the engine writes intents and facts, everybody else reads them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Self

from mrmarket.core.events import Fact
from mrmarket.store.database import Database
from mrmarket.store.event_log import LogCheck, LoggedFact, LogHead
from mrmarket.store.lease_row import LeaseRow, Seizure
from mrmarket.store.leases import Leases
from mrmarket.store.migration import TRADING_SCHEMA, prepare
from mrmarket.store.order_journal import OrderIntent, OrderRecord
from mrmarket.store.run_fold import RunFold
from mrmarket.store.sqlite_event_log import SqliteEventLog
from mrmarket.store.sqlite_order_journal import SqliteOrderJournal
from mrmarket.store.sqlite_run_folds import SqliteRunFolds


class TradingStore:
    """The port `TradingLog` over one file, which several processes may have open at once.

    A stream is one strategy run. Whoever writes to it should first take the lease of the same name;
    from then on a writer with an older fence (or none) is refused. Every method raises a `StoreError`
    when the database refuses, and then nothing of that call remains.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._leases = Leases(database)
        self._journal = SqliteOrderJournal(database, self._leases)
        self._log = SqliteEventLog(database, self._leases)
        self._folds = SqliteRunFolds(database, self._leases)

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open `trading.db`, creating or upgrading it.

        Raises:
            DatabaseTooNewError: if a newer version wrote it; nothing is changed.
        """
        prepare(path, TRADING_SCHEMA)
        return cls(Database(path))

    def close(self) -> None:
        """Fold the write-ahead log into the file and release it."""
        self._database.close()

    def acquire_lease(self, name: str, owner: str, ttl_ns: int, now_ns: int) -> int:
        """Take the right to write to the stream of that name; returns the fence, which only ever rises.

        The same owner may take it again at once (a restart). The store remembers the fence and puts it
        on every later write to that stream.

        Raises:
            LeaseHeldError: while another owner's lease runs.
        """
        return self._leases.acquire(name, owner, ttl_ns, now_ns)

    def acquire_leases(self, names: Sequence[str], owner: str, ttl_ns: int, now_ns: int) -> dict[str, int]:
        """Take those of several leases that are to be had, as one commit; the fence of each, by name."""
        return self._leases.acquire_all(names, owner, ttl_ns, now_ns)

    def seize_lease(self, name: str, owner: str, ttl_ns: int, now_ns: int) -> Seizure:
        """Take a lease whoever holds it and however long it runs."""
        return self._leases.seize(name, owner, ttl_ns, now_ns)

    def renew_lease(self, name: str, ttl_ns: int, now_ns: int) -> None:
        """Extend our lease; raises `StaleFenceError` if somebody took it over."""
        self._leases.renew(name, ttl_ns, now_ns)

    def renew_leases(self, names: Sequence[str], ttl_ns: int, now_ns: int) -> list[str]:
        """Extend several of our leases as one commit; returns the names of those that somebody took over."""
        return self._leases.renew_all(names, ttl_ns, now_ns)

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

        Committed when this returns: a killed process loses nothing. Not synced: after a power cut the
        venue must be asked by id prefix.

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
        self._folds.save(fold)

    def load_fold(self, stream: str) -> RunFold | None:
        """The fold that was kept last."""
        return self._folds.load(stream)

    def verify_log(self) -> LogCheck:
        """Re-derive every hash of the event log and compare every column with its payload."""
        return self._log.verify()
