"""Checking how SQLite has written the records that its own check and the log cannot vouch for.

A record that says NULL for its last columns can be altered so that it leaves one out, which SQLite reads as
the same; and the number of a row, which stands beside the record, can have a second copy in it that nobody
reads. Neither changes what the books say. Both are bits that are not as they were written.
"""

from __future__ import annotations

import mmap
import sqlite3
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from mrmarket.money.ledger.derivation import Fault

_TABLE_INTERIOR: Final = 5
_INDEX_INTERIOR: Final = 2
_LEAF_HEADER: Final = 8
_INTERIOR_HEADER: Final = 12
_FILE_HEADER: Final = 100
_CONTINUED: Final = 0x80
_ONE: Final = 9
_PAGE_NUMBER: Final = struct.Struct(">I")
_MOST_KEPT: Final = 10_000
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
            sound: set[bytes] = set()  # records of a table have few different headers
            for start in _cells(data, page_size, root):
                at = _after_varint(data, start)
                if not keyed:
                    at = _after_varint(data, at)
                header = data[at : at + data[at]]
                if header in sound:
                    continue
                if not _is_sound(header, len(columns), own_number):
                    seq = _first_number(data, start) if table == "transfers" else None
                    raise Fault(seq, f"{table}: the record at byte {start} is not written as it was")
                if len(sound) < _MOST_KEPT:
                    sound.add(header)


def _ends_in_nulls(columns: list[tuple[object, ...]]) -> bool:
    """Whether a record may end in two NULLs."""
    last = [column for column in columns if not column[5]][-2:]
    return len(last) == 2 and not any(column[3] for column in last)  # noqa: PLR2004 - two of them


def _cells(data: mmap.mmap, page_size: int, page: int) -> Iterator[int]:
    """Where each record of a tree begins, at its payload size."""
    base = (page - 1) * page_size
    head = base + (_FILE_HEADER if page == 1 else 0)
    kind = data[head]
    count = int.from_bytes(data[head + 3 : head + 5], "big")
    interior = kind in {_TABLE_INTERIOR, _INDEX_INTERIOR}
    starts = struct.unpack_from(f">{count}H", data, head + (_INTERIOR_HEADER if interior else _LEAF_HEADER))
    if not interior:
        for start in starts:
            yield base + start
        return
    for start in starts:
        (below,) = _PAGE_NUMBER.unpack_from(data, base + start)
        yield from _cells(data, page_size, below)
        if kind == _INDEX_INTERIOR:
            yield base + start + _PAGE_NUMBER.size
    yield from _cells(data, page_size, _PAGE_NUMBER.unpack_from(data, head + _LEAF_HEADER)[0])


def _is_sound(header: bytes, columns: int, own_number: int | None) -> bool:
    """Whether a record's header, which begins with its size, has one type for each column."""
    if not header or header[0] >= _CONTINUED:  # no table of ours has a hundred columns
        return False
    kinds = header[1:]
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
