"""What the chooser asks of whoever carries its decisions out, and of whoever sees what runs earn."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Protocol

from mrmarket.services.selection.plan import Plan
from mrmarket.services.selection.switchboard import Answer
from mrmarket.trading.strategy.shadow.reading import Reading


class Board(Protocol):
    """Carries out actions; see `Switchboard`."""

    async def stop(self, plan: Plan, reason: str) -> Answer:
        """Pause to the proof."""
        ...

    async def start(self, plan: Plan, reason: str) -> Answer:
        """Let it trade."""
        ...

    async def hold_down(self, plans: Mapping[str, Plan], current: str) -> list[str]:
        """Pause who has not the turn."""
        ...


class Eyes(Protocol):
    """What the chooser sees of runs and shadows. Nothing here waits but `held`."""

    def live(self, run: str, life: str) -> Reading | None:
        """What a run of this process has earned."""
        ...

    def paper(self, candidate: str) -> Reading | None:
        """What a candidate's shadow has earned."""
        ...

    def failed(self) -> Collection[str]:
        """Runs that rest after a failure."""
        ...

    async def held(self, runs: Collection[str]) -> Mapping[str, str]:
        """Of these runs, those that the owner, or what waits for the owner, keeps from trading; and why."""
        ...
