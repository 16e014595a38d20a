"""Whether this process may still send: judged by its own monotonic clock, without asking anybody."""

from __future__ import annotations

from typing import Final

from mrmarket.core.clock import Clock

MARGIN: Final = 0.2
"""Share of a lease's length that is not used: a send must reach the venue before an heir may begin."""


class LeaseGuard:
    """The end of a lease on the holder's own clock.

    Others may take the lease once it has run out by the store's clock. The holder counts from the moment
    *before* it asked for the renewal and stops `MARGIN` earlier, so that it falls silent first, also after
    having been frozen in the middle of anything.
    """

    __slots__ = ("_clock", "_until_ns")

    def __init__(self, clock: Clock) -> None:
        """A guard that allows nothing until it is told of a lease."""
        self._clock = clock
        self._until_ns: int | None = None

    def renewed(self, asked_ns: int, ttl_ns: int) -> None:
        """A renewal succeeded that was asked for at `asked_ns` (monotonic)."""
        until_ns = asked_ns + int(ttl_ns * (1 - MARGIN))
        self._until_ns = until_ns if self._until_ns is None else max(self._until_ns, until_ns)

    def lost(self) -> None:
        """Somebody else holds the lease."""
        self._until_ns = None

    @property
    def is_valid(self) -> bool:
        """Whether an order may be sent now."""
        return self._until_ns is not None and self._clock.monotonic_ns() < self._until_ns
