"""A venue that is killed and started again carries on where it was."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import msgspec
import pytest

from exchange_world import PAIR, SYMBOL, ExchangeWorld, depth, snapshot, trade
from mrmarket.core.instrument import Instrument
from mrmarket.core.side import Side
from mrmarket.trading.venue.port import OrderKind, OrderStatus
from mrmarket.trading.venue.simulated.exchange import SimulatedExchange
from mrmarket.trading.venue.simulated.order_records import PairRecords
from mrmarket.trading.venue.simulated.persistence import StateRefusedError
from mrmarket.trading.venue.simulated.records import ExchangeOrder, ExchangeTrade


def lively_world() -> ExchangeWorld:
    """Some of everything: open, partly filled, filled, cancelled, expired; two accounts."""
    world = ExchangeWorld()
    world.buy(1000, 20)
    world.place("bob", Side.BUY, 1000, 10)
    world.happen(trade(1000, 55, taker_buys=False))
    world.cancel("ann", world.sell(1003, 5).order_id)
    world.buy(1001, 5, OrderKind.IOC)
    world.sell(1002, 8)
    return world


def revived(state: bytes, *changes: bytes, skip_ids: int = 0) -> SimulatedExchange:
    """A new process that lists the pair and restores."""
    exchange = SimulatedExchange()
    exchange.add_market(PAIR)
    exchange.restore(state, *changes, skip_ids=skip_ids)
    return exchange


def assert_equal(left: SimulatedExchange, right: SimulatedExchange) -> None:
    """Everything a client can ask for is the same."""
    assert left.accounts == right.accounts
    for account in left.accounts:
        assert left.balances(account) == right.balances(account)
        assert left.all_orders(account, SYMBOL) == right.all_orders(account, SYMBOL)
        assert left.open_orders(account) == right.open_orders(account)
        assert left.trades(account, SYMBOL) == right.trades(account, SYMBOL)
    assert left.ledger.fees == right.ledger.fees
    assert left.ledger.outside == right.ledger.outside


def test_a_restored_exchange_answers_the_same() -> None:
    """Balances, orders, trades, fees and prints survive."""
    world = lively_world()
    other = revived(world.exchange.state())
    assert_equal(world.exchange, other)
    assert other.public_trades(SYMBOL) == world.exchange.public_trades(SYMBOL)
    assert other.depth(SYMBOL)[0] == world.exchange.depth(SYMBOL)[0]


def test_a_restored_exchange_goes_on_the_same() -> None:
    """After the same book both give the same fills, ids and balances: queues were kept."""
    world = lively_world()
    twin = ExchangeWorld.__new__(ExchangeWorld)
    twin.exchange, twin.now_ns, twin.published = revived(world.exchange.state()), world.now_ns, []
    bids, asks = [(1000, 60), (999, 40)], [(1001, 50), (1002, 20)]
    for each in (world, twin):
        each.happen(snapshot(bids, asks))
        each.happen(depth([(1000, 25)]), trade(1000, 20, taker_buys=False), trade(1002, 30, taker_buys=True))
        each.sell(1000, 40)
    assert_equal(world.exchange, twin.exchange)
    assert world.exchange.last_order_id == twin.exchange.last_order_id


def test_saved_changes_lead_to_the_same_state() -> None:
    """A state and the changes after it are as good as a later state."""
    world = ExchangeWorld()
    order = world.buy(1000, 20)
    state = world.exchange.state()
    world.happen(trade(1000, 55, taker_buys=False))
    first = world.exchange.state(changes_only=True)
    world.cancel("ann", order.order_id)
    world.place("bob", Side.SELL, 1005, 10)
    second = world.exchange.state(changes_only=True)
    nothing = world.exchange.state(changes_only=True)
    again = revived(state, first, second, nothing)
    assert_equal(world.exchange, again)
    assert again.public_trades(SYMBOL, 1) == world.exchange.public_trades(SYMBOL, 1)
    ids = [print_.trade_id for print_ in again.public_trades(SYMBOL)]
    assert ids == sorted(set(ids))
    assert len(nothing) < len(second)


def test_a_killed_exchange_can_skip_ids_it_may_have_used() -> None:
    """No id is given twice although the last ones were not saved."""
    world = lively_world()
    other = revived(world.exchange.state(), skip_ids=1_000)
    assert other.last_order_id == world.exchange.last_order_id + 1_000
    assert other.depth(SYMBOL)[0] == world.exchange.depth(SYMBOL)[0] + 1_000
    other.on_market(SYMBOL, snapshot(), 1)
    other.on_market(SYMBOL, trade(1000, 1, taker_buys=True), 1)
    last = world.exchange.public_trades(SYMBOL, 1)[0].trade_id
    assert other.public_trades(SYMBOL, 1)[0].trade_id == last + 1_001


def test_orders_can_be_cancelled_before_the_first_book() -> None:
    """A restored order is open at once, although its market is not."""
    world = lively_world()
    other = revived(world.exchange.state())
    gone = other.cancel_all("ann", SYMBOL, 9_000)
    assert [order.status for order in gone] == [OrderStatus.CANCELLED] * 2
    assert other.balances("ann")["BTC"][1] == 0


def test_accounts_keep_their_balances_where_they_exist_already() -> None:
    """The saved balance wins over the opening one."""
    world = lively_world()
    exchange = SimulatedExchange()
    exchange.add_market(PAIR)
    exchange.add_account("ann")
    exchange.restore(world.exchange.state())
    assert exchange.balances("ann") == world.exchange.balances("ann")


def test_an_unlisted_pair_with_open_orders_is_refused() -> None:
    """Nothing open is lost silently."""
    world = lively_world()
    state = world.exchange.state()
    with pytest.raises(StateRefusedError, match="BTC/USDT, which is not listed"):
        SimulatedExchange().restore(state)


def test_a_pair_that_is_no_longer_listed_may_have_history() -> None:
    """Closed orders of a delisted pair do not stop the others."""
    world = lively_world()
    for account in ("ann", "bob"):
        world.exchange.cancel_all(account, SYMBOL, 9_000)
    exchange = SimulatedExchange()
    exchange.restore(world.exchange.state())
    assert exchange.balances("ann") == world.exchange.balances("ann")


def test_a_pair_that_comes_back_never_repeats_an_id() -> None:
    """Its counters outlast a life in which it was not listed."""
    world = lively_world()
    for account in ("ann", "bob"):
        world.exchange.cancel_all(account, SYMBOL, 9_000)
    between = SimulatedExchange()
    between.restore(world.exchange.state())
    other = revived(between.state(), between.state(changes_only=True))
    other.on_market(SYMBOL, snapshot(), 1)
    other.on_market(SYMBOL, trade(1000, 1, taker_buys=True), 1)
    last = world.exchange.public_trades(SYMBOL, 1)[0].trade_id
    assert other.public_trades(SYMBOL, 1)[0].trade_id == last + 1


@pytest.mark.parametrize(
    "pair", [replace(PAIR, tick_size=Decimal("0.01")), replace(PAIR, lot_size=Decimal("0.01"))]
)
def test_a_pair_with_other_steps_is_refused(pair: Instrument) -> None:
    """Ticks and lots of one grid mean other prices and sizes on another, open orders or not."""
    state = lively_world().exchange.state()
    exchange = SimulatedExchange()
    exchange.add_market(pair)
    with pytest.raises(StateRefusedError, match=r"ticks of 0\.1 and lots of 0\.001, not of"):
        exchange.restore(state)
    assert exchange.accounts == []


@pytest.mark.parametrize(
    ("state", "match"),
    [
        (b"", "cannot be read"),
        (b"{}", "cannot be read"),
        (
            msgspec.msgpack.encode(
                {**msgspec.msgpack.decode(ExchangeWorld().exchange.state()), "version": 99}
            ),
            "version 99",
        ),
    ],
)
def test_a_damaged_or_newer_state_is_refused(state: bytes, match: str) -> None:
    """One sentence that says what to do."""
    with pytest.raises(StateRefusedError, match=match):
        SimulatedExchange().restore(state)


def test_a_state_is_not_poured_over_open_orders() -> None:
    """Restoring twice, or late, is refused."""
    world = lively_world()
    with pytest.raises(StateRefusedError, match="open orders"):
        world.exchange.restore(world.exchange.state())


def test_memory_of_ended_orders_is_bounded_and_of_live_ones_is_not() -> None:
    """The oldest ended order goes, with its client id; live orders and newer holders of an id stay."""

    def order(number: int, client: str, status: OrderStatus) -> ExchangeOrder:
        return ExchangeOrder(
            order_id=number,
            account="ann",
            symbol=SYMBOL,
            client_order_id=client,
            side=Side.BUY,
            kind=OrderKind.LIMIT,
            price_ticks=1,
            size_lots=1,
            status=status,
        )

    records = PairRecords(closed_kept=2, trades_kept=1)
    records.put(order(1, "live", OrderStatus.OPEN))
    records.put(order(2, "old", OrderStatus.CANCELLED))
    records.put(order(3, "reused", OrderStatus.CANCELLED))
    records.put(order(4, "reused", OrderStatus.OPEN))
    records.put(order(5, "x", OrderStatus.FILLED))
    records.put(order(6, "y", OrderStatus.FILLED))
    assert [kept.order_id for kept in records.all()] == [1, 4, 5, 6]
    assert records.find(2, "") is None
    assert records.find(0, "old") is None
    reused = records.find(0, "reused")
    assert reused is not None
    assert reused.order_id == 4
    fill = ExchangeTrade(
        trade_id=1,
        order_id=5,
        client_order_id="x",
        account="ann",
        symbol=SYMBOL,
        side=Side.BUY,
        price_ticks=1,
        size_lots=1,
        quote_units=1,
        commission_units=0,
        commission_asset="BTC",
        maker=True,
        at_ns=1,
    )
    records.trades.extend([fill, fill])
    assert len(records.trades) == 1


def test_a_rebate_is_paid_and_rounded_in_the_venues_favour() -> None:
    """-0.0025 % of 20 lots at 100.0 is 0.00005 USDT back to the seller."""
    rebated = PAIR.__class__(
        venue="simulated",
        symbol=SYMBOL,
        base="BTC",
        quote="USDT",
        tick_size=Decimal("0.1"),
        lot_size=Decimal("0.001"),
        maker_fee=Decimal("-0.000025"),
    )
    exchange = SimulatedExchange()
    exchange.add_market(rebated)
    listing = exchange.listings[SYMBOL]
    assert listing.commission(2 * 10**8, maker=True) == -5_000
    assert listing.commission(30_001, maker=True) == 0
    assert listing.commission(2 * 10**8, maker=False) == 0
