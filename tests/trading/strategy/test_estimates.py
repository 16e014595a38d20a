"""What a strategy asks to have measured reaches its view, and nothing else is measured."""

from __future__ import annotations

import random

import pytest

from fake_exchange import btc_usdt, snapshot
from model_stage import strategy
from mrmarket.core.clock import NS_PER_S, ManualClock
from mrmarket.trading.execution.account import Account
from mrmarket.trading.market.estimators.microprice import MicropriceTable
from mrmarket.trading.market.event import EventKind, MarketEvent
from mrmarket.trading.strategy.estimates import Estimate, MarketEstimates, wanted_by
from mrmarket.trading.strategy.market_watch import MarketWatch
from mrmarket.trading.strategy.parameters import PriceSource
from mrmarket.trading.strategy.port import MarketView
from mrmarket.trading.strategy.pure_market_making import Parameters, PureMarketMaking

ALL = frozenset(Estimate)


def walked(wanted: frozenset[Estimate], updates: int = 1_500) -> MarketWatch:
    """A market that moves towards the thinner side, with a trade now and then; ten updates a second."""
    rng = random.Random(3)  # noqa: S311 - a market, not a secret
    clock = ManualClock()
    watch = MarketWatch(btc_usdt(), wall=clock, world=clock, estimates=wanted)
    mid, bids, asks = 6_000_000, 500, 500
    for number in range(1, updates + 1):
        clock.advance(NS_PER_S // 10)
        bids = max(1, min(999, bids + rng.randint(-150, 150)))
        asks = 1_000 - bids
        if rng.random() < 0.3:
            mid += 10 if rng.random() < bids / 1_000 else -10
        watch.apply(snapshot([(mid - 1, bids)], [(mid + 1, asks)], last_id=number), [])
        if rng.random() < 0.4:
            buys = rng.random() < 0.5
            reach = int(rng.expovariate(0.1)) + 1
            trade = MarketEvent(
                kind=EventKind.TRADE,
                exchange_ns=1,
                local_ns=1,
                price_ticks=mid + (reach if buys else -reach),
                size_lots=rng.randint(1, 50),
                taker_buys=buys,
            )
            watch.apply(trade, [])
    return watch


def seen(watch: MarketWatch) -> MarketView:
    """What a strategy sees."""
    view = watch.view(Account(btc_usdt()))
    assert view is not None
    return view


def test_nothing_is_measured_that_nobody_asked_for() -> None:
    """The view of a plain strategy has volatility and markout alone."""
    watch = walked(frozenset(), 200)
    view = seen(watch)
    assert not watch.estimates.is_needed
    assert (view.intensity, view.micro_offset_ticks, view.flow_move_ticks) == (None, None, None)
    assert view.trade_imbalance == 0.0
    assert view.sigma is not None


def test_what_was_asked_for_is_measured() -> None:
    """Arrivals decay as they were made to (one in ten ticks), the imbalance leans the fair value."""
    watch = walked(ALL)
    view = seen(watch)
    assert view.intensity is not None
    assert view.intensity.k == pytest.approx(0.1, rel=0.4)
    assert view.flow_move_ticks is not None
    assert -1 < view.trade_imbalance < 1
    table = watch.estimates.table
    assert table is not None
    assert table.adjustment(900, 100, 2) > 0 > table.adjustment(100, 900, 2)
    assert view.micro_offset_ticks == table.adjustment(view.bid[1], view.ask[1], 2)


def test_before_enough_was_seen_there_is_no_table_and_no_rate() -> None:
    """A hundred updates in ten seconds say nothing."""
    view = seen(walked(ALL, 100))
    assert (view.intensity, view.micro_offset_ticks, view.flow_move_ticks) == (None, None, None)


def test_a_table_comes_in_small_steps_and_is_replaced_each_minute() -> None:
    """No single book change pays for a whole fit."""
    made = MarketEstimates(frozenset({Estimate.MICROPRICE}))
    tables: list[MicropriceTable | None] = []
    for number in range(2_000):
        side = number % 2
        made.on_touch(number * NS_PER_S // 10, (99 + side, 5 + side), (101 + side, 9))
        if not tables or made.table is not tables[-1]:
            tables.append(made.table)
    assert tables[0] is None
    assert len(tables) == 3
    assert tables[1] is not None
    assert tables[2] is not None
    assert tables[2].transitions > tables[1].transitions >= 1_000


def test_strategies_say_what_they_need() -> None:
    """Pure market making only for its microprice; models for arrivals and their fair value."""
    assert wanted_by(PureMarketMaking(Parameters())) == frozenset()
    micro = PureMarketMaking(Parameters(price_source=PriceSource.MICROPRICE))
    assert wanted_by(micro) == {Estimate.MICROPRICE}
    assert wanted_by(strategy("glft")) == {Estimate.ARRIVALS, Estimate.MICROPRICE}
    assert wanted_by(strategy("glft", fair_value="microprice_ofi")) == ALL
    assert wanted_by(strategy("twap")) == frozenset()


def test_pure_market_making_uses_the_fitted_microprice_once_it_is_there() -> None:
    """The weighted mid before, and the terms say which."""
    made = PureMarketMaking(Parameters(price_source=PriceSource.MICROPRICE))
    early, late = seen(walked(made.estimates, 50)), seen(walked(made.estimates))
    words = [
        {term.name: term.value for term in made.quotes(each).quotes[0].terms}["price source"]
        for each in (early, late)
    ]
    assert words == ["weighted mid (the microprice is not fitted yet)", "microprice"]


def test_what_follows_a_gap_follows_nothing() -> None:
    """A transition over lost updates is not counted."""
    made = MarketEstimates(frozenset({Estimate.MICROPRICE}))
    for number in range(2_400):
        made.on_touch(number * NS_PER_S // 10, (99, 5), (101, 9))
        made.on_gap()
    assert made.table is None
