"""Bringing a database file to today's tables, or refusing it untouched."""

from __future__ import annotations

import re
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mrmarket.store.errors import DatabaseDamagedError, DatabaseForeignError, DatabaseTooNewError, Place
from mrmarket.store.sqlite import connect, create_private, is_at_rest, store_error

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection as SqlAlchemyConnection

    from mrmarket.store.postgres import Connection as PostgresConnection

VERSION_TABLE: Final = "schema_version"
_STEPS: Final = Path(__file__).parent / "migrations"
_PATIENCE_MS: Final = 20_000
"""Whoever starts in the same moment waits for the other's upgrade, which takes seconds on a busy machine."""


@dataclass(frozen=True, slots=True)
class SchemaFamily:
    """One kind of database: a name and the number of its newest migration step."""

    name: str
    newest: int

    @property
    def head(self) -> str:
        """The newest step's id, such as `trading_0001`."""
        return f"{self.name}_{self.newest:04}"

    def number(self, revision: str) -> int | None:
        """Which step an id names; None for another family's."""
        match = re.fullmatch(rf"{re.escape(self.name)}_([0-9]{{4,}})", revision, re.ASCII)
        return int(match[1]) if match else None


TRADING_SCHEMA: Final = SchemaFamily("trading", 2)
MONEY_SCHEMA: Final = SchemaFamily("money", 7)
CONTROL_SCHEMA: Final = SchemaFamily("control", 4)


def prepare(path: Path, family: SchemaFamily) -> None:
    """Create or upgrade a file. A current one costs one read; a refused one is left as it was.

    Raises:
        DatabaseTooNewError: if a newer program wrote it.
        DatabaseForeignError: if it belongs to something else.
        StoreError: if the disk or the file refuses.
    """
    found = check_version(path, family) if path.is_file() and path.stat().st_size else None
    if found != family.head:
        create_private(path)
        _upgrade(path, family)


def check_version(path: Path, family: SchemaFamily) -> str | None:
    """The file's schema id, None for a file without tables. Opens it read-only.

    Raises:
        DatabaseTooNewError: if a newer program wrote it.
        DatabaseForeignError: if it belongs to something else.
    """
    connection = connect(path, read_only=True, at_rest=is_at_rest(path))
    try:
        tables = {
            name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        }
        if VERSION_TABLE not in tables:
            if tables:
                raise DatabaseForeignError(path, family.name)
            return None
        row = connection.execute(f"SELECT version_num FROM {VERSION_TABLE}").fetchone()  # noqa: S608 - a constant
    except sqlite3.Error as error:
        raise store_error(path, error) from error
    except UnicodeDecodeError as error:
        # SQLite's own complaint about a damaged schema quotes the damage.
        raise DatabaseDamagedError(path, "its schema cannot be read") from error
    finally:
        connection.close()
    return _recognised(path, family, str(row[0]) if row else "")


def prepare_postgres(address: str, family: SchemaFamily, schema: str) -> None:
    """Create or upgrade a schema of a PostgreSQL database; of two that start at once, one waits.

    Raises:
        DatabaseTooNewError: if a newer program wrote it; nothing is changed.
        DatabaseForeignError: if the schema belongs to something else.
        DriverMissingError: if the driver is not installed.
        StoreError: if the server refuses or cannot be reached.
    """
    from mrmarket.store.postgres import connect, postgres_errors, shown  # noqa: PLC0415 - an extra

    place = shown(address)
    connection = connect(address, schema)
    try:
        with postgres_errors(place):
            found = _postgres_version(connection, place, family, schema)
            if found == family.head:
                return
            with connection.transaction():
                connection.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", (f"mrmarket {schema}",))
                connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{schema}"'.encode())
        _upgrade_postgres(address, family, schema)
    finally:
        connection.close()


