"""The trading log on PostgreSQL when links break, servers restart and processes freeze."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import psycopg
import pytest

from lossy_link import Cut, LossyLink
from mrmarket.core.errors import InvalidInputError
from mrmarket.core.events import Fact
from mrmarket.store.errors import (
    CommitUnknownError,
    DatabaseBusyError,
    DatabaseDisconnectedError,
    DatabaseFullError,
    DuplicateIntentError,
    LeaseHeldError,
    StaleFenceError,
    StoreError,
)
from mrmarket.store.postgres import connect
from mrmarket.store.postgres_pool import PostgresPool
from mrmarket.store.postgres_trading_store import PostgresTradingStore
from postgres_server import PostgresServer
from store.trading_samples import STREAM, fill, intent, mark

HOUR_NS = 3_600 * 10**9
LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('mrmarket stream ' || %s, 0))"


@pytest.fixture
def store(server_address: str) -> Iterator[PostgresTradingStore]:
    """A store on a server that nothing stands in front of."""
    store = PostgresTradingStore(server_address)
    yield store
    store.close()


@pytest.fixture
def owner(server_address: str) -> Iterator[psycopg.Connection]:
    """A connection of somebody who may do everything to the tables."""
    with connect(server_address, "trading") as connection:
        yield connection


@pytest.mark.parametrize("cut", [Cut.BEFORE, Cut.AFTER])
def test_an_intent_whose_answer_is_lost_is_written_once(server_address: str, cut: Cut) -> None:
    """Whether the server has seen the statement or not: it is there when the call returns, and once."""
    with LossyLink(server_address, b"INSERT INTO orders") as link:
        store = PostgresTradingStore(link.address)
        store.acquire_lease(STREAM, "a", HOUR_NS, 0)
        link.cut = cut
        store.record_intents([intent("a"), intent("b")])
        assert [order.client_order_id for order in store.open_intents(STREAM)] == ["a", "b"]
        with pytest.raises(DuplicateIntentError):
            store.record_intent(intent("a"))
        store.close()


def test_an_id_of_somebody_elses_is_not_taken_for_ours(
    server_address: str, store: PostgresTradingStore
) -> None:
    """After a lost answer an order under our id is ours only if it is the very same order."""
    store.record_intent(intent("a", size_lots=7))
    with LossyLink(server_address, b"INSERT INTO orders") as link:
        other = PostgresTradingStore(link.address)
        link.cut = Cut.BEFORE
        with pytest.raises(DuplicateIntentError):
            other.record_intent(intent("a", size_lots=5))
        other.close()


@pytest.mark.parametrize("cut", [Cut.BEFORE, Cut.AFTER])
def test_a_commit_of_facts_without_an_answer_is_looked_up(server_address: str, cut: Cut) -> None:
    """Facts that have no keys of their own are appended once, whatever became of the link."""
    with LossyLink(server_address) as link:
        store = PostgresTradingStore(link.address)
        store.append_facts(STREAM, [mark(1)])
        link.cut = cut
        appended = store.append_facts(STREAM, [mark(2), mark(3), fill("t1")])
        assert [row.seq for row in appended] == [2, 3, 4]
        assert [row.at_ns for row in store.read_facts(STREAM, 0, 10)] == [1, 2, 3, 1]
        assert store.verify_log().ok
        store.close()


def test_a_server_that_stays_away_leaves_the_commit_unknown(
    server_address: str, store: PostgresTradingStore
) -> None:
    """Nothing is claimed; whoever opens the log anew reads how far it has come."""
    with LossyLink(server_address) as link:
        lost = PostgresTradingStore(link.address, patience_s=0.2)
        lost.append_facts(STREAM, [mark(1)])
        link.cut = Cut.FOR_GOOD
        with pytest.raises(CommitUnknownError):
            lost.append_facts(STREAM, [mark(2)])
        lost.close()
    assert store.head(STREAM).seq == 2


def test_a_lost_lease_renewal_is_done_again(server_address: str) -> None:
    """A renewal whose answer is lost has not lost the lease."""
    with LossyLink(server_address, b"UPDATE leases") as link:
        store = PostgresTradingStore(link.address)
        store.acquire_lease(STREAM, "a", HOUR_NS, 0)
        link.cut = Cut.AFTER
        assert store.renew_leases([STREAM], HOUR_NS, 0) == []
        store.close()


def test_an_acquisition_whose_answer_is_lost_is_known(server_address: str) -> None:
    """The fence that was taken is the fence that is held, and the next write carries it."""
    with LossyLink(server_address) as link:
        store = PostgresTradingStore(link.address)
        link.cut = Cut.AFTER
        assert store.acquire_lease(STREAM, "a", HOUR_NS, 0) == 1
        assert store.append_facts(STREAM, [mark(1)])[0].epoch == 1
        store.close()


def test_a_killed_connection_is_made_again(
    postgres_server: PostgresServer, server_address: str, store: PostgresTradingStore
) -> None:
    """Every kind of call goes on after the server has thrown everybody out."""
    store.acquire_lease(STREAM, "a", HOUR_NS, 0)
    for number in range(3):
        store.record_intent(intent(f"i{number}"))
        store.append_facts(STREAM, [mark(number)])
        assert store.lease(STREAM) is not None
        postgres_server.end_connections(server_address)
    store.record_report("i0", state="acked", at_ns=2)
    assert store.renew_leases([STREAM], HOUR_NS, 0) == []
    assert len(store.open_intents(STREAM)) == 3
    assert store.verify_log().facts == 3


def test_a_log_survives_a_crash_of_the_server(
    postgres_server: PostgresServer, store: PostgresTradingStore
) -> None:
    """A writer that appends while the server crashes and restarts loses nothing and repeats nothing.

    Where the server takes longer than the writer's patience, the append that was under way is refused:
    it may be there or not, and what was acknowledged before it is there.
    """
    store.acquire_lease(STREAM, "a", HOUR_NS, 0)
    appended: list[int] = []
    half_way = threading.Event()

    def append() -> None:
        for number in range(60):
            try:
                appended.extend(row.seq for row in store.append_facts(STREAM, [mark(number)]))
            except StoreError:
                return
            if number == 20:
                half_way.set()

    writer = threading.Thread(target=append)
    writer.start()
    half_way.wait()
    postgres_server.restart()
    writer.join()
    assert len(appended) > 20
    assert appended == list(range(1, len(appended) + 1))
    kept = [row.at_ns for row in store.read_facts(STREAM, 0, 100)]
    assert kept == list(range(len(kept)))
    assert len(appended) <= len(kept) <= min(60, len(appended) + 1)
    assert store.lease(STREAM) is not None
    assert store.verify_log().ok


def test_a_process_that_freezes_in_a_transaction_does_not_keep_its_heir_out(server_address: str) -> None:
    """The server ends a transaction that stands still; what it had written is gone, and others go on."""
    frozen = PostgresPool(server_address, "trading", size=1, patience_s=0)
    inside, go_on = threading.Event(), threading.Event()
    failures: list[Exception] = []

    def freeze() -> None:
        def work(connection: psycopg.Connection) -> None:
            connection.execute(LOCK, (STREAM,))
            connection.execute("INSERT INTO leases VALUES (%s, 1, 'frozen', 0)", (STREAM,))
            inside.set()
            go_on.wait()
            connection.execute("SELECT 1")

        try:
            frozen.transact(work)
        except DatabaseDisconnectedError as error:
            failures.append(error)

    thread = threading.Thread(target=freeze)
    thread.start()
    inside.wait()
    heir = PostgresTradingStore(server_address)
    try:
        assert heir.seize_lease(STREAM, "heir", HOUR_NS, 0).fence == 1
    finally:
        go_on.set()
        thread.join()
    assert len(failures) == 1
    row = heir.lease(STREAM)
    assert row is not None
    assert (row.owner, row.fence) == ("heir", 1)
    heir.close()
    frozen.close()


class StandsStill(list[Fact]):
    """Facts at whose second reading, in the middle of the transaction, the process freezes."""

    def __init__(self, facts: list[Fact], inside: threading.Event, go_on: threading.Event) -> None:
        super().__init__(facts)
        self._inside = inside
        self._go_on = go_on
        self._read = False

    def __iter__(self) -> Iterator[Fact]:
        if self._read:
            self._inside.set()
            self._go_on.wait()
        self._read = True
        return super().__iter__()


def test_a_process_that_freezes_while_it_appends_does_not_keep_its_heir_out(server_address: str) -> None:
    """The server ends it wherever it stands still; the heir takes the lease, late facts are refused."""
    frozen = PostgresTradingStore(server_address)
    heir = PostgresTradingStore(server_address)
    frozen.acquire_lease(STREAM, "frozen", 1, 0)
    inside, go_on = threading.Event(), threading.Event()
    failures: list[Exception] = []

    def freeze() -> None:
        try:
            frozen.append_facts(STREAM, StandsStill([mark(1)], inside, go_on))
        except StaleFenceError as error:
            failures.append(error)

    thread = threading.Thread(target=freeze)
    thread.start()
    inside.wait()
    taken: dict[str, int] = {}
    try:
        while not taken:
            taken = heir.acquire_leases([STREAM], "heir", HOUR_NS, 0)
    finally:
        go_on.set()
        thread.join()
    assert taken == {STREAM: 2}
    assert len(failures) == 1
    assert heir.read_facts(STREAM, 0, 9) == []
    heir.close()
    frozen.close()


def test_a_new_owner_waits_for_intents_that_are_being_written(
    server_address: str, store: PostgresTradingStore, owner: psycopg.Connection
) -> None:
    """Whoever takes the lease sees every order that its predecessor was allowed to send."""
    store.acquire_lease(STREAM, "a", HOUR_NS, 0)
    fences: list[int] = []

    def take() -> None:
        fences.append(store.seize_lease(STREAM, "angel", HOUR_NS, 0).fence)

    taker = threading.Thread(target=take)
    owner.execute("BEGIN")
    owner.execute("SELECT fence FROM leases WHERE name = %s FOR KEY SHARE", (STREAM,))
    taker.start()
    with connect(server_address, "trading") as watcher:
        blocked = "SELECT count(*) FROM pg_locks WHERE NOT granted"
        while not watcher.execute(blocked).fetchall()[0][0]:
            assert fences == []
    owner.execute("COMMIT")
    taker.join()
    assert fences == [2]


def test_a_lock_held_too_long_is_reported_as_busy(
    store: PostgresTradingStore, owner: psycopg.Connection
) -> None:
    """Somebody who keeps a stream locked gives a retryable error, and the write succeeds afterwards."""
    owner.execute("BEGIN")
    owner.execute(LOCK, (STREAM,))
    with pytest.raises(DatabaseBusyError) as caught:
        store.append_facts(STREAM, [mark(1)])
    assert caught.value.retryable
    owner.execute("ROLLBACK")
    assert store.append_facts(STREAM, [mark(1)])[0].seq == 1


def test_a_full_disk_takes_no_part_of_a_batch(store: PostgresTradingStore, owner: psycopg.Connection) -> None:
    """A batch that does not fit is refused whole, and fits once there is room again."""
    owner.execute(
        "CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN IF NEW.seq > 2 THEN RAISE EXCEPTION USING ERRCODE = 'disk_full'; END IF;"
        " RETURN NEW; END $$;"
        " CREATE TRIGGER no_room BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION no_room()"
    )
    store.append_facts(STREAM, [mark(1)])
    with pytest.raises(DatabaseFullError):
        store.append_facts(STREAM, [mark(2), mark(3)])
    assert store.head(STREAM).seq == 1
    owner.execute("DROP TRIGGER no_room ON events")
    store.append_facts(STREAM, [mark(2), mark(3)])
    assert store.verify_log().facts == 3


def test_the_servers_clock_judges_leases(server_address: str, store: PostgresTradingStore) -> None:
    """Hosts whose clocks are wrong by years neither take nor lose a lease for it."""
    store.acquire_lease(STREAM, "a", HOUR_NS, -(10**18))
    other = PostgresTradingStore(server_address)
    with pytest.raises(LeaseHeldError):
        other.acquire_lease(STREAM, "b", HOUR_NS, 4 * 10**18)
    other.close()


def test_intents_are_one_streams_at_a_time(store: PostgresTradingStore) -> None:
    """One statement checks one fence; orders of two runs in one call are refused whole."""
    with pytest.raises(InvalidInputError, match="one stream"):
        store.record_intents([intent("a"), intent("b", stream="run/2")])
    assert store.order("a") is None


def test_history_cannot_be_edited_or_removed(store: PostgresTradingStore, owner: psycopg.Connection) -> None:
    """The database itself refuses to change the log."""
    store.append_facts(STREAM, [mark(1)])
    for statement in ("UPDATE events SET at_ns = 2", "DELETE FROM events", "TRUNCATE events"):
        with pytest.raises(psycopg.errors.IntegrityError, match="append-only"):
            owner.execute(statement.encode())


@pytest.mark.parametrize(
    ("statement", "seq", "reason"),
    [
        ("UPDATE events SET epoch = 7 WHERE seq = 3", 3, "hash"),
        ("UPDATE events SET kind = 'filled' WHERE seq = 1", 1, "column"),
        ("DELETE FROM events WHERE seq = 2", 2, "missing"),
    ],
)
def test_a_changed_row_is_found_and_named(
    store: PostgresTradingStore, owner: psycopg.Connection, statement: str, seq: int, reason: str
) -> None:
    """Whoever may disable triggers can alter a row, and verification stops at that row."""
    store.append_facts(STREAM, [mark(1), mark(2), mark(3)])
    owner.execute("ALTER TABLE events DISABLE TRIGGER USER")
    owner.execute(statement.encode())
    check = store.verify_log()
    assert (check.ok, check.first_bad_stream, check.first_bad_seq) == (False, STREAM, seq)
    assert reason in (check.reason or "")


def test_a_closed_store_says_so(server_address: str) -> None:
    """After closing, nothing connects again behind the owner's back."""
    store = PostgresTradingStore(server_address)
    store.append_facts(STREAM, [mark(1)])
    store.close()
    with pytest.raises(DatabaseDisconnectedError, match="closed"):
        store.append_facts(STREAM, [mark(2)])


