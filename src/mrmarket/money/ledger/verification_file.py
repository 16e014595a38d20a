"""What can be checked of a SQLite file beside its rows: its header, its catalogue, its pages."""

from __future__ import annotations

import sqlite3
import struct
from pathlib import Path
from typing import Final

from mrmarket.money.ledger.derivation import Fault

_HEADER: Final = struct.Struct(">16sHBBBBBBIIIIIIIIIIII20sII")
_MAGIC: Final = b"SQLite format 3\0"
_WAL: Final = 2
_SCHEMA_FORMAT: Final = 4
_UTF8: Final = 1


def check_header(path: Path) -> None:
    """Compare the fields of the file's first 100 bytes with what this program writes there.

    Three counters and the number of SQLite's own version say nothing about the content and are left out;
    that the page size and the lists of free pages are right is checked with the pages.
    See https://www.sqlite.org/fileformat2.html#the_database_header.

    Raises:
        Fault: if one is not as it was written.
    """
    with path.open("rb") as file:
        head = file.read(_HEADER.size)
        size = file.seek(0, 2)
    if len(head) < _HEADER.size:
        raise Fault(None, "the file is cut off inside its header")
    (
        magic,
        page_size,
        write_format,
        read_format,
        reserved,
        most,
        least,
        leaf,
        _changes,
        pages,
        _first_free,
        _free,
        _schema_changes,
        schema_format,
        cache,
        vacuum_root,
        encoding,
        user_version,
        incremental,
        application,
        unused,
        _valid_for,
        _sqlite,
    ) = _HEADER.unpack(head)
    found = {
        "magic": (magic, _MAGIC),
        "file format": ((write_format, read_format), (_WAL, _WAL)),
        "reserved space": (reserved, 0),
        "payload fractions": ((most, least, leaf), (64, 32, 32)),
        "size": (pages * (65_536 if page_size == 1 else page_size), size),
        "schema format": (schema_format, _SCHEMA_FORMAT),
        "cache size": (cache, 0),
        "vacuum mode": ((vacuum_root, incremental), (0, 0)),
        "text encoding": (encoding, _UTF8),
        "user version": (user_version, 0),
        "application id": (application, 0),
        "reserved bytes": (unused, bytes(20)),
    }
    for name, (is_there, wanted) in found.items():
        if is_there != wanted:
            raise Fault(None, f"the file's header has another {name} than was written")


def check_pages(connection: sqlite3.Connection) -> None:
    """Let SQLite check every page, index, constraint and reference.

    Raises:
        Fault: with the first complaints.
    """
    damage = [row[0] for row in connection.execute("PRAGMA integrity_check(3)")]
    if damage != ["ok"]:
        raise Fault(None, "; ".join(damage))
    lost = connection.execute("PRAGMA foreign_key_check").fetchone()
    if lost is not None:
        raise Fault(None, f"a row of {lost[0]} belongs to no row of {lost[2]}")


def check_catalogue(connection: sqlite3.Connection) -> None:
    """Compare tables, indexes, constraints and triggers with those that today's program makes.

    Raises:
        Fault: if one is missing, was altered or added.
    """
    # Imported here: it loads SQLAlchemy, and reading the log does not need it.
    from mrmarket.store.schema.definition import read_catalogue, wanted_catalogue  # noqa: PLC0415
    from mrmarket.store.schema.money import MONEY  # noqa: PLC0415

    found, wanted = read_catalogue(connection), wanted_catalogue(MONEY)
    for kind, name in sorted(found.keys() | wanted.keys()):
        if (kind, name) not in found:
            raise Fault(None, f"the {kind} {name} is missing")
        if (kind, name) not in wanted:
            raise Fault(None, f"there is a {kind} {name} that this program does not make")
        if found[kind, name] != wanted[kind, name]:
            raise Fault(None, f"the {kind} {name} is not defined as this program defines it")


def unreadable_group(connection: sqlite3.Connection, near: int) -> int:
    """The first group, from a little before `near`, of which something cannot be read."""
    queries = ["SELECT * FROM groups WHERE seq = ?"]
    queries += [f"SELECT * FROM {table} WHERE group_seq = ?" for table in ("assets", "accounts", "transfers")]  # noqa: S608 - constants
    for seq in range(max(1, near - 1), near + 4):
        for query in queries:
            try:
                connection.execute(query, (seq,)).fetchall()
            except (sqlite3.Error, UnicodeDecodeError):
                return seq
    return near


def unreadable_row(connection: sqlite3.Connection) -> str | None:
    """Where reading stops: the table and the last row before; None where everything can be read."""
    names = "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name"
    try:
        tables = connection.execute(names).fetchall()
    except (sqlite3.Error, UnicodeDecodeError):
        return None
    for (table,) in tables:
        last: object = None
        try:
            for row in connection.execute(f'SELECT * FROM "{table}"'):  # noqa: S608 - from the catalogue
                last = row[0]
        except (sqlite3.Error, UnicodeDecodeError) as error:  # the complaint may quote the damage
            where = "first row" if last is None else f"row after {last!r}"
            return f"{table}: the {where} cannot be read ({error})"
    return None
