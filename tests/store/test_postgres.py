"""PostgreSQL: the same tables by the same steps, one port for statements, errors that say what to do."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import psycopg
import pytest
from psycopg import errors
from sqlalchemy import MetaData, create_engine

from mrmarket.store.errors import (
    DatabaseBusyError,
    DatabaseDamagedError,
    DatabaseDisconnectedError,
    DatabaseForeignError,
    DatabaseFullError,
    DatabaseUnavailableError,
    StoreError,
)
from mrmarket.store.migration import (
    CONTROL_SCHEMA,
    MONEY_SCHEMA,
    TRADING_SCHEMA,
    SchemaFamily,
    prepare_postgres,
)
from mrmarket.store.migration import check_postgres_version as version
from mrmarket.store.postgres import (
    Connection,
    PostgresReader,
    PostgresSql,
    connect,
    copy_text,
    postgres_error,
    shown,
    translated,
)
from mrmarket.store.schema.control import CONTROL
from mrmarket.store.schema.money import MONEY
from mrmarket.store.schema.trading import TRADING
from postgres_server import PostgresServer, postgres, postgres_server

__all__ = ["postgres", "postgres_server"]


@pytest.fixture
def connection(postgres: str) -> Iterator[Connection]:
    """A connection to a database with one small table."""
    connection = connect(postgres, "public")
    connection.execute("CREATE TABLE things (name TEXT PRIMARY KEY, units NUMERIC(78, 0), body BYTEA)")
    yield connection
    connection.close()


DEFINITIONS = (
    """SELECT table_name, column_name, data_type, numeric_precision, is_nullable
       FROM information_schema.columns WHERE table_schema = %s""",
    """SELECT t.relname, pg_get_constraintdef(c.oid) FROM pg_constraint AS c
       JOIN pg_class AS t ON t.oid = c.conrelid
       JOIN pg_namespace AS n ON n.oid = t.relnamespace WHERE n.nspname = %s""",
    """SELECT tablename, indexdef FROM pg_indexes WHERE schemaname = %s""",
    """SELECT event_object_table, trigger_name, event_manipulation
       FROM information_schema.triggers WHERE trigger_schema = %s""",
)


def definitions(connection: Connection, schema: str) -> set[tuple[str, ...]]:
    """Every column, constraint, index and trigger of a schema."""
    found = [
        row
        for statement in DEFINITIONS
        for row in connection.execute(statement.encode(), (schema,))
        if row[0] != "schema_version"
    ]
    return {tuple(str(value).replace(f"{schema}.", "") for value in row) for row in found}


@pytest.mark.parametrize(
    ("family", "metadata"),
    [(MONEY_SCHEMA, MONEY), (TRADING_SCHEMA, TRADING), (CONTROL_SCHEMA, CONTROL)],
    ids=["money", "trading", "control"],
)
def test_migrations_end_at_the_one_definition(
    postgres: str, family: SchemaFamily, metadata: MetaData
) -> None:
    """Walking all steps on PostgreSQL gives what the schema modules define."""
    assert version(postgres, family, family.name) is None
    prepare_postgres(postgres, family, family.name)
    prepare_postgres(postgres, family, family.name)
    assert version(postgres, family, family.name) == family.head
    with connect(postgres, "defined") as connection:
        connection.execute("CREATE SCHEMA defined")
        connection.commit()
        engine = create_engine("postgresql+psycopg://", creator=lambda: connect(postgres, "defined"))
        metadata.create_all(engine)
        engine.dispose()
        migrated = definitions(connection, family.name)
        assert len(migrated) > len(metadata.tables)
        assert migrated == definitions(connection, "defined")


def test_two_that_start_at_once_prepare_one_schema(postgres: str) -> None:
    """The second waits for the first and finds everything there."""
    failures: list[Exception] = []

    def start() -> None:
        try:
            prepare_postgres(postgres, MONEY_SCHEMA, "money")
        except StoreError as error:
            failures.append(error)

    threads = [threading.Thread(target=start) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert version(postgres, MONEY_SCHEMA, "money") == MONEY_SCHEMA.head


def test_a_foreign_schema_is_refused(postgres: str) -> None:
    """Tables of something else are never migrated over."""
    with connect(postgres, "public") as connection:
        connection.execute("CREATE SCHEMA money")
        connection.execute("CREATE TABLE money.photos (id INTEGER)")
    with pytest.raises(DatabaseForeignError):
        prepare_postgres(postgres, MONEY_SCHEMA, "money")


@pytest.mark.parametrize(
    ("statement", "wanted"),
    [
        ("SELECT a FROM t WHERE b = ? AND c = ?", "SELECT a FROM t WHERE b = %s AND c = %s"),
        ("SELECT '?' || ? || 'it''s ?'", "SELECT '?' || %s || 'it''s ?'"),
        ('SELECT "odd?" % 5, ?', 'SELECT "odd?" %% 5, %s'),
        ("SELECT '100%' -- why?\n, ?", "SELECT '100%%' -- why?\n, %s"),
    ],
)
def test_placeholders_are_translated_outside_of_quotes(statement: str, wanted: str) -> None:
    """A question mark is a placeholder unless it is quoted or in a comment; percent signs stay."""
    assert translated(statement) == wanted


def test_the_port_reads_back_what_it_wrote(connection: Connection) -> None:
    """Amounts go in as text and come as text, bytes as bytes, and the count of touched rows is told."""
    sql = PostgresSql("here", connection)
    assert sql.run("INSERT INTO things VALUES (?, ?, ?)", "100%", str(2**126), b"\0\xff") == 1
    sql.run_many("INSERT INTO things VALUES (?, ?, ?)", [("b", "-5", b""), ("c", None, None)])
    assert sql.rows("SELECT * FROM things WHERE name LIKE '%' AND name <> ? ORDER BY name", "c") == [
        ("100%", str(2**126), b"\0\xff"),
        ("b", "-5", b""),
    ]
    upsert = "INSERT INTO things VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE SET units = excluded.units"
    assert sql.run(upsert, "b", "6", None) == 1
    assert sql.rows("SELECT units FROM things WHERE name = ? AND units > ?", "b", "5") == [("6",)]
    with pytest.raises(DatabaseUnavailableError, match="nothing"):
        sql.rows("SELECT * FROM nothing")
    with pytest.raises(DatabaseUnavailableError):
        sql.run_many("INSERT INTO things VALUES (?, ?, ?)", [("b", "1", None)])


def test_rows_that_are_streamed_arrive_as_they_were(connection: Connection) -> None:
    """Tabs, line ends, backslashes, marks of null and every script survive COPY."""
    names = ["a\tb", "a\nb\r", "\\N", "\\.", "c:\\x", "", "Grüße 币", "\u2028\x7f", "100%"]
    rows = [(name, str(10**37 + place), bytes([place, 255])) for place, name in enumerate(names)]
    with connection.cursor() as cursor, cursor.copy("COPY things FROM STDIN") as copy:
        copy.write(copy_text([*rows, ("nothing", None, None)]))
    found = connection.execute("SELECT name, units, body FROM things ORDER BY units NULLS LAST").fetchall()
    assert found == [*rows, ("nothing", None, None)]


def test_a_snapshot_sees_one_moment(postgres: str, connection: Connection) -> None:
    """What is committed during a snapshot shows in the next one, and a snapshot cannot write."""
    reader = PostgresReader.open(postgres, "public")
    with reader.snapshot() as sql:
        assert sql.rows("SELECT count(*) FROM things") == [(0,)]
        connection.execute("INSERT INTO things VALUES ('a', 1, '')")
        assert sql.rows("SELECT count(*) FROM things") == [(0,)]
    with reader.snapshot() as sql:
        assert sql.rows("SELECT count(*) FROM things") == [(1,)]
        with pytest.raises(DatabaseUnavailableError, match="read-only"):
            sql.run("DELETE FROM things")
    with reader.snapshot() as sql:
        assert sql.rows("SELECT count(*) FROM things") == [(1,)]
    reader.close()
    reader.close()


def test_a_reader_outlives_a_restart_of_the_server(
    postgres: str, postgres_server: PostgresServer, connection: Connection
) -> None:
    """A lost connection is an error for the snapshot that was open, and none for the next."""
    reader = PostgresReader.open(postgres, "public")
    postgres_server.end_connections(postgres)
    with reader.snapshot() as sql:
        assert sql.rows("SELECT count(*) FROM things") == [(0,)]

    def lose() -> None:
        with reader.snapshot() as sql:
            postgres_server.end_connections(postgres)
            sql.rows("SELECT 1")

    with pytest.raises(DatabaseDisconnectedError):
        lose()
    with reader.snapshot() as sql:
        assert sql.rows("SELECT count(*) FROM things") == [(0,)]
    reader.close()


def test_commits_are_durable_whatever_the_server_is_set_to(connection: Connection) -> None:
    """A server that acknowledges early by default does not for us."""
    assert connection.execute("SHOW synchronous_commit").fetchall() == [("on",)]


@pytest.mark.parametrize(
    ("error", "wanted"),
    [
        (errors.DiskFull(), DatabaseFullError),
        (errors.LockNotAvailable(), DatabaseBusyError),
        (errors.SerializationFailure(), DatabaseBusyError),
        (errors.DataCorrupted(), DatabaseDamagedError),
        (errors.AdminShutdown(), DatabaseDisconnectedError),
        (errors.ConnectionFailure(), DatabaseDisconnectedError),
        (psycopg.OperationalError("the line is dead"), DatabaseDisconnectedError),
        (errors.UndefinedTable(), DatabaseUnavailableError),
        (psycopg.InterfaceError("odd"), DatabaseUnavailableError),
    ],
)
def test_every_complaint_has_its_error(error: psycopg.Error, wanted: type[StoreError]) -> None:
    """What a person would do about it decides the class."""
    assert type(postgres_error("place", error)) is wanted


def test_an_address_is_shown_without_its_password() -> None:
    """Errors name host, port and database alone."""
    assert shown("postgresql://me:secret@db.example:5433/books") == "postgresql://db.example:5433/books"
    assert shown("host=/run/pg dbname=x password=secret") == "postgresql:///run/pg:5432/x"
    assert shown("no address at all") == "postgresql"
    with pytest.raises(StoreError) as caught:
        connect("postgresql://me:secret@127.0.0.1:1/books")
    assert "secret" not in str(caught.value)
    assert caught.value.retryable
