"""The order journal in PostgreSQL: one statement and one round trip a write."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from threading import Lock
from typing import Any, Final

from mrmarket.core.errors import InvalidInputError
from mrmarket.store.errors import DuplicateIntentError, StaleFenceError, UnknownIntentError
from mrmarket.store.order_journal import NEW_STATE, OrderIntent, OrderRecord, new_order, read_order
from mrmarket.store.postgres import DUPLICATE, REFUSED, Connection
from mrmarket.store.postgres_leases import PostgresLeases
from mrmarket.store.postgres_pool import PostgresPool

_SEQUENCE_BLOCK: Final = 1_000
_REMEMBERED: Final = 20_000
"""Orders whose stream is known without asking."""

_COLUMNS: Final = (
    "client_order_id, stream, symbol, slot, side, kind, price_ticks, size_lots, created_ns,"
    " venue_order_id, state, filled_lots, updated_ns"
)
_HELD: Final = "WITH held AS (SELECT fence FROM leases WHERE name = %s FOR KEY SHARE)"
"""The lock lets writers of one owner pass each other and makes a new owner wait for all of them."""
_INSERT: Final = (
    f"{_HELD} INSERT INTO orders ({_COLUMNS})"  # noqa: S608 - constants
    f" SELECT id, %s, symbol, slot, side, kind, price, size, created, '', '{NEW_STATE}', 0, created FROM"
    " unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::bigint[], %s::bigint[],"
    " %s::bigint[]) AS new (id, symbol, slot, side, kind, price, size, created)"
    " WHERE coalesce((SELECT fence FROM held), 0) = %s"
).encode()
_UPDATE: Final = (
    f"{_HELD} UPDATE orders SET state = %s,"  # noqa: S608 - constants
    " venue_order_id = CASE WHEN %s = '' THEN venue_order_id ELSE %s END,"
    " filled_lots = greatest(filled_lots, %s), updated_ns = greatest(updated_ns, %s)"
    " WHERE client_order_id = %s AND coalesce((SELECT fence FROM held), 0) = %s"
).encode()
_SELECT: Final = f"SELECT {_COLUMNS} FROM orders WHERE ".encode()  # noqa: S608 - constants
_OPEN: Final = b"state NOT IN ('filled', 'cancelled', 'rejected', 'expired')"
"""Word for word the condition of the partial index `orders_open`."""
_RESERVE: Final = (
    b"INSERT INTO sequences (stream, reserved_through) VALUES (%s, %s) ON CONFLICT (stream)"
    b" DO UPDATE SET reserved_through = sequences.reserved_through + excluded.reserved_through"
    b" RETURNING reserved_through"
)


class PostgresOrderJournal:
    """Intents and their fate. Every write carries the fence of the stream's lease."""

    def __init__(
        self, quick: PostgresPool, durable: PostgresPool, reads: PostgresPool, leases: PostgresLeases
    ) -> None:
        """Writes go through `quick`, whose commits need not wait for the disk; sequences may not be lost."""
        self._quick = quick
        self._durable = durable
        self._reads = reads
        self._leases = leases
        self._sequences: dict[str, tuple[int, int]] = {}
        self._streams: OrderedDict[str, str] = OrderedDict()
        self._streams_lock = Lock()

    def record_intents(self, intents: Sequence[OrderIntent]) -> None:
        """Write intents of one stream down, committed when this returns; all of them or none."""
        if not intents:
            return
        stream = intents[0].stream
        if any(intent.stream != stream for intent in intents):
            raise InvalidInputError("intents", len(intents), "orders of one stream at a time")
        values = (
            stream,
            stream,
            [intent.client_order_id for intent in intents],
            [intent.symbol for intent in intents],
            [intent.slot for intent in intents],
            [intent.side.value for intent in intents],
            [intent.kind for intent in intents],
            [intent.price_ticks for intent in intents],
            [intent.size_lots for intent in intents],
            [intent.created_ns for intent in intents],
            self._leases.held(stream),
        )

        def work(connection: Connection, again: bool) -> bool:
            try:
                return connection.execute(_INSERT, values).rowcount > 0
            except DUPLICATE as error:
                # The try whose answer was lost may have been the one that took the ids.
                if again and _there(connection, intents):
                    return True
                named = ", ".join(intent.client_order_id for intent in intents)
                raise DuplicateIntentError(self._quick.place, named) from error
            except REFUSED as error:
                named = ", ".join(intent.client_order_id for intent in intents)
                wanted = f"values that the journal accepts ({error.diag.message_primary or error})"
                raise InvalidInputError("intent", named, wanted) from error

        if not self._quick.repeat(work):
            raise self._stale(stream)
        self._remember(stream, [intent.client_order_id for intent in intents])

    def record_report(
        self, client_order_id: str, *, state: str, venue_order_id: str, filled_lots: int, at_ns: int
    ) -> None:
        """Write down what became of an order, committed when this returns."""
        stream = self._stream_of(client_order_id)
        values = (
            *(stream, state, venue_order_id, venue_order_id, filled_lots, at_ns),
            *(client_order_id, self._leases.held(stream)),
        )
        if not self._quick.repeat(lambda connection, _: connection.execute(_UPDATE, values).rowcount):
            raise self._stale(stream)

    def order(self, client_order_id: str) -> OrderRecord | None:
        """One order by our id."""
        rows = self._rows(_SELECT + b"client_order_id = %s", client_order_id)
        return read_order(rows[0]) if rows else None

    def open_intents(self, stream: str) -> list[OrderRecord]:
        """Every order of a stream that may still stand at the venue, oldest first."""
        rows = self._rows(_SELECT + b"stream = %s AND " + _OPEN + b" ORDER BY created_ns, row_number", stream)
        return [read_order(row) for row in rows]

    def orders(self, stream: str, *, open_only: bool, limit: int) -> list[OrderRecord]:
        """The newest orders of a stream, newest first."""
        only = b" AND " + _OPEN if open_only else b""
        rows = self._rows(
            _SELECT + b"stream = %s" + only + b" ORDER BY created_ns DESC, row_number DESC LIMIT %s",
            *(stream, limit),
        )
        return [read_order(row) for row in rows]

    def next_sequence(self, stream: str) -> int:
        """A number this stream never had before, from 1 on, rising; numbers are lost when a process dies."""
        following, reserved = self._sequences.get(stream, (1, 0))
        if following > reserved:
            # Done twice where an answer is lost: a block that nobody uses is no harm.
            row = self._durable.repeat(
                lambda connection, _: connection.execute(_RESERVE, (stream, _SEQUENCE_BLOCK)).fetchone()
            )
            reserved = int(row[0]) if row else 0
            following = reserved - _SEQUENCE_BLOCK + 1
        self._sequences[stream] = (following + 1, reserved)
        return following

    def _rows(self, statement: bytes, *values: object) -> list[tuple[Any, ...]]:
        return self._reads.repeat(lambda connection, _: connection.execute(statement, values).fetchall())

    def _stream_of(self, client_order_id: str) -> str:
        with self._streams_lock:
            known = self._streams.get(client_order_id)
        if known is not None:
            return known
        order = self.order(client_order_id)
        if order is None:
            raise UnknownIntentError(self._quick.place, client_order_id)
        self._remember(order.stream, [client_order_id])
        return order.stream

    def _remember(self, stream: str, client_order_ids: Sequence[str]) -> None:
        with self._streams_lock:
            for client_order_id in client_order_ids:
                self._streams[client_order_id] = stream
            while len(self._streams) > _REMEMBERED:
                self._streams.popitem(last=False)

    def _stale(self, stream: str) -> StaleFenceError:
        return StaleFenceError(self._quick.place, stream, self._leases.held(stream))


def _there(connection: Connection, intents: Sequence[OrderIntent]) -> bool:
    """Whether exactly these orders are written, and nothing has happened to them yet."""
    ids = [intent.client_order_id for intent in intents]
    rows = connection.execute(_SELECT + b"client_order_id = ANY(%s)", (ids,)).fetchall()
    found = {order.client_order_id: order for order in map(read_order, rows)}
    return all(found.get(intent.client_order_id) == new_order(intent) for intent in intents)
