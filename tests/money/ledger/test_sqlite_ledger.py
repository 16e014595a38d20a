"""What only a file can do: refuse edits, fill up, be locked, be fought over."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from money.ledger_samples import ALICE, USD, ask, deposit, opened
from mrmarket.core.clock import ManualClock
from mrmarket.money.ledger.draft import Draft
from mrmarket.money.ledger.errors import LedgerStoppedError
from mrmarket.money.ledger.group import Group, Posted
from mrmarket.money.ledger.ledger import Ledger
from mrmarket.money.ledger.sqlite_store import SqliteStore
from mrmarket.money.ledger.verification import verify_ledger
from mrmarket.store.errors import (
    DatabaseBusyError,
    DatabaseDamagedError,
    DatabaseFullError,
    DatabaseTooNewError,
    DatabaseUnavailableError,
    StaleFenceError,
)

INSERT = "INSERT INTO transfers (group_seq, position, debit, credit, asset, units, kind) VALUES"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    """A store on a new file."""
    store = SqliteStore.open(path, "test")
    yield store
    store.connection.close()


@pytest.mark.parametrize("table", ["groups", "transfers", "accounts", "assets"])
def test_history_refuses_to_be_changed(store: SqliteStore, table: str) -> None:
    """UPDATE, DELETE and REPLACE fail on every table of the log, for whoever holds the file open."""
    ask(opened(store), deposit("a", 5))
    column = {"groups": "memo", "transfers": "debit", "accounts": "kind", "assets": "decimals"}[table]
    for statement in (
        "UPDATE {0} SET {1} = {1}",
        "DELETE FROM {0}",
        "INSERT OR REPLACE INTO {0} SELECT * FROM {0}",
    ):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            store.connection.execute(statement.format(table, column))


@pytest.mark.parametrize("units", ["0", "-1", "1.0", "1e3", "01", "+1", " 1", "", "1" * 40, "١"])
def test_the_database_itself_refuses_crooked_amounts(store: SqliteStore, units: str) -> None:
    """A transfer's units are canonical positive decimal text, whoever writes them."""
    opened(store)
    with pytest.raises(sqlite3.IntegrityError, match="transfers_units"):
        store.connection.execute(
            INSERT + " (9, 0, 'user:alice', 'user:bob', 'sim:USD', ?, 'FEE')",
            (units,),
        )


def test_an_amount_as_a_number_is_refused(store: SqliteStore) -> None:
    """STRICT tables keep floats out of money."""
    opened(store)
    with pytest.raises(sqlite3.IntegrityError):
        store.connection.execute(INSERT + " (9, 0, 'user:alice', 'user:bob', 'sim:USD', 1.5, 'FEE')")


def test_of_two_writers_the_older_one_fails_whole(path: Path, store: SqliteStore) -> None:
    """A deposed writer's batch has no effect, and it takes no more requests."""
    older = opened(store)
    newer_store = SqliteStore.open(path, "heir")
    newer = Ledger(newer_store, ManualClock())
    outcomes = older.drain([deposit("a", 1), deposit("b", 1)])
    assert [type(outcome.error) for outcome in outcomes] == [StaleFenceError, StaleFenceError]
    with pytest.raises(LedgerStoppedError, match="no longer held"):
        ask(older, deposit("c", 1))
    assert isinstance(ask(newer, deposit("a", 7)), Posted)
    assert newer_store.epoch == store.epoch + 1
    newer.close()
    check = verify_ledger(path)
    assert (check.ok, check.groups) == (True, 2)


def test_a_full_disk_takes_nothing_of_a_batch(store: SqliteStore, path: Path) -> None:
    """A commit that does not fit leaves books and file as they were; with room it succeeds."""
    ledger = opened(store)
    pages = store.connection.execute("PRAGMA page_count").fetchone()[0]
    store.connection.execute(f"PRAGMA max_page_count = {pages}")
    batch = [deposit(f"k{number}", 1) for number in range(500)]
    outcomes = ledger.drain(batch)
    assert {type(outcome.error) for outcome in outcomes} == {DatabaseFullError}
    assert ledger.state.seq == 1
    assert verify_ledger(path).groups == 1
    store.connection.execute("PRAGMA max_page_count = 100000")
    assert all(isinstance(outcome.value, Posted) for outcome in ledger.drain(batch))
    assert verify_ledger(path).groups == 501


