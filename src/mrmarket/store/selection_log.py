"""What choosing between strategies remembers: notes that are overwritten, and a log that is pruned."""

from __future__ import annotations

from itertools import count
from typing import Final, Literal, NamedTuple

from mrmarket.store.sql_operations import Statements

Kind = Literal["decision", "scores"]

_NOTE: Final = (
    "INSERT INTO selection_notes (name, payload) VALUES (?, ?)"
    " ON CONFLICT (name) DO UPDATE SET payload = excluded.payload"
)
_APPEND: Final = (
    "INSERT INTO selection_log (kind, at_ms, number, payload) VALUES (?, ?, ?, ?)"
    " ON CONFLICT (kind, at_ms, number) DO NOTHING"
)


class LogRow(NamedTuple):
    """One row; `(at_ms, number)` orders them."""

    at_ms: int
    number: int
    payload: str


class SelectionLog:
    """Rows of `control.db`. Synchronous, from any thread; every method raises a `StoreError`.

    One process writes: the one that chooses.
    """

    def __init__(self, statements: Statements) -> None:
        self._statements = statements
        self._numbers = count()

    def put(self, name: str, payload: str) -> None:
        """Write a note over the last of that name."""
        self._statements.run(_NOTE, name, payload)

    def note(self, name: str) -> str | None:
        """A note, if it was ever written."""
        rows = self._statements.rows("SELECT payload FROM selection_notes WHERE name = ?", name)
        return str(rows[0][0]) if rows else None

    def append(self, kind: Kind, at_ms: int, payload: str) -> None:
        """Add a row."""
        while not self._statements.run(_APPEND, kind, at_ms, next(self._numbers), payload):
            continue  # an earlier life has used that number at the same millisecond

    def newest(self, kind: Kind, limit: int, before: tuple[int, int] | None = None) -> list[LogRow]:
        """Rows, newest first; those below `before` (`at_ms`, `number`), for the next page."""
        at_ms, number = before or (2**62, 0)
        rows = self._statements.rows(
            "SELECT at_ms, number, payload FROM selection_log WHERE kind = ?"
            " AND (at_ms < ? OR (at_ms = ? AND number < ?)) ORDER BY at_ms DESC, number DESC LIMIT ?",
            *(kind, at_ms, at_ms, number, limit),
        )
        return [LogRow(*row) for row in rows]

    def since(self, kind: Kind, at_ms: int, limit: int) -> list[LogRow]:
        """Rows from a time on, oldest first; where there are more than `limit`, the newest of them."""
        rows = self._statements.rows(
            "SELECT at_ms, number, payload FROM selection_log WHERE kind = ? AND at_ms >= ?"
            " ORDER BY at_ms DESC, number DESC LIMIT ?",
            *(kind, at_ms, limit),
        )
        return [LogRow(*row) for row in reversed(rows)]

    def prune(self, kind: Kind, before_ms: int) -> int:
        """Forget what is older; how many rows that were."""
        return self._statements.run("DELETE FROM selection_log WHERE kind = ? AND at_ms < ?", kind, before_ms)

    def close(self) -> None:
        """Release the database; closing twice is harmless."""
        self._statements.close()
