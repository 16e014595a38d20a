"""One account on any exchange of ccxt, to be read and cancelled at, and nothing else."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Final, TypeVar

from mrmarket.core.clock import NS_PER_MS, Clock
from mrmarket.core.side import Side
from mrmarket.services.angel.cancel_door import guarded
from mrmarket.trading.venue.ccxt_adapter.client import Taps, connect, current_attempt
from mrmarket.trading.venue.ccxt_adapter.clock_offset import measure_offset_ms
from mrmarket.trading.venue.ccxt_adapter.config import CcxtVenueConfig
from mrmarket.trading.venue.ccxt_adapter.dialects.binance import BinanceDialect
from mrmarket.trading.venue.ccxt_adapter.dialects.bybit import BybitDialect
from mrmarket.trading.venue.ccxt_adapter.dialects.generic import Dialect
from mrmarket.trading.venue.ccxt_adapter.dialects.okx import OkxDialect
from mrmarket.trading.venue.ccxt_adapter.faults import Attempt, ClockSkewError, translate
from mrmarket.trading.venue.port import (
    Capability,
    KeyPermissions,
    OrderReport,
    OrderStatus,
    RateLimitedError,
    VenueError,
    VenueUnavailableError,
)
from mrmarket.trading.venue.rate_budget import RateBudget, RequestKind

T = TypeVar("T")
_DIALECTS: Final[Mapping[str, type[Dialect]]] = {
    "binance": BinanceDialect,
    "okx": OkxDialect,
    "myokx": OkxDialect,
    "bybit": BybitDialect,
}
_EVERYWHERE_WEIGHTS: Final[Mapping[str, float]] = {"binance": 80.0}
"""What listing the open orders of every pair costs, where it is more than listing one pair's."""


