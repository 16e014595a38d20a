"""What the exchange refuses, with Binance's code, and that a refusal changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest

from exchange_world import PAIR, SYMBOL, ExchangeWorld, depth, snapshot, trade
from mrmarket.core.errors import InvalidInputError
from mrmarket.core.instrument import Instrument
from mrmarket.core.side import Side
from mrmarket.trading.venue.port import NewOrder, OrderKind
from mrmarket.trading.venue.simulated.exchange import SimulatedExchange
from mrmarket.trading.venue.simulated.filters import MAX_NUM_ORDERS
from mrmarket.trading.venue.simulated.records import ExchangeRefusedError, Refusal

CASES: list[tuple[str, Callable[[ExchangeWorld], object], Refusal, int]] = [
    ("price of 0", lambda w: w.buy(0, 10), Refusal.PRICE_FILTER, -1013),
    ("negative price", lambda w: w.buy(-5, 10), Refusal.PRICE_FILTER, -1013),
    ("price beyond the grid", lambda w: w.buy(10**9 + 1, 10), Refusal.PRICE_FILTER, -1013),
    ("price far above", lambda w: w.sell(5_003, 10), Refusal.PERCENT_PRICE, -1013),
    ("price far below", lambda w: w.buy(199, 1_000), Refusal.PERCENT_PRICE, -1013),
    ("size of 0", lambda w: w.buy(1000, 0), Refusal.LOT_SIZE, -1013),
    ("size above the maximum", lambda w: w.buy(1000, 100_001), Refusal.LOT_SIZE, -1013),
    (
        "market size above the maximum",
        lambda w: w.buy(0, 100_001, OrderKind.MARKET),
        Refusal.MARKET_LOT_SIZE,
        -1013,
    ),
    ("worth less than 0.2 USDT", lambda w: w.buy(999, 2), Refusal.NOTIONAL, -1013),
    ("market order worth too little", lambda w: w.buy(0, 1, OrderKind.MARKET), Refusal.NOTIONAL, -1013),
    ("more base than there is", lambda w: w.sell(1001, 10_001), Refusal.INSUFFICIENT_BALANCE, -2010),
    (
        "more quote than there is",
        lambda w: w.place("bob", Side.BUY, 1000, 10_001),
        Refusal.INSUFFICIENT_BALANCE,
        -2010,
    ),
    ("would take", lambda w: w.sell(1000, 10, OrderKind.POST_ONLY), Refusal.WOULD_TAKE, -2010),
    ("cancel of nothing", lambda w: w.cancel("ann", 77), Refusal.CANCEL_UNKNOWN, -2011),
    (
        "query of nothing",
        lambda w: w.exchange.order("ann", SYMBOL, order_id=77),
        Refusal.NO_SUCH_ORDER,
        -2013,
    ),
    ("unknown account", lambda w: w.exchange.balances("eve"), Refusal.UNKNOWN_ACCOUNT, -2015),
    ("unknown pair", lambda w: w.exchange.depth("DOGE/USDT"), Refusal.UNKNOWN_SYMBOL, -1121),
]


@pytest.mark.parametrize(
    ("attempt", "reason", "code"), [case[1:] for case in CASES], ids=[c[0] for c in CASES]
)
def test_a_refusal_names_its_reason_and_changes_nothing(
    attempt: Callable[[ExchangeWorld], object], reason: Refusal, code: int
) -> None:
    """Nothing is published, locked or filed."""
    world = ExchangeWorld()
    before = world.exchange.state()
    with pytest.raises(ExchangeRefusedError) as refused:
        attempt(world)
    assert (refused.value.reason, refused.value.binance_code) == (reason, code)
    assert refused.value.binance_message == reason.binance_message
    assert world.drain() == []
    assert world.exchange.state() == before


def test_every_refusal_has_a_binance_answer() -> None:
    """The front can map each reason."""
    assert all(reason.binance_code < 0 and reason.binance_message for reason in Refusal)


def test_an_open_orders_id_is_taken() -> None:
    """The id is refused while its order lives and accepted again once it has ended."""
    world = ExchangeWorld()
    first = world.place("ann", Side.BUY, 1000, 10, client_order_id="mine")
    with pytest.raises(ExchangeRefusedError, match="Duplicate order sent") as refused:
        world.place("ann", Side.BUY, 999, 10, client_order_id="mine")
    assert refused.value.reason is Refusal.DUPLICATE_ORDER
    world.place("bob", Side.BUY, 999, 10, client_order_id="mine")
    world.cancel("ann", first.order_id)
    second = world.place("ann", Side.BUY, 999, 10, client_order_id="mine")
    assert world.exchange.order("ann", SYMBOL, client_order_id="mine") == second


def test_both_ids_must_name_one_order() -> None:
    """An order id with somebody else's client id finds nothing."""
    world = ExchangeWorld()
    order = world.place("ann", Side.BUY, 1000, 10, client_order_id="mine")
    with pytest.raises(ExchangeRefusedError, match="does not exist"):
        world.exchange.order("ann", SYMBOL, order_id=order.order_id, client_order_id="other")
    with pytest.raises(ExchangeRefusedError, match="Unknown order"):
        world.exchange.cancel("bob", SYMBOL, order_id=order.order_id, now_ns=1)


