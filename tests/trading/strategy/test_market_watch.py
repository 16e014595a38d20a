"""The market without ourselves."""

from __future__ import annotations

from decimal import Decimal

from fake_exchange import btc_usdt, snapshot
from mrmarket.core.clock import NS_PER_S, ManualClock
from mrmarket.core.side import Side
from mrmarket.trading.execution.account import Account
from mrmarket.trading.execution.order import Order, OrderStage
from mrmarket.trading.market.event import EventKind, MarketEvent
from mrmarket.trading.strategy.market_watch import MarketWatch
from mrmarket.trading.venue.port import BalanceReport, OrderKind


def own(side: Side, price: int, lots: int, *, stage: OrderStage = OrderStage.ACKED) -> Order:
    """A live order of ours."""
    return Order(f"{side}{price}", "BTC/USDT", "b1", side, OrderKind.LIMIT, price, lots, 1, stage)


def watch() -> MarketWatch:
    """Bids 100 (5), 99 (7); asks 102 (4), 103 (9)."""
    clock = ManualClock()
    made = MarketWatch(btc_usdt(), wall=clock, world=clock)
    assert made.top is None
    assert made.view(Account(btc_usdt())) is None
    assert made.apply(snapshot([(100, 5), (99, 7)], [(102, 4), (103, 9)]), [])
    return made


def test_without_orders_of_ours_the_top_is_the_books() -> None:
    """Nothing of ours: best bid and ask as they are."""
    made = watch()
    assert (made.bid, made.ask, made.double_mid_ticks) == ((100, 5), (102, 4), 202)
    assert made.top is not None
    assert made.top.double_mid_ticks == 202


def test_our_own_level_does_not_count() -> None:
    """A level that is only ours is skipped; a shared one shows what others offer there."""
    made = watch()
    assert made.refresh([own(Side.BUY, 100, 5), own(Side.SELL, 102, 1)])
    assert (made.bid, made.ask) == ((99, 7), (102, 3))
    assert not made.refresh([own(Side.BUY, 100, 5), own(Side.SELL, 102, 1)])


def test_an_order_that_the_venue_has_not_confirmed_is_not_in_the_book() -> None:
    """Before the acknowledgement its size is not taken off."""
    made = watch()
    assert not made.refresh([own(Side.BUY, 100, 5, stage=OrderStage.SENT), own(Side.SELL, 150, 5)])


def test_alone_in_the_market_there_is_no_price() -> None:
    """Where every bid is ours nobody else makes a price."""
    made = watch()
    made.refresh([own(Side.BUY, 100, 5), own(Side.BUY, 99, 7)])
    assert made.bid is None
    assert made.top is None
    assert made.double_mid_ticks is None


def test_trades_update_the_last_price_only() -> None:
    """A trade does not change the top but is in the view."""
    made = watch()
    trade = MarketEvent(kind=EventKind.TRADE, exchange_ns=0, local_ns=0, price_ticks=101, size_lots=1)
    assert not made.apply(trade, [])
    account = Account(btc_usdt())
    account.observe_all(
        [BalanceReport(asset="BTC", free="1", locked="1"), BalanceReport(asset="USDT", free="5", locked="0")]
    )
    view = made.view(account)
    assert view is not None
    assert (view.last_trade_ticks, view.base, view.quote, view.mid) == (
        101,
        Decimal(2),
        Decimal(5),
        Decimal("1.01"),
    )
    assert view.sigma is None
    assert view.markout is None


def test_the_models_follow_the_mid_in_world_time() -> None:
    """Volatility and markouts are fed by mids that moved, on the strategy's clock."""
    clock = ManualClock()
    made = MarketWatch(btc_usdt(), wall=clock, world=clock)
    made.markouts.on_fill(clock.monotonic_ns(), Side.BUY, 2_000_000)
    for second in range(12):
        price = 1_000_000 + second % 2 * 100
        made.apply(snapshot([(price - 1, 5)], [(price + 1, 5)], last_id=second + 1), [])
        clock.advance(NS_PER_S)
    assert made.volatility.sigma is not None
    assert made.markouts.markout is not None
