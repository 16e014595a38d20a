"""The event log in PostgreSQL. What a reader sees is on the disk: commits become visible after their sync."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from mrmarket.core.events import Fact
from mrmarket.store.errors import DatabaseBusyError, StaleFenceError
from mrmarket.store.event_log import (
    LogCheck,
    LoggedFact,
    LogHead,
    chained,
    empty_head,
    kind_of,
    natural_key,
    read_row,
    verify_streams,
)
from mrmarket.store.postgres import DUPLICATE, Connection
from mrmarket.store.postgres_leases import LOCK_STREAM, PostgresLeases
from mrmarket.store.postgres_pool import PostgresPool
from mrmarket.store.run_fold import RunFold

_ATTEMPTS: Final = 20
"""How often another stream may report one of our trades first before we give up."""

_HEAD: Final = b"SELECT seq, epoch, hash FROM events WHERE stream = %s ORDER BY seq DESC LIMIT 1"
_STATE: Final = (
    b"SELECT coalesce((SELECT fence FROM leases WHERE name = %s), 0), head.* FROM (SELECT) AS once"
    b" LEFT JOIN LATERAL (" + _HEAD + b") AS head ON true"
)
"""(fence, seq, epoch, hash) of a stream; nulls after the fence where it is empty."""
_KNOWN: Final = b"SELECT natural_key FROM events WHERE natural_key = ANY(%s)"
_INSERT: Final = (
    b"INSERT INTO events (stream, seq, epoch, at_ns, kind, natural_key, payload, hash)"
    b" SELECT %s, seq, %s, at_ns, kind, natural_key, payload, hash FROM unnest(%s::bigint[], %s::bigint[],"
    b" %s::text[], %s::text[], %s::bytea[], %s::bytea[])"
    b" AS new (seq, at_ns, kind, natural_key, payload, hash)"
)
_SELECT: Final = b"SELECT stream, epoch, seq, at_ns, payload, hash FROM events WHERE stream = %s "
_PAGE: Final = (
    b"SELECT seq, epoch, at_ns, kind, natural_key, payload, hash FROM events"
    b" WHERE stream = %s AND seq > %s ORDER BY seq LIMIT 1000"
)
_STREAMS: Final = (
    b"WITH RECURSIVE names AS ("
    b" (SELECT stream FROM events ORDER BY stream LIMIT 1)"
    b" UNION ALL SELECT (SELECT stream FROM events WHERE stream > names.stream ORDER BY stream LIMIT 1)"
    b" FROM names WHERE names.stream IS NOT NULL"
    b") SELECT stream FROM names WHERE stream IS NOT NULL"
)
"""Jumps from name to name along the key, however many facts a stream has."""

_SAVE: Final = (
    b"INSERT INTO run_folds (stream, seq, hash, at_ns, fold) SELECT %s, %s, %s, %s, %s"
    b" WHERE coalesce((SELECT fence FROM leases WHERE name = %s FOR KEY SHARE), 0) = %s"
    b" ON CONFLICT (stream) DO UPDATE SET seq = excluded.seq, hash = excluded.hash,"
    b" at_ns = excluded.at_ns, fold = excluded.fold WHERE excluded.seq >= run_folds.seq"
)
_LOAD: Final = b"SELECT stream, seq, hash, at_ns, fold FROM run_folds WHERE stream = %s"


class PostgresEventLog:
    """Append-only streams of facts, and what they add up to."""

    def __init__(self, durable: PostgresPool, reads: PostgresPool, leases: PostgresLeases) -> None:
        self._durable = durable
        self._reads = reads
        self._leases = leases

    def append(self, stream: str, facts: Sequence[Fact]) -> list[LoggedFact]:
        """Append facts in order, as one durable commit; a fact whose natural key is known is left out."""
        if not facts:
            return []
        for _ in range(_ATTEMPTS):
            try:
                return self._durable.transact(lambda connection: self._append(connection, stream, facts))
            except _ReportedMeanwhileError:
                continue
        raise DatabaseBusyError(self._durable.place)

    def read(self, stream: str, after_seq: int, limit: int) -> list[LoggedFact]:
        """Facts of a stream in order."""
        rows = self._rows(_SELECT + b"AND seq > %s ORDER BY seq LIMIT %s", stream, after_seq, limit)
        return [read_row(self._reads.place, row) for row in rows]

    def latest(self, stream: str, limit: int, kinds: Sequence[str]) -> list[LoggedFact]:
        """The newest facts of a stream, newest first."""
        among = b"AND kind = ANY(%s) " if kinds else b""
        rows = self._rows(
            _SELECT + among + b"ORDER BY seq DESC LIMIT %s", stream, *([list(kinds)] if kinds else []), limit
        )
        return [read_row(self._reads.place, row) for row in rows]

    def head(self, stream: str) -> LogHead:
        """Where a stream ends."""
        return _head(stream, self._rows(_HEAD, stream))

    def streams(self) -> list[str]:
        """Names of all streams that hold a fact."""
        return sorted(name for (name,) in self._rows(_STREAMS))

    def verify(self) -> LogCheck:
        """Re-derive every hash and every column from the payloads."""
        return verify_streams(self.streams(), lambda stream, seq: self._rows(_PAGE, stream, seq))

    def save_fold(self, fold: RunFold) -> None:
        """Keep a fold unless a newer one is there; `StaleFenceError` if the stream has a newer owner."""
        held = self._leases.held(fold.stream)
        values = (fold.stream, fold.seq, fold.hash, fold.at_ns, fold.fold, fold.stream, held)
        if self._durable.repeat(lambda connection, _: connection.execute(_SAVE, values).rowcount):
            return
        lease = self._leases.row(fold.stream)
        if lease is not None and lease.fence != held:
            raise StaleFenceError(self._durable.place, fold.stream, held)

    def load_fold(self, stream: str) -> RunFold | None:
        """The fold of a stream."""
        rows = self._rows(_LOAD, stream)
        if not rows:
            return None
        name, seq, digest, at_ns, fold = rows[0]
        return RunFold(stream=name, seq=seq, hash=digest, at_ns=at_ns, fold=fold)

    def _append(self, connection: Connection, stream: str, facts: Sequence[Fact]) -> list[LoggedFact]:
        held = self._leases.held(stream)
        keys = [key for fact in facts if (key := natural_key(fact)) is not None]
        # No pipeline: its end sends a flush, after which the server no longer ends a transaction whose client
        # stands still, and a frozen process would keep its heir out for ever.
        connection.execute(LOCK_STREAM, (stream,))
        ((fence, *head),) = connection.execute(_STATE, (stream, stream)).fetchall()
        if fence != held:
            raise StaleFenceError(self._durable.place, stream, held)
        known = connection.execute(_KNOWN, (keys,)).fetchall() if keys else ()
        logged = chained(
            stream,
            held,
            _head(stream, [] if head[0] is None else [tuple(head)]),
            facts,
            {key for (key,) in known},
        )
        if logged:
            try:
                connection.execute(_INSERT, _columns(stream, held, logged))
            except DUPLICATE as error:
                raise _ReportedMeanwhileError from error
        return logged

    def _rows(self, statement: bytes, *values: object) -> list[tuple[Any, ...]]:
        return self._reads.repeat(lambda connection, _: connection.execute(statement, values).fetchall())


class _ReportedMeanwhileError(Exception):
    """Another stream has just reported one of these trades: look again which are known."""


def _head(stream: str, rows: Sequence[tuple[Any, ...]]) -> LogHead:
    return LogHead(seq=rows[0][0], epoch=rows[0][1], hash=rows[0][2]) if rows else empty_head(stream)


def _columns(stream: str, epoch: int, logged: Sequence[LoggedFact]) -> tuple[object, ...]:
    return (
        stream,
        epoch,
        [row.seq for row in logged],
        [row.at_ns for row in logged],
        [kind_of(row.fact) for row in logged],
        [natural_key(row.fact) for row in logged],
        [row.payload for row in logged],
        [row.hash for row in logged],
    )
