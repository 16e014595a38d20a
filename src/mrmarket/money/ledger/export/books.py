"""What every format is written from: the catalogue, and the log in order, a page at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from mrmarket.core.decimals import format_units
from mrmarket.store.sql import Sql

Progress = Callable[[int, int], None]
"""Called now and then with how many groups are written, and how many there are."""

_PAGE: Final = 2_000


@dataclass(frozen=True, slots=True)
class Line:
    """One transfer."""

    debit: str
    credit: str
    asset: str
    units: int
    amount: str
    """In whole units, exact."""
    kind: str
    phase: str
    """`plain`, `pending`, `post`, `void` or `expire`; see `docs/ledger-format.md`."""

    @property
    def moves(self) -> bool:
        """Whether balances change."""
        return self.phase in {"plain", "post"}


@dataclass(frozen=True, slots=True)
class Entry:
    """One posted group."""

    seq: int
    at_ms: int
    key: str
    memo: str
    reverses: str | None
    hash: str
    lines: list[Line]


class Closing(NamedTuple):
    """What an account holds at the end."""

    account: str
    asset: str
    amount: str
    """In whole units, exact and signed."""
    decimals: int


class ExportedBooks:
    """A ledger in one snapshot."""

    def __init__(self, sql: Sql, progress: Progress | None = None) -> None:
        self._sql = sql
        self._progress = progress
        self.decimals: dict[str, int] = dict(sql.rows("SELECT id, decimals FROM assets ORDER BY id"))
        """By asset id."""
        self.kinds: dict[str, str] = dict(sql.rows("SELECT id, kind FROM accounts ORDER BY id"))
        """By account id."""
        rows = sql.rows("SELECT seq, at_ms FROM groups ORDER BY seq DESC LIMIT 1")
        self.last_seq, self.last_ms = rows[0] if rows else (0, 0)

    def entries(self) -> Iterator[Entry]:
        """Posted groups with transfers, in order."""
        for low in range(1, self.last_seq + 1, _PAGE):
            lines = self._lines(low)
            for seq, at_ms, key, memo, reverses, digest in self._sql.rows(
                "SELECT seq, at_ms, key, memo, reverses, hash FROM groups"
                " WHERE seq >= ? AND seq < ? ORDER BY seq",
                low,
                low + _PAGE,
            ):
                if seq in lines:
                    yield Entry(seq, at_ms, key, memo, reverses, bytes(digest).hex(), lines[seq])
            if self._progress is not None:
                self._progress(min(low + _PAGE - 1, self.last_seq), self.last_seq)

    def closing(self) -> list[Closing]:
        """Every balance, by account and asset."""
        rows = self._sql.rows("SELECT account, asset, units FROM balances")
        return [
            Closing(account, asset, format_units(int(units), self.decimals[asset]), self.decimals[asset])
            for account, asset, units in sorted(rows)
        ]

    def _lines(self, low: int) -> dict[int, list[Line]]:
        lines: dict[int, list[Line]] = {}
        for seq, debit, credit, asset, units, kind, phase in self._sql.rows(
            "SELECT group_seq, debit, credit, asset, units, kind, phase FROM transfers"
            " WHERE group_seq >= ? AND group_seq < ? ORDER BY group_seq, position",
            low,
            low + _PAGE,
        ):
            amount = format_units(int(units), self.decimals[asset])
            line = Line(debit, credit, asset, int(units), amount, kind, phase or "plain")
            lines.setdefault(seq, []).append(line)
        return lines
