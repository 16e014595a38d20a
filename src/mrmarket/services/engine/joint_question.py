"""One question to a venue in the name of several runs that want to know the same at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class JointQuestion(Generic[T]):
    """Whoever comes while a question is on its way shares the next one.

    So an answer is never older than the wish for it, and an account's rate limit is spent once where many
    runs of it recover together.
    """

    def __init__(self, ask: Callable[[int], Awaitable[T]]) -> None:
        """`ask` is given the earliest of the times since when somebody wants to know, in ns."""
        self._ask = ask
        self._since_ns: int | None = None
        self._sent: asyncio.Task[T] | None = None
        self._next: asyncio.Task[T] | None = None
        self.asked = 0
        """Questions sent."""

    async def answer(self, since_ns: int = 0) -> T:
        """What the venue says; raises whatever asking raised.

        Whoever is cancelled takes nobody else's answer away.
        """
        self._since_ns = since_ns if self._since_ns is None else min(self._since_ns, since_ns)
        if self._next is None:
            self._next = asyncio.create_task(self._send(self._sent), name="joint question")
            self._next.add_done_callback(_heard)
        return await asyncio.shield(self._next)

    async def _send(self, before: asyncio.Task[T] | None) -> T:
        if before is not None:
            await asyncio.wait({before})
        # Sent from here on: who comes now begins another question.
        self._sent, self._next = self._next, None
        since_ns, self._since_ns = self._since_ns or 0, None
        self.asked += 1
        return await self._ask(since_ns)


def _heard(question: asyncio.Task[T]) -> None:
    """Everybody who asked may be gone when it fails."""
    if not question.cancelled():
        question.exception()
