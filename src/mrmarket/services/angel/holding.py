"""One Angel a data folder: who has it, and how a new one takes over."""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
from pathlib import Path
from typing import IO, Final

import msgspec

from mrmarket.core.errors import MrMarketError
from mrmarket.core.whole_file import replace_whole
from mrmarket.services.angel.plan import FOLDER

_PATIENCE_S: Final = 20.0
_GLANCE_S: Final = 0.25
"""Whoever only looks whether the folder is held holds it for a moment."""
_LOOK_S: Final = 0.05


class AngelBusyError(MrMarketError):
    """Another Angel watches from this folder."""

    code = "angel_busy"
    retryable = True

    def __init__(self, path: Path, pid: int) -> None:
        self.path = path
        self.pid = pid
        who = f"process {pid}" if pid else "another process"
        super().__init__(
            f"{who} watches from {path} already; end it first, or give another folder with --data"
        )


class Holder(msgspec.Struct, frozen=True):
    """Who holds a folder."""

    pid: int


class AngelFolder:
    """The folder of an Angel's own files, held by one process at a time."""

    def __init__(self, data: Path) -> None:
        self.path = data / FOLDER
        self._lock: IO[bytes] | None = None

    async def take(self, *, take_over: bool) -> None:
        """Hold it; with `take_over` the holder is asked to end first.

        Raises:
            AngelBusyError: somebody holds it, or does not let go in time.
        """
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = (self.path / "angel.lock").open("ab")
        asked = False
        try:
            async with asyncio.timeout(_PATIENCE_S if take_over else _GLANCE_S):
                while not _try_lock(lock):
                    holder = self.holder()
                    if take_over and holder and not asked:
                        asked = _ask_to_end(holder)
                    await asyncio.sleep(_LOOK_S)
        except TimeoutError:
            lock.close()
            raise AngelBusyError(self.path, self.holder()) from None
        except BaseException:
            lock.close()
            raise
        self._lock = lock
        replace_whole(self.path / "holder.json", msgspec.json.encode(Holder(os.getpid())))

    def holder(self) -> int:
        """The process that holds it, or held it last; 0 if nobody knows."""
        try:
            return msgspec.json.decode((self.path / "holder.json").read_bytes(), type=Holder).pid
        except (OSError, msgspec.MsgspecError):
            return 0

    @property
    def is_there(self) -> bool:
        """Whether the folder has not been removed under us."""
        return (self.path / "angel.lock").exists()

    def let_go(self) -> None:
        """Let others in."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None


def is_held(data: Path) -> int:
    """The process of the Angel that watches from a folder; 0 if none does."""
    folder = AngelFolder(data)
    try:
        with (folder.path / "angel.lock").open("rb") as lock:
            if _try_lock(lock):
                return 0
    except OSError:
        return 0
    return folder.holder()


def _try_lock(lock: IO[bytes]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _ask_to_end(pid: int) -> bool:
    """The lock is held, so whoever wrote its id there is most likely the Angel."""
    try:
        os.kill(pid, signal.SIGTERM)
    except ProcessLookupError:
        return False
    return True
