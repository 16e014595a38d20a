"""One run in the hands of one engine: from its lease to its end."""

from __future__ import annotations

import asyncio
from enum import StrEnum

from mrmarket.services.engine.ports import Hosted
from mrmarket.store.operations import RunSpec
from mrmarket.trading.execution.lease_guard import LeaseGuard


class Phase(StrEnum):
    """How far a seat has come."""

    STARTING = "starting"
    """The lease is ours; the run recovers."""
    HELD = "held"
    LEAVING = "leaving"
    """Orders are being cancelled before the lease is given back."""


class Ending(StrEnum):
    """How a seat ends."""

    HAND_OVER = "hand_over"
    """Cancel, prove, give the lease back."""
    DROP = "drop"
    """Leave everything where it is: an heir is at work, or is to take the orders over."""
    LEAVE_ORDERS = "leave_orders"
    """Stop without cancelling and give the lease back: the heir adopts the orders."""


class Seat:
    """A run's place on this engine; `ask` may be called at any time and the gravest wish counts."""

    def __init__(self, spec: RunSpec, fence: int, guard: LeaseGuard, since_ns: int) -> None:
        self.spec = spec
        self.fence = fence
        self.guard = guard
        self.since_ns = since_ns
        self.phase = Phase.STARTING
        self.begun = False
        """Whether its recovery has had its turn."""
        self.run: Hosted | None = None
        self.ending: Ending | None = None
        self.reason = ""
        self.task: asyncio.Task[None] | None = None
        self.asked = asyncio.Event()
        """Somebody wants it to end."""
        self.dropped = asyncio.Event()
        """The lease is gone."""

    @property
    def is_waiting(self) -> bool:
        """Whether nothing was begun under the lease yet: to give it back costs nothing."""
        return self.phase is Phase.STARTING and not self.begun

    @property
    def said(self) -> tuple[int, str]:
        """What a report says first of all: the fence and the state."""
        return self.fence, self.phase.value if self.run is None else self.run.state.value

    def ask(self, ending: Ending, reason: str) -> None:
        """Have the seat end."""
        if ending is Ending.DROP:
            self.guard.lost()
            self.dropped.set()
        if self.ending is None or ending is Ending.DROP:
            self.ending, self.reason = ending, reason
        self.asked.set()
