"""Every kind of order against a book that can be worked out by hand."""

from __future__ import annotations

import pytest

from exchange_world import ASKS, BIDS, SYMBOL, ExchangeWorld, depth, snapshot, top, trade
from mrmarket.core.side import Side
from mrmarket.trading.venue.port import OrderKind, OrderStatus
from mrmarket.trading.venue.simulated.records import (
    UNITS_PER_WHOLE,
    BalanceChanged,
    DepthPublished,
    ExchangeRefusedError,
    OrderChanged,
    Refusal,
    SelfTrade,
    TopPublished,
    TradePublished,
)

USDT = UNITS_PER_WHOLE
BTC = UNITS_PER_WHOLE


def test_a_limit_order_below_the_market_rests_and_locks_its_cost() -> None:
    """0.02 BTC at 100.0 locks 2 USDT."""
    world = ExchangeWorld()
    order = world.buy(1000, 20)
    assert (order.status, order.filled_lots, order.open_lots) == (OrderStatus.OPEN, 0, 20)
    assert world.exchange.balances("ann")["USDT"] == (999_998 * USDT, 2 * USDT)
    assert world.exchange.open_orders("ann") == [order]
    assert world.book()[0][0] == (1000, 70)


def test_a_sell_locks_base() -> None:
    """0.02 BTC for sale are 0.02 BTC locked."""
    world = ExchangeWorld()
    world.sell(1001, 20)
    assert world.exchange.balances("ann")["BTC"] == (998 * BTC // 100, 2 * BTC // 100)


def test_a_crossing_limit_takes_level_by_level_and_rests_with_what_is_left() -> None:
    """60 at 1001 and 20 at 1002 are taken, 10 rest at 1002; the cheaper price is given back."""
    world = ExchangeWorld()
    order = world.buy(1002, 90)
    assert (order.status, order.filled_lots) == (OrderStatus.PARTIALLY_FILLED, 80)
    assert order.filled_grains == 60 * 1001 + 20 * 1002
    assert [(t.price_ticks, t.size_lots, t.maker) for t in world.trades("ann")] == [
        (1001, 60, False),
        (1002, 20, False),
    ]
    assert world.book() == ([(1002, 10), *BIDS], [(1003, 10)])
    free, locked = world.exchange.balances("ann")["USDT"]
    assert locked == 10 * 1002 * 10_000
    assert 1_000_000 * USDT - free - locked == order.filled_grains * 10_000


def test_the_taker_pays_in_what_it_receives() -> None:
    """Buying 0.06 BTC at 0.2 % costs 0.00012 BTC of fee."""
    world = ExchangeWorld()
    world.buy(1001, 60)
    trade_of_ann = world.trades("ann")[0]
    assert (trade_of_ann.commission_asset, trade_of_ann.commission_units) == ("BTC", 12_000)
    assert world.exchange.balances("ann")["BTC"][0] == 10 * BTC + 6_000_000 - 12_000
    world.sell(1000, 2)
    assert world.trades("ann")[1].commission_asset == "USDT"


def test_the_maker_pays_the_maker_fee() -> None:
    """A resting bid that fills by a print pays 0.1 % of the base."""
    world = ExchangeWorld()
    world.buy(1000, 20)
    world.happen(trade(1000, 70, taker_buys=False))
    fill = world.trades("ann")[0]
    assert (fill.size_lots, fill.maker, fill.commission_units) == (20, True, 2_000)
    assert world.exchange.balances("ann")["USDT"] == (999_998 * USDT, 0)


@pytest.mark.parametrize(("price", "taken"), [(1000, 0), (1001, 60), (1002, 80)])
def test_an_ioc_takes_what_is_there_and_expires_the_rest(price: int, taken: int) -> None:
    """Nothing of an IOC rests, nothing stays locked."""
    world = ExchangeWorld()
    order = world.buy(price, 85, OrderKind.IOC)
    assert (order.status, order.filled_lots) == (OrderStatus.EXPIRED, taken)
    assert world.exchange.open_orders("ann") == []
    assert world.exchange.balances("ann")["USDT"][1] == 0


@pytest.mark.parametrize(
    ("size", "status", "filled"),
    [(80, OrderStatus.FILLED, 80), (81, OrderStatus.EXPIRED, 0)],
)
def test_a_fok_fills_whole_or_not_at_all(size: int, status: OrderStatus, filled: int) -> None:
    """80 lots are there up to 1002: 80 fill, 81 leave the book untouched."""
    world = ExchangeWorld()
    order = world.buy(1002, size, OrderKind.FOK)
    assert (order.status, order.filled_lots) == (status, filled)
    assert world.book()[1] == ([(1003, 10)] if filled else ASKS)


def test_a_fok_counts_clients_in_the_queue() -> None:
    """Clients' orders are liquidity too, wherever they stand."""
    world = ExchangeWorld()
    world.place("bob", Side.SELL, 1001, 5)
    assert world.buy(1001, 66, OrderKind.FOK).status is OrderStatus.EXPIRED
    assert world.buy(1001, 65, OrderKind.FOK).status is OrderStatus.FILLED


def test_a_market_order_walks_the_book_and_expires_what_finds_nobody() -> None:
    """90 of 95 lots are there."""
    world = ExchangeWorld()
    order = world.buy(0, 95, OrderKind.MARKET)
    assert (order.status, order.filled_lots) == (OrderStatus.EXPIRED, 90)
    assert order.filled_grains == 60 * 1001 + 20 * 1002 + 10 * 1003
    free, locked = world.exchange.balances("ann")["USDT"]
    assert (1_000_000 * USDT - free, locked) == (order.filled_grains * 10_000, 0)


def test_a_market_order_that_fills_whole_is_filled() -> None:
    """50 lots are there at 1000."""
    world = ExchangeWorld()
    order = world.sell(0, 55, OrderKind.MARKET)
    assert (order.status, order.filled_grains) == (OrderStatus.FILLED, 50 * 1000 + 5 * 999)


def test_a_post_only_order_never_takes() -> None:
    """At or through the best opposite price it is refused, below it rests."""
    world = ExchangeWorld()
    with pytest.raises(ExchangeRefusedError, match="immediately match") as refused:
        world.buy(1001, 10, OrderKind.POST_ONLY)
    assert refused.value.reason is Refusal.WOULD_TAKE
    assert world.buy(1000, 10, OrderKind.POST_ONLY).status is OrderStatus.OPEN
    with pytest.raises(ExchangeRefusedError, match="immediately match"):
        world.place("bob", Side.SELL, 1000, 10, OrderKind.POST_ONLY)


def test_a_post_only_order_may_stand_where_clients_took_everything() -> None:
    """A level that clients emptied is no longer there to be taken."""
    world = ExchangeWorld()
    world.buy(1001, 60)
    assert world.buy(1001, 10, OrderKind.POST_ONLY).status is OrderStatus.OPEN


def test_clients_match_each_other_by_price_and_time() -> None:
    """The better price first, then the older order, each at its own price."""
    world = ExchangeWorld()
    world.happen(depth([(1000, 0), (999, 0)]))
    older = world.place("bob", Side.BUY, 999, 10)
    newer = world.place("bob", Side.BUY, 999, 10)
    best = world.place("bob", Side.BUY, 1000, 10)
    taker = world.sell(999, 25)
    assert taker.status is OrderStatus.FILLED
    assert [world.look(order).filled_lots for order in (best, older, newer)] == [10, 10, 5]
    assert taker.filled_grains == 10 * 1000 + 15 * 999


def test_history_before_a_client_is_served_before_it() -> None:
    """50 of history stand before bob's 10 at 1000; ann's 55 give him 5."""
    world = ExchangeWorld()
    resting = world.place("bob", Side.BUY, 1000, 10)
    world.sell(1000, 55)
    assert world.look(resting).filled_lots == 5
    maker, taker = world.trades("bob")[0], world.trades("ann")[-1]
    assert (maker.trade_id, maker.maker) == (taker.trade_id, True)
    assert taker.maker is False


def test_an_order_fills_when_history_comes_to_its_price() -> None:
    """Asks that appear at our bid fill it, up to what they show, at our price."""
    world = ExchangeWorld()
    order = world.buy(1000, 20)
    world.happen(depth([(1000, 0)], [(1000, 4), (999, 3)]))
    assert world.look(order).filled_lots == 7
    assert {t.price_ticks for t in world.trades("ann")} == {1000}
    assert world.book()[1][0] == (1001, 60)


def test_an_order_fills_when_a_best_quote_comes_to_its_price() -> None:
    """A best ask at our bid is there to be met at once."""
    world = ExchangeWorld()
    order = world.buy(1000, 20)
    world.happen(top((999, 40), (1000, 6)))
    assert world.look(order).filled_lots == 6


def test_a_stale_top_is_ignored() -> None:
    """A best quote older than the last book update says nothing new."""
    world = ExchangeWorld()
    world.happen(depth([(1000, 49)], last_id=10))
    assert world.happen(top((1000, 1), (1001, 1), last_id=10)) == []
    world.happen(top((1000, 7), None, last_id=11))
    assert world.book()[0][0] == (1000, 7)


def test_expire_maker_is_the_default_against_oneself() -> None:
    """The resting order expires, the new one goes on; Binance calls it EXPIRED_IN_MATCH."""
    world = ExchangeWorld()
    resting = world.buy(1000, 10)
    world.happen(depth([(1000, 0)]))
    newer = world.sell(1000, 4)
    expired = world.look(resting)
    assert (expired.status, expired.prevented_lots) == (OrderStatus.EXPIRED, 10)
    assert newer.status is OrderStatus.OPEN
    assert world.trades("ann") == []
    assert world.exchange.balances("ann")["USDT"][1] == 0


def test_expire_taker_keeps_the_resting_order() -> None:
    """The rest of the new order expires, what it took before stays."""
    world = ExchangeWorld()
    resting = world.buy(999, 10)
    newer = world.place("ann", Side.SELL, 999, 100, self_trade=SelfTrade.EXPIRE_TAKER)
    assert (newer.status, newer.filled_lots, newer.prevented_lots) == (OrderStatus.EXPIRED, 90, 10)
    assert world.look(resting).status is OrderStatus.OPEN


def test_expire_both_ends_both() -> None:
    """Neither order survives the meeting."""
    world = ExchangeWorld()
    resting = world.buy(1000, 10)
    world.happen(depth([(1000, 0)]))
    newer = world.place("ann", Side.SELL, 1000, 4, self_trade=SelfTrade.EXPIRE_BOTH)
    assert (newer.status, world.look(resting).status) == (OrderStatus.EXPIRED, OrderStatus.EXPIRED)


def test_without_prevention_one_account_trades_with_itself() -> None:
    """Only the fees are lost."""
    world = ExchangeWorld()
    world.buy(1000, 10)
    world.happen(depth([(1000, 0)]))
    world.place("ann", Side.SELL, 1000, 10, self_trade=SelfTrade.NONE)
    assert len(world.trades("ann")) == 2
    assert world.exchange.balances("ann")["BTC"] == (10 * BTC - 1_000, 0)


@pytest.mark.parametrize(
    ("mode", "status"),
    [(SelfTrade.EXPIRE_MAKER, OrderStatus.EXPIRED), (SelfTrade.EXPIRE_TAKER, OrderStatus.EXPIRED)],
)
def test_a_fok_does_not_count_its_own_account(mode: SelfTrade, status: OrderStatus) -> None:
    """One's own resting order is not liquidity."""
    world = ExchangeWorld()
    own = world.sell(1001, 10)
    fok = world.place("ann", Side.BUY, 1001, 65, OrderKind.FOK, self_trade=mode)
    assert (fok.status, fok.filled_lots) == (status, 0)
    assert world.look(own).status is OrderStatus.OPEN


def test_a_cancel_gives_back_what_was_locked() -> None:
    """After a partial fill the rest is released."""
    world = ExchangeWorld()
    order = world.buy(1000, 20)
    world.happen(trade(1000, 55, taker_buys=False))
    cancelled = world.cancel("ann", order.order_id)
    assert (cancelled.status, cancelled.filled_lots) == (OrderStatus.CANCELLED, 5)
    assert world.exchange.balances("ann")["USDT"][1] == 0
    assert world.book()[0] == BIDS


def test_cancel_all_is_for_one_account() -> None:
    """Bob's orders stay when ann cancels all of hers."""
    world = ExchangeWorld()
    world.buy(1000, 20)
    world.sell(1003, 20)
    kept = world.place("bob", Side.BUY, 999, 10)
    gone = world.exchange.cancel_all("ann", SYMBOL, 5_000)
    assert [order.status for order in gone] == [OrderStatus.CANCELLED] * 2
    assert world.exchange.open_orders("bob", SYMBOL) == [kept]
    assert world.exchange.cancel_all("ann", SYMBOL, 5_001) == []


def test_a_placement_publishes_order_depth_and_balance_in_that_order() -> None:
    """NEW, the changed level with the next ids, then what moved."""
    world = ExchangeWorld()
    last_id = world.exchange.depth(SYMBOL)[0]
    order = world.buy(1000, 20)
    new, level, best, balance = world.drain()
    assert isinstance(new, OrderChanged)
    assert (new.execution, new.order) == ("NEW", order)
    assert isinstance(level, DepthPublished)
    assert (level.first_id, level.last_id, level.bids) == (last_id + 1, last_id + 1, [(1000, 70)])
    assert isinstance(best, TopPublished)
    assert (best.bid, best.ask) == ((1000, 70), (1001, 60))
    assert isinstance(balance, BalanceChanged)
    assert balance.balances == {"USDT": (999_998 * USDT, 2 * USDT)}


def test_a_published_order_is_a_copy() -> None:
    """What was published does not change with the order."""
    world = ExchangeWorld()
    order = world.buy(1000, 20)
    new = world.drain()[0]
    world.cancel("ann", order.order_id)
    assert isinstance(new, OrderChanged)
    assert new.order.status is OrderStatus.OPEN


def test_a_print_that_fills_a_client_keeps_its_volume() -> None:
    """Of a print of 60 the client's 5 are one print and the other 55 another."""
    world = ExchangeWorld()
    world.buy(1000, 5)
    prints = [
        message.trade
        for message in world.happen(trade(1000, 60, taker_buys=False))
        if isinstance(message, TradePublished)
    ]
    assert [(p.price_ticks, p.size_lots, p.taker_buys) for p in prints] == [
        (1000, 5, False),
        (1000, 55, False),
    ]
    assert [p.trade_id for p in prints] == [1, 2]
    assert world.exchange.public_trades(SYMBOL, 1) == prints[1:]


def test_a_print_through_a_client_stays_whole() -> None:
    """History's print is not altered by a client who was better."""
    world = ExchangeWorld()
    order = world.place("ann", Side.SELL, 1002, 7)
    world.happen(trade(1003, 3, taker_buys=True))
    assert world.look(order).status is OrderStatus.FILLED
    assert [(p.price_ticks, p.size_lots) for p in world.exchange.public_trades(SYMBOL)] == [
        (1002, 7),
        (1003, 3),
    ]


def test_a_new_snapshot_publishes_only_what_differs() -> None:
    """A tape that starts over sends the difference, and clients' orders stay."""
    world = ExchangeWorld()
    world.buy(990, 3)
    world.drain()
    published = world.happen(snapshot([(1000, 50), (997, 5)], ASKS))
    levels = next(message for message in published if isinstance(message, DepthPublished))
    assert levels.bids == [(999, 0), (998, 0), (997, 5)]
    assert levels.asks == []
    assert world.book()[0] == [(1000, 50), (997, 5), (990, 3)]


def test_lots_for_quote_is_what_a_market_order_would_get() -> None:
    """6.006 USDT buy the 60 lots at 100.1; one tick's worth more buys nothing further."""
    world = ExchangeWorld()
    assert world.exchange.lots_for_quote(SYMBOL, Side.BUY, 60 * 1001 * 10_000) == 60
    assert world.exchange.lots_for_quote(SYMBOL, Side.BUY, 60 * 1001 * 10_000 + 1002 * 10_000) == 61
    assert world.exchange.lots_for_quote(SYMBOL, Side.SELL, 10**18) == 120
