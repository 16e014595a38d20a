"""Processes, what is done to them, and who starts them again: one bad day from a seed, then a calm time."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Protocol

from chaos.blows import Blow, Deed, Menu, faults
from chaos.exchange import Exchange
from chaos.history import History, LeaseSample
from chaos.members import Ending, Guest, Member
from mrmarket.services.angel.overview import resume
from mrmarket.store.errors import StoreError
from mrmarket.store.lease_row import LeaseRow
from mrmarket.store.operations import Command, OperationsStore

_LOOK_S = 0.1
_SAMPLE_S = 0.5
_CALM_LOOKS = 4
"""So many looks in a row must find nothing wrong."""
_OWNER_AFTER_S = 8.0
"""How long restrictions may stand in calm before the owner lifts them."""
Undo = Callable[[], object]


class House(Protocol):
    """One way to run an instance: its processes, its databases, and how to ask how it is."""

    folder: Path
    exchange: Exchange
    members: dict[str, Member | Guest]
    """Those that can be killed and frozen, by name; the exchange among them."""

    @property
    def menu(self) -> Menu:
        """What can be done to it."""
        ...

    def strike(self, blow: Blow) -> Undo | None:
        """Carry out a blow of its own kind: to a database or a disk."""
        ...

    def leases(self) -> list[LeaseRow]:
        """The leases now; raises a `StoreError`."""
        ...

    def operations(self) -> OperationsStore:
        """What the roles tell each other; raises a `StoreError`."""
        ...

    def trouble(self) -> list[str]:
        """What keeps it from being well; empty when every run quotes as it should."""
        ...

    def stop(self) -> None:
        """End it as an owner does, the exchange excepted; every process must leave in peace."""
        ...

    def history(self, leases: Sequence[LeaseSample], endings: Sequence[Ending]) -> History:
        """What was written down, after the end."""
        ...

    def books(self) -> list[str]:
        """What is wrong with ledger and holdings, after the end."""
        ...

    def end(self) -> None:
        """Leave nothing behind."""
        ...


class Day:
    """One day in the life of a house."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.leases: list[LeaseSample] = []
        self.done: Counter[str] = Counter()
        """Blows by deed."""
        self.healed_s = 0.0
        """From the end of the storm to a calm time."""
        self.trace: list[str] = []
        """What was still wrong on the way there, with seconds since the storm."""
        self._undone: list[tuple[float, Undo]] = []
        self._sampled_s = 0.0

    def storm(self, blows: Iterable[Blow], length_s: float) -> None:
        """Let it all happen; every process that ends is started again."""
        began_s = time.monotonic()
        waiting = sorted(blows, key=lambda blow: blow.at_s)
        while (now_s := time.monotonic() - began_s) < length_s:
            while waiting and waiting[0].at_s <= now_s:
                self._strike(waiting.pop(0))
            self._undo(time.monotonic())
            self._tend()
            time.sleep(_LOOK_S)  # polling what other processes do

    def heal(self, limit_s: float) -> None:
        """No more blows; returns when every run quotes again.

        Raises:
            AssertionError: it did not come to itself in time.
        """
        began_s = time.monotonic()
        self._undo(float("inf"))
        for member in self.house.members.values():
            if isinstance(member, Member):
                member.forget_plan()
        self.house.exchange.break_things([], 1)
        looks, found, last = 0, ["nobody has looked yet"], list[str]()
        while looks < _CALM_LOOKS:
            age_s = time.monotonic() - began_s
            assert age_s < limit_s, f"not well after {age_s:.0f} s: {found}\n{self._last_words()}"
            self._tend()
            try:
                if age_s > _OWNER_AFTER_S:
                    self._be_the_owner()
                found = self.house.trouble()
            except (StoreError, OSError) as error:
                found = [f"{type(error).__name__}: {error}"]
            looks = 0 if found else looks + 1
            if found != last:
                self.trace.append(f"{age_s:5.1f} s  {'; '.join(found) or 'well'}")
                last = found
            time.sleep(2 * _LOOK_S)  # polling what other processes do
        self.healed_s = time.monotonic() - began_s

    def close(self, limit_s: float) -> History:
        """End everything in peace and read what was written.

        Where the Angel takes a lease in the middle of an end, because the machine has stood still, nobody may
        write down any more what became of the orders: the next life does.
        """
        self.house.stop()
        if any(row.owner.startswith("angel") for row in self.house.leases()):
            self.done["ended by the Angel"] += 1
            self.heal(limit_s)
            self.house.stop()
        endings = [
            ending
            for member in self.house.members.values()
            if isinstance(member, Member)
            for ending in member.endings
        ]
        return self.house.history(self.leases, endings)

    def _strike(self, blow: Blow) -> None:
        house = self.house
        self.done[blow.deed] += 1
        member = house.members.get(blow.target)
        undo: Undo | None = None
        if blow.deed is Deed.KILL:
            assert member is not None
            member.kill(blow.length_s)
        elif blow.deed is Deed.FREEZE:
            assert member is not None
            member.freeze()
            undo = member.thaw
        elif blow.deed is Deed.CRASH:
            assert isinstance(member, Member)
            member.kill()
            member.start(blow.label)
        elif blow.deed is Deed.BREAK:
            house.exchange.break_things(faults(blow.seed), blow.seed)
            undo = lambda: house.exchange.break_things([], 1)  # noqa: E731 - to be called later, that is all
        else:
            undo = house.strike(blow)
        if undo is not None:
            self._undone.append((time.monotonic() + blow.length_s, undo))

    def _undo(self, now_s: float) -> None:
        due = [entry for entry in self._undone if entry[0] <= now_s]
        self._undone = [entry for entry in self._undone if entry[0] > now_s]
        for _, undo in due:
            undo()

    def _tend(self) -> None:
        """Start again what has ended, and look at the leases."""
        for member in self.house.members.values():
            if isinstance(member, Member):
                member.mend()
        now_s = time.monotonic()
        if now_s - self._sampled_s < _SAMPLE_S:
            return
        self._sampled_s = now_s
        try:
            self.leases += [LeaseSample(name=row.name, fence=row.fence) for row in self.house.leases()]
        except StoreError:
            return  # the database is away; the next look sees more

    def _be_the_owner(self) -> None:
        """Look at what waits for the owner, and let it go on."""
        operations = self.house.operations()
        try:
            self.done["resumed by the owner"] += len(resume(operations))
            for row in operations.restrictions():
                now_ms = time.time_ns() // 1_000_000
                asked = Command(
                    id=f"rearm-{row.scope}-{row.cause}-{row.since_ms}",
                    target=row.scope.removeprefix("run:"),
                    kind="rearm",
                    arguments={"cause": row.cause},
                    asked_by="owner",
                    asked_ms=now_ms,
                )
                if row.until_ms == 0 and operations.ask(asked).asked_ms == now_ms:
                    self.done[f"rearmed {row.cause}"] += 1
        finally:
            operations.close()

    def _last_words(self) -> str:
        return "\n".join(
            f"--- {name}\n{member.last_words()[-800:]}"
            for name, member in self.house.members.items()
            if isinstance(member, Member)
        )
