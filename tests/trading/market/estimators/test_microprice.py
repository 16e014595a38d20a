"""The microprice against its paper: a hand-worked chain, the fixed point, and a real market."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mrmarket.core.errors import InvalidInputError
from mrmarket.trading.market.book import OrderBook
from mrmarket.trading.market.estimators.microprice import (
    MicropriceEstimator,
    MicropriceTable,
    weighted_mid_offset,
)
from mrmarket.trading.market.tape import open_tape
from shared_data import SHARED, needs_shared

TAPE = SHARED / "market/binance_raw_20240808"
Top = tuple[int, int, int, int]
"""Price and lots of the best bid, price and lots of the best ask."""


def test_two_states_by_hand() -> None:
    """Heavy bids move up by one tick with 1/4, else stay: the adjustment is the paper's (Id − Q)⁻¹ R K."""
    estimator = MicropriceEstimator(imbalance_buckets=2, spread_buckets=1)
    bid = 100
    for _ in range(50):
        for _ in range(4):  # three updates without a move, the fourth moves the mid by one tick
            estimator.observe(bid, 9, bid + 1, 1)
        bid += 1
    table = estimator.fit(terms=0)
    # From a heavy bid: P(move) = 1/4, so that the first move is one tick up for certain, sooner or later.
    assert table.adjustment(9, 1, 1) == pytest.approx(1.0, abs=0.02)
    assert table.adjustment(1, 9, 1) == pytest.approx(-1.0, abs=0.02)


def walk(seed: int, updates: int) -> MicropriceEstimator:
    """A market whose mid follows its imbalance, with a spread of one or two ticks."""
    rng = random.Random(seed)  # noqa: S311 - a test wants the same path each time
    estimator = MicropriceEstimator(imbalance_buckets=4, spread_buckets=2)
    bid, spread, bid_lots = 1_000, 1, 50
    for _ in range(updates):
        if rng.random() < 0.2:
            bid += 1 if rng.random() < bid_lots / 100 else -1
            spread = rng.choice((1, 2))
            bid_lots = rng.randint(1, 99)
        else:
            bid_lots = max(1, min(99, bid_lots + rng.randint(-15, 15)))
        estimator.observe(bid, bid_lots, bid + spread, 100 - bid_lots)
    return estimator


def test_the_adjustment_is_a_fixed_point() -> None:
    """G* = E[move + G*(next state)]: what makes the microprice a martingale."""
    estimator = walk(3, 20_000)
    table = estimator.fit(terms=60).adjustment_ticks
    for state, (still, moved) in enumerate(zip(estimator._still, estimator._moved, strict=True)):
        total = sum(still) + sum(moved)
        assert total
        expected = estimator._half_ticks[state] / 2 / total + sum(
            (still[after] + moved[after]) / total * table[after] for after in range(len(still))
        )
        assert table[state] == pytest.approx(expected, abs=1e-9)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32), bid_lots=st.integers(1, 99), spread=st.integers(1, 5))
def test_a_mirrored_book_has_the_mirrored_fair_value(seed: int, bid_lots: int, spread: int) -> None:
    """Buyers and sellers are treated alike, also on the edge between two buckets."""
    table = walk(seed, 300).fit()
    if bid_lots != 50:
        there = table.adjustment(bid_lots, 100 - bid_lots, spread)
        back = table.adjustment(100 - bid_lots, bid_lots, spread)
        assert there == pytest.approx(-back, abs=1e-9)


def test_it_leans_to_the_lighter_side() -> None:
    """More bid than offered lifts the fair value, and the more the further."""
    table = walk(5, 30_000).fit()
    values = [table.adjustment(lots, 100 - lots, 1) for lots in (10, 40, 60, 90)]
    assert values == sorted(values)
    assert values[0] < 0 < values[-1]


def test_without_data_it_is_the_mid() -> None:
    """A table of nothing adjusts nothing."""
    table = MicropriceEstimator().fit()
    assert isinstance(table, MicropriceTable)
    assert set(table.adjustment_ticks) == {0.0}


def test_gaps_and_crossed_books_join_nothing() -> None:
    """Two tops with something missing in between are no transition."""
    estimator = MicropriceEstimator()
    estimator.observe(10, 1, 11, 1)
    estimator.interrupted()
    estimator.observe(12, 1, 13, 1)
    estimator.observe(14, 1, 14, 1)
    estimator.observe(12, 1, 13, 1)
    assert estimator.transitions == 0


def test_too_few_buckets_are_refused() -> None:
    """One bucket of imbalance could say nothing."""
    with pytest.raises(InvalidInputError):
        MicropriceEstimator(imbalance_buckets=1)


def test_the_weighted_mid_leans_to_the_lighter_side() -> None:
    """I·Pa + (1 − I)·Pb with three quarters on the bid is a quarter of the spread above the mid."""
    assert weighted_mid_offset(3, 1, 2) == 0.5
    assert weighted_mid_offset(1, 1, 7) == 0.0


@needs_shared
@pytest.mark.parametrize("name", ["spot_ethusdt", "usdm_btcusdt"])
def test_it_foretells_the_mid_of_a_real_market(name: str) -> None:
    """Fitted on a tape's first half, on the second: the side of the next moves, and a smaller error.

    Updates of the touch come every 100 ms there. Twenty of them later the table's error is 4 % below the
    mid's; the direction five updates later is right in three of four cases. One update later the error is
    larger than the mid's: the table tells of all moves to come, not of the next one.
    """
    book_tops = tops(name)
    half = len(book_tops) // 2
    estimator = MicropriceEstimator()
    for top in book_tops[:half]:
        estimator.observe(*top)
    table = estimator.fit()
    right = moved = 0
    plain = micro = 0.0
    for now, soon, later in zip(
        book_tops[half:], book_tops[half + 5 :], book_tops[half + 20 :], strict=False
    ):
        adjustment = table.adjustment(now[1], now[3], now[2] - now[0])
        if next_move := _mid(soon) - _mid(now):
            moved += 1
            right += (next_move > 0) == (adjustment > 0)
        move = _mid(later) - _mid(now)
        plain += move * move
        micro += (move - adjustment) ** 2
    assert moved > 400
    assert right / moved > 0.7
    assert micro < 0.98 * plain


def tops(name: str) -> list[Top]:
    """Every different touch of a tape, in order."""
    path = next(path for path in sorted(TAPE.glob("*.gz")) if path.name.startswith(name))
    tape = open_tape(path)
    book = OrderBook(tape.instrument)
    found: list[Top] = []
    for event in tape.events():
        if book.apply(event) and (bid := book.best_bid) and (ask := book.best_ask):
            top = (*bid, *ask)
            if not found or found[-1] != top:
                found.append(top)
    return found


def _mid(top: Top) -> float:
    return (top[0] + top[2]) / 2
