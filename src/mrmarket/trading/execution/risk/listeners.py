"""Whoever wants to hear of changes."""

from __future__ import annotations

from collections.abc import Callable


class Listeners:
    """Calls without arguments, made on the event loop in the order in which they were added."""

    __slots__ = ("_calls",)

    def __init__(self) -> None:
        self._calls: list[Callable[[], None]] = []

    def listen(self, call: Callable[[], None]) -> Callable[[], None]:
        """Have changes told from now on; the returned call ends it, twice is harmless."""
        self._calls.append(call)

        def forget() -> None:
            if call in self._calls:
                self._calls.remove(call)

        return forget

    def tell(self) -> None:
        """Something has changed. Whoever is added or forgotten meanwhile counts from the next time on."""
        for call in list(self._calls):
            call()
