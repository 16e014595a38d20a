"""How much of its running time a strategy had quotes on both sides."""

from __future__ import annotations


class QuoteUptime:
    """Adds up time between observations; what was true at one holds until the next."""

    def __init__(self) -> None:
        self._at_ns: int | None = None
        self._quoting = False
        self._running = False
        self._quoted_ns = 0
        self._ran_ns = 0

    def observe(self, now_ns: int, *, quoting: bool, running: bool) -> None:
        """Take a look at a monotonic time."""
        if self._at_ns is not None and self._running:
            elapsed_ns = now_ns - self._at_ns
            self._ran_ns += elapsed_ns
            if self._quoting:
                self._quoted_ns += elapsed_ns
        self._at_ns, self._quoting, self._running = now_ns, quoting, running

    @property
    def share(self) -> float | None:
        """0 to 1; None before the strategy ran."""
        return self._quoted_ns / self._ran_ns if self._ran_ns else None
