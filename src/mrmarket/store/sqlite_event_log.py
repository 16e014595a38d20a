"""The event log's hand-written SQL."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from mrmarket.core.events import Fact, decode_fact, encode_fact
from mrmarket.store.database import Database
from mrmarket.store.errors import DatabaseDamagedError, StaleFenceError
from mrmarket.store.event_log import LogCheck, LoggedFact, LogHead, chain_hash, genesis_hash, natural_key
from mrmarket.store.leases import UNFENCED, Leases

_INSERT: Final = (
    "INSERT INTO events (stream, seq, epoch, at_ns, kind, natural_key, payload, hash)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)
_SELECT: Final = "SELECT stream, epoch, seq, at_ns, payload, hash FROM events WHERE stream = ? "
_HEAD: Final = "SELECT seq, epoch, hash FROM events WHERE stream = ? ORDER BY seq DESC LIMIT 1"
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
        return [self._logged(row) for row in rows]

    def latest(self, stream: str, limit: int, kinds: Sequence[str]) -> list[LoggedFact]:
        """The newest facts of a stream, newest first."""
        among = f"AND kind IN ({', '.join('?' * len(kinds))}) " if kinds else ""
        rows = self._database.read(
            _SELECT + among + "AND seq <= ? ORDER BY seq DESC LIMIT ?",
            (stream, *kinds, self._durable(stream), limit),
        )
        return [self._logged(row) for row in rows]

    def head(self, stream: str) -> LogHead:
        """Where a stream ends, on the disk."""
        rows = self._database.read(
            "SELECT seq, epoch, hash FROM events WHERE stream = ? AND seq = ?",
            (stream, self._durable(stream)),
        )
        return LogHead(seq=rows[0][0], epoch=rows[0][1], hash=rows[0][2]) if rows else _empty(stream)

    def streams(self) -> list[str]:
        """Names of all streams that hold a fact."""
        return [stream for stream, _ in self._lengths()]

    def verify(self) -> LogCheck:
        """Check the file's structure, then re-derive every hash and every column from the payloads."""
        damage = self._database.read("PRAGMA integrity_check(1)")[0][0]
        if damage != "ok":
            return LogCheck(ok=False, streams=0, facts=0, reason=str(damage))
        streams = self.streams()
        facts = 0
        for stream in streams:
            previous = genesis_hash(stream)
            seq = 0
            while rows := self._database.read(
                "SELECT seq, epoch, at_ns, kind, natural_key, payload, hash FROM events"
                " WHERE stream = ? AND seq > ? ORDER BY seq LIMIT 1000",
                (stream, seq),
            ):
                for row in rows:
                    seq += 1
                    reason = _fault(previous, seq, row)
                    if reason is not None:
                        return LogCheck(
                            ok=False,
                            streams=len(streams),
                            facts=facts,
                            first_bad_stream=stream,
                            first_bad_seq=seq,
                            reason=reason,
                        )
                    previous = row[6]
                    facts += 1
        return LogCheck(ok=True, streams=len(streams), facts=facts)

    def _commit(self, stream: str, facts: Sequence[Fact]) -> list[LoggedFact]:
        epoch = self._leases.held(stream)
        logged: list[LoggedFact] = []
        with self._database.writing() as connection:
            if connection.execute("SELECT " + UNFENCED.format("?1"), (stream,)).fetchone()[0]:
                raise StaleFenceError(self._database.path, stream, epoch)
            row = connection.execute(_HEAD, (stream,)).fetchone()
            seq, previous = (row[0], row[2]) if row else (0, genesis_hash(stream))
            for fact in facts:
                key = natural_key(fact)
                if key is not None and _known(connection, key):
                    continue
                seq += 1
                payload = encode_fact(fact)
                previous = chain_hash(previous, epoch, seq, payload)
                connection.execute(
                    _INSERT, (stream, seq, epoch, fact.at_ns, _kind(fact), key, payload, previous)
                )
                logged.append(
                    LoggedFact(
                        stream=stream,
                        epoch=epoch,
                        seq=seq,
                        at_ns=fact.at_ns,
                        fact=fact,
                        payload=payload,
                        hash=previous,
                    )
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

    def _logged(self, row: tuple[Any, ...]) -> LoggedFact:
        stream, epoch, seq, at_ns, payload, digest = row
        try:
            fact = decode_fact(payload)
        except msgspec.MsgspecError as error:
            raise DatabaseDamagedError(
                self._database.path, f"event {seq} of stream {stream!r}: {error}"
            ) from error
        return LoggedFact(
            stream=stream, epoch=epoch, seq=seq, at_ns=at_ns, fact=fact, payload=payload, hash=digest
        )


def _empty(stream: str) -> LogHead:
    return LogHead(seq=0, epoch=0, hash=genesis_hash(stream))


def _kind(fact: Fact) -> str:
    return str(fact.__struct_config__.tag)


def _known(connection: sqlite3.Connection, key: str) -> bool:
    return connection.execute("SELECT 1 FROM events WHERE natural_key = ?", (key,)).fetchone() is not None


def _fault(previous: bytes, wanted_seq: int, row: tuple[Any, ...]) -> str | None:
    seq, epoch, at_ns, kind, key, payload, digest = row
    if seq != wanted_seq:
        return f"event {wanted_seq} is missing"
    if chain_hash(previous, epoch, seq, payload) != digest:
        return "hash does not match the content"
    try:
        fact = decode_fact(payload)
    except msgspec.MsgspecError as error:
        return f"payload cannot be read: {error}"
    if (at_ns, kind, key) != (fact.at_ns, _kind(fact), natural_key(fact)):
        return "a column differs from the payload"
    return None
