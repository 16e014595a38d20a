"""The file itself: created private, refused when foreign or newer, nothing half written."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from mrmarket.partners.chains.book import ChainBook
from mrmarket.store.errors import DatabaseForeignError, DatabaseTooNewError, StoreError


def test_a_new_file_is_its_owners_alone_and_opens_again(tmp_path: Path) -> None:
    """It holds what was signed; nobody else may read it."""
    path = tmp_path / "chains.db"
    book = ChainBook.open(path)
    with book.transaction() as sql:
        sql.run("INSERT INTO leases (name, fence, owner, expires_ns) VALUES ('a', 1, 'b', 2)")
    book.close()
    book.close()
    assert path.stat().st_mode & 0o077 == 0

    again = ChainBook.open(path)
    with again.reading() as sql:
        assert sql.rows("SELECT owner FROM leases") == [("b",)]
    again.close()


def test_nothing_of_a_transaction_that_fails_remains(tmp_path: Path) -> None:
    """Neither of one that our code ends nor of one that the database refuses."""
    book = ChainBook.open(tmp_path / "chains.db")
    insert = "INSERT INTO leases (name, fence, owner, expires_ns) VALUES (?, ?, 'b', 2)"

    def write(second: tuple[str, int] | None) -> None:
        with book.transaction() as sql:
            sql.run(insert, "a", 1)
            if second is None:
                raise KeyError
            sql.run(insert, *second)

    with pytest.raises(KeyError):
        write(None)
    with pytest.raises(StoreError):
        write(("b", 0))
    with book.reading() as sql:
        assert sql.rows("SELECT count(*) FROM leases") == [(0,)]
    book.close()


def test_records_are_never_changed(tmp_path: Path) -> None:
    """The feed that others follow only grows."""
    book = ChainBook.open(tmp_path / "chains.db")

    def write(*statements: str) -> None:
        with book.transaction() as sql:
            for statement in statements:
                sql.run(statement)

    write(
        "INSERT INTO chain_records (chain_id, tx_hash, log_index, status, was_final, block_number,"
        " block_hash, at_ms) VALUES (1, 'a', 0, 'seen', 0, 1, 'b', 1)"
    )
    for change in ("UPDATE chain_records SET status = 'final'", "DELETE FROM chain_records"):
        with pytest.raises(StoreError):
            write(change)
    book.close()


@pytest.mark.parametrize(
    ("statement", "error"),
    [
        ("CREATE TABLE something (a)", DatabaseForeignError),
        ("CREATE TABLE schema_version (version_num)", DatabaseForeignError),
        ("CREATE TABLE schema_version AS SELECT 'money_0001' AS version_num", DatabaseForeignError),
        ("CREATE TABLE schema_version AS SELECT 'chains_9999' AS version_num", DatabaseTooNewError),
    ],
)
def test_a_file_of_something_else_is_left_alone(
    tmp_path: Path, statement: str, error: type[StoreError]
) -> None:
    """It is refused with the reason, and not one table is added."""
    path = tmp_path / "chains.db"
    with sqlite3.connect(path) as connection:
        connection.execute(statement)
    connection.close()
    with pytest.raises(error):
        ChainBook.open(path)
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (1,)
    connection.close()


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    """With the store's own word for it."""
    path = tmp_path / "chains.db"
    path.write_bytes(b"not a database at all, " * 100)
    with pytest.raises(StoreError):
        ChainBook.open(path)
