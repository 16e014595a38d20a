"""Checking how SQLite has written the records that its own check and the log cannot vouch for.

A record that says NULL for its last columns can be altered so that it leaves one out, which SQLite reads as
the same; and the number of a row, which stands beside the record, can have a second copy in it that nobody
reads. Neither changes what the books say. Both are bits that are not as they were written.
"""

from __future__ import annotations

import mmap
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from mrmarket.money.ledger.derivation import Fault

_TABLE_INTERIOR: Final = 5
_TABLE_LEAF: Final = 13
_INDEX_INTERIOR: Final = 2
_LEAF_HEADER: Final = 8
_INTERIOR_HEADER: Final = 12
_FILE_HEADER: Final = 100
_CONTINUED: Final = 0x80
_ONE: Final = 9
_WIDTHS: Final = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}
"""Bytes of a whole number by its serial type."""


def check_records(path: Path, connection: sqlite3.Connection) -> None:
    """Look at the headers of all records of the tables concerned. For files at rest.

    Raises:
        Fault: naming the first record that is not written as SQLite writes it.
    """
    roots = connection.execute(
        "SELECT name, rootpage, sql LIKE '%WITHOUT ROWID%' FROM sqlite_master WHERE type = 'table'"
    ).fetchall()
    (page_size,) = connection.execute("PRAGMA page_size").fetchone()
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        for table, root, keyed in roots:
            columns = connection.execute(f'PRAGMA table_info("{table}")').fetchall()
            own_number = next(
                (
                    column[0]
                    for column in columns
                    if column[5] and column[2].upper() == "INTEGER" and not keyed
                ),
                None,
            )
            if own_number is None and not _ends_in_nulls(columns):
                continue
            for start in _cells(data, page_size, root):
                if not _is_sound(data, start, len(columns), own_number, keyed=bool(keyed)):
                    seq = _first_number(data, start) if table == "transfers" else None
                    raise Fault(seq, f"{table}: the record at byte {start} is not written as it was")


def _ends_in_nulls(columns: list[tuple[object, ...]]) -> bool:
    """Whether a record may end in two NULLs."""
    last = [column for column in columns if not column[5]][-2:]
    return len(last) == 2 and not any(column[3] for column in last)  # noqa: PLR2004 - two of them


def _cells(data: mmap.mmap, page_size: int, page: int) -> Iterator[int]:
    """Where each record of a tree begins, at its payload size."""
    base = (page - 1) * page_size
    head = base + (_FILE_HEADER if page == 1 else 0)
    kind = data[head]
    interior = kind in {_TABLE_INTERIOR, _INDEX_INTERIOR}
    count = int.from_bytes(data[head + 3 : head + 5], "big")
    array = head + (_INTERIOR_HEADER if interior else _LEAF_HEADER)
    pointers = data[array : array + 2 * count]
    for place in range(0, 2 * count, 2):
        start = base + (pointers[place] << 8 | pointers[place + 1])
        if interior:
            yield from _cells(data, page_size, int.from_bytes(data[start : start + 4], "big"))
            start += 4
        if kind != _TABLE_INTERIOR:
            yield start
    if interior:
        yield from _cells(data, page_size, int.from_bytes(data[head + 8 : head + 12], "big"))


def _is_sound(data: mmap.mmap, at: int, columns: int, own_number: int | None, *, keyed: bool) -> bool:
    at = _after_varint(data, at)
    if not keyed:
        at = _after_varint(data, at)
    size = data[at]
    if size >= _CONTINUED:  # no table of ours has a hundred columns
        return False
    kinds = data[at + 1 : at + size]
    if own_number is not None and kinds[own_number]:
        return False
    # The last byte of each number, and of nothing else, is below 128; no number begins with 128.
    if kinds.isascii():
        return len(kinds) == columns
    return sum(byte < _CONTINUED for byte in kinds) == columns


def _first_number(data: mmap.mmap, at: int) -> int | None:
    """Value of a record's first column, a positive whole number."""
    at = _after_varint(data, at)
    kind, body = data[at + 1], at + data[at]
    if kind == _ONE:
        return 1
    return int.from_bytes(data[body : body + _WIDTHS[kind]], "big") if kind in _WIDTHS else None


def _after_varint(data: mmap.mmap, at: int) -> int:
    if data[at] < _CONTINUED:
        return at + 1
    for place in range(at, at + 8):
        if data[place] < _CONTINUED:
            return place + 1
    return at + 9
