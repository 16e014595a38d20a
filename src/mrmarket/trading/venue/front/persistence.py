"""What the venue promised, on disk before it is said.

A state directory holds one full state and a journal of the changes since. Every acknowledged order
and every fill is one journal frame, handed to the operating system before anybody hears of it, so it
survives `kill -9` of the venue. It survives a power cut only with `fsync="always"`; full states are
always synced.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import zlib
from pathlib import Path
from struct import Struct
from typing import BinaryIO, Final, Literal

import msgspec

from mrmarket.core.errors import MrMarketError
from mrmarket.trading.venue.front.signature import USES, ApiKey, new_key

Fsync = Literal["state", "always"]

_FORMAT: Final = 1
_FRAME: Final = Struct("<II")
"""Length and CRC-32 of what follows."""
_PRIVATE: Final = 0o600
_COMPACT_BYTES: Final = 16 * 2**20


class StateError(MrMarketError):
    """The state directory cannot be used."""

    code = "venue_state"

    def __init__(self, path: Path, detail: str, advice: str) -> None:
        self.path = path
        super().__init__(f"{path}: {detail}; {advice}")


class FrontState(msgspec.Struct, frozen=True, kw_only=True):
    """What the front itself remembers, always complete."""

    feed: bytes = b""
    """Where the market stands, in the feed's own words."""
    dead_man: list[tuple[str, str, int]] = msgspec.field(default_factory=list)


class Frame(msgspec.Struct, frozen=True, kw_only=True):
    """One step of the journal."""

    changes: bytes
    """Of the exchange; empty if only the market moved."""
    front: FrontState
    quote_sizes: dict[int, int] = msgspec.field(default_factory=dict)
    """New `quoteOrderQty` by order id, units of 1e-8."""


class FullState(msgspec.Struct, frozen=True, kw_only=True):
    """Everything, at the start of a journal."""

    format: int
    generation: int
    exchange: bytes
    front: FrontState
    quote_sizes: dict[int, int] = msgspec.field(default_factory=dict)


class Saved(msgspec.Struct, frozen=True, kw_only=True):
    """What a directory held."""

    exchange: bytes
    changes: list[bytes]
    front: FrontState
    quote_sizes: dict[int, int]


class StateStore:
    """One directory, one venue process."""

    def __init__(self, directory: Path, fsync: Fsync = "state") -> None:
        self._directory = directory
        self._always = fsync == "always"
        self._generation = 0
        self._journal: BinaryIO | None = None
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(directory / "venue.lock", os.O_RDWR | os.O_CREAT, _PRIVATE)
        except OSError as failed:
            raise StateError(
                directory, f"cannot be written ({failed.strerror})", "choose another"
            ) from failed
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as taken:
            os.close(self._lock)
            raise StateError(
                directory, "is in use by another venue", "stop that one or choose another directory"
            ) from taken

    def keys(self, accounts: list[str]) -> list[ApiKey]:
        """Every key pair of the accounts, drawn and kept (mode 0600) where there is none yet."""
        path = self._directory / "keys.json"
        known: list[ApiKey] = []
        if path.exists():
            try:
                known = msgspec.json.decode(path.read_bytes(), type=list[ApiKey])
            except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as broken:
                raise StateError(path, "is damaged", "delete it to get new keys") from broken
        there = {(key.account, key.use) for key in known}
        missing = [(name, use) for use in USES for name in accounts if (name, use) not in there]
        if missing:
            known += [new_key(account, use=use) for account, use in missing]
            self._replace(path, msgspec.json.encode(known))
        return known

    def funding_token(self) -> str:
        """The token of who moves money in and out, drawn and kept (mode 0600) if there is none yet."""
        path = self._directory / "funding.token"
        if not path.exists():
            self._replace(path, secrets.token_hex(32).encode())
        return path.read_text("ascii").strip()

    def load(self) -> Saved | None:
        """The last state and what came after it; None in a new directory.

        A frame that was cut by a crash was never acknowledged and is left out.
        """
        path = self._directory / "venue.state"
        if not path.exists():
            return None
        try:
            full = msgspec.msgpack.decode(path.read_bytes(), type=FullState)
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as broken:
            raise StateError(path, "is damaged", "restore a backup or delete the directory") from broken
        if full.format != _FORMAT:
            raise StateError(path, f"has format {full.format}", f"this release reads {_FORMAT}, update")
        self._generation = full.generation
        front, quote_sizes, changes = full.front, dict(full.quote_sizes), []
        for frame in _frames(self._journal_path(full.generation)):
            if frame.changes:
                changes.append(frame.changes)
            front = frame.front
            quote_sizes |= frame.quote_sizes
        return Saved(exchange=full.exchange, changes=changes, front=front, quote_sizes=quote_sizes)

    def begin(self, exchange: bytes, front: FrontState, quote_sizes: dict[int, int]) -> None:
        """Write a full state and start an empty journal after it."""
        old = self._generation
        self._generation += 1
        full = FullState(
            format=_FORMAT,
            generation=self._generation,
            exchange=exchange,
            front=front,
            quote_sizes=quote_sizes,
        )
        path = self._journal_path(self._generation)
        try:
            journal = path.open("wb", buffering=0)
            self._replace(self._directory / "venue.state", msgspec.msgpack.encode(full))
        except OSError as failed:
            raise self._unwritable(failed) from failed
        if self._journal is not None:
            self._journal.close()
        self._journal = journal
        self._journal_path(old).unlink(missing_ok=True)

    def append(self, frame: Frame, *, sync: bool = False) -> None:
        """Write one frame; returns once the operating system has it, with `sync` once the disk has it."""
        if self._journal is None:
            raise StateError(self._directory, "has no journal yet", "begin one first")
        payload = msgspec.msgpack.encode(frame)
        data = _FRAME.pack(len(payload), zlib.crc32(payload)) + payload
        try:
            written = self._journal.write(data)
            if self._always or sync:
                os.fsync(self._journal.fileno())
        except OSError as failed:
            raise self._unwritable(failed) from failed
        if written != len(data):
            raise StateError(self._directory, "took only part of a write", "free some disk space")

    @property
    def compact_due(self) -> bool:
        """Whether the journal is long enough for a new full state."""
        return self._journal is not None and self._journal.tell() > _COMPACT_BYTES

    def close(self) -> None:
        """Let go of the files."""
        if self._journal is not None:
            self._journal.close()
            self._journal = None
        os.close(self._lock)

    def _journal_path(self, generation: int) -> Path:
        return self._directory / f"venue.journal.{generation}"

    def _replace(self, path: Path, data: bytes) -> None:
        draft = path.with_name(path.name + ".new")
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _PRIVATE)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
        directory = os.open(self._directory, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    def _unwritable(self, failed: OSError) -> StateError:
        return StateError(
            self._directory, f"cannot be written ({failed.strerror})", "free some disk space and start again"
        )


def _frames(path: Path) -> list[Frame]:
    data = path.read_bytes() if path.exists() else b""
    frames: list[Frame] = []
    at = 0
    while at + _FRAME.size <= len(data):
        length, checksum = _FRAME.unpack_from(data, at)
        payload = data[at + _FRAME.size : at + _FRAME.size + length]
        if len(payload) != length or zlib.crc32(payload) != checksum:
            break
        frames.append(msgspec.msgpack.decode(payload, type=Frame))
        at += _FRAME.size + length
    return frames
