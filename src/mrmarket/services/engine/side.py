"""The trading side of an instance: engines in this process, or somewhere else."""

from __future__ import annotations

from typing import Protocol

from mrmarket.services.api import schema
from mrmarket.services.run_desk import RunDesk


class TradingSide(Protocol):
    """What an instance needs of whoever trades."""

    @property
    def desk(self) -> RunDesk | None:
        """Shows the main run; None before anything is known of it."""
        ...

    def heartbeat(self) -> schema.Heartbeat:
        """A sign of life."""
        ...

    async def begin(self) -> None:
        """Go to work. Raises a MrMarketError where nothing can trade here; nothing is left running."""
        ...

    async def keep(self) -> None:
        """What must go on as long as the instance lives; raises what it cannot go on after."""
        ...

    async def resume(self) -> None:
        """Have the main run quote."""
        ...

    async def pause(self, reason: str) -> None:
        """Have the main run cancel every quote and stay paused."""
        ...

    async def close(self, *, abandon: bool) -> None:
        """End; `abandon` leaves orders where they are because nobody is there to cancel them."""
        ...
