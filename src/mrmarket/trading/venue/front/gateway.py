"""The one door to the exchange: every change is written down before anybody hears of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from mrmarket.core.clock import Clock
from mrmarket.core.errors import MrMarketError
from mrmarket.trading.market.event import MarketEvent
from mrmarket.trading.venue.front import errors
from mrmarket.trading.venue.front.faults import Faults
from mrmarket.trading.venue.front.grid import Grid
from mrmarket.trading.venue.front.prints import Prints
from mrmarket.trading.venue.front.weights import Meters
from mrmarket.trading.venue.port import NewOrder
from mrmarket.trading.venue.simulated.exchange import SimulatedExchange
from mrmarket.trading.venue.simulated.records import (
    ExchangeOrder,
    ExchangeRefusedError,
    ExchangeTrade,
    ExternalTransfer,
    OrderChanged,
    Publication,
    SelfTrade,
    TopPublished,
    TradePublished,
)

_QUOTE_SIZES_KEPT: Final = 10_000

Listener = Callable[[list[Publication], int], None]
"""Told of everything published and the time, in the order in which it happened."""


class EffectLog(Protocol):
    """Where effects are written before they are told."""

    def write(self, publications: list[Publication]) -> None:
        """Keep what the publications say of orders, trades and balances; returns once it is safe."""
        ...

    def remember_quote_size(self, order_id: int, units: int) -> None:
        """Keep the `quoteOrderQty` of a market order."""
        ...


class NoLog:
    """Keeps nothing: a venue without a state directory forgets everything when it ends."""

    def write(self, publications: list[Publication]) -> None:
        """Do nothing."""

    def remember_quote_size(self, order_id: int, units: int) -> None:
        """Do nothing."""


class Gateway:
    """Places, cancels and moves the market, then writes, then tells."""

    def __init__(
        self, exchange: SimulatedExchange, clock: Clock, meters: Meters, faults: Faults, log: EffectLog
    ) -> None:
        self.exchange = exchange
        self.meters = meters
        self.faults = faults
        self._clock = clock
        self._log = log
        self._listeners: list[Listener] = []
        self._cancel_ids: dict[int, str] = {}
        self._last_ns = 0
        self.broken: MrMarketError | None = None
        """Why effects can no longer be kept; the venue must end, for it may promise nothing more."""
        self.quote_sizes: dict[int, int] = {}
        """`quoteOrderQty` of market orders, units of 1e-8 by order id."""
        self.grids = {instrument.venue_symbol: Grid(instrument) for instrument in exchange.instruments}
        self.prints = {grid.instrument.symbol: Prints(grid) for grid in self.grids.values()}

    def listen(self, listener: Listener) -> None:
        """Tell this one too, after those before it."""
        self._listeners.append(listener)

    def now_ns(self) -> int:
        """The venue's clock."""
        return self._clock.now_ns()

    def seen_now_ns(self) -> int:
        """The venue's clock as clients see it, skewed if a fault says so."""
        now_ns = self._clock.now_ns()
        return now_ns + self.faults.skew_ns(now_ns)

    def grid(self, name: str) -> Grid:
        """The pair behind `BTCUSDT`; raises -1121."""
        found = self.grids.get(name)
        if found is None:
            raise errors.invalid_symbol()
        return found

    def grid_of(self, symbol: str) -> Grid:
        """The pair behind `BTC/USDT`."""
        return self.prints[symbol].grid

    def cancel_id(self, order_id: int) -> str:
        """The client id of the request that cancelled an order, empty if none did."""
        return self._cancel_ids.get(order_id, "")

    def place(
        self, account: str, order: NewOrder, self_trade: SelfTrade, quote_units: int = 0
    ) -> tuple[ExchangeOrder, list[ExchangeTrade]]:
        """Place an order; returns it after matching, with the trades it made at once."""
        with _Refusals():
            placed = self.exchange.place(account, order, self._effect_ns(), self_trade=self_trade)
        if quote_units:
            self.quote_sizes[placed.order_id] = quote_units
            if len(self.quote_sizes) > _QUOTE_SIZES_KEPT:
                del self.quote_sizes[next(iter(self.quote_sizes))]
            self._log.remember_quote_size(placed.order_id, quote_units)
        published = self.settle()
        trades = [
            change.trade
            for change in published
            if isinstance(change, OrderChanged) and change.trade and change.order.order_id == placed.order_id
        ]
        return placed, trades

    def cancel(
        self, account: str, symbol: str, order_id: int, client_order_id: str, cancel_client_id: str
    ) -> ExchangeOrder:
        """Cancel one open order; raises -2011."""
        with _Refusals():
            found = self.exchange.cancel(
                account, symbol, order_id=order_id, client_order_id=client_order_id, now_ns=self._effect_ns()
            )
        self._cancel_ids[found.order_id] = cancel_client_id
        self.settle()
        self._cancel_ids.pop(found.order_id)
        return found

    def cancel_all(self, account: str, symbol: str, cancel_client_id: str) -> list[ExchangeOrder]:
        """Cancel every open order of a pair."""
        found = self.exchange.cancel_all(account, symbol, self._effect_ns())
        ids = {order.order_id: cancel_client_id for order in found}
        self._cancel_ids |= ids
        self.settle()
        for order_id in ids:
            self._cancel_ids.pop(order_id)
        return found

    def transfer(self, transfer_id: str, account: str, asset: str, units: int) -> ExternalTransfer:
        """Let something into an account from outside, or out of it; the same id has one effect."""
        if self.broken:
            # The same id may wait in memory for a journal that took nothing.
            raise self.broken
        with _Refusals():
            made = self.exchange.transfer(transfer_id, account, asset, units, self._effect_ns())
        self.settle()
        return made

    def find_transfer(self, transfer_id: str) -> ExternalTransfer:
        """A transfer by its id; raises -9003."""
        with _Refusals():
            return self.exchange.find_transfer(transfer_id)

    def market(self, symbol: str, event: MarketEvent, due_ns: int) -> None:
        """Let the market take a step; `settle` tells of it.

        A late event does not happen before an order that is already there.
        """
        self._last_ns = max(due_ns, self._last_ns)
        self.exchange.on_market(symbol, event, self._last_ns)

    def settle(self) -> list[Publication]:
        """Write down and tell what the exchange published since the last time.

        Raises:
            MrMarketError: it cannot be written; nobody was told, and `broken` says why.
        """
        published = self.exchange.drain()
        if not published:
            return published
        try:
            self._log.write(published)
        except MrMarketError as failed:
            self.broken = failed
            raise
        for change in published:
            if isinstance(change, TradePublished):
                self.prints[change.symbol].add(change.trade)
            elif isinstance(change, TopPublished):
                self.prints[change.symbol].top = change
        now_ns = self.now_ns()
        for listener in self._listeners:
            listener(published, now_ns)
        return published

    def _effect_ns(self) -> int:
        self._last_ns = max(self.now_ns(), self._last_ns)
        return self._last_ns


class _Refusals:
    """Turns the exchange's refusals into the dialect's."""

    def __enter__(self) -> None:
        return

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, ExchangeRefusedError):
            raise errors.DialectError(error.binance_code, error.binance_message) from error
