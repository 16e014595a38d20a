"""Wrong guesses make the next guess wait."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from mrmarket.core.clock import NS_PER_S, Clock
from mrmarket.services.access.errors import TooManyRequestsError

_FREE: Final = 5
_FORGET_NS: Final = 3600 * NS_PER_S
_MAX_KEYS: Final = 10_000


@dataclass(slots=True)
class _Record:
    failures: int
    last_ns: int
    until_ns: int


class Attempts:
    """Back-off that doubles: five guesses are free, then 1 s, 2 s, 4 s … up to `longest_s`.

    An hour without a failure forgets everything. By address it may get long. By account it must stay short:
    otherwise anybody could lock the owner out by guessing.
    """

    def __init__(self, clock: Clock, longest_s: int) -> None:
        self._clock = clock
        self._longest_s = longest_s
        self._records: dict[str, _Record] = {}

    def require(self, key: str) -> None:
        """Refuse while a wait is on.

        Raises:
            TooManyRequestsError: with the seconds that are left.
        """
        record = self._records.get(key)
        if record is None:
            return
        left_ns = record.until_ns - self._clock.monotonic_ns()
        if left_ns > 0:
            raise TooManyRequestsError(-(-left_ns // NS_PER_S), "attempts")

    def begin(self, key: str) -> None:
        """Count an attempt as failed until `succeeded` says otherwise: guesses in parallel count too."""
        now_ns = self._clock.monotonic_ns()
        record = self._records.pop(key, None)
        if record is None or now_ns - record.last_ns > _FORGET_NS:
            record = _Record(0, now_ns, now_ns)
        record.failures += 1
        record.last_ns = now_ns
        if record.failures >= _FREE:
            wait_s = min(2 ** min(record.failures - _FREE, 30), self._longest_s)
            record.until_ns = now_ns + wait_s * NS_PER_S
        self._records[key] = record
        if len(self._records) > _MAX_KEYS:
            del self._records[next(iter(self._records))]

    def succeeded(self, key: str) -> None:
        """Forget the failures of a key."""
        self._records.pop(key, None)
