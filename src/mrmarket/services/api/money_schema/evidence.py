"""The ledger for whoever checks it: entries, groups and seals."""

from __future__ import annotations

import msgspec


class LedgerHead(msgspec.Struct, kw_only=True):
    """Where the books stand."""

    seq: int
    hash: str
    verified: bool | None
    seal: int | None
    """Number of the newest seal."""


class EntryView(msgspec.Struct, kw_only=True):
    """A transfer inside a group."""

    position: int
    debit: str
    credit: str
    asset: str
    amount: str
    units: str
    kind: str
    phase: str


class GroupView(msgspec.Struct, kw_only=True):
    """A group of the ledger. Other people's names are masked for users."""

    seq: int
    key: str
    at_ms: int
    outcome: str
    memo: str
    hash: str
    previous_hash: str
    entries: list[EntryView]
    canonical: str | None
    """The bytes under the hash as text, where they name nobody else."""


class SealView(msgspec.Struct, kw_only=True):
    """A signed seal."""

    number: int
    at_ms: int
    seq: int
    head: str
    public_key: str
    signature: str
    document: str
    """The canonical JSON that is signed."""
