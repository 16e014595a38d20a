"""How long to wait before connecting again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

_FIRST_S: Final = 0.25
_LONGEST_S: Final = 30.0


class Backoff:
    """Doubles from a quarter of a second to half a minute; each wait is drawn from its upper half.

    Many clients that lose one venue at once must not come back at once.
    """

    __slots__ = ("_attempt", "_random")

    def __init__(self, random: Callable[[], float]) -> None:
        """`random` gives a float from 0 to 1."""
        self._random = random
        self._attempt = 0

    def reset(self) -> None:
        """The connection works again."""
        self._attempt = 0

    def next_s(self) -> float:
        """Seconds to wait now."""
        longest_s = min(_LONGEST_S, _FIRST_S * 2.0**self._attempt)
        self._attempt = min(self._attempt + 1, 16)
        return longest_s * (0.5 + self._random() / 2)
