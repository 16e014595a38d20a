"""What a database's own catalogue must say, told from the one definition of its tables."""

from __future__ import annotations

import re
import sqlite3
from typing import Final

from sqlalchemy import MetaData, create_engine
from sqlalchemy.pool import StaticPool

from mrmarket.store.migration import VERSION_TABLE

_BLANKS: Final = re.compile(r"[ \n\t]+")
_PUNCTUATION: Final = re.compile(r" ?([(),]) ?")

_VERSION: Final = (
    f"CREATE TABLE {VERSION_TABLE} ( version_num VARCHAR(32) NOT NULL,"
    f" CONSTRAINT {VERSION_TABLE}_pkc PRIMARY KEY (version_num) )"
)

Catalogue = dict[tuple[str, str], tuple[str, str | None]]
"""Table and text of every definition, by its kind and name."""


def read_catalogue(connection: sqlite3.Connection) -> Catalogue:
    """What a SQLite file says of itself, with blanks evened out."""
    rows = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master")
    return {(kind, name): (table, sql and _even(sql)) for kind, name, table, sql in rows}


def wanted_catalogue(metadata: MetaData) -> Catalogue:
    """What a file with today's tables says of itself."""
    raw = sqlite3.connect(":memory:")
    try:
        engine = create_engine("sqlite://", creator=lambda: raw, poolclass=StaticPool)
        metadata.create_all(engine)
        raw.execute(_VERSION)
        return read_catalogue(raw)
    finally:
        raw.close()


def _even(sql: str) -> str:
    # Only the blanks that are written: another one in their place is damage and stays visible.
    return _PUNCTUATION.sub(r"\1", _BLANKS.sub(" ", sql)).strip(" ")
