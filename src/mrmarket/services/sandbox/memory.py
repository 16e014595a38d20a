"""What a world remembers of itself beside the books of its parts."""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
from pathlib import Path
from typing import Final

import msgspec

from mrmarket.core.whole_file import replace_whole
from mrmarket.partners.chains.human.deployment import Contracts
from mrmarket.services.sandbox.errors import SandboxStateError
from mrmarket.services.sandbox.process import LOCK
from mrmarket.services.sandbox.world_time import WorldHistory, WorldTime

_FILE: Final = "world.json"
_HUFI: Final = "hufi"
_BOOKS: Final = ("chain.json", "bridge.db", "mixin.db")


class Ports(msgspec.Struct, frozen=True):
    """Where its servers listened: addresses stand in results on the chain, so they are kept."""

    chain: int = 0
    launcher: int = 0
    oracle: int = 0
    mixin: int = 0
    prices: int = 0


class WorldMemory(msgspec.Struct, frozen=True):
    """One file."""

    time: WorldTime
    cycle_s: int
    past: tuple[WorldTime, ...] = ()
    """Of other speeds, the oldest first."""
    contracts: Contracts | None = None
    start_block: int = 0
    ports: Ports = Ports()

    @property
    def history(self) -> WorldHistory:
        """Its whole time, over every change of speed."""
        return WorldHistory((*self.past, self.time))

    def at_speed(self, speed: float, wall_ns: int) -> WorldMemory:
        """The same from now on at another speed."""
        time = self.time.at_speed(speed, wall_ns)
        if time is self.time:
            return self
        return msgspec.structs.replace(self, time=time, past=(*self.past, self.time))


class WorldFolder:
    """A world's folder, held by one process."""

    def __init__(self, folder: Path) -> None:
        """Take it. Raises `SandboxStateError` where it cannot be written or another world lives in it."""
        self.folder = folder
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as failed:
            raise SandboxStateError(
                folder, f"it cannot be written ({failed.strerror})", "choose another"
            ) from failed
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as taken:
            os.close(self._lock)
            raise SandboxStateError(
                folder, "another world lives in it", "stop that one or choose another folder"
            ) from taken

    def load(self) -> WorldMemory | None:
        """What it remembers; None for a new one. Raises `SandboxStateError`."""
        file = self.folder / _FILE
        if not file.exists():
            return None
        try:
            return msgspec.json.decode(file.read_bytes(), type=WorldMemory)
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise SandboxStateError(
                file, f"it cannot be read ({error})", "delete the folder for a new world"
            ) from error

    def save(self, memory: WorldMemory) -> None:
        """Put it on the disk. Raises OSError."""
        replace_whole(self.folder / _FILE, msgspec.json.encode(memory))

    def clear(self) -> None:
        """Forget the books of a start that was never finished: none may know more than another."""
        shutil.rmtree(self.folder / _HUFI, ignore_errors=True)
        for name in _BOOKS:
            for path in self.folder.glob(f"{name}*"):
                path.unlink()

    def close(self) -> None:
        """Let another world have it."""
        os.close(self._lock)


def usable(port: int) -> int:
    """A port if nobody listens there now, else 0 for any."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return 0
    return port
