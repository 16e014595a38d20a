"""The kill switch: a file, a signal or a call that halts everything and asks no database.

`HALT` in the data folder means halted; its text is the reason. It is looked for twice in 100 ms, it is
there again after a restart, and only its removal (`mrmarket halt --lift`) ends it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol

from mrmarket.core.clock import NS_PER_MS, NS_PER_S
from mrmarket.core.whole_file import make_whole
from mrmarket.trading.execution.risk.board import RiskBoard
from mrmarket.trading.execution.risk.state import INSTANCE, Cause

HALT_FILE: Final = "HALT"
"""Its name in the data folder."""
LOOK_EVERY_NS: Final = 50 * NS_PER_MS
_BY: Final = "kill switch"
_LONGEST_REASON: Final = 500
_THREADS: Final = 3
"""One that looks, one that reads and one that writes."""
_READ_S: Final = 0.1
"""Halting waits no longer for its reason."""


class HaltNote(Protocol):
    """Where the wish to halt is kept; every call returns at once and may raise OSError."""

    def exists(self) -> bool:
        """Whether halting is wanted."""
        ...

    def read(self) -> str:
        """Why."""
        ...

    def write(self, reason: str) -> None:
        """Have it wanted, also after a restart."""
        ...

    def remove(self) -> None:
        """Have it no longer wanted."""
        ...


class HaltFile:
    """The note as a file."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / HALT_FILE

    def exists(self) -> bool:
        """Whether the file is there, readable or not."""
        try:
            self.path.lstat()
        except FileNotFoundError:
            return False
        return True

    def read(self) -> str:
        """Its text, at most 500 characters of it."""
        with self.path.open("rb") as file:
            return file.read(4 * _LONGEST_REASON).decode("utf-8", "replace").strip()[:_LONGEST_REASON]

    def write(self, reason: str) -> None:
        """Make it, whole and durably; a second wish leaves the first reason."""
        try:
            make_whole(self.path, f"{reason}\n".encode())
        except OSError:
            # A full disk may have room for a name where it has none for a reason; the name halts.
            self.path.touch()

    def remove(self) -> None:
        """Delete it, if it is there."""
        self.path.unlink(missing_ok=True)


class KillSwitch:
    """Holds `kill_switch` on the board's instance scope while the note is there. In memory first, always.

    The note is its only memory: this restriction is of its process alone and is written to no database.
    """

    def __init__(self, board: RiskBoard, note: HaltNote) -> None:
        self.failure = ""
        """Why the note could not be kept or read; halting does not depend on it."""
        self._board = board
        self._note = note
        self._pulled = False
        self._noted = False
        self._turns = 0
        # Threads of its own: those of the loop may all be waiting for a database.
        self._threads = ThreadPoolExecutor(_THREADS, "kill-switch")
        self._writing: asyncio.Future[OSError | None] | None = None

    @property
    def is_pulled(self) -> bool:
        """Whether it holds everything."""
        return self._pulled

    def look(self) -> bool:
        """See whether the note has come or gone; say whether everything is halted.

        To be called before the first order of a process; `watch` does the same every 50 ms.
        """
        there = self._exists()
        self._heed(there, self._reason() if there and not self._pulled else "")
        return self._pulled

    def pull(self, reason: str) -> None:
        """Halt now; then write the note, so that a restart stays halted.

        On an event loop a thread writes it: a disk that hangs must not hold up the cancels. Where it cannot
        be written, the owner's own HALT stands beside it and waits for a re-arm.
        """
        self._turns += 1
        self._hold(reason)
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self._kept(reason, self._write(reason))
            return
        self._writing = writing = loop.run_in_executor(self._threads, self._write, reason)
        writing.add_done_callback(
            lambda done: None if done.cancelled() else self._kept(reason, done.result())
        )

    async def settle(self, patience_s: float | None = None) -> None:
        """Wait until the note of the last pull is written, or could not be; no longer than `patience_s`."""
        if self._writing is not None:
            await asyncio.wait({self._writing}, timeout=patience_s)

    def lift(self) -> None:
        """Remove the note and allow trading again; other restrictions stay."""
        self._turns += 1
        try:
            self._note.remove()
        except OSError as error:
            self.failure = str(error)
            return
        self._pulled = self._noted = False
        self._board.rearm(INSTANCE, Cause.KILL_SWITCH)

    async def watch(self) -> None:
        """Look every 50 ms, for ever; in a thread, for a disk that hangs must not hold up anything else."""
        loop = asyncio.get_running_loop()
        while True:
            turns = self._turns
            there = await loop.run_in_executor(self._threads, self._exists)
            reason = ""
            if there and not self._pulled:
                with suppress(TimeoutError):
                    async with asyncio.timeout(_READ_S):
                        reason = await loop.run_in_executor(self._threads, self._reason)
            # What was seen before somebody pulled or lifted says nothing of what is there now.
            if turns == self._turns:
                self._heed(there, reason)
            await asyncio.sleep(LOOK_EVERY_NS / NS_PER_S)

    def _exists(self) -> bool | None:
        """Whether the note is there; None where that cannot be told."""
        try:
            return self._note.exists()
        except OSError as error:
            self.failure = str(error)
            return None

    def _heed(self, there: bool | None, reason: str) -> None:
        if there:
            if not self._pulled:
                self._hold(reason)
            self._noted = True
        elif there is None:
            # A folder that cannot be read is no reason to trade on as if nothing had been asked.
            return
        elif self._pulled and self._noted:
            self.lift()

    def _write(self, reason: str) -> OSError | None:
        try:
            self._note.write(reason)
        except OSError as error:
            return error
        return None

    def _kept(self, reason: str, error: OSError | None) -> None:
        """The note is written, or not."""
        self._turns += 1
        if error is not None:
            self.failure = str(error)
            if self._pulled:
                detail = f"{reason} ({HALT_FILE} cannot be written: {error})"
                self._board.halt(INSTANCE, Cause.OWNER, _BY, detail)
        elif self._pulled:
            self._noted = True
        else:
            self.lift()  # it was lifted while the note was being written

    def _hold(self, reason: str) -> None:
        self._pulled = True
        self._board.halt(INSTANCE, Cause.KILL_SWITCH, _BY, reason or "the kill switch was pulled")

    def _reason(self) -> str:
        try:
            return self._note.read()
        except OSError as error:
            self.failure = str(error)
            return ""


def install(switch: KillSwitch, signum: int) -> Callable[[], None]:
    """Pull the switch when this process gets the signal (SIGUSR1); the returned call takes it back."""
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signum, switch.pull, "signal")

    def remove() -> None:
        loop.remove_signal_handler(signum)

    return remove
