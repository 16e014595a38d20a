"""Who holds what: one active run for each key, and a queue for the rest. Pure."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from mrmarket.trading.strategy.selection.candidate import Candidate, MutexKey


class Held(msgspec.Struct, frozen=True):
    """A key and its holder."""

    key: MutexKey
    holder: str


class MutexTable(msgspec.Struct, frozen=True, kw_only=True):
    """Holders and the queue; every change is a new table."""

    held: tuple[Held, ...] = ()
    queue: tuple[str, ...] = ()
    """Candidates that wait for a turn, in order."""

    def holders_against(self, candidate: Candidate) -> tuple[str, ...]:
        """Others who hold something that the candidate needs."""
        return tuple(
            sorted(
                {
                    held.holder
                    for held in self.held
                    for key in candidate.keys
                    if held.holder != candidate.id and held.key.clashes(key)
                }
            )
        )

    def take(self, candidate: Candidate) -> tuple[MutexTable, bool]:
        """Give the candidate all its keys, or none and a place in the queue."""
        if self.holders_against(candidate):
            return self.wait(candidate.id), False
        mine = tuple(Held(key, candidate.id) for key in candidate.keys)
        others = tuple(held for held in self.held if held.holder != candidate.id)
        return MutexTable(held=others + mine, queue=self._without(candidate.id)), True

    def give_back(self, holder: str) -> MutexTable:
        """The holder's keys are free."""
        return MutexTable(held=tuple(held for held in self.held if held.holder != holder), queue=self.queue)

    def wait(self, candidate: str) -> MutexTable:
        """A place in the queue; whoever has one keeps it."""
        if candidate in self.queue:
            return self
        return MutexTable(held=self.held, queue=(*self.queue, candidate))

    def leave(self, candidates: Iterable[str]) -> MutexTable:
        """Out of the queue."""
        gone = set(candidates)
        return MutexTable(held=self.held, queue=tuple(each for each in self.queue if each not in gone))

    def holds(self, candidate: str) -> bool:
        """Whether it holds anything."""
        return any(held.holder == candidate for held in self.held)

    def _without(self, candidate: str) -> tuple[str, ...]:
        return tuple(each for each in self.queue if each != candidate)
