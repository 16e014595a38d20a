"""Sessions: kept in `control.db`, answered from memory."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from mrmarket.core.clock import NS_PER_MS, Clock
from mrmarket.services.access.identity import Identity, Ticket
from mrmarket.services.access.repository import ControlStore, SessionRow
from mrmarket.services.access.secrets import digest_of, new_token

_MINUTE_MS: Final = 60_000
_HOUR_MS: Final = 60 * _MINUTE_MS

IDLE_MS: Final = {"user": 12 * _HOUR_MS, "admin": _HOUR_MS}
"""A session ends when nothing was asked with it for so long …"""

LIFETIME_MS: Final = 7 * 24 * _HOUR_MS
"""… and in any case so long after the sign-in."""

_KEEP_MS: Final = _MINUTE_MS
"""How much of "last seen" a crash may forget."""

_RECHECK_MS: Final = 1_000
"""How long another process's sign-out may go unnoticed."""


@dataclass(slots=True)
class _Live:
    """A session in memory."""

    identity: Identity
    created_ms: int
    seen_ms: int

    @property
    def expires_ms(self) -> int:
        return min(self.seen_ms + IDLE_MS[self.identity.role], self.created_ms + LIFETIME_MS)


class Sessions:
    """The sessions of an instance. `find` costs no SQL; what writes is to be called from a worker thread.

    The table in memory is replaced and never edited, so that `find` needs no lock.
    """

    def __init__(self, store: ControlStore, clock: Clock, entropy: Callable[[int], bytes]) -> None:
        self._store = store
        self._clock = clock
        self._entropy = entropy
        self._live: dict[str, _Live] = {}
        self._loading = threading.Lock()
        self._checked_ms = self._kept_ms = self._now_ms()
        self.reload()

    def find(self, token: str) -> Identity | None:
        """Who holds this token, and note that they were here; None for unknown, ended and expired ones."""
        now_ms = self._now_ms()
        if now_ms - self._checked_ms >= _RECHECK_MS and self._loading.acquire(blocking=False):
            try:
                self._checked_ms = now_ms
                if (rows := self._store.sessions_changed_elsewhere()) is not None:
                    self._take(rows)
            finally:
                self._loading.release()
        live = self._live.get(digest_of(token))
        if live is None or now_ms >= live.expires_ms:
            return None
        live.seen_ms = max(live.seen_ms, now_ms)
        return live.identity

    def expires_ms(self, identity: Identity) -> int | None:
        """When the session ends if nothing more is asked with it; None where there is no such session."""
        live = self._live.get(identity.session or "")
        return live.expires_ms if live is not None and self._now_ms() < live.expires_ms else None

    def open(self, role: Literal["user", "admin"], user: str | None, replaces: str | None) -> Ticket:
        """A new session with a new token, always: one that was known before the sign-in is worth nothing.

        Args:
            role: what it may do.
            user: account name; None for the admin.
            replaces: digest of the session that the browser had so far.
        """
        token, now_ms = new_token(self._entropy), self._now_ms()
        digest = digest_of(token)
        self._store.add(SessionRow(digest, role, user or "", now_ms, now_ms), replaces)
        self.reload()  # the store may have let older sessions of the account go
        expires_ms = now_ms + min(IDLE_MS[role], LIFETIME_MS)
        return Ticket(token, Identity(role, user, digest), expires_ms)

    def end(self, digest: str) -> None:
        """Sign out; ending a session twice is harmless."""
        self._store.remove([digest])
        self.reload()

    def reload(self) -> None:
        """Take over what the store says now."""
        with self._loading:
            self._take(self._store.sessions())

    @property
    def keep_due(self) -> bool:
        """Whether it is time for `keep`."""
        return self._now_ms() - self._kept_ms >= _KEEP_MS

    def keep(self) -> None:
        """Write down when sessions were seen, and forget the ones that are over."""
        now_ms, lives = self._now_ms(), self._live
        self._kept_ms = now_ms
        over = [digest for digest, live in lives.items() if now_ms >= live.expires_ms]
        self._store.touch([(digest, live.seen_ms) for digest, live in lives.items()])
        self._store.remove(over)
        self.reload()

    def _take(self, rows: list[SessionRow]) -> None:
        before, live = self._live, {}
        for row in rows:
            known = before.get(row.digest)
            live[row.digest] = known or _Live(
                Identity(row.role, row.account or None, row.digest), row.created_ms, row.seen_ms
            )
        self._live = live

    def _now_ms(self) -> int:
        return self._clock.now_ns() // NS_PER_MS


def csrf_token(token: str) -> str:
    """What a page must send along with everything that changes something.

    Derived from the session's token, so that it needs no keeping; the token cannot be found from it.
    """
    return hashlib.sha256(b"mrmarket csrf\0" + token.encode()).hexdigest()[:43]
