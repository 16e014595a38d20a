"""A lease on one account of one chain: who lost it can write nothing more."""

from __future__ import annotations

from mrmarket.core.clock import NS_PER_S, Clock
from mrmarket.partners.chains.book import ChainBook
from mrmarket.partners.chains.errors import VaultFenceError, VaultHeldError
from mrmarket.store.sql import Sql


class Fence:
    """The number under which an owner writes. Every acquisition raises it; none is used twice.

    The clock decides only how long others are kept waiting; what a deposed owner still writes is refused by
    the number.
    """

    def __init__(self, book: ChainBook, name: str, owner: str, lease_s: int, clock: Clock) -> None:
        self._book = book
        self._name = name
        self._owner = owner
        self._lease_ns = lease_s * NS_PER_S
        self._clock = clock
        self._number = 0

    def acquire(self) -> int:
        """Take a lease that is free, has run out, or is this owner's own; gives the number.

        Raises:
            VaultHeldError: while another owner's runs.
        """
        now_ns = self._clock.now_ns()
        with self._book.transaction() as sql:
            rows = sql.rows("SELECT fence, owner, expires_ns FROM leases WHERE name = ?", self._name)
            if rows and rows[0][1] != self._owner and rows[0][2] > now_ns:
                raise VaultHeldError(self._name, rows[0][1])
            number = int(rows[0][0]) + 1 if rows else 1
            sql.run(
                "INSERT INTO leases (name, fence, owner, expires_ns) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (name) DO UPDATE SET fence = excluded.fence, owner = excluded.owner,"
                " expires_ns = excluded.expires_ns",
                *(self._name, number, self._owner, now_ns + self._lease_ns),
            )
        self._number = number
        return number

    def renew(self) -> None:
        """Hold on to it. Raises `VaultFenceError` if somebody took it over."""
        self._expire(self._clock.now_ns() + self._lease_ns)

    def release(self) -> None:
        """Let others in at once. Raises `VaultFenceError` if somebody took it over."""
        self._expire(0)

    def check(self, sql: Sql) -> None:
        """Within a transaction that writes: it is still ours. Raises `VaultFenceError` if not."""
        rows = sql.rows("SELECT fence FROM leases WHERE name = ?", self._name)
        if not rows or rows[0][0] != self._number:
            raise VaultFenceError(self._name)

    def _expire(self, expires_ns: int) -> None:
        with self._book.transaction() as sql:
            self.check(sql)
            sql.run("UPDATE leases SET expires_ns = ? WHERE name = ?", expires_ns, self._name)
