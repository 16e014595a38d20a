"""What the execution core keeps, as a port; SQLite, PostgreSQL and the simulator's memory implement it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from mrmarket.core.events import Fact
from mrmarket.store.event_log import LogCheck, LoggedFact, LogHead
from mrmarket.store.lease_row import LeaseRow, Seizure
from mrmarket.store.order_journal import OrderIntent, OrderRecord
from mrmarket.store.run_fold import RunFold


class TradingLog(Protocol):
    """Leases, order journal and event log. Every method may be called from any thread.

    A stream is one strategy run. Whoever writes to it should first take the lease of the same name;
    from then on a writer with an older fence (or none) is refused. Every method raises a `StoreError`
    when the database refuses, and then nothing of that call remains. A `CommitUnknownError` is the one
    exception: it may have happened or not, and whoever opens the log anew reads which.
    """

    def close(self) -> None:
        """Release the database; closing twice is harmless."""
        ...

    def acquire_lease(self, name: str, owner: str, ttl_ns: int, now_ns: int) -> int:
        """Take the right to write to the stream of that name; returns the fence, which only ever rises.

        The same owner may take it again at once (a restart). On PostgreSQL the server's clock judges and
        `now_ns` is not looked at.

        Raises:
            LeaseHeldError: while another owner's lease runs.
        """
        ...

    def acquire_leases(self, names: Sequence[str], owner: str, ttl_ns: int, now_ns: int) -> dict[str, int]:
        """Take those of several leases that are to be had, as one commit; the fence of each, by name.

        Those that another owner holds are left out.
        """
        ...

    def seize_lease(self, name: str, owner: str, ttl_ns: int, now_ns: int) -> Seizure:
        """Take a lease whoever holds it and however long it runs."""
        ...

    def renew_lease(self, name: str, ttl_ns: int, now_ns: int) -> None:
        """Extend our lease; raises `StaleFenceError` if somebody took it over."""
        ...

    def renew_leases(self, names: Sequence[str], ttl_ns: int, now_ns: int) -> list[str]:
        """Extend several of our leases at once; returns the names of those that somebody took over."""
        ...

    def release_lease(self, name: str) -> None:
        """Let others take the lease at once; raises `StaleFenceError` if somebody already did."""
        ...

    def lease(self, name: str) -> LeaseRow | None:
        """Who holds a lease, or held it last; None if nobody ever did."""
        ...

    def leases(self) -> list[LeaseRow]:
        """Every lease that was ever taken, by name."""
        ...

    def record_intent(self, intent: OrderIntent) -> None:
        """Write down an order before it is sent; see `record_intents`."""
        ...

    def record_intents(self, intents: Sequence[OrderIntent]) -> None:
        """Write several orders of one stream down before the first of them is sent; all of them or none.

        Committed when this returns, not synced: after a power cut the venue must be asked by id prefix.

        Raises:
            DuplicateIntentError: if a client order id was used before.
            StaleFenceError: if the stream has a newer owner.
        """
        ...

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
        ...

    def order(self, client_order_id: str) -> OrderRecord | None:
        """One order by our id."""
        ...

    def open_intents(self, stream: str) -> list[OrderRecord]:
        """Every order of a stream that may still stand at the venue, oldest first."""
        ...

    def orders(self, stream: str, *, open_only: bool = False, limit: int = 100) -> list[OrderRecord]:
        """The newest orders of a stream, newest first."""
        ...

    def next_sequence(self, stream: str) -> int:
        """An order number that this stream never had, rising from 1; a killed process leaves a gap.

        To be called from one thread a stream.
        """
        ...

    def append_facts(self, stream: str, facts: Sequence[Fact]) -> list[LoggedFact]:
        """Append facts as one durable commit (it waits for the disk: call it from a writer thread).

        Returns what was appended. A fact whose natural key the log holds already, in whatever stream, is
        left out; the first report stands.

        Raises:
            StaleFenceError: if the stream has a newer owner; none of the facts is appended.
        """
        ...

    def read_facts(self, stream: str, after_seq: int, limit: int) -> list[LoggedFact]:
        """Up to `limit` facts with a sequence number above `after_seq`, in order; durable ones only."""
        ...

    def latest_facts(self, stream: str, limit: int, kinds: Sequence[str] = ()) -> list[LoggedFact]:
        """The newest facts, newest first, optionally of some kinds only (`filled`, `order_created` …)."""
        ...

    def head(self, stream: str) -> LogHead:
        """Where a stream ends."""
        ...

    def streams(self) -> list[str]:
        """Names of all streams that hold a fact."""
        ...

    def save_fold(self, fold: RunFold) -> None:
        """Keep what a stream adds up to, over what was kept; an older one changes nothing. Not synced.

        Raises:
            StaleFenceError: if the stream has a newer owner.
        """
        ...

    def load_fold(self, stream: str) -> RunFold | None:
        """The fold that was kept last."""
        ...

    def verify_log(self) -> LogCheck:
        """Re-derive every hash of the event log and compare every column with its payload."""
        ...