def test_an_ended_order_cannot_be_cancelled_again() -> None:
    """The second cancel is CANCEL_UNKNOWN, the query still answers."""
    world = ExchangeWorld()
    order = world.buy(1000, 10)
    world.cancel("ann", order.order_id)
    with pytest.raises(ExchangeRefusedError, match="Unknown order"):
        world.cancel("ann", order.order_id)
    assert world.look(order).status.is_final


def test_an_account_has_a_limited_number_of_open_orders() -> None:
    """The 201st is refused, after a cancel it is not."""
    world = ExchangeWorld()
    orders = [world.buy(1000, 10) for _ in range(MAX_NUM_ORDERS)]
    with pytest.raises(ExchangeRefusedError, match="MAX_NUM_ORDERS"):
        world.buy(1000, 10)
    world.cancel("ann", orders[0].order_id)
    world.buy(1000, 10)


def test_a_full_side_refuses_before_anything_happens() -> None:
    """The book's own capacity is a refusal too."""
    world = ExchangeWorld()
    for number in range(11):
        world.exchange.add_account(f"crowd{number}")
        for _ in range(MAX_NUM_ORDERS):
            if world.exchange.listings[SYMBOL].has_room(buys=True):
                world.place(f"crowd{number}", Side.BUY, 1000, 10)
    with pytest.raises(ExchangeRefusedError, match="whole book is full"):
        world.buy(1000, 10)


def test_a_market_is_closed_until_its_first_book() -> None:
    """History before a snapshot is ignored and orders are refused."""
    world = ExchangeWorld(opened=False)
    assert world.happen(depth([(1000, 5)]), trade(1000, 5, taker_buys=True)) == []
    with pytest.raises(ExchangeRefusedError, match="Market is closed"):
        world.buy(1000, 10)
    assert not world.exchange.is_open(SYMBOL)
    world.happen(snapshot([], []))
    with pytest.raises(ExchangeRefusedError, match="Market is closed"):
        world.buy(1000, 10)
    world.happen(depth([(1000, 5)]))
    assert world.buy(1000, 10).open_lots == 10


def test_the_reference_price_is_the_last_trade() -> None:
    """After a print at 2000 a bid at 399 is too far away, at 400 it is not."""
    world = ExchangeWorld()
    world.happen(trade(2000, 1, taker_buys=True))
    with pytest.raises(ExchangeRefusedError, match="PERCENT_PRICE_BY_SIDE"):
        world.buy(399, 1_000)
    world.buy(400, 1_000)


def test_a_lot_finer_than_a_unit_cannot_be_listed() -> None:
    """Balances are kept in 1e-8."""
    fine = Instrument(
        venue="simulated",
        symbol="A/B",
        base="A",
        quote="B",
        tick_size=Decimal(1),
        lot_size=Decimal("0.000000001"),
    )
    with pytest.raises(InvalidInputError, match="multiple of"):
        SimulatedExchange().add_market(fine)


def test_an_account_name_is_used_once() -> None:
    """The second opening is refused, and so is a negative deposit."""
    exchange = SimulatedExchange()
    exchange.add_account("ann")
    with pytest.raises(InvalidInputError, match="not taken"):
        exchange.add_account("ann")
    with pytest.raises(InvalidInputError, match="0 or more"):
        exchange.add_account("bob", {"BTC": -1})


def test_an_empty_client_id_is_filled_in() -> None:
    """The exchange gives one that can be used to find the order."""
    world = ExchangeWorld()
    order = world.buy(1000, 10)
    assert order.client_order_id
    assert world.exchange.order("ann", SYMBOL, client_order_id=order.client_order_id) == order


def test_the_exchange_lists_what_it_has() -> None:
    """Pairs and accounts in the order they were added."""
    world = ExchangeWorld()
    assert world.exchange.instruments == [PAIR]
    assert world.exchange.accounts == ["ann", "bob"]
    assert world.exchange.top(SYMBOL) == ((1000, 50), (1001, 60))


def test_an_order_for_an_unlisted_pair_is_refused() -> None:
    """The front answers -1121."""
    world = ExchangeWorld()
    order = NewOrder(
        symbol="DOGE/USDT",
        client_order_id="x",
        side=Side.BUY,
        kind=OrderKind.LIMIT,
        price_ticks=1,
        size_lots=1,
    )
    with pytest.raises(ExchangeRefusedError, match="Invalid symbol"):
        world.exchange.place("ann", order, 1)