def test_a_pool_lets_nobody_wait_for_ever(server_address: str) -> None:
    """Where every connection is in use for longer than a caller's patience, it is told so."""
    pool = PostgresPool(server_address, "trading", size=1, patience_s=0.05)
    inside, go_on = threading.Event(), threading.Event()

    def occupy() -> None:
        def work(_connection: psycopg.Connection, _again: bool) -> None:
            inside.set()
            go_on.wait()

        pool.repeat(work)

    thread = threading.Thread(target=occupy)
    thread.start()
    inside.wait()
    with pytest.raises(DatabaseBusyError):
        pool.repeat(lambda connection, _: connection.execute("SELECT 1"))
    go_on.set()
    thread.join()
    assert pool.repeat(lambda connection, _: connection.execute("SELECT 1").fetchall()) == [(1,)]
    pool.close()


def test_a_stale_fence_is_told_after_a_lost_answer_too(
    server_address: str, store: PostgresTradingStore
) -> None:
    """An owner that was deposed while its link was broken does not believe to have written."""
    with LossyLink(server_address, b"INSERT INTO orders") as link:
        deposed = PostgresTradingStore(link.address)
        deposed.acquire_lease(STREAM, "a", HOUR_NS, 0)
        store.seize_lease(STREAM, "b", HOUR_NS, 0)
        link.cut = Cut.BEFORE
        with pytest.raises(StaleFenceError):
            deposed.record_intent(intent("a"))
        deposed.close()


