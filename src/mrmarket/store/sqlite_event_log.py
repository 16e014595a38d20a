"""The event log's hand-written SQL."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Sequence
from typing import Final

from mrmarket.core.events import Fact
from mrmarket.store.database import Database
from mrmarket.store.errors import StaleFenceError
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
from mrmarket.store.leases import UNFENCED, Leases

_INSERT: Final = (
    "INSERT INTO events (stream, seq, epoch, at_ns, kind, natural_key, payload, hash)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)
_SELECT: Final = "SELECT stream, epoch, seq, at_ns, payload, hash FROM events WHERE stream = ? "
_HEAD: Final = "SELECT seq, epoch, hash FROM events WHERE stream = ? ORDER BY seq DESC LIMIT 1"
_PAGE: Final = (
    "SELECT seq, epoch, at_ns, kind, natural_key, payload, hash FROM events"
    " WHERE stream = ? AND seq > ? ORDER BY seq LIMIT 1000"
)
_LENGTH: Final = "SELECT max(seq) FROM events WHERE stream = ?"


class SqliteEventLog:
    """Append-only streams of facts. A batch is one commit, on the disk before anybody may read it."""

    def __init__(self, database: Database, leases: Leases) -> None:
        self._database = database
        self._leases = leases
        self._append_lock = threading.Lock()
        # Opening the database has synced its log: all that is there now is on the disk.
        self._durable_seq: dict[str, int] = dict(self._lengths())

    def append(self, stream: str, facts: Sequence[Fact]) -> list[LoggedFact]:
        """Append facts in order, as one durable commit; a fact whose natural key is known is left out."""
        if not facts:
            return []
        with self._append_lock:
            logged = self._commit(stream, facts)
            self._database.make_durable()
            if logged:
                self._durable_seq[stream] = logged[-1].seq
        return logged

    def read(self, stream: str, after_seq: int, limit: int) -> list[LoggedFact]:
        """Facts of a stream in order, those on the disk only."""
        rows = self._database.read(
            _SELECT + "AND seq > ? AND seq <= ? ORDER BY seq LIMIT ?",
            (stream, after_seq, self._durable(stream), limit),
        )
        return [read_row(self._database.path, row) for row in rows]

    def latest(self, stream: str, limit: int, kinds: Sequence[str]) -> list[LoggedFact]:
        """The newest facts of a stream, newest first."""
        among = f"AND kind IN ({', '.join('?' * len(kinds))}) " if kinds else ""
        rows = self._database.read(
            _SELECT + among + "AND seq <= ? ORDER BY seq DESC LIMIT ?",
            (stream, *kinds, self._durable(stream), limit),
        )
        return [read_row(self._database.path, row) for row in rows]

    def head(self, stream: str) -> LogHead:
        """Where a stream ends, on the disk."""
        rows = self._database.read(
            "SELECT seq, epoch, hash FROM events WHERE stream = ? AND seq = ?",
            (stream, self._durable(stream)),
        )
        return LogHead(seq=rows[0][0], epoch=rows[0][1], hash=rows[0][2]) if rows else empty_head(stream)

    def streams(self) -> list[str]:
        """Names of all streams that hold a fact."""
        return [stream for stream, _ in self._lengths()]

    def verify(self) -> LogCheck:
        """Check the file's structure, then re-derive every hash and every column from the payloads."""
        damage = self._database.read("PRAGMA integrity_check(1)")[0][0]
        if damage != "ok":
            return LogCheck(ok=False, streams=0, facts=0, reason=str(damage))
        return verify_streams(self.streams(), lambda stream, seq: self._database.read(_PAGE, (stream, seq)))

    def _commit(self, stream: str, facts: Sequence[Fact]) -> list[LoggedFact]:
        epoch = self._leases.held(stream)
        with self._database.writing() as connection:
            if connection.execute("SELECT " + UNFENCED.format("?1"), (stream,)).fetchone()[0]:
                raise StaleFenceError(self._database.path, stream, epoch)
            row = connection.execute(_HEAD, (stream,)).fetchone()
            head = LogHead(seq=row[0], epoch=row[1], hash=row[2]) if row else empty_head(stream)
            keys = [key for fact in facts if (key := natural_key(fact)) is not None]
            known = {key for key in keys if _known(connection, key)}
            logged = chained(stream, epoch, head, facts, known)
            connection.executemany(
                _INSERT,
                [
                    (
                        stream,
                        fact.seq,
                        epoch,
                        fact.at_ns,
                        kind_of(fact.fact),
                        natural_key(fact.fact),
                        fact.payload,
                        fact.hash,
                    )
                    for fact in logged
                ],
            )
        return logged

    def _durable(self, stream: str) -> int:
        """The last fact that is on the disk.

        Another process may have written since, and only it knows how far its sync has come: then we sync
        for ourselves. While a thread of ours appends, its facts must wait for its own sync.
        """
        if self._database.is_sound and self._append_lock.acquire(blocking=False):
            try:
                rows = self._database.read(_LENGTH, (stream,))
                if (rows[0][0] or 0) > self._durable_seq.get(stream, 0):
                    self._database.make_durable()
                    self._durable_seq[stream] = rows[0][0]
            finally:
                self._append_lock.release()
        return self._durable_seq.get(stream, 0)

    def _lengths(self) -> list[tuple[str, int]]:
        return [
            (row[0], row[1])
            for row in self._database.read("SELECT stream, max(seq) FROM events GROUP BY stream")
        ]


def _known(connection: sqlite3.Connection, key: str) -> bool:
    return connection.execute("SELECT 1 FROM events WHERE natural_key = ?", (key,)).fetchone() is not None
