"""Leases with fencing tokens: who may write, and how a deposed writer is stopped."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from mrmarket.store.database import Database
from mrmarket.store.errors import LeaseHeldError, StaleFenceError
from mrmarket.store.lease_row import LeaseRow, Seizure

UNFENCED: Final = "coalesce((SELECT fence FROM leases WHERE name = {0}), 0) <> held_fence({0})"
"""SQL condition: somebody else holds the lease of the stream named by an expression."""

_EXPIRE: Final = "UPDATE leases SET expires_ns = ? WHERE name = ? AND fence = ?"
_FIND: Final = "SELECT fence, owner, expires_ns FROM leases WHERE name = ?"
_TAKE: Final = (
    "INSERT INTO leases (name, fence, owner, expires_ns) VALUES (?, ?, ?, ?)"
    " ON CONFLICT (name) DO UPDATE"
    " SET fence = excluded.fence, owner = excluded.owner, expires_ns = excluded.expires_ns"
)
_SELECT: Final = "SELECT name, fence, owner, expires_ns FROM leases"


class Leases:
    """Leases in one database. Every acquisition raises the fence by one; a fence is never used twice.

    The clock decides only how long others are kept waiting. Safety comes from the fence: whatever a
    deposed owner still writes carries the old number and is refused.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._held: dict[str, int] = {}
        database.define("held_fence", self.held)

    def held(self, name: str) -> int:
        """The fence that this process holds; 0 if it never took the lease."""
        return self._held.get(name, 0)

    def acquire(self, name: str, owner: str, ttl_ns: int, now_ns: int) -> int:
        """Take a lease that is free, has run out, or belongs to the same owner.

        Raises:
            LeaseHeldError: while another owner's lease runs.
        """
        return self._take(name, owner, ttl_ns, now_ns, seize=False).fence

    def seize(self, name: str, owner: str, ttl_ns: int, now_ns: int) -> Seizure:
        """Take a lease whoever holds it."""
        return self._take(name, owner, ttl_ns, now_ns, seize=True)

    def renew_all(self, names: Sequence[str], ttl_ns: int, now_ns: int) -> list[str]:
        """Hold on to several leases, as one commit; the names of those that somebody took over."""
        if not names:
            return []
        with self._database.writing() as connection:
            return [
                name
                for name in names
                if not connection.execute(_EXPIRE, (now_ns + ttl_ns, name, self.held(name))).rowcount
            ]

    def renew(self, name: str, ttl_ns: int, now_ns: int) -> None:
        """Hold on to a lease for another `ttl_ns`.

        Raises:
            StaleFenceError: if somebody took it over.
        """
        self._expire(name, now_ns + ttl_ns)

    def release(self, name: str) -> None:
        """Let others in at once; the fence stays ours until somebody takes the lease.

        Raises:
            StaleFenceError: if somebody took it over.
        """
        self._expire(name, 0)

    def row(self, name: str) -> LeaseRow | None:
        """One lease; None if nobody ever took it."""
        rows = self._database.read(_SELECT + " WHERE name = ?", (name,))
        return _lease(rows[0]) if rows else None

    def rows(self) -> list[LeaseRow]:
        """Every lease, by name."""
        return [_lease(row) for row in self._database.read(_SELECT + " ORDER BY name")]

    def _expire(self, name: str, expires_ns: int) -> None:
        fence = self.held(name)
        if not self._database.write_one(_EXPIRE, (expires_ns, name, fence)):
            raise StaleFenceError(self._database.path, name, fence)

    def acquire_all(self, names: Sequence[str], owner: str, ttl_ns: int, now_ns: int) -> dict[str, int]:
        """Take those that are free, have run out, or belong to the same owner; the fence of each."""
        if not names:
            return {}
        fences = {}
        with self._database.writing() as connection:
            for name in names:
                row = connection.execute(_FIND, (name,)).fetchone()
                if row is None or row[1] == owner or row[2] <= now_ns:
                    fences[name] = fence = (row[0] if row else 0) + 1
                    connection.execute(_TAKE, (name, fence, owner, now_ns + ttl_ns))
        if fences:
            self._database.make_durable()
            self._held |= fences
        return fences

    def _take(self, name: str, owner: str, ttl_ns: int, now_ns: int, *, seize: bool) -> Seizure:
        with self._database.writing() as connection:
            row = connection.execute(_FIND, (name,)).fetchone()
            if row is not None and not seize and row[1] != owner and row[2] > now_ns:
                raise LeaseHeldError(self._database.path, name, row[1], row[2])
            fence = (row[0] if row else 0) + 1
            connection.execute(_TAKE, (name, fence, owner, now_ns + ttl_ns))
        self._database.make_durable()
        self._held[name] = fence
        return Seizure(fence=fence, left_ns=max(0, row[2] - now_ns) if row else 0)


def _lease(row: tuple[str, int, str, int]) -> LeaseRow:
    return LeaseRow(name=row[0], fence=row[1], owner=row[2], expires_ns=row[3])
