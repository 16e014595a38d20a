"""Column types and triggers that all tables share, on both dialects."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Integer,
    LargeBinary,
    Numeric,
    Table,
    Text,
    event,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.schema import ExecutableDDLElement
from sqlalchemy.sql.compiler import DDLCompiler
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

_LIMIT: Final = 2**127


def _pattern(check: str) -> re.Pattern[str]:
    first, *others = re.escape(check).split(re.escape("{0}"))
    return re.compile(first + r"(\w+)" + r"\1".join(others))


_POSITIVE_TEXT: Final = _pattern(POSITIVE_UNITS)
_SIGNED_TEXT: Final = _pattern(SIGNED_UNITS)


class Refusal(ExecutableDDLElement):
    """A trigger that makes a table refuse one kind of change."""

    inherit_cache = False

    def __init__(self, table: str, verb: str) -> None:
        self.table = table
        self.verb = verb


def append_only_triggers(table: str) -> list[ExecutableDDLElement]:
    """Statements, right for each database, that make a table refuse UPDATE and DELETE."""
    return [Refusal(table, verb) for verb in ("update", "delete")]


def append_only(table: Table) -> Table:
    """Attach the triggers to a table's creation."""
    for statement in append_only_triggers(table.name):
        event.listen(table, "after_create", statement)
    return table


class RowNumbers(ExecutableDDLElement):
    """A column for PostgreSQL that numbers rows as they come, as SQLite does by itself (`rowid`)."""

    inherit_cache = False

    def __init__(self, table: str) -> None:
        self.table = table


def numbered(table: Table) -> Table:
    """Attach the numbers to a table's creation on PostgreSQL."""
    event.listen(table, "after_create", RowNumbers(table.name).execute_if(dialect="postgresql"))
    return table


@compiles(RowNumbers, "postgresql")
def _postgres_numbers(element: RowNumbers, compiler: DDLCompiler, **_: object) -> str:  # noqa: ARG001 - the shape of a compiler
    return f"ALTER TABLE {element.table} ADD COLUMN row_number BIGINT GENERATED ALWAYS AS IDENTITY"


@compiles(Refusal, "sqlite")
def _sqlite_refusal(element: Refusal, compiler: DDLCompiler, **_: object) -> str:  # noqa: ARG001 - the shape of a compiler
    return (
        f"CREATE TRIGGER {element.table}_never_{element.verb} BEFORE {element.verb.upper()}"
        f" ON {element.table} BEGIN SELECT RAISE(ABORT, '{element.table} is append-only'); END"
    )


@compiles(Refusal, "postgresql")
def _postgres_refusal(element: Refusal, compiler: DDLCompiler, **_: object) -> str:  # noqa: ARG001 - the shape of a compiler
    # TRUNCATE is the third way to lose rows there; it goes with DELETE.
    verbs = "DELETE OR TRUNCATE" if element.verb == "delete" else element.verb.upper()
    name = f"{element.table}_never_{element.verb}"
    return (
        f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION USING ERRCODE = 'integrity_constraint_violation',"
        f" MESSAGE = '{element.table} is append-only'; END $$;"
        f" CREATE TRIGGER {name} BEFORE {verbs} ON {element.table} EXECUTE FUNCTION {name}()"
    )


@compiles(CheckConstraint, "postgresql")
def _postgres_check(constraint: CheckConstraint, compiler: DDLCompiler, **_: object) -> str:
    """Amounts are numbers there, and the database itself keeps them whole."""
    build: Callable[[CheckConstraint], str] = compiler.visit_check_constraint  # it carries no types
    check = build(constraint)
    check = _SIGNED_TEXT.sub(rf"abs(\1) < {_LIMIT}", check)
    return _POSITIVE_TEXT.sub(rf"\1 > 0 AND \1 < {_LIMIT}", check)


def text(name: str, *, primary_key: bool = False) -> Column[str]:
    """A NOT NULL text column."""
    return Column(name, Text(), nullable=False, primary_key=primary_key)


def whole(name: str, *, primary_key: bool = False) -> Column[int]:
    """A NOT NULL integer column."""
    return Column(name, WHOLE, nullable=False, primary_key=primary_key, autoincrement=False)


def blob(name: str) -> Column[bytes]:
    """A NOT NULL bytes column."""
    return Column(name, BYTES, nullable=False)
