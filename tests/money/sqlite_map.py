"""Which bytes of a SQLite file mean something, told from the documented file format alone.

See https://www.sqlite.org/fileformat2.html. For files without free pages, as VACUUM leaves them.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path

_PAGE = 4_096
_INDEX_INTERIOR, _TABLE_INTERIOR, _INDEX_LEAF, _TABLE_LEAF = 2, 5, 10, 13
_UNUSED_IN_HEADER = {*range(24, 28), *range(40, 44), *range(92, 100)}
"""Counters and SQLite's version: they say nothing about the content."""


@dataclass(frozen=True)
class Meaning:
    """What a byte belongs to."""

    owner: str
    """Table or index; `header` for the file's."""
    part: str
    """`header`, `structure` or `record`."""


def meaning_of(path: Path) -> dict[int, Meaning]:
    """Every byte that means something, by offset; the others are slack."""
    connection = sqlite3.connect(f"file:{path}?immutable=1", uri=True)
    roots = connection.execute("SELECT name, rootpage FROM sqlite_master WHERE rootpage > 0").fetchall()
    connection.close()
    data = path.read_bytes()
    found = {place: Meaning("header", "header") for place in range(100) if place not in _UNUSED_IN_HEADER}
    for name, root in [("sqlite_master", 1), *roots]:
        _Tree(data, name, found).walk(root)
    return found


class _Tree:
    def __init__(self, data: bytes, owner: str, found: dict[int, Meaning]) -> None:
        self._data = data
        self._found = found
        self._structure = Meaning(owner, "structure")
        self._record = Meaning(owner, "record")

    def walk(self, page: int) -> None:
        base = (page - 1) * _PAGE
        head = base + (100 if page == 1 else 0)
        kind = self._data[head]
        interior = kind in {_INDEX_INTERIOR, _TABLE_INTERIOR}
        cells = self._number(head + 3, 2)
        array = head + (12 if interior else 8)
        self._mark(head, array + 2 * cells, self._structure)
        if interior:
            self.walk(self._number(head + 8, 4))
        for place in range(cells):
            self._cell(kind, base + self._number(array + 2 * place, 2))

    def _cell(self, kind: int, start: int) -> None:
        at = start
        if kind in {_INDEX_INTERIOR, _TABLE_INTERIOR}:
            self._mark(at, at + 4, self._structure)
            self.walk(self._number(at, 4))
            at += 4
        size, after = self._varint(at)
        if kind == _TABLE_INTERIOR:  # that was the row id
            self._mark(at, after, self._structure)
            return
        if kind == _TABLE_LEAF:
            _, after = self._varint(after)
        local = _local(size, table=kind == _TABLE_LEAF)
        self._mark(at, after + local, self._record)
        if local < size:
            self._mark(after + local, after + local + 4, self._structure)
            self._overflow(self._number(after + local, 4), size - local)

    def _overflow(self, page: int, left: int) -> None:
        base = (page - 1) * _PAGE
        here = min(left, _PAGE - 4)
        self._mark(base, base + 4, self._structure)
        self._mark(base + 4, base + 4 + here, self._record)
        if left > here:
            self._overflow(self._number(base, 4), left - here)

    def _mark(self, start: int, end: int, meaning: Meaning) -> None:
        self._found.update(dict.fromkeys(range(start, end), meaning))

    def _number(self, at: int, size: int) -> int:
        return int.from_bytes(self._data[at : at + size], "big")

    def _varint(self, at: int) -> tuple[int, int]:
        value = 0
        for place in range(at, at + 9):
            byte = self._data[place]
            if place == at + 8:
                return value << 8 | byte, place + 1
            value = value << 7 | byte & 0x7F
            if byte < 0x80:
                return value, place + 1
        raise AssertionError("unreachable")


def _local(size: int, *, table: bool) -> int:
    """How much of a payload is in the cell itself."""
    most = _PAGE - 35 if table else (_PAGE - 12) * 64 // 255 - 23
    if size <= most:
        return size
    least = (_PAGE - 12) * 32 // 255 - 23
    wanted = least + (size - least) % (_PAGE - 4)
    return wanted if wanted <= most else least
