"""What only a server can do: take over, drop the line, and be asked what became of a commit."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import psycopg
import pytest

from lossy_link import Cut, LossyLink
from money.ledger_samples import ALICE, BOB, USD, ask, deposit, move, opened
from mrmarket.core.clock import ManualClock
from mrmarket.core.crash import PLAN
from mrmarket.money.ledger.draft import Draft
from mrmarket.money.ledger.errors import LedgerStoppedError
from mrmarket.money.ledger.group import Group, Posted
from mrmarket.money.ledger.ledger import Ledger
from mrmarket.money.ledger.postgres_store import PostgresStore
from mrmarket.store.errors import (
    CommitUnknownError,
    DatabaseBusyError,
    DatabaseDisconnectedError,
    DatabaseTooNewError,
    DatabaseUnavailableError,
    StaleFenceError,
)
from mrmarket.store.postgres import connect
from postgres_server import PostgresServer


@pytest.fixture
def store(postgres: str) -> Iterator[PostgresStore]:
    """A store in an empty database."""
    store = PostgresStore.open(postgres, "test")
    yield store
    store.close()


@pytest.mark.parametrize("table", ["groups", "transfers", "accounts", "assets"])
def test_history_refuses_to_be_changed(postgres: str, store: PostgresStore, table: str) -> None:
    """UPDATE, DELETE and TRUNCATE fail on every table of the log, for the tables' owner too."""
    ask(opened(store), deposit("a", 5))
    column = {"groups": "memo", "transfers": "debit", "accounts": "kind", "assets": "decimals"}[table]
    with connect(postgres) as connection:
        for statement in (
            "UPDATE {0} SET {1} = {1}",
            "DELETE FROM {0}",
            "TRUNCATE {0} CASCADE",
        ):
            with pytest.raises(psycopg.IntegrityError, match="append-only"):
                connection.execute(statement.format(table, column).encode())


@pytest.mark.parametrize("units", ["0", "-1", str(2**127), "0.4"])
def test_the_database_itself_refuses_crooked_amounts(postgres: str, store: PostgresStore, units: str) -> None:
    """A transfer's units are positive and below 2^127, whoever writes them; what rounds to 0 is 0."""
    opened(store)
    with connect(postgres) as connection, pytest.raises(psycopg.IntegrityError, match="transfers_units"):
        connection.execute(
            "INSERT INTO transfers (group_seq, position, debit, credit, asset, units, kind)"
            " VALUES (9, 0, 'user:alice', 'user:bob', 'sim:USD', %s, 'FEE')",
            (units,),
        )


def test_of_two_writers_the_older_one_fails_whole(postgres: str, store: PostgresStore) -> None:
    """A deposed writer's batch has no effect, and it takes no more requests."""
    older = opened(store)
    newer_store = PostgresStore.open(postgres, "heir")
    newer = Ledger(newer_store, ManualClock())
    outcomes = older.drain([deposit("a", 1), deposit("b", 1)])
    assert [type(outcome.error) for outcome in outcomes] == [StaleFenceError, StaleFenceError]
    with pytest.raises(LedgerStoppedError, match="no longer held"):
        ask(older, deposit("c", 1))
    assert isinstance(ask(newer, deposit("a", 7)), Posted)
    assert newer_store.epoch == store.epoch + 1
    assert [record.key for record in newer_store.records(0, 9)] == ["open", "a"]
    newer.close()


def test_a_writer_is_not_deposed_in_the_middle_of_a_transaction(postgres: str, store: PostgresStore) -> None:
    """An heir waits for the transaction that is under way; if it takes too long, the heir is told so."""
    ledger = opened(store)

    def work(draft: Draft) -> str:
        with pytest.raises(DatabaseBusyError):
            PostgresStore.open(postgres, "impatient")
        draft.post(deposit("inside", 1))
        return "done"

    (outcome,) = ledger.drain([work])
    assert outcome.value == "done"
    heir = Ledger(PostgresStore.open(postgres, "heir"), ManualClock())
    assert heir.state.balances[ALICE.id, USD.id] == 1
    heir.close()


def test_a_line_dropped_between_commits_is_made_again(
    postgres: str, postgres_server: PostgresServer, store: PostgresStore
) -> None:
    """After a restart of the server the next batch goes through as if nothing had been."""
    ledger = opened(store)
    postgres_server.end_connections(postgres)
    assert isinstance(ask(ledger, deposit("a", 5)), Posted)
    assert ledger.state.balances[ALICE.id, USD.id] == 5


def test_a_line_dropped_inside_a_unit_of_work_undoes_the_batch(
    postgres: str, postgres_server: PostgresServer, store: PostgresStore
) -> None:
    """Nothing of the batch is kept, the error says that it may be tried again, and then it works."""
    ledger = opened(store)

    def work(draft: Draft) -> None:
        draft.sql.run("INSERT INTO stakes (pool, account, paid_in) VALUES ('main', 'user:alice', '5')")
        postgres_server.end_connections(postgres)
        draft.sql.rows("SELECT 1")

    outcomes = ledger.drain([deposit("before", 1), work])
    assert [type(outcome.error) for outcome in outcomes] == [DatabaseDisconnectedError] * 2
    assert isinstance(ask(ledger, deposit("before", 1)), Posted)
    assert store.sql.rows("SELECT account FROM stakes") == []


