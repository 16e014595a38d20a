"""The order journal's hand-written SQL."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Final

from mrmarket.core.errors import InvalidInputError
from mrmarket.store.database import Database
from mrmarket.store.errors import DuplicateIntentError, StaleFenceError, UnknownIntentError
from mrmarket.store.leases import UNFENCED, Leases
from mrmarket.store.order_journal import NEW_STATE, OrderIntent, OrderRecord, read_order

_SEQUENCE_BLOCK: Final = 1_000

_COLUMNS: Final = (
    "client_order_id, stream, symbol, slot, side, kind, price_ticks, size_lots, created_ns,"
    " venue_order_id, state, filled_lots, updated_ns"
)
_INSERT: Final = (
    f"INSERT INTO orders ({_COLUMNS}) SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, '', ?10, 0, ?9"
    f" WHERE NOT {UNFENCED.format('?2')}"
)
_OURS: Final = "NOT " + UNFENCED.format("orders.stream")
_UPDATE: Final = (
    "UPDATE orders SET state = ?2, venue_order_id = CASE WHEN ?3 = '' THEN venue_order_id ELSE ?3 END,"  # noqa: S608 - built from constants
    " filled_lots = max(filled_lots, ?4), updated_ns = max(updated_ns, ?5)"
    f" WHERE client_order_id = ?1 AND {_OURS}"
)
_SELECT: Final = f"SELECT {_COLUMNS} FROM orders WHERE "  # noqa: S608 - built from constants
_OPEN: Final = "state NOT IN ('filled', 'cancelled', 'rejected', 'expired')"
"""Word for word the condition of the partial index `orders_open`."""


class SqliteOrderJournal:
    """Intents and their fate. Every write carries the fence of the stream's lease."""

    def __init__(self, database: Database, leases: Leases) -> None:
        self._database = database
        self._leases = leases
        self._sequences: dict[str, tuple[int, int]] = {}

    def record_intents(self, intents: Sequence[OrderIntent]) -> None:
        """Write intents down as one commit, done when this returns; all of them or none."""
        if not intents:
            return
        rows = [
            (
                intent.client_order_id,
                intent.stream,
                intent.symbol,
                intent.slot,
                intent.side.value,
                intent.kind,
                intent.price_ticks,
                intent.size_lots,
                intent.created_ns,
                NEW_STATE,
            )
            for intent in intents
        ]
        try:
            written = self._database.write_all(_INSERT, rows)
        except sqlite3.IntegrityError as error:
            named = ", ".join(intent.client_order_id for intent in intents)
            if "orders.client_order_id" in str(error):
                raise DuplicateIntentError(self._database.path, named) from error
            wanted = f"values that the journal accepts ({error})"
            raise InvalidInputError("intent", named, wanted) from error
        if not written:
            raise self._stale(intents[0].stream)

    def record_report(
        self, client_order_id: str, *, state: str, venue_order_id: str, filled_lots: int, at_ns: int
    ) -> None:
        """Write down what became of an order, committed when this returns."""
        if not self._database.write_one(
            _UPDATE, (client_order_id, state, venue_order_id, filled_lots, at_ns)
        ):
            order = self.order(client_order_id)
            if order is None:
                raise UnknownIntentError(self._database.path, client_order_id)
            raise self._stale(order.stream)

    def order(self, client_order_id: str) -> OrderRecord | None:
        """One order by our id."""
        rows = self._database.read(_SELECT + "client_order_id = ?", (client_order_id,))
        return read_order(rows[0]) if rows else None

    def open_intents(self, stream: str) -> list[OrderRecord]:
        """Every order of a stream that may still stand at the venue, oldest first."""
        rows = self._database.read(_SELECT + f"stream = ? AND {_OPEN} ORDER BY created_ns, rowid", (stream,))
        return [read_order(row) for row in rows]

    def orders(self, stream: str, *, open_only: bool, limit: int) -> list[OrderRecord]:
        """The newest orders of a stream, newest first."""
        only = f" AND {_OPEN}" if open_only else ""
        rows = self._database.read(
            _SELECT + f"stream = ?{only} ORDER BY created_ns DESC, rowid DESC LIMIT ?", (stream, limit)
        )
        return [read_order(row) for row in rows]

    def next_sequence(self, stream: str) -> int:
        """A number this stream never had before, from 1 on, rising; numbers are lost when a process dies."""
        following, reserved = self._sequences.get(stream, (1, 0))
        if following > reserved:
            following, reserved = self._reserve(stream)
        self._sequences[stream] = (following + 1, reserved)
        return following

    def _reserve(self, stream: str) -> tuple[int, int]:
        with self._database.writing() as connection:
            row = connection.execute(
                "INSERT INTO sequences (stream, reserved_through) VALUES (?1, ?2) ON CONFLICT (stream)"
                " DO UPDATE SET reserved_through = reserved_through + ?2 RETURNING reserved_through",
                (stream, _SEQUENCE_BLOCK),
            ).fetchone()
        # A number handed out twice would make two orders one, so this must survive a power cut.
        self._database.make_durable()
        return row[0] - _SEQUENCE_BLOCK + 1, row[0]

    def _stale(self, stream: str) -> StaleFenceError:
        return StaleFenceError(self._database.path, stream, self._leases.held(stream))