def check_postgres_version(address: str, family: SchemaFamily, schema: str) -> str | None:
    """The schema id that a PostgreSQL database has, None where there are no tables.

    Raises:
        DatabaseTooNewError: if a newer program wrote it.
        DatabaseForeignError: if the schema belongs to something else.
    """
    from mrmarket.store.postgres import connect, postgres_errors, shown  # noqa: PLC0415 - an extra

    connection = connect(address, schema)
    try:
        with postgres_errors(shown(address)):
            return _postgres_version(connection, shown(address), family, schema)
    finally:
        connection.close()


def _postgres_version(
    connection: PostgresConnection, place: str, family: SchemaFamily, schema: str
) -> str | None:
    tables = {
        name
        for (name,) in connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = %s", (schema,))
    }
    if VERSION_TABLE not in tables:
        if tables:
            raise DatabaseForeignError(place, family.name)
        return None
    row = connection.execute(f"SELECT version_num FROM {VERSION_TABLE}".encode()).fetchone()  # noqa: S608 - a constant
    return _recognised(place, family, str(row[0]) if row else "")


def _recognised(place: Place, family: SchemaFamily, found: str) -> str:
    number = family.number(found)
    if number is None:
        raise DatabaseForeignError(place, family.name)
    if number > family.newest:
        raise DatabaseTooNewError(place, found, family.head)
    return found


def _upgrade(path: Path, family: SchemaFamily) -> None:
    # Imported here: a current database must not pay for loading the migration tool.
    from sqlalchemy import create_engine, event  # noqa: PLC0415
    from sqlalchemy.engine import Connection  # noqa: PLC0415
    from sqlalchemy.exc import DBAPIError  # noqa: PLC0415
    from sqlalchemy.pool import StaticPool  # noqa: PLC0415

    raw = connect(path, synchronous="FULL", busy_timeout_ms=_PATIENCE_MS)
    try:
        engine = create_engine("sqlite://", creator=lambda: raw, poolclass=StaticPool)

        def begin_at_once(connection: Connection) -> None:
            # All steps are one transaction, schema changes included: a crash leaves the old version.
            connection.exec_driver_sql("BEGIN IMMEDIATE")

        event.listen(engine, "begin", begin_at_once)
        with engine.begin() as connection:
            _walk(connection, family)
    except sqlite3.Error as error:
        raise store_error(path, error) from error
    except DBAPIError as error:
        if isinstance(error.orig, sqlite3.Error):
            raise store_error(path, error.orig) from error
        raise
    finally:
        raw.close()


def _upgrade_postgres(address: str, family: SchemaFamily, schema: str) -> None:
    import psycopg  # noqa: PLC0415 - an extra
    from sqlalchemy import create_engine  # noqa: PLC0415
    from sqlalchemy.exc import DBAPIError  # noqa: PLC0415
    from sqlalchemy.pool import StaticPool  # noqa: PLC0415

    from mrmarket.store.postgres import connect, postgres_error, shown  # noqa: PLC0415 - an extra

    raw = connect(address, schema)
    raw.autocommit = False
    try:
        engine = create_engine("postgresql+psycopg://", creator=lambda: raw, poolclass=StaticPool)
        # All steps are one transaction here too.
        with engine.begin() as connection:
            connection.exec_driver_sql("SELECT pg_advisory_xact_lock(hashtext(%s))", (f"mrmarket {schema}",))
            _walk(connection, family)
    except DBAPIError as error:
        if isinstance(error.orig, psycopg.Error):
            raise postgres_error(shown(address), error.orig) from error
        raise
    finally:
        raw.close()


def _walk(connection: SqlAlchemyConnection, family: SchemaFamily) -> None:
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(_STEPS / family.name).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def run_steps() -> None:
    """Called by the migration tool's environment script, inside the caller's transaction."""
    from alembic import context  # noqa: PLC0415

    context.configure(connection=context.config.attributes["connection"], version_table=VERSION_TABLE)
    context.run_migrations()
