"""The port for statements over SQLite: what it reads, writes and complains about."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from mrmarket.store.errors import DatabaseDisconnectedError, DatabaseMissingError, DatabaseUnavailableError
from mrmarket.store.sql import SqliteReader, SqliteSql
from mrmarket.store.sqlite import connect


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A database with one small table."""
    path = tmp_path / "things.db"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("CREATE TABLE things (name TEXT PRIMARY KEY, units TEXT) STRICT")
    connection.commit()
    connection.close()
    return path


def test_the_port_reads_back_what_it_wrote(file: Path) -> None:
    """Amounts are text on both ways, and the count of touched rows is told."""
    connection = connect(file)
    sql = SqliteSql(file, connection)
    assert sql.run("INSERT INTO things VALUES (?, ?)", "a", str(2**126)) == 1
    sql.run_many("INSERT INTO things VALUES (?, ?)", [("b", "-5"), ("c", None)])
    assert sql.rows("SELECT * FROM things WHERE name <> ? ORDER BY name", "c") == [
        ("a", str(2**126)),
        ("b", "-5"),
    ]
    for attempt in (
        lambda: sql.rows("SELECT * FROM nothing"),
        lambda: sql.run("INSERT INTO things VALUES (?, ?)", "a", "1"),
        lambda: sql.run_many("INSERT INTO things VALUES (?, ?)", [("d", "1"), ("a", "1")]),
    ):
        with pytest.raises(DatabaseUnavailableError):
            attempt()
    connection.close()


def test_a_snapshot_sees_one_moment(file: Path) -> None:
    """What is committed during a snapshot shows in the next one, and a snapshot cannot write."""
    reader = SqliteReader.open(file)
    writer = connect(file)
    with reader.snapshot() as sql:
        assert sql.rows("SELECT count(*) FROM things") == [(0,)]
        writer.execute("INSERT INTO things VALUES ('a', '1')")
        assert sql.rows("SELECT count(*) FROM things") == [(0,)]
    with reader.snapshot() as sql:
        assert sql.rows("SELECT count(*) FROM things") == [(1,)]
        with pytest.raises(DatabaseUnavailableError, match="readonly"):
            sql.run("DELETE FROM things")
    reader.close()
    reader.close()
    writer.close()


def test_a_closed_reader_says_so(file: Path) -> None:
    """Reading after the end is an error of ours, and there is no reader of a file that is not there."""
    reader = SqliteReader.open(file)
    reader.close()
    with pytest.raises(DatabaseDisconnectedError, match="closed"), reader.snapshot():
        pass
    with pytest.raises(DatabaseMissingError):
        SqliteReader.open(file.with_name("absent.db"))
