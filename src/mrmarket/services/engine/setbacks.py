"""How long a run that failed rests before this engine tries it again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from mrmarket.core.clock import NS_PER_S
from mrmarket.core.errors import MrMarketError
from mrmarket.services.engine.timing import EngineTiming
from mrmarket.store.errors import StoreError
from mrmarket.trading.execution.risk.restart import RestartPolicy

RESTING: Final = "resting"
"""In an engine's sign of life: runs that rest after a failure."""


@dataclass(slots=True)
class _Setback:
    times: int
    until_ns: int | None
    """None: until the owner says otherwise."""
    revision: int


class Setbacks:
    """When to try again.

    What the world does to a run (a venue or a database that is away) is tried again soon and for ever; a run
    that fails by itself follows the restart policy. Other engines may try meanwhile.
    """

    def __init__(self, timing: EngineTiming, policy: RestartPolicy | None = None) -> None:
        self._timing = timing
        self._policy = policy or RestartPolicy()
        self._setbacks: dict[str, _Setback] = {}

    def note(
        self, run: str, failure: Exception, *, revision: int, lasted_ns: int, mono_ns: int
    ) -> float | None:
        """A run failed after so long; returns its rest in seconds, None for until the owner wants it."""
        last = self._setbacks.get(run)
        times = 1 if last is None or lasted_ns >= self._timing.calm_s * NS_PER_S else last.times + 1
        until_ns: int | None
        if isinstance(failure, StoreError) or (isinstance(failure, MrMarketError) and failure.retryable):
            rest_s = min(self._timing.longest_back_off_s, self._timing.back_off_s * 2.0 ** (times - 1))
            until_ns = mono_ns + int(rest_s * NS_PER_S)
        else:
            until_ns = self._policy.failed(run, mono_ns).at_ns
        self._setbacks[run] = _Setback(times, until_ns, revision)
        return None if until_ns is None else (until_ns - mono_ns) / NS_PER_S

    def calm(self, run: str) -> None:
        """A run ended without a failure."""
        self._setbacks.pop(run, None)

    def forgive(self, run: str, revision: int) -> None:
        """The owner has touched its specification: a rest that only the owner ends is over."""
        setback = self._setbacks.get(run)
        if setback is not None and setback.revision < revision:
            self._policy.forgive(run)
            del self._setbacks[run]

    def barred(self, mono_ns: int) -> frozenset[str]:
        """Runs that rest."""
        return frozenset(
            run
            for run, setback in self._setbacks.items()
            if setback.until_ns is None or mono_ns < setback.until_ns
        )
