"""Where an order stands in the queue of its price, worked out by hand."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mrmarket.trading.venue.simulated.book_arrays import (
    BookSide,
    Market,
    QueueModel,
    new_market,
)
from mrmarket.trading.venue.simulated.kernel import print_trade, submit, take
from mrmarket.trading.venue.simulated.price_levels import forget, go_deeper, put_level, set_top
from mrmarket.trading.venue.simulated.queue_position import (
    clear_levels,
    end_snapshot,
    rest,
    set_level,
    stood_behind,
    visible,
)

PRICE = 100
BUY = True


def market_with(lots: int, model: QueueModel = QueueModel.RISK_AVERSE, exponent_milli: int = 2_000) -> Market:
    """A bid of `lots` at PRICE and a far ask."""
    market = new_market(model=model, exponent_milli=exponent_milli, level_capacity=8, order_capacity=8)
    set_level(market.bids, PRICE, lots, market.settings)
    set_level(market.asks, -200, 1_000, market.settings)
    return market


def ahead(side: BookSide) -> list[int]:
    """Lots before each client order, oldest first."""
    return side.queue.ahead[: side.queue.held[0]][::-1]


def levels(side: BookSide) -> list[tuple[int, int]]:
    """(key, lots) of the levels that hold something, ascending."""
    return sorted(
        (key, lots) for key, lots in zip(side.levels.slot_key, side.levels.lots, strict=True) if key and lots
    )


def fills(market: Market) -> list[tuple[int, int]]:
    """(maker, lots) of everything since the market was made."""
    rows = market.fills.rows[0]
    return list(zip(market.fills.maker[:rows], market.fills.lots[:rows], strict=True))


def test_a_new_order_stands_behind_everything_displayed() -> None:
    """V starts as the level's size."""
    market = market_with(50)
    rest(market, BUY, PRICE, 10, 1, 7)
    assert ahead(market.bids) == [50]


@pytest.mark.parametrize(
    ("prints", "left_ahead", "filled"),
    [
        ([20], 30, 0),
        ([50], 0, 0),
        ([53], 0, 3),
        ([20, 20, 20], 0, 10),
        ([1_000], 0, 10),
    ],
)
def test_prints_at_the_price_move_an_order_and_then_fill_it(
    prints: list[int], left_ahead: int, filled: int
) -> None:
    """V falls by each print; what is left of the print after V is the fill."""
    market = market_with(50)
    rest(market, BUY, PRICE, 10, 1, 7)
    for lots in prints:
        print_trade(market, False, PRICE, lots)
    assert sum(lots for _, lots in fills(market)) == filled
    assert ahead(market.bids) == ([left_ahead] if filled < 10 else [])


@pytest.mark.parametrize(
    ("prints", "after", "left_ahead"),
    [
        ([], 80, 50),  # it grew: newcomers stand behind
        ([], 60, 50),  # 20 of the 20 behind cancelled
        ([], 30, 30),  # more than stood behind cancelled: capped by what is left
        ([15], 65, 35),  # the print explains the whole change: it is not counted twice
        ([15], 55, 35),  # 15 traded, 10 cancelled behind
        ([15], 20, 20),
        ([], 0, 0),
    ],
)
def test_risk_averse_counts_cancellations_behind_us(prints: list[int], after: int, left_ahead: int) -> None:
    """With p = 1 only prints advance an order, and nobody stands behind more than is displayed."""
    market = market_with(50)
    rest(market, BUY, PRICE, 10, 1, 7)
    set_level(market.bids, PRICE, 80, market.settings)
    for lots in prints:
        print_trade(market, False, PRICE, lots)
    set_level(market.bids, PRICE, after, market.settings)
    assert ahead(market.bids) == [left_ahead]


@pytest.mark.parametrize(
    ("model", "exponent_milli", "before_us", "behind_us", "cancelled", "behind_share"),
    [
        # f(x) = x: p = 25 / 100
        (QueueModel.POWER, 1_000, 75, 25, 40, 10),
        # f(x) = x^2: p = 25^2 / (25^2 + 75^2) = 0.1
        (QueueModel.POWER, 2_000, 75, 25, 40, 4),
        # f(x) = x^3: p = 1 / 28, of 40 that is 1.43, rounded up
        (QueueModel.POWER, 3_000, 75, 25, 40, 2),
        # ln(1 + 9) / (ln(1 + 9) + ln(1 + 99)) = 1 / 3
        (QueueModel.LOGARITHM, 0, 99, 9, 9, 3),
        # p * change would be more than stands behind
        (QueueModel.POWER, 1_000, 10, 90, 99, 90),
        (QueueModel.RISK_AVERSE, 0, 75, 25, 40, 25),
        (QueueModel.RISK_AVERSE, 0, 75, 25, 10, 10),
        # nobody anywhere: the share of nothing
        (QueueModel.POWER, 2_000, 0, 0, 5, 0),
    ],
)
def test_cancellations_are_shared_out_by_the_model(
    model: QueueModel, exponent_milli: int, before_us: int, behind_us: int, cancelled: int, behind_share: int
) -> None:
    """The share f(W) / (f(W) + f(V)) of the cancelled lots stood behind, rounded up."""
    assert stood_behind([int(model), exponent_milli], before_us, behind_us, cancelled) == behind_share


