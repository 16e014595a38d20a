"""Sums and values over the last so many nanoseconds, in fixed memory. Every operation is O(1) amortised."""

from __future__ import annotations

from collections import deque
from decimal import Decimal


class SumWindow:
    """The sum of what was added within a span, to the precision of a sixtieth of it.

    An amount leaves between `span` and `span` plus one slot after it was added: never too early.
    """

    __slots__ = ("_head", "_slot_ns", "_slots", "total")

    def __init__(self, span_ns: int, slots: int = 60) -> None:
        self.total = 0
        """As of the last call."""
        self._slot_ns = max(1, span_ns // slots)
        self._slots = [0] * (slots + 1)
        self._head: int | None = None

    def add(self, now_ns: int, amount: int = 1) -> None:
        """Count an amount at this time; time does not go back."""
        self.at(now_ns)
        self._slots[now_ns // self._slot_ns % len(self._slots)] += amount
        self.total += amount

    def at(self, now_ns: int) -> int:
        """The sum as of this time."""
        head, size = now_ns // self._slot_ns, len(self._slots)
        if self._head is None or head - self._head >= size:
            if self._head is not None:
                self._slots = [0] * size
                self.total = 0
            self._head = head
        while self._head < head:
            self._head += 1
            gone = self._head % size
            self.total -= self._slots[gone]
            self._slots[gone] = 0
        return self.total

    def clear(self) -> None:
        """Forget everything."""
        self._slots = [0] * len(self._slots)
        self.total = 0


class ValueWindow:
    """What a value was when a span began, to the precision of a sixtieth of it; never older than that."""

    __slots__ = ("_kept", "_slot_ns", "_span_ns")

    def __init__(self, span_ns: int, slots: int = 60) -> None:
        self._span_ns = span_ns
        self._slot_ns = max(1, span_ns // slots)
        self._kept: deque[tuple[int, Decimal]] = deque()

    def put(self, now_ns: int, value: Decimal) -> Decimal:
        """Take a value in and return the oldest one within the span; of each slot the first is kept."""
        kept = self._kept
        while kept and now_ns - kept[0][0] > self._span_ns:
            kept.popleft()
        if not kept or now_ns // self._slot_ns != kept[-1][0] // self._slot_ns:
            kept.append((now_ns, value))
        return kept[0][1]

    def clear(self) -> None:
        """Forget everything."""
        self._kept.clear()