@pytest.mark.parametrize("cut", [Cut.BEFORE, Cut.AFTER])
def test_a_commit_without_an_answer_is_looked_up(postgres: str, cut: Cut) -> None:
    """The store asks the server what became of the transaction, and answers what is true."""
    with LossyLink(postgres) as link:
        store = PostgresStore.open(link.address, "test")
        ledger = opened(store)
        link.cut = cut
        (outcome,) = ledger.drain([deposit("a", 5)])
        if cut is Cut.BEFORE:
            assert isinstance(outcome.error, DatabaseDisconnectedError)
            assert ledger.state.seq == 1
        else:
            assert isinstance(outcome.value, Posted)
            assert ledger.state.seq == 2
        assert isinstance(ask(ledger, deposit("a", 5)), Posted)
        assert isinstance(ask(ledger, deposit("b", 1)), Posted)
        assert [record.key for record in store.records(0, 9)] == ["open", "a", "b"]
        assert ledger.state == Ledger(store, ManualClock()).state
        store.close()


def test_a_commit_without_groups_is_looked_up_too(postgres: str) -> None:
    """What a unit of work wrote to its own tables alone is known to be there or not."""
    with LossyLink(postgres) as link:
        store = PostgresStore.open(link.address, "test")
        ledger = opened(store)
        link.cut = Cut.AFTER
        statement = "INSERT INTO stakes (pool, account, paid_in) VALUES ('main', 'user:alice', '5')"
        (outcome,) = ledger.drain([lambda draft: draft.sql.run(statement)])
        assert outcome.value == 1
        assert store.sql.rows("SELECT paid_in FROM stakes") == [("5",)]
        store.close()


def test_a_writer_that_stands_still_with_everything_written_lets_an_heir_in(postgres: str) -> None:
    """The server ends its transaction; it is told that nothing of its batch was kept."""

    class StandsStill:
        """Before its COMMIT the writer does nothing until somebody else has taken over."""

        heir: Ledger | None = None

        def reach(self, label: str) -> None:
            """Wait where all is written."""
            if label == "ledger.balances_written":
                self.heir = Ledger(PostgresStore.open(postgres, "heir"), ManualClock())

    frozen = PostgresStore.open(postgres, "frozen", still_ms=200)
    ledger, plan = opened(frozen), StandsStill()
    token = PLAN.set(plan)
    try:
        (outcome,) = ledger.drain([deposit("a", 5)])
    finally:
        PLAN.reset(token)
    assert isinstance(outcome.error, DatabaseDisconnectedError)
    assert plan.heir is not None
    assert isinstance(ask(plan.heir, deposit("b", 7)), Posted)
    assert plan.heir.state.balances[ALICE.id, USD.id] == 7
    plan.heir.close()
    frozen.close()


def test_a_server_that_stays_away_leaves_the_commit_unknown(postgres: str) -> None:
    """Nothing is claimed: the ledger stops, and whoever opens it anew finds out by the key."""
    with LossyLink(postgres) as link:
        ledger = opened(PostgresStore.open(link.address, "test", patience_s=0.2))
        link.cut = Cut.FOR_GOOD
        (outcome,) = ledger.drain([deposit("a", 5)])
        assert isinstance(outcome.error, CommitUnknownError)
        with pytest.raises(LedgerStoppedError):
            ask(ledger, deposit("a", 5))
    heir = opened(PostgresStore.open(postgres, "heir"))
    assert isinstance(ask(heir, deposit("a", 5)), Posted)
    assert heir.state.balances[ALICE.id, USD.id] == 5
    heir.close()


def test_a_failed_statement_of_a_unit_of_work_harms_nobody_else(store: PostgresStore) -> None:
    """Its savepoint takes the error with it, and its neighbours are posted."""
    ledger = opened(store)

    def work(draft: Draft) -> None:
        draft.post(deposit("inside", 1))
        draft.sql.rows("SELECT * FROM no_such_table")

    before, failed, after = ledger.drain([deposit("before", 1), work, deposit("after", 1)])
    assert isinstance(failed.error, DatabaseUnavailableError)
    assert isinstance(before.value, Posted)
    assert isinstance(after.value, Posted)
    assert ledger.state.balances[ALICE.id, USD.id] == 2


def test_a_newer_database_is_refused_untouched(postgres: str, store: PostgresStore) -> None:
    """The ledger of a later version is neither opened nor changed."""
    with connect(postgres) as connection:
        connection.execute("UPDATE schema_version SET version_num = 'money_9999'")
    with pytest.raises(DatabaseTooNewError):
        PostgresStore.open(postgres, "test")
    with connect(postgres) as connection:
        assert connection.execute("SELECT fence FROM leases").fetchall() == [(1,)]


def test_amounts_of_every_size_come_back(store: PostgresStore) -> None:
    """The largest amount there is survives the way to the server and back."""
    ledger = opened(store)
    most = 2**127 - 1
    ask(ledger, deposit("most", most))
    ask(ledger, Group("on", (move(ALICE, BOB, most),)))
    again = Ledger(store, ManualClock())
    assert again.state == ledger.state
    assert again.state.balances[BOB.id, USD.id] == most


def test_without_the_driver_the_error_says_what_to_install() -> None:
    """Asking for PostgreSQL without its extra names the extra."""
    program = (
        "import sys; sys.modules['psycopg'] = None\n"
        "try:\n    import mrmarket.money.ledger.postgres_store\n"
        "except Exception as error:\n    print(error.code, error)"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout.startswith("driver_missing")
    assert "mrmarket[postgres]" in done.stdout