def test_the_power_model_advances_an_order_through_cancellations() -> None:
    """V' = V - (1 - p) * change: 75 ahead and 25 behind, 40 cancelled, p = 0.25."""
    market = market_with(75, QueueModel.POWER, 1_000)
    rest(market, BUY, PRICE, 10, 1, 7)
    set_level(market.bids, PRICE, 100, market.settings)
    set_level(market.bids, PRICE, 60, market.settings)
    assert ahead(market.bids) == [45]


def test_two_orders_at_a_price_share_a_print_in_their_order() -> None:
    """50 ahead, 10 ours, 30 of others, 10 ours: a print of 75 reaches the first and 15 of the others."""
    market = market_with(50)
    rest(market, BUY, PRICE, 10, 1, 1)
    set_level(market.bids, PRICE, 80, market.settings)
    rest(market, BUY, PRICE, 10, 1, 2)
    print_trade(market, False, PRICE, 75)
    assert fills(market) == [(1, 10)]
    assert ahead(market.bids) == [15]
    print_trade(market, False, PRICE, 18)
    assert fills(market) == [(1, 10), (2, 3)]


def test_a_print_never_fills_more_than_its_size() -> None:
    """Two orders at the front get 12 of a print of 12 between them."""
    market = market_with(1)
    set_level(market.bids, PRICE, 0, market.settings)
    rest(market, BUY, PRICE, 10, 1, 1)
    rest(market, BUY, PRICE, 10, 1, 2)
    print_trade(market, False, PRICE, 12)
    assert fills(market) == [(1, 10), (2, 2)]


def test_a_print_through_the_price_fills_whole_and_best_first() -> None:
    """Orders that history traded through fill completely, at their own prices."""
    market = market_with(50)
    rest(market, BUY, PRICE + 1, 4, 1, 1)
    rest(market, BUY, PRICE + 2, 500, 1, 2)
    rest(market, BUY, PRICE, 10, 1, 3)
    print_trade(market, False, PRICE, 5)
    assert fills(market) == [(2, 500), (1, 4)]
    assert market.fills.price_ticks[:2] == [102, 101]
    assert ahead(market.bids) == [45]


def test_a_print_on_the_other_side_touches_nobody() -> None:
    """A buyer's print at our bid's price is no fill of our bid."""
    market = market_with(50)
    rest(market, BUY, PRICE, 10, 1, 7)
    print_trade(market, True, PRICE, 500)
    assert fills(market) == []
    assert ahead(market.bids) == [50]


def test_a_snapshot_caps_every_queue() -> None:
    """After a snapshot nobody stands behind more than it shows, and nothing where it shows nothing."""
    market = market_with(50)
    set_level(market.bids, 90, 40, market.settings)
    rest(market, BUY, PRICE, 10, 1, 1)
    rest(market, BUY, 90, 10, 1, 2)
    clear_levels(market)
    set_level(market.bids, PRICE, 20, market.settings)
    end_snapshot(market)
    assert ahead(market.bids) == [20, 0]


def test_a_top_moves_levels_and_no_queue() -> None:
    """The best level is replaced and better ones go; V waits for the level's own update."""
    market = market_with(50)
    set_level(market.bids, 101, 5, market.settings)
    rest(market, BUY, PRICE, 10, 1, 1)
    set_top(market.bids.levels, PRICE, 30)
    assert visible(market.bids, 101) == 0
    assert visible(market.bids, PRICE) == 40
    assert ahead(market.bids) == [50]
    set_level(market.bids, PRICE, 30, market.settings)
    assert ahead(market.bids) == [30]


def test_an_unchanged_top_does_not_refresh_what_clients_took() -> None:
    """The side of a top that did not move leaves its level as it is."""
    market = market_with(50)
    take(market, False, -PRICE, 20, 1, 0, 9)
    set_top(market.bids.levels, PRICE, 50)
    assert visible(market.bids, PRICE) == 30


