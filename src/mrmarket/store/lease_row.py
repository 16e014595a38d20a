"""A lease as everybody may see it."""

from __future__ import annotations

import msgspec


class LeaseRow(msgspec.Struct, frozen=True, kw_only=True):
    """Who may write to the stream of that name."""

    name: str
    fence: int
    """Rises by one with every owner; never used twice."""
    owner: str
    expires_ns: int
    """By the clock that judges it: the server's on PostgreSQL, the callers' elsewhere. 0: given back."""


class Seizure(msgspec.Struct, frozen=True, kw_only=True):
    """What came of taking a lease from whoever held it."""

    fence: int
    """Ours from now on."""
    left_ns: int
    """How long the lease before would have run still, by the clock that judges it; 0 where it was free.
    Nobody renewed it after that was read: both are one commit."""
