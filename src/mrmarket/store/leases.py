"""Leases with fencing tokens: who may write, and how a deposed writer is stopped."""

from __future__ import annotations

from typing import Final

from mrmarket.store.database import Database
from mrmarket.store.errors import LeaseHeldError, StaleFenceError

UNFENCED: Final = "coalesce((SELECT fence FROM leases WHERE name = {0}), 0) <> held_fence({0})"
"""SQL condition: somebody else holds the lease of the stream named by an expression."""


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
        with self._database.writing() as connection:
            row = connection.execute(
                "SELECT fence, owner, expires_ns FROM leases WHERE name = ?", (name,)
            ).fetchone()
            if row is not None and row[1] != owner and row[2] > now_ns:
                raise LeaseHeldError(self._database.path, name, row[1], row[2])
            fence = (row[0] if row else 0) + 1
            connection.execute(
                "INSERT INTO leases (name, fence, owner, expires_ns) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (name) DO UPDATE"
                " SET fence = excluded.fence, owner = excluded.owner, expires_ns = excluded.expires_ns",
                (name, fence, owner, now_ns + ttl_ns),
            )
        self._database.make_durable()
        self._held[name] = fence
        return fence

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

    def _expire(self, name: str, expires_ns: int) -> None:
        fence = self.held(name)
        changed = self._database.write_one(
            "UPDATE leases SET expires_ns = ? WHERE name = ? AND fence = ?", (expires_ns, name, fence)
        )
        if not changed:
            raise StaleFenceError(self._database.path, name, fence)
