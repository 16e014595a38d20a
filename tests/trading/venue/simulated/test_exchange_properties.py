"""What must hold whatever history and clients do: conservation, solvency, an uncrossed book."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from exchange_world import SYMBOL, ExchangeWorld, depth, rebuild, snapshot, top, trade
from mrmarket.core.side import Side
from mrmarket.trading.venue.port import OrderKind, OrderStatus
from mrmarket.trading.venue.simulated.records import (
    UNITS_PER_WHOLE,
    BalanceChanged,
    DepthPublished,
    ExchangeRefusedError,
    OrderChanged,
    SelfTrade,
    TopPublished,
    TradePublished,
)

ACCOUNTS = st.sampled_from(["ann", "bob"])
SIDES = st.sampled_from(list(Side))
PRICES = st.integers(985, 1015)
SIZES = st.integers(2, 120)
DEPOSITS = {"BTC": 11 * UNITS_PER_WHOLE, "USDT": 1_001_000 * UNITS_PER_WHOLE}


class ExchangeMachine(RuleBasedStateMachine):
    """History moves a two-sided book around 1000 ticks; two accounts do what they like."""

    def __init__(self) -> None:
        super().__init__()
        self.world = ExchangeWorld()
        self.middle = 1000
        self.seen = 0
        self.last_id = 0
        self.last_trade_id = 0
        self.balances: dict[str, dict[str, tuple[int, int]]] = {}

    @rule(account=ACCOUNTS, side=SIDES, price=PRICES, size=SIZES, stp=st.sampled_from(list(SelfTrade)))
    def limit(self, account: str, side: Side, price: int, size: int, stp: SelfTrade) -> None:
        """A limit order."""
        self._place(account, side, price, size, OrderKind.LIMIT, stp)

    @rule(account=ACCOUNTS, side=SIDES, price=PRICES, size=SIZES)
    def post_only(self, account: str, side: Side, price: int, size: int) -> None:
        """A post-only order."""
        self._place(account, side, price, size, OrderKind.POST_ONLY, SelfTrade.EXPIRE_MAKER)

    @rule(
        account=ACCOUNTS,
        side=SIDES,
        price=PRICES,
        size=SIZES,
        kind=st.sampled_from([OrderKind.IOC, OrderKind.FOK, OrderKind.MARKET]),
        stp=st.sampled_from(list(SelfTrade)),
    )
    def take(self, account: str, side: Side, price: int, size: int, kind: OrderKind, stp: SelfTrade) -> None:
        """An order that never rests."""
        limit = 0 if kind is OrderKind.MARKET else price
        self._place(account, side, limit, size, kind, stp)

    @precondition(lambda self: self.world.exchange.records.by_id)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        """Any open order is cancelled by its owner."""
        orders = self.world.exchange.records.by_id
        order = orders[data.draw(st.sampled_from(sorted(orders)))]
        assert self.world.cancel(order.account, order.order_id).status is OrderStatus.CANCELLED
        self.world.drain()

    @rule(price_off=st.integers(1, 12), size=st.integers(0, 90), bids=st.booleans())
    def level(self, price_off: int, size: int, bids: bool) -> None:
        """History changes one level on its own side of the middle."""
        if bids:
            self.world.happen(depth([(self.middle - price_off, size)]))
        else:
            self.world.happen(depth([], [(self.middle + price_off, size)]))

    @rule(price_off=st.integers(-8, 8), size=st.integers(1, 150), buys=st.booleans())
    def prints(self, price_off: int, size: int, buys: bool) -> None:
        """History trades, anywhere."""
        self.world.happen(trade(self.middle + price_off, size, taker_buys=buys))

    @rule(step=st.integers(-6, 6), bid_lots=st.integers(1, 50), ask_lots=st.integers(1, 50))
    def move(self, step: int, bid_lots: int, ask_lots: int) -> None:
        """History's best quotes jump."""
        self.middle = min(max(self.middle + step, 990), 1010)
        self.world.happen(top((self.middle - 1, bid_lots), (self.middle + 1, ask_lots)))

    @rule(middle=st.integers(992, 1008), size=st.integers(1, 60))
    def restart(self, middle: int, size: int) -> None:
        """The tape starts over somewhere else."""
        self.middle = middle
        levels = range(1, 6)
        self.world.happen(
            snapshot([(middle - at, size) for at in levels], [(middle + at, size) for at in levels])
        )

    def _place(
        self, account: str, side: Side, price: int, size: int, kind: OrderKind, stp: SelfTrade
    ) -> None:
        try:
            order = self.world.place(account, side, price, size, kind, self_trade=stp)
        except ExchangeRefusedError:
            assert self.world.drain() == []
            return
        self.world.drain()
        if kind is OrderKind.FOK:
            assert order.filled_lots in (0, size)
        if kind not in (OrderKind.LIMIT, OrderKind.POST_ONLY):
            assert order.status.is_final
        if kind is OrderKind.POST_ONLY:
            assert order.filled_lots == 0

    @invariant()
    def nothing_is_created_or_lost(self) -> None:
        """Accounts, fees and history sum to what was deposited."""
        for asset, deposited in DEPOSITS.items():
            assert self.world.exchange.ledger.total(asset) == deposited

    @invariant()
    def nobody_is_below_zero_and_locked_is_what_orders_reserve(self) -> None:
        """Free and locked are at least 0, and locked is exactly the sum over open orders."""
        for account in ("ann", "bob"):
            held = self.world.exchange.balances(account)
            reserved = dict.fromkeys(held, 0)
            for order in self.world.exchange.open_orders(account):
                reserved["USDT" if order.side is Side.BUY else "BTC"] += order.reserved_units
            assert {asset: locked for asset, (_, locked) in held.items()} == reserved
            assert all(free >= 0 for free, _ in held.values())

    @invariant()
    def the_book_is_not_crossed(self) -> None:
        """The best bid is below the best ask, with every client's order in it."""
        bids, asks = self.world.book()
        assert not bids or not asks or bids[0][0] < asks[0][0]

    @invariant()
    def a_subscriber_holds_the_book(self) -> None:
        """The depth publications, applied from the first, give the book that is shown."""
        assert rebuild(self.world.published) == self.world.book()

    @invariant()
    def publications_are_in_sequence(self) -> None:
        """U follows u, trade ids count by one, tops are what the book shows, fills keep to limits."""
        new = self.world.published[self.seen :]
        self.seen = len(self.world.published)
        for message in new:
            if isinstance(message, DepthPublished):
                assert message.first_id == self.last_id + 1
                assert message.last_id >= message.first_id
                self.last_id = message.last_id
            elif isinstance(message, TradePublished):
                assert message.trade.trade_id == self.last_trade_id + 1
                assert message.trade.size_lots > 0
                self.last_trade_id = message.trade.trade_id
            elif isinstance(message, BalanceChanged):
                self.balances.setdefault(message.account, {}).update(message.balances)
            elif isinstance(message, OrderChanged) and message.trade is not None:
                better = (message.order.price_ticks - message.trade.price_ticks) * message.order.side.sign
                assert better >= 0 or message.order.kind is OrderKind.MARKET
                assert message.order.filled_lots <= message.order.size_lots
        tops = [message for message in new if isinstance(message, TopPublished)]
        if tops:
            bids, asks = self.world.book(1)
            assert tops[-1].bid == (bids[0] if bids else None)
            assert tops[-1].ask == (asks[0] if asks else None)

    @invariant()
    def published_balances_are_the_balances(self) -> None:
        """Whoever heard every balance publication knows the balances."""
        for account, heard in self.balances.items():
            held = self.world.exchange.balances(account)
            assert {asset: held[asset] for asset in heard} == heard

    @invariant()
    def a_fill_is_the_sum_of_its_trades(self) -> None:
        """Filled lots and grains of every order are those of its trades."""
        for account in ("ann", "bob"):
            sums: dict[int, list[int]] = {}
            for fill in self.world.trades(account):
                entry = sums.setdefault(fill.order_id, [0, 0])
                entry[0] += fill.size_lots
                entry[1] += fill.size_lots * fill.price_ticks
            for order in self.world.exchange.all_orders(account, SYMBOL):
                assert [order.filled_lots, order.filled_grains] == sums.get(order.order_id, [0, 0])


ExchangeMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestExchangeMachine = ExchangeMachine.TestCase