def test_a_disk_that_fills_inside_a_unit_of_work_takes_the_batch_with_it(
    store: SqliteStore, path: Path
) -> None:
    """When SQLite ends the transaction by itself, nothing is committed statement by statement."""
    ledger = opened(store)

    def work(draft: Draft) -> None:
        draft.post(deposit("inside", 1))
        store.connection.execute("ROLLBACK")  # what SQLite does on some errors
        raise DatabaseFullError(path)

    outcomes = ledger.drain([deposit("before", 1), work, lambda draft: draft.balance(ALICE.id, USD.id)])
    assert all(isinstance(outcome.error, DatabaseFullError) for outcome in outcomes)
    assert (verify_ledger(path).groups, ledger.state.seq) == (1, 1)
    assert isinstance(ask(ledger, deposit("after", 1)), Posted)


def test_tables_written_in_a_failed_unit_of_work_are_undone(store: SqliteStore) -> None:
    """The savepoint covers SQL as well as postings, and the rest of the batch is kept."""
    ledger = opened(store)

    def work(draft: Draft) -> None:
        store.connection.execute("INSERT INTO stakes VALUES ('main', 'user:alice', '5')")
        raise ZeroDivisionError

    def good(draft: Draft) -> None:
        store.connection.execute("INSERT INTO stakes VALUES ('main', 'user:bob', '6')")

    ledger.drain([work, good])
    assert store.connection.execute("SELECT account FROM stakes").fetchall() == [("user:bob",)]


def test_a_locked_file_is_reported_and_can_be_tried_again(store: SqliteStore, path: Path) -> None:
    """Another process in a long transaction gives a retryable error."""
    ledger = opened(store)
    store.connection.execute("PRAGMA busy_timeout = 10")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(DatabaseBusyError):
        ask(ledger, deposit("a", 1))
    other.execute("ROLLBACK")
    other.close()
    assert isinstance(ask(ledger, deposit("a", 1)), Posted)


def test_an_error_of_the_disk_stops_the_ledger(store: SqliteStore) -> None:
    """After an error that is no matter of waiting, nothing more is written."""
    ledger = opened(store)
    store.connection.execute("PRAGMA query_only = ON")
    with pytest.raises(DatabaseUnavailableError):
        ask(ledger, deposit("a", 1))
    store.connection.execute("PRAGMA query_only = OFF")
    with pytest.raises(LedgerStoppedError):
        ask(ledger, deposit("a", 1))


def test_a_newer_file_is_refused_untouched(path: Path, store: SqliteStore) -> None:
    """The ledger of a later version is neither opened nor changed."""
    store.close()
    connection = sqlite3.connect(path)
    connection.execute("UPDATE schema_version SET version_num = 'money_9999'")
    connection.commit()
    connection.close()
    before = path.read_bytes()
    with pytest.raises(DatabaseTooNewError):
        SqliteStore.open(path, "test")
    with pytest.raises(DatabaseTooNewError):
        verify_ledger(path)
    assert path.read_bytes() == before


def test_a_lease_table_that_is_gone_is_named(path: Path, store: SqliteStore) -> None:
    """A file whose tables were removed is reported, not guessed at."""
    store.connection.execute("DROP TABLE leases")
    with pytest.raises(DatabaseUnavailableError, match="leases"):
        SqliteStore.open(path, "test")
    store.connection.execute("DROP TABLE balances")
    with pytest.raises(DatabaseUnavailableError, match="balances"):
        store.load()


def test_no_ledger_is_made_by_looking_for_one(tmp_path: Path) -> None:
    """Opening a text file fails and leaves it."""
    path = tmp_path / "money.db"
    path.write_bytes(b"hello " * 1_000)
    with pytest.raises(DatabaseDamagedError):
        SqliteStore.open(path, "test")
    assert path.read_bytes() == b"hello " * 1_000


def test_a_key_with_every_kind_of_character_comes_back(store: SqliteStore) -> None:
    """Keys and memos are text of any script."""
    ledger = opened(store)
    group = Group('["x","é","币","\\u0000"]', deposit("a", 1).transfers, memo="Grüße 币")
    answer = ask(ledger, group)
    assert ask(Ledger(store, ManualClock()), group) == answer
    (record,) = store.records(1, 1)
    assert (record.key, record.memo) == (group.key, group.memo)
