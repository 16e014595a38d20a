"""Order flow and trade imbalance against their definitions and markets of known slope."""

from __future__ import annotations

import random

import pytest

from mrmarket.core.clock import NS_PER_S
from mrmarket.trading.market.estimators.order_flow import (
    OrderFlowEstimator,
    TradeImbalance,
    fair_value_ticks,
    order_flow,
)
from mrmarket.trading.market.event import Level


@pytest.mark.parametrize(
    ("bid", "ask", "flow"),
    [
        ((100, 8), (102, 5), 3),  # three more bid
        ((100, 1), (102, 5), -4),  # four fewer bid
        ((101, 7), (102, 5), 7),  # a better bid brings all its size
        ((99, 7), (102, 5), -5),  # a worse one has lost all of the old
        ((100, 5), (102, 9), -4),  # four more offered
        ((100, 5), (101, 2), -2),  # a better offer brings all its size
        ((100, 5), (103, 2), 5),  # a worse one has lost all of the old
        ((100, 5), (102, 5), 0),
    ],
)
def test_each_case_of_the_paper(bid: Level, ask: Level, flow: int) -> None:
    """e_n by the four indicators, from a touch of 5 at 100 and 5 at 102."""
    assert order_flow(bid, ask, (100, 5), (102, 5)) == flow


def test_the_slope_is_found() -> None:
    """A mid that follows the flow at 1/20 of a tick a lot shows that slope."""
    rng = random.Random(1)  # noqa: S311 - a test wants the same path each time
    estimator = OrderFlowEstimator()
    bid_price, carried, bid_lots = 1_000, 0.0, 500
    for second in range(4_000):
        now_ns = second * NS_PER_S
        estimator.observe(now_ns, (bid_price, bid_lots), (bid_price + 1, 500))
        change = rng.randint(-60, 60)
        bid_lots = max(1, bid_lots + change)
        estimator.observe(now_ns + NS_PER_S // 2, (bid_price, bid_lots), (bid_price + 1, 500))
        carried += change / 20
        moved = round(carried)
        carried -= moved
        # The price moves between two intervals' flows: sizes are set anew without counting as flow.
        if moved:
            estimator._bid = (bid_price + moved, bid_lots)
            estimator._ask = (bid_price + moved + 1, 500)
            bid_price += moved
    assert estimator.beta == pytest.approx(1 / 20, rel=0.1)
    assert estimator.r_squared is not None
    assert estimator.r_squared > 0.7


def test_it_says_nothing_before_it_has_seen_enough() -> None:
    """A slope from a few intervals would be noise."""
    estimator = OrderFlowEstimator()
    for second in range(10):
        estimator.observe(second * NS_PER_S, (100, 5 + second), (102, 5))
    assert estimator.beta is None
    assert estimator.r_squared is None
    assert estimator.expected_move_ticks == 0.0


def test_quiet_time_makes_flow_old() -> None:
    """Ten empty intervals leave a thousandth of the average."""
    estimator = OrderFlowEstimator()
    estimator.observe(0, (100, 5), (102, 5))
    estimator.observe(NS_PER_S // 2, (100, 1_005), (102, 5))
    estimator.observe(NS_PER_S, (100, 1_005), (102, 5))
    assert estimator.flow_lots == 500.0
    estimator.observe(12 * NS_PER_S, (100, 1_005), (102, 5))
    assert 0 < estimator.flow_lots < 0.5
    assert estimator.intervals == 12


def test_trade_imbalance_by_hand() -> None:
    """Ten bought, and five sold one half-life later: (10/2 − 5) of (10/2 + 5)."""
    trades = TradeImbalance(half_life_ns=NS_PER_S)
    assert trades.imbalance == 0.0
    trades.observe(0, 10, taker_buys=True)
    assert trades.imbalance == 1.0
    trades.observe(NS_PER_S, 5, taker_buys=False)
    assert trades.imbalance == pytest.approx(0.0, abs=1e-12)
    trades.observe(NS_PER_S, 10, taker_buys=False)
    assert trades.imbalance == pytest.approx(-0.5)


def test_the_fair_value_stays_within_a_spread() -> None:
    """Whatever models say, one spread from the mid is the limit."""
    assert fair_value_ticks((100, 1), (102, 1), 0.25, 0.5) == 101.75
    assert fair_value_ticks((100, 1), (102, 1), 9.0, 0.0) == 103.0
    assert fair_value_ticks((100, 1), (102, 1), 0.0, -9.0) == 99.0
