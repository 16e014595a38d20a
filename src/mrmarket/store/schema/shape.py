"""Column types and triggers that all tables share, on both dialects."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from sqlalchemy import DDL, BigInteger, Column, Integer, LargeBinary, Numeric, Table, Text, event
from sqlalchemy.schema import ExecutableDDLElement
from sqlalchemy.types import TypeEngine

WHOLE: Final[TypeEngine[int]] = BigInteger().with_variant(Integer(), "sqlite")
"""A 64-bit integer."""

UNITS: Final = Numeric(78, 0).with_variant(Text(), "sqlite")
"""An amount in base units. SQLite keeps canonical decimal text, because its own numbers turn to floats."""

BYTES: Final[TypeEngine[bytes]] = LargeBinary()

POSITIVE_UNITS: Final = "{0} GLOB '[1-9]*' AND {0} NOT GLOB '*[^0-9]*' AND length({0}) <= 39"
"""CHECK of a column that holds a positive amount as canonical text."""

SIGNED_UNITS: Final = (
    "{0} = '0' OR ({0} GLOB '[1-9]*' AND {0} NOT GLOB '*[^0-9]*' AND length({0}) <= 39)"
    " OR ({0} GLOB '-[1-9]*' AND substr({0}, 2) NOT GLOB '*[^0-9]*' AND length({0}) <= 40)"
)
"""CHECK of a column that holds any amount as canonical text."""


def append_only_triggers(table: str) -> list[str]:
    """Statements that make a table refuse UPDATE and DELETE."""
    return [
        f"CREATE TRIGGER {table}_never_{verb} BEFORE {verb.upper()} ON {table}"
        f" BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
        for verb in ("update", "delete")
    ]


def append_only(table: Table) -> Table:
    """Attach the triggers to a table's creation."""
    for statement in append_only_triggers(table.name):
        event.listen(table, "after_create", _trigger(statement))
    return table


def text(name: str, *, primary_key: bool = False) -> Column[str]:
    """A NOT NULL text column."""
    return Column(name, Text(), nullable=False, primary_key=primary_key)


def whole(name: str, *, primary_key: bool = False) -> Column[int]:
    """A NOT NULL integer column."""
    return Column(name, WHOLE, nullable=False, primary_key=primary_key)


def blob(name: str) -> Column[bytes]:
    """A NOT NULL bytes column."""
    return Column(name, BYTES, nullable=False)


def _trigger(statement: str) -> ExecutableDDLElement:
    build: Callable[[str], ExecutableDDLElement] = DDL  # its constructor carries no types
    return build(statement).execute_if(dialect="sqlite")
