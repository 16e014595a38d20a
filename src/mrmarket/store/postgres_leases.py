"""Leases in PostgreSQL, whose clock judges them, so that hosts need not agree on the time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from mrmarket.store.errors import LeaseHeldError, StaleFenceError
from mrmarket.store.lease_row import LeaseRow, Seizure
from mrmarket.store.postgres import Connection
from mrmarket.store.postgres_pool import PostgresPool

LOCK_STREAM: Final = b"SELECT pg_advisory_xact_lock(hashtextextended('mrmarket stream ' || %s, 0))"
"""Makes owners and writers of a stream wait for each other until their transactions end."""

_NOW: Final = "(extract(epoch FROM clock_timestamp()) * 1000000000)::bigint"
_FIND: Final = f"SELECT fence, owner, expires_ns, {_NOW} FROM leases WHERE name = %s FOR UPDATE".encode()  # noqa: S608 - constants
_TAKE: Final = (
    "INSERT INTO leases (name, fence, owner, expires_ns)"  # noqa: S608 - constants
    f" VALUES (%s, 1, %s, {_NOW} + %s) ON CONFLICT (name) DO UPDATE"
    " SET fence = leases.fence + 1, owner = excluded.owner, expires_ns = excluded.expires_ns"
    " RETURNING fence"
).encode()
_TAKE_FREE: Final = (
    "WITH ours AS MATERIALIZED (SELECT DISTINCT name FROM unnest(%(names)s::text[]) AS wanted (name)"  # noqa: S608 - constants
    " LEFT JOIN leases USING (name) WHERE leases.name IS NULL OR leases.owner = %(owner)s"
    f" OR leases.expires_ns <= {_NOW}"
    " ORDER BY name),"
    " alone AS MATERIALIZED (SELECT name FROM ours"
    " WHERE pg_try_advisory_xact_lock(hashtextextended('mrmarket stream ' || name, 0)))"
    " INSERT INTO leases (name, fence, owner, expires_ns)"
    f" SELECT name, 1, %(owner)s, {_NOW} + %(ttl)s FROM alone"
    " ON CONFLICT (name) DO UPDATE"
    " SET fence = leases.fence + 1, owner = excluded.owner, expires_ns = excluded.expires_ns"
    f" WHERE leases.owner = excluded.owner OR leases.expires_ns <= {_NOW}"
    " RETURNING name, fence"
).encode()
_RENEW: Final = (
    f"UPDATE leases SET expires_ns = {_NOW} + %s"  # noqa: S608 - constants
    " FROM unnest(%s::text[], %s::bigint[]) AS ours (name, fence)"
    " WHERE leases.name = ours.name AND leases.fence = ours.fence RETURNING leases.name"
).encode()
_RELEASE: Final = b"UPDATE leases SET expires_ns = 0 WHERE name = %s AND fence = %s"
_SELECT: Final = b"SELECT name, fence, owner, expires_ns FROM leases"


class PostgresLeases:
    """Leases of one database. Every acquisition raises the fence by one; a fence is never used twice."""

    def __init__(self, pool: PostgresPool, reads: PostgresPool) -> None:
        self._pool = pool
        self._reads = reads
        self._held: dict[str, int] = {}

    def held(self, name: str) -> int:
        """The fence that this process holds; 0 if it never took the lease."""
        return self._held.get(name, 0)

    def take(self, name: str, owner: str, ttl_ns: int, *, seize: bool) -> Seizure:
        """Take a lease that is free, has run out or is the owner's, or seize it; waits for its writers.

        Raises:
            LeaseHeldError: while another owner's lease runs, unless it is seized.
        """

        def work(connection: Connection) -> Seizure:
            connection.execute(LOCK_STREAM, (name,))
            row = connection.execute(_FIND, (name,)).fetchone()
            if row is not None and not seize and row[1] != owner and row[2] > row[3]:
                raise LeaseHeldError(self._pool.place, name, row[1], row[2])
            taken = connection.execute(_TAKE, (name, owner, ttl_ns)).fetchone()
            left_ns = max(0, row[2] - row[3]) if row is not None else 0
            return Seizure(fence=int(taken[0]) if taken else 0, left_ns=left_ns)

        seizure = self._pool.transact(work)
        self._held[name] = seizure.fence
        return seizure

    def take_free(self, names: Sequence[str], owner: str, ttl_ns: int) -> dict[str, int]:
        """Take those that are free, have run out or are the owner's, unless somebody writes under them."""
        if not names:
            return {}
        values = {"names": list(names), "owner": owner, "ttl": ttl_ns}
        fences = dict(
            self._pool.transact(lambda connection: connection.execute(_TAKE_FREE, values).fetchall())
        )
        self._held |= fences
        return fences

    def renew(self, names: Sequence[str], ttl_ns: int) -> list[str]:
        """Hold on to leases; the names of those that somebody took over."""
        if not names:
            return []
        fences = [self.held(name) for name in names]
        rows = self._pool.repeat(
            lambda connection, _: connection.execute(_RENEW, (ttl_ns, list(names), fences)).fetchall()
        )
        ours = {name for (name,) in rows}
        return [name for name in names if name not in ours]

    def release(self, name: str) -> None:
        """Let others in at once; raises `StaleFenceError` if somebody took it over."""
        fence = self.held(name)
        if not self._pool.repeat(lambda connection, _: connection.execute(_RELEASE, (name, fence)).rowcount):
            raise StaleFenceError(self._pool.place, name, fence)

    def row(self, name: str) -> LeaseRow | None:
        """One lease; None if nobody ever took it."""
        rows = self._reads.repeat(
            lambda connection, _: connection.execute(_SELECT + b" WHERE name = %s", (name,)).fetchall()
        )
        return _lease(rows[0]) if rows else None

    def rows(self) -> list[LeaseRow]:
        """Every lease, by name."""
        rows = self._reads.repeat(lambda connection, _: connection.execute(_SELECT).fetchall())
        return [_lease(row) for row in sorted(rows)]


def _lease(row: tuple[str, int, str, int]) -> LeaseRow:
    return LeaseRow(name=row[0], fence=row[1], owner=row[2], expires_ns=row[3])
