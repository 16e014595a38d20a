"""Bringing a database file to today's tables, or refusing it untouched."""

from __future__ import annotations

import re
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mrmarket.store.errors import DatabaseDamagedError, DatabaseForeignError, DatabaseTooNewError
from mrmarket.store.sqlite import connect, create_private, is_at_rest, store_error

VERSION_TABLE: Final = "schema_version"
_STEPS: Final = Path(__file__).parent / "migrations"


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


TRADING_SCHEMA: Final = SchemaFamily("trading", 1)
MONEY_SCHEMA: Final = SchemaFamily("money", 6)


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
    found = str(row[0]) if row else ""
    number = family.number(found)
    if number is None:
        raise DatabaseForeignError(path, family.name)
    if number > family.newest:
        raise DatabaseTooNewError(path, found, family.head)
    return found


def _upgrade(path: Path, family: SchemaFamily) -> None:
    # Imported here: a current database must not pay for loading the migration tool.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415
    from sqlalchemy import create_engine, event  # noqa: PLC0415
    from sqlalchemy.engine import Connection  # noqa: PLC0415
    from sqlalchemy.exc import DBAPIError  # noqa: PLC0415
    from sqlalchemy.pool import StaticPool  # noqa: PLC0415

    raw = connect(path, synchronous="FULL")
    try:
        engine = create_engine("sqlite://", creator=lambda: raw, poolclass=StaticPool)

        def begin_at_once(connection: Connection) -> None:
            # All steps are one transaction, schema changes included: a crash leaves the old version.
            connection.exec_driver_sql("BEGIN IMMEDIATE")

        event.listen(engine, "begin", begin_at_once)
        config = Config()
        config.set_main_option("script_location", str(_STEPS / family.name).replace("%", "%%"))
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except sqlite3.Error as error:
        raise store_error(path, error) from error
    except DBAPIError as error:
        if isinstance(error.orig, sqlite3.Error):
            raise store_error(path, error.orig) from error
        raise
    finally:
        raw.close()


def run_steps() -> None:
    """Called by the migration tool's environment script, inside the caller's transaction."""
    from alembic import context  # noqa: PLC0415

    context.configure(connection=context.config.attributes["connection"], version_table=VERSION_TABLE)
    context.run_migrations()
