"""A file system under SQLite that remembers every write and sync, so that power can be cut at any moment.

A disk promises only what was synced. After a cut each write since a file's last sync may be there, missing
or torn, whatever the order in which they were made: `Recording.cut` builds one such disk by seed.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import apsw

_SECTOR = 512


@dataclass(frozen=True, slots=True)
class Write:
    """Bytes at an offset of a file."""

    file: str
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Truncate:
    """A file cut to a length."""

    file: str
    size: int


@dataclass(frozen=True, slots=True)
class Sync:
    """Everything before is on the disk."""

    file: str


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """A caller was told that something has happened."""

    what: str


Event = Write | Truncate | Sync | Acknowledged


@dataclass(slots=True)
class Recording:
    """What happened to a folder's files, in order."""

    base: dict[str, bytes]
    """File name → durable content at the start."""
    events: list[Event] = field(default_factory=list)

    def acknowledged(self, until: int) -> list[str]:
        """What callers had been told before a moment."""
        return [event.what for event in self.events[:until] if isinstance(event, Acknowledged)]

    def cut(self, until: int, rng: random.Random, folder: Path) -> None:
        """Write the disk that a power cut just before event `until` may leave."""
        done = self.events[:until]
        names = {*self.base, *(event.file for event in done if not isinstance(event, Acknowledged))}
        for name in sorted(names):
            content = bytearray(self.base.get(name, b""))
            own = [event for event in done if not isinstance(event, Acknowledged) and event.file == name]
            synced = max((place for place, event in enumerate(own) if isinstance(event, Sync)), default=-1)
            luck = rng.random()  # of this file: from nothing that was unsynced to all of it
            for place, event in enumerate(own):
                if place < synced or rng.random() < luck:
                    _apply(content, event, rng, whole=place < synced)
            folder.joinpath(name).write_bytes(content)


def _apply(content: bytearray, event: Event, rng: random.Random, *, whole: bool) -> None:
    if isinstance(event, Write):
        data = event.data
        if not whole and len(data) > _SECTOR and rng.random() < 0.3:
            data = data[: rng.randrange(0, len(data), _SECTOR)]
        if len(content) < event.offset:
            content.extend(bytes(event.offset - len(content)))
        content[event.offset : event.offset + len(data)] = data
    elif isinstance(event, Truncate):
        del content[event.size :]


class _File(apsw.VFSFile):
    def __init__(self, recording: Recording, name: Any, flags: list[int]) -> None:
        super().__init__("", name, flags)
        text = name.filename() if isinstance(name, apsw.URIFilename) else str(name)
        self._name = Path(text).name
        self._events = recording.events

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802 - SQLite's name
        self._events.append(Write(self._name, offset, bytes(data)))
        super().xWrite(data, offset)

    def xTruncate(self, newsize: int) -> None:  # noqa: N802 - SQLite's name
        self._events.append(Truncate(self._name, newsize))
        super().xTruncate(newsize)

    def xSync(self, flags: int) -> None:  # noqa: N802 - SQLite's name
        super().xSync(flags)
        self._events.append(Sync(self._name))


class _Disk(apsw.VFS):
    def __init__(self, name: str, recording: Recording) -> None:
        self._recording = recording
        super().__init__(name, "")

    def xOpen(self, name: Any, flags: list[int]) -> _File:  # noqa: N802 - SQLite's name
        return _File(self._recording, name, flags)


class RecordedConnection:
    """The part of `sqlite3.Connection` that the ledger uses, over SQLite with the recording disk."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        return self._connection.in_transaction

    @property
    def total_changes(self) -> int:
        """Rows changed since it was opened."""
        return self._connection.total_changes()

    def execute(self, statement: str, values: tuple[Any, ...] = ()) -> apsw.Cursor:
        """Run a statement."""
        return self._connection.execute(statement, values)

    def executemany(self, statement: str, rows: Any) -> apsw.Cursor:
        """Run a statement for each row."""
        return self._connection.executemany(statement, rows)

    def close(self) -> None:
        """Release the file."""
        self._connection.close()

    @classmethod
    @contextmanager
    def open(cls, path: Path, synchronous: int) -> Iterator[tuple[Self, Recording]]:
        """A database at rest, opened as the ledger opens it; every write is recorded from here on.

        `synchronous` is what the ledger's own connection says of itself, as SQLite's number.
        """
        recording = Recording({path.name: path.read_bytes()})
        name = f"recorded-{id(recording)}"
        disk = _Disk(name, recording)
        connection = apsw.Connection(str(path), vfs=name)
        try:
            # Without other processes SQLite keeps the log's index in memory, which a shim cannot share.
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute(f"PRAGMA synchronous = {synchronous}")
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA wal_autocheckpoint = 20")
            yield cls(connection), recording
        finally:
            connection.close()
            disk.unregister()
