"""Which names came lately, in bounded memory: what a venue repeats is told from what is new."""

from __future__ import annotations

from typing import Final

_LEAST: Final = 10_000


class RecentNames:
    """Knows at least the newest so many names, and at most twice as many.

    Two sets, of which the older is dropped whole: a name takes less than half of what it takes in an ordered
    dictionary, and there may be hundreds of runs in a process, for weeks.
    """

    __slots__ = ("_least", "_new", "_old")

    def __init__(self, least: int = _LEAST) -> None:
        """Nothing has come yet."""
        self._least = least
        self._new: set[str] = set()
        self._old: set[str] = set()

    def __contains__(self, name: str) -> bool:
        """Whether it came lately."""
        return name in self._new or name in self._old

    def __len__(self) -> int:
        """How many are known."""
        return len(self._new) + len(self._old)

    def add(self, name: str) -> bool:
        """A name came; False if it had come before."""
        if name in self:
            return False
        if len(self._new) >= self._least:
            self._old, self._new = self._new, set()
        self._new.add(name)
        return True
