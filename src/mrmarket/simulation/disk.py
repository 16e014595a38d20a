"""A machine's disk, or a database's server: what it has committed and synced, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from mrmarket.simulation.process import PROCESS
from mrmarket.store.errors import CommitUnknownError, DatabaseDisconnectedError, DatabaseFullError

BEFORE: Final = "database.before_commit"
AFTER: Final = "database.committed"


class Disk:
    """Shared by every database of one machine.

    A commit survives the process at once and the power only once something was synced after it.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_full = False
        self.is_away = False
        self.forgets: Callable[[], bool] | None = None
        """Draws whether the answer to a commit is lost; only of a server."""
        self.is_reachable: Callable[[str], bool] | None = None
        """Whether a process of that name reaches it; only of a server."""
        self.commits = 0
        self.lost = 0
        """Commits that a power cut has taken back."""
        self._unsynced: list[Callable[[], None]] = []

    def begin(self, *, writes: bool = True) -> None:
        """A process asks for something.

        Raises:
            KilledError: the process is dead, or dies here.
            StoreError: nothing was done.
        """
        process = PROCESS.get()
        if process is not None:
            process.require_alive()
            if self.is_reachable is not None and not self.is_reachable(process.name):
                raise DatabaseDisconnectedError(self.name, "the line is cut")
        if self.is_away:
            raise DatabaseDisconnectedError(self.name, "no answer")
        if writes:
            if self.is_full:
                raise DatabaseFullError(self.name)
            if process is not None:
                process.reach(BEFORE)

    def committed(self, undo: Callable[[], None] | None = None) -> None:
        """Something is committed; `undo` takes it back where the power goes before the next sync.

        Raises:
            KilledError: the process dies here.
            CommitUnknownError: the answer is lost.
        """
        self.commits += 1
        if undo is not None and self.forgets is None:
            self._unsynced.append(undo)
        process = PROCESS.get()
        if process is not None:
            process.reach(AFTER)
        if self.forgets is not None and self.forgets():
            raise CommitUnknownError(self.name)

    def sync(self) -> None:
        """Everything committed is safe."""
        self._unsynced.clear()

    def lose_power(self) -> int:
        """Take back what was not synced, the newest first; how much that was."""
        count = len(self._unsynced)
        while self._unsynced:
            self._unsynced.pop()()
        self.lost += count
        return count
