"""Attribution by fills: only where every user has a book of their own."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from typing import Final, NamedTuple, Protocol

from mrmarket.money.rewards.campaign import Span
from mrmarket.money.rewards.errors import PooledBookError, ShareHistoryError
from mrmarket.money.rewards.integral import Integrals
from mrmarket.store.sql import Sql

_SHARED: Final = "its book is shared"


class OwnedFill(NamedTuple):
    """A trade, and whose money made it."""

    at_ms: int
    key: str
    """The fill's natural key."""
    owner: str | None
    """Account id; None where nobody can say."""
    notional_units: int
    """Price × size, in quote units."""


class FillHistory(Protocol):
    """Where fills come from."""

    def segregated(self, sql: Sql, pool: str) -> bool:
        """Whether each user of the pool trades in a book, and with an inventory, of their own."""
        ...

    def fills(self, sql: Sql, pool: str, start_ms: int, end_ms: int) -> Iterable[OwnedFill]:
        """Fills of the half-open window."""
        ...


class PerFill:
    """Notional of one's own fills. Refuses pooled books: there it would be pseudo-precision."""

    name = "per_fill"

    def __init__(self, history: FillHistory) -> None:
        self._history = history

    def measure(self, sql: Sql, pool: str, span: Span) -> Integrals:
        """Sum of each account's notional, with `scale` 1.

        The digest is over the lines `at_ms key owner notional`, sorted, each with a line feed.

        Raises:
            PooledBookError: if users share a book, or a fill has no owner.
            ShareHistoryError: for a negative notional.
        """
        if not self._history.segregated(sql, pool):
            raise PooledBookError(pool, _SHARED)
        totals: dict[str, int] = {}
        lines: list[str] = []
        for fill in self._history.fills(sql, pool, span.start_ms, span.end_ms):
            if not span.start_ms <= fill.at_ms < span.end_ms:
                continue
            if fill.owner is None:
                raise PooledBookError(pool, f"fill {fill.key} has no owner")
            if fill.notional_units < 0:
                raise ShareHistoryError(fill.owner, fill.at_ms, f"fill {fill.key} has a negative notional")
            totals[fill.owner] = totals.get(fill.owner, 0) + fill.notional_units
            lines.append(f"{fill.at_ms} {fill.key} {fill.owner} {fill.notional_units}\n")
        users = sorted(totals)
        digest = sha256("".join(sorted(lines)).encode()).digest()
        return Integrals(users, [totals[user] for user in users], 1, len(lines), digest)
