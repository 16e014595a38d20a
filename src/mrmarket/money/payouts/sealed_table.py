"""Rows of one table as structs, each with a seal: a hash by which a row that was altered is noticed."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from hashlib import sha256
from operator import attrgetter
from typing import Any, Final, Generic, TypeVar, get_type_hints

import msgspec

from mrmarket.store.sql import Sql

R = TypeVar("R", bound=msgspec.Struct)

_encode: Final = msgspec.json.Encoder(order="deterministic").encode


class SealedTable(Generic[R]):
    """Reads and writes a table whose columns are a struct's fields, in order, and `seal`.

    Fields that end in `units` are amounts: decimal text on their way in.
    """

    def __init__(self, name: str, row: type[R], key: tuple[str, ...]) -> None:
        self.name = name
        self._row = row
        self._columns = row.__struct_fields__
        self._read = [_reader(kind) for kind in get_type_hints(row).values()]
        self._written = [
            (place, write)
            for place, (column, kind) in enumerate(zip(self._columns, self._read, strict=True))
            if (write := _writer(column, kind)) is not None
        ]
        """Columns that do not go in as they are; few."""
        self._where = " AND ".join(f"{column} = ?" for column in key)
        columns = ", ".join(self._columns)
        marks = ", ".join("?" * (len(self._columns) + 1))
        changes = ", ".join(
            f"{column} = excluded.{column}" for column in (*self._columns, "seal") if column not in key
        )
        self._select = f"SELECT {columns} FROM {name}"  # noqa: S608 - names from the code
        self._select_sealed = f"SELECT {columns}, seal FROM {name}"  # noqa: S608 - names from the code
        self._insert = f"INSERT INTO {name} ({columns}, seal) VALUES ({marks})"  # noqa: S608 - names from the code
        self._upsert = f"{self._insert} ON CONFLICT ({', '.join(key)}) DO UPDATE SET {changes}"

    def add(self, sql: Sql, row: R) -> None:
        """Insert a row; one with its key must not be there."""
        values = self._values(row)
        sql.run(self._insert, *values, self._seal(values))

    def add_many(self, sql: Sql, rows: Iterable[R]) -> None:
        """Insert rows; none with one of their keys must be there."""
        sealed = ((*values, self._seal(values)) for values in map(self._values, rows))
        sql.run_many(self._insert, sealed)

    def put(self, sql: Sql, row: R) -> None:
        """Insert a row or replace the one with its key."""
        values = self._values(row)
        sql.run(self._upsert, *values, self._seal(values))

    def find(self, sql: Sql, *key: str) -> R | None:
        """The row with a key."""
        rows = self.select(sql, f"WHERE {self._where}", *key)
        return rows[0] if rows else None

    def select(self, sql: Sql, tail: str, *values: object) -> list[R]:
        """Rows by what follows the table's name in a query."""
        return [self._struct(row) for row in sql.rows(f"{self._select} {tail}", *values)]

    def altered(self, sql: Sql) -> Iterator[str]:
        """Sentences about rows that are not what was written."""
        for row in sql.rows(self._select_sealed):
            if not self._is_sound(row):
                yield f"{self.name}: the row of {row[0]!r} is not what was written"

    def _is_sound(self, row: tuple[Any, ...]) -> bool:
        try:
            values = self._values(self._struct(row[:-1]))
            # A truth that is 3 reads like one that is 1: what is there must also be what would be written.
            as_written = all(str(there) == str(value) for there, value in zip(row[:-1], values, strict=True))
            return as_written and self._seal(values) == bytes(row[-1])
        except (ValueError, TypeError):
            return False

    def _struct(self, row: tuple[Any, ...]) -> R:
        return self._row(
            *[
                value if type(value) is kind else kind(value)
                for kind, value in zip(self._read, row, strict=True)
            ]
        )

    def _values(self, row: R) -> tuple[object, ...]:
        values = list(msgspec.structs.astuple(row))
        for place, write in self._written:
            values[place] = write(values[place])
        return tuple(values)

    def _seal(self, values: tuple[object, ...]) -> bytes:
        return sha256(_encode((self.name, values))).digest()


def _reader(kind: Any) -> Any:
    if isinstance(kind, types.UnionType):
        raise TypeError(f"{kind}: a column has one type")
    return kind


def _writer(column: str, kind: Any) -> Callable[[Any], object] | None:
    """What turns a value into what its column keeps; None where that is the value."""
    if column.endswith("units"):
        return str
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return attrgetter("value")
    return int if kind is bool else None
