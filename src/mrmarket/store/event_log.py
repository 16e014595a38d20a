"""The event log as types: facts with a place in a stream, chained by hashes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

import msgspec

from mrmarket.core.events import Fact, Filled, decode_fact, encode_fact
from mrmarket.store.errors import DatabaseDamagedError, Place

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


def kind_of(fact: Fact) -> str:
    """A fact's tag, such as `order_created`."""
    return str(fact.__struct_config__.tag)


def empty_head(stream: str) -> LogHead:
    """Where a stream without facts ends."""
    return LogHead(seq=0, epoch=0, hash=genesis_hash(stream))


def chained(
    stream: str, epoch: int, head: LogHead, facts: Iterable[Fact], known: Collection[str]
) -> list[LoggedFact]:
    """Facts with their places after the end of a stream; of those with one natural key only the first.

    Args:
        stream: its name.
        epoch: fence of the writer.
        head: where the stream ends so far.
        facts: in order.
        known: natural keys that the log has already.
    """
    seen = set(known)
    seq, previous = head.seq, head.hash
    logged: list[LoggedFact] = []
    for fact in facts:
        key = natural_key(fact)
        if key is not None:
            if key in seen:
                continue
            seen.add(key)
        seq += 1
        payload = encode_fact(fact)
        previous = chain_hash(previous, epoch, seq, payload)
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


def read_row(place: Place, row: tuple[Any, ...]) -> LoggedFact:
    """A row `(stream, epoch, seq, at_ns, payload, hash)`; raises `DatabaseDamagedError` if it is no fact."""
    stream, epoch, seq, at_ns, payload, digest = row
    try:
        fact = decode_fact(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise DatabaseDamagedError(place, f"event {seq} of stream {stream!r}: {error}") from error
    return LoggedFact(
        stream=stream, epoch=epoch, seq=seq, at_ns=at_ns, fact=fact, payload=payload, hash=digest
    )


def verify_streams(streams: Sequence[str], page: Callable[[str, int], Sequence[tuple[Any, ...]]]) -> LogCheck:
    """Re-derive every hash and every column from the payloads, to the first row that does not fit.

    Args:
        streams: names of those to walk.
        page: gives the next rows `(seq, epoch, at_ns, kind, natural_key, payload, hash)` of a stream after a
            sequence number, in order, none at its end.
    """
    facts = 0
    for stream in streams:
        previous = genesis_hash(stream)
        seq = 0
        while rows := page(stream, seq):
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


def _fault(previous: bytes, wanted_seq: int, row: tuple[Any, ...]) -> str | None:
    seq, epoch, at_ns, kind, key, payload, digest = row
    if seq != wanted_seq:
        return f"event {wanted_seq} is missing"
    if chain_hash(previous, epoch, seq, payload) != digest:
        return "hash does not match the content"
    try:
        fact = decode_fact(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        return f"payload cannot be read: {error}"
    if (at_ns, kind, key) != (fact.at_ns, kind_of(fact), natural_key(fact)):
        return "a column differs from the payload"
    return None