class CcxtWatch:
    """Implements `WatchedVenue`.

    It keeps every pair of the exchange, because an order on a pair that nobody expected must go too, and
    it reads orders leniently: what cannot be understood of an order is left out, and it is cancelled all
    the same. There is no method that places, and whatever else ccxt can do is stopped at the door.
    """

    def __init__(self, config: CcxtVenueConfig, clock: Clock) -> None:
        """`config.symbols` are the pairs to ask for where an exchange cannot list all of them at once."""
        self.name = config.venue_name
        self._config = config
        self._clock = clock
        self._dialect = _DIALECTS.get(config.exchange, Dialect)()
        self._budget = RateBudget(self.name, clock)
        self._taps = Taps(clock)
        self._exchange: Any = None

    async def open(self) -> None:
        """Learn the pairs and measure the clock; may be called again after it failed."""
        await self.close()
        taps = self._taps
        taps.on_answer = self._answered
        taps.on_headers = self._headed
        exchange = self._exchange = connect(self._config, self._dialect, taps)
        exchange.fetch = guarded(exchange.fetch)
        self._budget.set_limits(self._dialect.rate_limits(exchange))
        try:
            await self._ask("markets", exchange.load_markets, lambda raw: raw)
            await self._measure_clock()
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Close every connection; closing twice is harmless."""
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            await exchange.close()

    async def permissions(self) -> KeyPermissions:
        """What the key may do; all None where the exchange does not tell."""
        return await self._ask(
            "permissions", lambda: self._dialect.permissions(self._client()), lambda rights: rights
        )

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What else the exchange can do."""
        return frozenset() if self._exchange is None else self._dialect.capabilities(self._exchange)

    async def open_orders_everywhere(self) -> list[OrderReport]:
        """Every live order of the account on every pair."""
        client = self._client()
        try:
            weight = _EVERYWHERE_WEIGHTS.get(self._config.exchange)
            return await self._ask("open orders", client.fetch_open_orders, _reports, weight)
        except VenueError as error:
            if error.retryable or not self._config.symbols or "symbol" not in error.detail:
                raise
        found = []
        for symbol in self._config.symbols:
            found += await self._ask("open orders", partial(self._orders_of, symbol), _reports)
        return found

    async def cancel(self, symbol: str, client_order_id: str, venue_order_id: str) -> OrderReport | None:
        """Cancel by either id; None where the exchange says nothing of the order."""
        request = f"cancel {client_order_id or venue_order_id}"
        attempt = Attempt(RequestKind.CANCEL, request, client_order_id)
        return await self._attempt(
            attempt,
            self._dialect.weight("cancel"),
            lambda: self._dialect.cancel(self._client(), symbol, client_order_id, venue_order_id),
            lambda raw: _report(raw) if raw.get("symbol") and raw.get("status") else None,
        )

    async def query(self, symbol: str, client_order_id: str, venue_order_id: str) -> OrderReport:
        """Ask for one order."""
        return await self._ask(
            "query",
            lambda: self._dialect.query(self._client(), symbol, client_order_id, venue_order_id),
            _report,
        )

    async def cancel_all_after(self, symbol: str, countdown_s: float) -> None:
        """Set the exchange's dead man's switch."""
        if Capability.DEAD_MAN_SWITCH not in self.capabilities:
            raise VenueError(self.name, f"arm the dead man's switch of {symbol}", "this venue has none")
        attempt = Attempt(RequestKind.CANCEL, f"arm the dead man's switch of {symbol}")
        await self._attempt(
            attempt,
            self._dialect.weight("dead man"),
            lambda: self._dialect.cancel_all_after(self._client(), symbol, round(countdown_s * 1000)),
            lambda raw: raw,
        )

    def _client(self) -> Any:
        if self._exchange is None:
            raise VenueUnavailableError(self.name, "use the venue", "it is not open")
        return self._exchange

    def _orders_of(self, symbol: str) -> Awaitable[Any]:
        return self._dialect.open_orders(self._client(), symbol)

    async def _ask(
        self,
        costs: str,
        call: Callable[[], Awaitable[Any]],
        read: Callable[[Any], T],
        weight: float | None = None,
    ) -> T:
        weight = self._dialect.weight(costs) if weight is None else weight
        return await self._attempt(Attempt(RequestKind.READ, costs), weight, call, read)

    async def _attempt(
        self, attempt: Attempt, weight: float, call: Callable[[], Awaitable[Any]], read: Callable[[Any], T]
    ) -> T:
        try:
            return await self._once(attempt, weight, call, read)
        except ClockSkewError:
            await self._measure_clock()
            attempt.handed_ns = attempt.status = 0
            return await self._once(attempt, weight, call, read)

    async def _once(
        self, attempt: Attempt, weight: float, call: Callable[[], Awaitable[Any]], read: Callable[[Any], T]
    ) -> T:
        # Nothing that the Angel does is a quote: all of it may use what is reserved for cancels.
        await self._budget.acquire(RequestKind.CANCEL, attempt.request, weight)
        token = current_attempt.set(attempt)
        try:
            return read(await call())
        except Exception as error:
            fault = translate(error, attempt, self.name, self._config.secrets)
            if isinstance(fault, RateLimitedError):
                (self._budget.ban if fault.banned else self._budget.slow_down)(fault.retry_after_s)
            raise fault from error
        finally:
            current_attempt.reset(token)

    async def _measure_clock(self) -> None:
        exchange = self._client()
        if exchange.has.get("fetchTime"):
            self._taps.offset_ms = await measure_offset_ms(
                lambda: self._once(
                    Attempt(RequestKind.READ, "clock"), 1.0, exchange.fetch_time, lambda raw: raw
                ),
                self._clock,
                self.name,
            )

    def _answered(self, url: str, answer: Any) -> None:
        if limits := self._dialect.published_limits(url, answer):
            self._budget.set_limits(limits)

    def _headed(self, headers: Mapping[str, str]) -> None:
        if used := self._dialect.used(headers):
            self._budget.observe_used(used)


_STATUS: Final[Mapping[str, OrderStatus]] = {
    "canceled": OrderStatus.CANCELLED,
    "cancelled": OrderStatus.CANCELLED,
    "closed": OrderStatus.FILLED,
    "expired": OrderStatus.EXPIRED,
    "rejected": OrderStatus.REJECTED,
}


def _reports(raws: list[Mapping[str, Any]]) -> list[OrderReport]:
    return [_report(raw) for raw in raws]


def _report(raw: Mapping[str, Any]) -> OrderReport:
    info = raw.get("info")
    original = info.get("origClientOrderId") if isinstance(info, Mapping) else None
    stamp = raw.get("timestamp")
    return OrderReport(
        symbol=str(raw.get("symbol") or ""),
        client_order_id=str(original or raw.get("clientOrderId") or ""),
        venue_order_id=str(raw.get("id") or ""),
        side=Side.SELL if str(raw.get("side")) == "sell" else Side.BUY,
        status=_STATUS.get(str(raw.get("status")), OrderStatus.OPEN),
        price_ticks=0,
        size_lots=0,
        filled_lots=0,
        venue_ns=int(stamp) * NS_PER_MS if isinstance(stamp, int | float) else 0,
    )
