"""The market without ourselves: the live book less our own orders, and the models that feed on it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from mrmarket.core.clock import Clock
from mrmarket.core.instrument import Instrument
from mrmarket.core.side import Side
from mrmarket.trading.execution.account import Account
from mrmarket.trading.execution.order import Order, OrderStage
from mrmarket.trading.execution.risk.pretrade import MarketTop
from mrmarket.trading.market.estimators.markout import MarkoutTracker
from mrmarket.trading.market.estimators.volatility import VolatilityEstimator
from mrmarket.trading.market.event import EventKind, Level, MarketEvent
from mrmarket.trading.strategy.estimates import Estimate, MarketEstimates
from mrmarket.trading.strategy.port import MarketView
from mrmarket.trading.venue.book_tracker import BookTracker


class MarketWatch:
    """Follows one pair and says what a strategy may see of it.

    A market maker that quotes around a mid which its own orders have made chases itself; so every
    price here is one that others offer.
    """

    def __init__(
        self,
        instrument: Instrument,
        *,
        wall: Clock,
        world: Clock,
        estimates: frozenset[Estimate] = frozenset(),
    ) -> None:
        """`estimates` are measured besides volatility and markout."""
        self.tracker = BookTracker(instrument, wall)
        self.volatility = VolatilityEstimator()
        self.markouts = MarkoutTracker()
        self.estimates = MarketEstimates(estimates)
        self.bid: Level | None = None
        """Best bid of others."""
        self.ask: Level | None = None
        """Best ask of others."""
        self.top: MarketTop | None = None
        """Best prices of others; None without a bid or an ask."""
        self._instrument = instrument
        self._world = world
        self._own: Sequence[Order] | None = None
        """The orders that were last left out, and their lots by price."""
        self._own_bids: Mapping[int, int] = {}
        self._own_asks: Mapping[int, int] = {}

    def apply(self, event: MarketEvent, own: Sequence[Order]) -> bool:
        """Take an event in; say whether the best bid or ask of others changed."""
        if event.kind is EventKind.TRADE:
            self.tracker.apply(event)
            if self.estimates.is_needed:
                now_ns = self._world.monotonic_ns()
                self.estimates.on_trade(
                    now_ns, event.price_ticks, event.size_lots, taker_buys=event.taker_buys
                )
            return False
        applied = self.tracker.apply(event)
        if self.estimates.is_needed and self.tracker.stale is not None:
            self.estimates.on_gap()
        return applied and self.refresh(own)

    def refresh(self, own: Sequence[Order]) -> bool:
        """Look at the book again after an order of ours changed; say whether the top changed.

        A list of orders that is the same object as the last one is taken to hold the same orders.
        """
        book = self.tracker.book
        bid, ask = book.best_bid, book.best_ask
        if own is not self._own:
            self._own = own
            self._own_bids, self._own_asks = _lots_by_price(own, Side.BUY), _lots_by_price(own, Side.SELL)
        bids, asks = self._own_bids, self._own_asks
        if bid is not None and bid[0] in bids:
            bid = _best_of_others(bids, book.bids(len(bids) + 1))
        if ask is not None and ask[0] in asks:
            ask = _best_of_others(asks, book.asks(len(asks) + 1))
        if bid == self.bid and ask == self.ask:
            return False
        moved = _price(bid) != _price(self.bid) or _price(ask) != _price(self.ask)
        self.bid, self.ask = bid, ask
        self.top = MarketTop(bid[0], ask[0]) if bid is not None and ask is not None else None
        if bid is not None and ask is not None and (moved or self.estimates.is_needed):
            now_ns = self._world.monotonic_ns()
            if moved:
                self.volatility.observe(now_ns, bid[0] + ask[0])
                self.markouts.observe(now_ns, bid[0] + ask[0])
            if self.estimates.is_needed:
                self.estimates.on_touch(now_ns, bid, ask)
        return True

    @property
    def double_mid_ticks(self) -> int | None:
        """Twice the mid of others."""
        return self.bid[0] + self.ask[0] if self.bid is not None and self.ask is not None else None

    def view(self, account: Account) -> MarketView | None:
        """What the strategy sees now; None without a bid or an ask of others."""
        if self.bid is None or self.ask is None:
            return None
        last = self.tracker.last_trade
        return MarketView(
            self._instrument,
            self._world.monotonic_ns(),
            self.bid,
            self.ask,
            account.base_total,
            account.quote_total,
            last.price_ticks if last is not None else None,
            self.volatility.sigma,
            self.markouts.markout,
            self.estimates.intensity,
            self.estimates.micro_offset_ticks(self.bid, self.ask),
            self.estimates.flow_move_ticks,
            self.estimates.trade_imbalance,
        )


def _lots_by_price(own: Iterable[Order], side: Side) -> Mapping[int, int]:
    lots: dict[int, int] = {}
    for order in own:
        if order.side is side and order.stage >= OrderStage.ACKED and order.remaining_lots:
            lots[order.price_ticks] = lots.get(order.price_ticks, 0) + order.remaining_lots
    return lots


def _best_of_others(own: Mapping[int, int], levels: Iterable[Level]) -> Level | None:
    for price, size in levels:
        if size > own.get(price, 0):
            return price, size - own.get(price, 0)
    return None


def _price(level: Level | None) -> int | None:
    return None if level is None else level[0]
