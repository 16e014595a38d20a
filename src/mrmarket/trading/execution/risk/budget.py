"""How much of the capital each run may have in play: set by whoever divides it, obeyed at every order."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Final

from mrmarket.core.errors import InvalidInputError
from mrmarket.trading.execution.risk.listeners import Listeners

ROOM: Final = Decimal("0.98")
"""Orders are placed up to this share of a budget and taken back above the whole of it: in between, a price
that moves makes nobody cancel and place again."""


class Budget:
    """One run's. What is in play is the base that it holds with every open buy filled, at the mid.

    Selling is always free: it brings money back.
    """

    __slots__ = ("_listeners", "quote", "reason")

    def __init__(self) -> None:
        self.quote: Decimal | None = None
        """Units of quote; None is no limit."""
        self.reason = ""
        """What set it, for people."""
        self._listeners = Listeners()

    def set(self, quote: Decimal | None, reason: str = "") -> bool:
        """Another one from now on; say whether it differs.

        Raises:
            InvalidInputError: it is below 0 or no number.
        """
        if quote is not None and not (quote.is_finite() and quote >= 0):
            raise InvalidInputError("budget", quote, "0 or more")
        self.reason = reason
        if quote == self.quote:
            return False
        self.quote = quote
        self._listeners.tell()
        return True

    def listen(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Have changes told from now on, on the event loop; the returned call ends it."""
        return self._listeners.listen(listener)

    def is_passed(self, base: Decimal, mid: Decimal) -> bool:
        """Whether so much base, at this price, is more than the budget."""
        return self.quote is not None and base * mid > self.quote

    def takes(self, base: Decimal, mid: Decimal) -> bool:
        """Whether an order may be placed after which there would be so much base."""
        return self.quote is None or base * mid <= self.quote * ROOM

    def __str__(self) -> str:
        return "" if self.quote is None else f"{self.quote.normalize():f} ({self.reason})"


class Budgets:
    """Every run's, by id; a run that has none yet gets one without a limit."""

    def __init__(self) -> None:
        self._by_run: dict[str, Budget] = {}

    def of(self, run: str) -> Budget:
        """The run's budget: always the same object, so that a run may keep it."""
        return self._by_run.setdefault(run, Budget())
