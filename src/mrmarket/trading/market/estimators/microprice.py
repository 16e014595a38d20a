"""Fair value from the top of the book: Stoikov's microprice as a table of adjustments.

S. Stoikov, "The micro-price: a high-frequency estimator of future prices", Quantitative Finance 18(12), 2018.
The state of a book is its imbalance and its spread, both in buckets. From counted transitions between
states, `G1` is the expected first move of the mid, `B` where the book stands after a move, and the
adjustment `G* = G1 + B G1 + B² G1 + …` is the expected sum of all moves to come.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from typing import Final

import msgspec

from mrmarket.core.errors import InvalidInputError

Matrix = list[list[float]]

TERMS: Final = 10
"""How many powers of `B` are summed; the mirrored sample makes the rest vanish quickly."""


class MicropriceTable(msgspec.Struct, frozen=True, kw_only=True):
    """The adjustment of the mid by imbalance and spread; a look-up at run time."""

    imbalance_buckets: int
    spread_buckets: int
    adjustment_ticks: list[float]
    """`[spread bucket * imbalance_buckets + imbalance bucket]`, in ticks from the mid."""
    transitions: int
    """Counted updates that it was fitted on."""

    def adjustment(self, bid_lots: int, ask_lots: int, spread_ticks: int) -> float:
        """How far the fair value lies above the mid, in ticks."""
        state = _state(bid_lots, ask_lots, spread_ticks, self.imbalance_buckets, self.spread_buckets)
        return self.adjustment_ticks[state]


class MicropriceEstimator:
    """Counts transitions between states of the top of the book, and fits the table on demand.

    Each transition is counted together with its mirror image (imbalance turned round, the move negated),
    as in the paper, so that the table is antisymmetric and the sum converges.
    """

    def __init__(self, *, imbalance_buckets: int = 10, spread_buckets: int = 4) -> None:
        """Spreads of `spread_buckets` ticks and more share the last bucket."""
        if imbalance_buckets < 2 or spread_buckets < 1:  # noqa: PLR2004 - said in words beside it
            raise InvalidInputError(
                "buckets", (imbalance_buckets, spread_buckets), "at least two of imbalance and one of spread"
            )
        self._imbalances = imbalance_buckets
        self._spreads = spread_buckets
        states = imbalance_buckets * spread_buckets
        self._still: list[list[int]] = [[0] * states for _ in range(states)]
        self._moved: list[list[int]] = [[0] * states for _ in range(states)]
        self._half_ticks = [0] * states
        self._last: tuple[int, int] | None = None
        self.transitions = 0
        """Updates counted, mirror images left out."""

    def observe(self, bid_ticks: int, bid_lots: int, ask_ticks: int, ask_lots: int) -> None:
        """Take the top of the book after an update in; a crossed or locked one breaks the chain."""
        if ask_ticks <= bid_ticks:
            self._last = None
            return
        spread = ask_ticks - bid_ticks
        state = _state(bid_lots, ask_lots, spread, self._imbalances, self._spreads)
        double_mid = bid_ticks + ask_ticks
        if self._last is not None:
            before, double_before = self._last
            self._count(before, state, double_mid - double_before)
            self._count(self._mirror(before), self._mirror(state), double_before - double_mid)
            self.transitions += 1
        self._last = (state, double_mid)

    def interrupted(self) -> None:
        """The feed was lost: the next update follows no other."""
        self._last = None

    def fit(self, *, terms: int = TERMS) -> MicropriceTable:
        """The table by everything counted so far; a state that was never seen keeps the mid."""
        steps = self.fitting(terms=terms)
        while True:
            try:
                next(steps)
            except StopIteration as done:
                table: MicropriceTable = done.value
                return table

    def fitting(self, *, terms: int = TERMS) -> Generator[None, None, MicropriceTable]:
        """The same a little at a time, by what is counted now: each step takes part of a millisecond."""
        size = len(self._still)
        transitions = self.transitions
        still = [list(row) for row in self._still]
        moved = [list(row) for row in self._moved]
        half_ticks = list(self._half_ticks)
        yield
        totals = [sum(stays) + sum(leaves) for stays, leaves in zip(still, moved, strict=True)]
        # Id - Q, with a row of the identity for a state that was never left.
        left: Matrix = [
            [
                float(row == column) - (still[row][column] / totals[row] if totals[row] else 0.0)
                for column in range(size)
            ]
            for row in range(size)
        ]
        yield
        # E[dM; dM != 0 | x]: the paper's R K, without rounding moves to its four values.
        first = [0.5 * half_ticks[row] / totals[row] if totals[row] else 0.0 for row in range(size)]
        jumps: Matrix = [
            [moved[row][column] / totals[row] if totals[row] else 0.0 for column in range(size)]
            for row in range(size)
        ]
        yield
        solved = [[first[row], *jumps[row]] for row in range(size)]
        for column in range(size):
            _eliminate(left, solved, column)
            yield
        term = [row[0] for row in solved]
        into = [row[1:] for row in solved]
        total = list(term)
        for _ in range(terms):
            term = [math.fsum(map(float.__mul__, row, term)) for row in into]
            total = list(map(float.__add__, total, term))
            yield
        return MicropriceTable(
            imbalance_buckets=self._imbalances,
            spread_buckets=self._spreads,
            adjustment_ticks=total,
            transitions=transitions,
        )

    def _count(self, before: int, after: int, half_ticks: int) -> None:
        if half_ticks:
            self._moved[before][after] += 1
            self._half_ticks[before] += half_ticks
        else:
            self._still[before][after] += 1

    def _mirror(self, state: int) -> int:
        spread, imbalance = divmod(state, self._imbalances)
        return spread * self._imbalances + self._imbalances - 1 - imbalance


def weighted_mid_offset(bid_lots: int, ask_lots: int, spread_ticks: int) -> float:
    """How far the weighted mid `I·Pa + (1 − I)·Pb` lies above the mid, in ticks; `I = Qb / (Qb + Qa)`."""
    return (bid_lots / (bid_lots + ask_lots) - 0.5) * spread_ticks


def _state(bid_lots: int, ask_lots: int, spread_ticks: int, imbalances: int, spreads: int) -> int:
    # In integers, so that a mirrored book falls into the mirrored bucket also on a bucket's edge.
    total = bid_lots + ask_lots
    low = bid_lots * imbalances // total
    high = imbalances - 1 - ask_lots * imbalances // total
    bucket = max(0, min(imbalances - 1, low if bid_lots < ask_lots else high))
    if bid_lots == ask_lots:
        bucket = imbalances // 2
    return (min(spread_ticks, spreads) - 1) * imbalances + bucket


def _eliminate(left: Matrix, right: Matrix, column: int) -> None:
    """One column of Gauss–Jordan with row pivots; overwrites both. Systems here have some forty rows."""
    size = len(left)
    pivot = max(range(column, size), key=lambda row: abs(left[row][column]))
    left[column], left[pivot] = left[pivot], left[column]
    right[column], right[pivot] = right[pivot], right[column]
    if abs(left[column][column]) < 1e-12:  # noqa: PLR2004 - a set of states that is never left for a move
        left[column][column] = 1.0
        right[column] = [0.0] * len(right[column])
    scale = 1.0 / left[column][column]
    left[column] = [value * scale for value in left[column]]
    right[column] = [value * scale for value in right[column]]
    for row in range(size):
        factor = left[row][column]
        if row != column and factor:
            _subtract(left[row], left[column], factor)
            _subtract(right[row], right[column], factor)


def _subtract(row: list[float], other: Sequence[float], factor: float) -> None:
    for index, value in enumerate(other):
        row[index] -= factor * value