def test_what_clients_took_is_missing_until_history_refreshes_the_level() -> None:
    """Own impact is remembered beside the level and history itself is untouched."""
    market = market_with(50)
    take(market, False, -PRICE, 20, 1, 0, 9)
    assert visible(market.bids, PRICE) == 30
    assert levels(market.bids) == [(PRICE, 50)]
    set_level(market.bids, PRICE, 45, market.settings)
    assert visible(market.bids, PRICE) == 45


def test_what_another_client_took_ahead_moves_an_order_forward() -> None:
    """A client's taker eats the front of the queue."""
    market = market_with(50)
    rest(market, BUY, PRICE, 10, 1, 1)
    take(market, False, -PRICE, 20, 2, 0, 9)
    assert ahead(market.bids) == [30]
    take(market, False, -PRICE, 35, 2, 0, 10)
    assert fills(market) == [(0, 20), (0, 30), (1, 5)]


def test_a_full_side_forgets_removed_levels_first() -> None:
    """A level that was removed keeps its place until room is needed; the others stay."""
    market = new_market(level_capacity=2, order_capacity=2)
    for key in (10, 20, 30, 40):
        put_level(market.bids.levels, key, key)
    assert put_level(market.bids.levels, 20, 0) == 20
    assert put_level(market.bids.levels, 30, 0) == 30
    assert put_level(market.bids.levels, 20, 21) == 0
    put_level(market.bids.levels, 20, 0)
    for key in (25, 26, 27):
        put_level(market.bids.levels, key, key)
    assert levels(market.bids) == [(10, 10), (25, 25), (26, 26), (27, 27), (40, 40)]


def test_a_full_side_keeps_the_best_levels() -> None:
    """When every level holds something the worst go, down to the capacity asked for."""
    market = new_market(level_capacity=2, order_capacity=2)
    for key in (10, 20, 30, 40, 15, 25):
        put_level(market.bids.levels, key, key)
    assert levels(market.bids) == [(key, key) for key in (10, 15, 20, 25, 30, 40)]
    put_level(market.bids.levels, 5, 5)
    assert levels(market.bids) == [(5, 5), (30, 30), (40, 40)]
    put_level(market.bids.levels, 40, 0)
    assert market.bids.levels.key[market.bids.levels.held[0] - 1] == 30


@settings(max_examples=300, deadline=None)
@given(
    steps=st.lists(st.tuples(st.integers(0, 9), st.integers(1, 60), st.integers(0, 3)), max_size=120),
    capacity=st.sampled_from((8, 40)),
)
def test_the_order_of_prices_is_that_of_a_sorted_map(
    steps: list[tuple[int, int, int]], capacity: int
) -> None:
    """Whatever is written, removed, overtaken or swept: the same sizes, best price and walk."""
    market = new_market(level_capacity=capacity, order_capacity=2)
    side, model = market.bids, dict[int, int]()
    for action, key, lots in steps:
        if action == 0:
            forget(side.levels)
            model.clear()
        elif action == 1 and lots:
            set_top(side.levels, key, lots)
            model = {price: size for price, size in model.items() if price < key} | {key: lots}
        elif action == 2:
            go_deeper(side.levels)
        else:
            before = put_level(side.levels, key, lots)
            if capacity == 40:
                assert before == model.get(key, 0)
            model[key] = lots
            if not lots:
                del model[key]
        if capacity < 40:
            # Too many levels: the farthest may be gone, and all that are there are right.
            kept = dict(levels(side))
            assert kept.items() <= model.items()
            assert len(kept) == len(model) or len(kept) >= capacity
            assert set(kept) == set(sorted(model)[len(model) - len(kept) :])
            model = kept
        assert levels(side) == sorted(model.items())
        rows = side.levels.held[0]
        assert (side.levels.key[rows - 1] if rows else 0) == max(model, default=0)
        walked = [key for key in side.levels.key[:rows] if model.get(key)]
        assert walked == sorted(model)[len(model) - len(walked) :]
        assert side.levels.held[2] or len(walked) == len(model)


def test_a_full_order_column_refuses_the_next_order() -> None:
    """An order that could not rest is refused before it trades."""
    market = new_market(level_capacity=3, order_capacity=1)
    put_level(market.asks.levels, -101, 5)
    outcomes = [submit(market, 0, BUY, 100 - at, 1, 1, 0, at + 1) for at in range(2)]
    assert outcomes == [0, 4]
    assert submit(market, 4, BUY, 0, 2, 1, 0, 3) == 1
