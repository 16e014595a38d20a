"""The event log as types: facts with a place in a stream, chained by hashes."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import Final

import msgspec

from mrmarket.core.events import Fact, Filled

_GENESIS: Final = b"mrmarket event log v1\0"


class LoggedFact(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the event log."""

    stream: str
    epoch: int
    """Fence of whoever wrote it; 0 where no lease was ever taken."""
    seq: int
    """1, 2, 3 … in its stream, without gaps."""
    at_ns: int
    fact: Fact
    payload: bytes
    """The fact's canonical bytes, which the hash covers."""
    hash: bytes
    """32 bytes."""


class LogHead(msgspec.Struct, frozen=True, kw_only=True):
    """Where a stream ends; `seq` 0 with the stream's genesis hash before its first fact."""

    seq: int
    epoch: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class LogCheck:
    """What re-deriving every hash of the event log has shown."""

    ok: bool
    streams: int
    facts: int
    first_bad_stream: str | None = None
    first_bad_seq: int | None = None
    reason: str | None = None


def genesis_hash(stream: str) -> bytes:
    """What the first fact of a stream is chained to; it binds the stream's name."""
    return sha256(_GENESIS + stream.encode()).digest()


def chain_hash(previous: bytes, epoch: int, seq: int, payload: bytes) -> bytes:
    """SHA-256 over the previous hash, epoch and seq (8 bytes each, big-endian) and the payload."""
    return sha256(previous + epoch.to_bytes(8, "big") + seq.to_bytes(8, "big") + payload).digest()


def natural_key(fact: Fact) -> str | None:
    """What makes two reports of the same event one; None where repeats are events of their own.

    A trade is `(venue, symbol, trade id)`, whoever reports it and however often.
    """
    if isinstance(fact, Filled):
        return msgspec.json.encode(["filled", fact.venue, fact.symbol, fact.trade_id]).decode()
    return None
