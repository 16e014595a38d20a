"""One side of a generated book."""

from __future__ import annotations

from bisect import bisect_left, insort


class BookSide:
    """Levels by price, best last, with a note of what changed since the last frame.

    `sign` is +1 for bids and -1 for asks; `key = sign * price` grows towards the better price on
    both sides, so one set of rules serves both.
    """

    __slots__ = ("_changed", "keys", "sign", "sizes")

    def __init__(self, sign: int) -> None:
        self.sign = sign
        self.keys: list[int] = []
        self.sizes: dict[int, int] = {}
        self._changed: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def best(self) -> int:
        """Best price in ticks; the generator never lets a side run empty."""
        return self.sign * self.keys[-1]

    @property
    def best_lots(self) -> int:
        """Size at the best price."""
        return self.sizes[self.keys[-1]]

    def put(self, key: int, lots: int) -> None:
        """Set the size of a level."""
        if key not in self.sizes:
            insort(self.keys, key)
        self.sizes[key] = lots
        self._changed[key] = lots

    def remove(self, key: int) -> None:
        """Take a level away."""
        del self.sizes[key]
        del self.keys[bisect_left(self.keys, key)]
        self._changed[key] = 0

    def levels(self) -> list[tuple[int, int]]:
        """(price, size), best first."""
        return [(self.sign * key, self.sizes[key]) for key in reversed(self.keys)]

    def take_changes(self) -> list[tuple[int, int]]:
        """(price, size) of what changed since the last call, best first."""
        changed, self._changed = self._changed, {}
        return [(self.sign * key, changed[key]) for key in sorted(changed, reverse=True)]