def test_a_server_that_stands_still_holds_nobody_up_for_ever(
    server_address: str, postgres_server: PostgresServer
) -> None:
    """Its kernel acknowledges, nobody answers: each write is given up, and goes on once it runs again."""
    store = PostgresTradingStore(server_address, patience_s=60)
    store.acquire_lease(STREAM, "a", HOUR_NS, 0)
    store.record_intent(intent("before"))
    store.next_sequence(STREAM)
    with postgres_server.frozen():
        with pytest.raises(DatabaseDisconnectedError, match="did not answer in time"):
            store.record_intents([intent("a"), intent("b")])
        with pytest.raises(DatabaseDisconnectedError, match="a moment ago"):
            store.record_report("before", state="acked", venue_order_id="1", at_ns=2)
        with pytest.raises(DatabaseDisconnectedError, match="did not answer in time"):
            store.renew_lease(STREAM, HOUR_NS, 0)
        with pytest.raises(DatabaseDisconnectedError):
            store.next_sequence("another")
        refusal = "a moment ago"
        while "a moment ago" in refusal:
            with pytest.raises(DatabaseDisconnectedError) as tried:
                store.record_intent(intent("c"))
            refusal = str(tried.value)
        with pytest.raises(DatabaseDisconnectedError, match="a moment ago"):
            store.record_intent(intent("c"))
    written = store.append_facts(STREAM, [mark(1)])
    assert [row.seq for row in written] == [1]
    store.close()
    # What was given up may have happened all the same; an intent that was not sent never lived.
    late = PostgresTradingStore(server_address)
    there = {order.client_order_id for order in late.open_intents(STREAM)}
    assert {"before"} <= there <= {"before", "a", "b"}, "nobody was asked for the third"
    assert ("a" in there) == ("b" in there)
    late.close()
