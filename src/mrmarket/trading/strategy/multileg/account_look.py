"""Looks at what every account of a run holds, once orders have changed it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from mrmarket.trading.strategy.multileg.side import MarketSide

_AGAIN_S: Final = 1


class AccountLook:
    """Asks until every venue has answered; one look at a time."""

    def __init__(
        self, sides: Sequence[MarketSide], goes_on: Callable[[], bool], on_known: Callable[[], None]
    ) -> None:
        """`goes_on`: whether anybody still wants to know; `on_known`: called once all have answered."""
        self.is_due = False
        """Whether the next decision has to wait for it."""
        self._sides = sides
        self._goes_on = goes_on
        self._on_known = on_known
        self._task: asyncio.Task[None] | None = None

    def require(self) -> None:
        """Before the next decision counts on balances."""
        self.is_due = True
        self.ask()

    def ask(self) -> None:
        """Now; decisions need not wait."""
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._work())

    async def end(self) -> None:
        """Nobody wants to know any more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _work(self) -> None:
        while self._goes_on():
            answers = await asyncio.gather(*(side.refresh_balances() for side in self._sides))
            if all(answers):
                self.is_due = False
                self._on_known()
                return
            await asyncio.sleep(_AGAIN_S)
