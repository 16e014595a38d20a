"""The exchange port on ccxt and ccxt.pro."""

from __future__ import annotations

import asyncio
import contextlib
import random as randomness
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Mapping
from typing import Any, Final, TypeVar

from mrmarket.core.clock import NS_PER_MS, Clock, SystemClock
from mrmarket.core.instrument import Instrument
from mrmarket.trading.market.event import MarketEvent
from mrmarket.trading.venue.ccxt_adapter import market_listing
from mrmarket.trading.venue.ccxt_adapter.backoff import Backoff
from mrmarket.trading.venue.ccxt_adapter.client import (
    Taps,
    connect,
    current_attempt,
    keep_markets,
    trades_cache,
)
from mrmarket.trading.venue.ccxt_adapter.clock_offset import ClockKeeper, patiently
from mrmarket.trading.venue.ccxt_adapter.config import CcxtVenueConfig
from mrmarket.trading.venue.ccxt_adapter.dialects.binance import BinanceDialect
from mrmarket.trading.venue.ccxt_adapter.dialects.bybit import BybitDialect
from mrmarket.trading.venue.ccxt_adapter.dialects.generic import Dialect
from mrmarket.trading.venue.ccxt_adapter.dialects.okx import OkxDialect
from mrmarket.trading.venue.ccxt_adapter.faults import (
    Attempt,
    ClockSkewError,
    ClockUntrustedError,
    clean,
    translate,
)
from mrmarket.trading.venue.ccxt_adapter.feeds.account_feed import AccountFeed
from mrmarket.trading.venue.ccxt_adapter.feeds.market_feed import MarketFeed
from mrmarket.trading.venue.ccxt_adapter.reports import ReportReader
from mrmarket.trading.venue.event_queue import QueueClosedError
from mrmarket.trading.venue.port import (
    BalanceReport,
    Capability,
    FillReport,
    KeyPermissions,
    NewOrder,
    OrderReport,
    OutcomeUnknownError,
    RateLimitedError,
    TransferReport,
    UnknownSymbolError,
    UserEvent,
    VenueError,
    VenueUnavailableError,
    require_permit,
)
from mrmarket.trading.venue.rate_budget import RateBudget, RequestKind

_DIALECTS: Final[Mapping[str, type[Dialect]]] = {
    "binance": BinanceDialect,
    "okx": OkxDialect,
    "myokx": OkxDialect,
    "bybit": BybitDialect,
}
T = TypeVar("T")

OnHanded = Callable[[str, int], None]
"""(client order id, monotonic ns of the wall clock): an order goes to the HTTP client now."""


class CcxtVenue:
    """One account on any exchange of ccxt.

    Binance, OKX and Bybit are read frame by frame with exact numbers and sequence checks; any other
    exchange goes by ccxt's unified books and floats.
    """

    def __init__(
        self,
        config: CcxtVenueConfig,
        clock: Clock,
        *,
        wall: Clock | None = None,
        on_handed: OnHanded | None = None,
        random: Callable[[], float] = randomness.random,
    ) -> None:
        """`clock` stamps market events; `wall` (the machine's) rules limits, time-outs and offsets."""
        self.name = config.venue_name
        self.config = config
        self.budget = RateBudget(self.name, wall or SystemClock())
        self.on_handed = on_handed
        self._clock = clock
        self._wall = wall or SystemClock()
        self._random = random
        self._dialect = _DIALECTS.get(config.exchange, Dialect)()
        self._taps = Taps(self._wall)
        self._exchange: Any = None
        self._instruments: dict[str, Instrument] = {}
        self._known: list[str] = []
        self._reader = ReportReader(self.name, self._dialect, self._instruments.get)
        self._feeds: dict[str, MarketFeed] = {}
        self._account: AccountFeed | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._clocks = ClockKeeper(self.name, self._wall, self._server_time, self._set_offset)

    @property
    def clock_trusted(self) -> bool:
        """Whether the venue's clock and ours agree once corrected; while they do not, nothing is placed."""
        return self._clocks.trusted

    @property
    def clock_offset_ms(self) -> int:
        """The venue's clock minus this machine's."""
        return self._taps.offset_ms

    @property
    def feeds(self) -> Mapping[str, MarketFeed]:
        """The feeds that are being followed, by pair, with their counts of losses and gaps."""
        return self._feeds

    async def open(self) -> None:
        """Load the markets, check the pairs, measure the clock and read the account's fees.

        Raises:
            UnknownExchangeError, UnknownSymbolError, VenueUnavailableError, ClockSkewError,
            AuthenticationRefusedError, RateLimitedError.
        """
        taps = self._taps
        taps.on_handed = self._handed
        taps.on_answer = self._answered
        taps.on_headers = self._headed
        taps.on_frame = self._framed
        taps.before_placing = self._before_placing
        taps.order_headers = self._order_headers
        exchange = self._exchange = connect(self.config, self._dialect, taps)
        self.budget.set_limits(self._dialect.rate_limits(exchange))
        try:
            await patiently(lambda: self._read("markets", exchange.load_markets()))
            self._known = sorted(
                symbol for symbol, market in exchange.markets.items() if market_listing.is_spot(market)
            )
            symbols = self.config.symbols or tuple(self._known)
            self._check_listed(symbols)
            if self.config.symbols:
                keep_markets(exchange, symbols)
            fees = None
            if not self.config.public_only:
                if exchange.has.get("fetchTime"):
                    await self._clocks.measure(patient=True)
                    self._start(self._clocks.keep())
                balance = await patiently(lambda: self._read("balances", exchange.fetch_balance()))
                fees = self._dialect.account_fees(balance)
            overrides = (self.config.maker_fee, self.config.taker_fee)
            for symbol in symbols:
                self._instruments[symbol] = market_listing.instrument_of(
                    self.name, exchange.markets[symbol], exchange.precisionMode, fees, overrides
                )
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """End every stream and close every connection; a second call does nothing."""
        for feed in self._feeds.values():
            feed.queue.close()
        if self._account is not None:
            self._account.queue.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            await exchange.close()

    def instrument(self, symbol: str) -> Instrument:
        """Grid, limits and fees of a pair; raises `UnknownSymbolError`."""
        instrument = self._instruments.get(symbol)
        if instrument is None:
            raise UnknownSymbolError(self.name, symbol, self._known)
        return instrument

    async def place(self, order: NewOrder) -> OrderReport:
        """Send an order."""
        instrument = self.instrument(order.symbol)
        return await self._attempt(
            Attempt(RequestKind.PLACE, f"place {order.client_order_id}", order.client_order_id),
            "place",
            lambda: self._dialect.place(self._client(), order, instrument),
            lambda raw: self._reader.order(raw, order),
        )

    async def cancel(self, symbol: str, client_order_id: str, venue_order_id: str) -> OrderReport:
        """Cancel by either id (`venue_order_id` may be empty).

        Where the exchange acknowledges without a word about the order, it is queried, so that the
        report is true; it may then still be live for a moment.
        """
        self.instrument(symbol)
        request = f"cancel {client_order_id or venue_order_id}"
        thin = self._dialect.thin_acks
        report = await self._attempt(
            Attempt(RequestKind.CANCEL, request, client_order_id),
            "cancel",
            lambda: self._dialect.cancel(self._client(), symbol, client_order_id, venue_order_id),
            lambda raw: None if thin else self._reader.order(raw),
        )
        if report is not None:
            return report
        try:
            return await self.query(symbol, client_order_id, venue_order_id)
        except VenueError as error:
            detail = f"the cancel was taken, but the order could not be read: {error.detail}"
            raise OutcomeUnknownError(self.name, request, detail) from error

    async def query(self, symbol: str, client_order_id: str, venue_order_id: str) -> OrderReport:
        """Ask for one order; raises `UnknownOrderError` only on the venue's explicit word."""
        self.instrument(symbol)
        return await self._attempt(
            Attempt(RequestKind.READ, f"query {client_order_id or venue_order_id}"),
            "query",
            lambda: self._dialect.query(self._client(), symbol, client_order_id, venue_order_id),
            self._reader.order,
        )

    async def open_orders(self, symbol: str) -> list[OrderReport]:
        """All our live orders of a pair."""
        self.instrument(symbol)
        return await self._attempt(
            Attempt(RequestKind.READ, f"list open orders of {symbol}"),
            "open orders",
            lambda: self._dialect.open_orders(self._client(), symbol),
            lambda raws: [self._reader.order(raw) for raw in raws],
        )

    async def fills_since(self, symbol: str, since_ns: int) -> list[FillReport]:
        """All our trades of a pair from a time on, oldest first, every page.

        The time is ours or the venue's, whichever lies further back, so that no skew hides a trade.
        """
        self.instrument(symbol)
        since_ns += min(0, self._taps.offset_ms) * NS_PER_MS
        fills = await self._attempt(
            Attempt(RequestKind.READ, f"list fills of {symbol}"),
            "fills",
            lambda: self._dialect.fills(self._client(), symbol, since_ns // NS_PER_MS),
            lambda raws: [self._reader.fill(raw) for raw in raws],
        )
        found = {fill.trade_id: fill for fill in fills if fill.venue_ns >= since_ns // NS_PER_MS * NS_PER_MS}
        return sorted(found.values(), key=lambda fill: (fill.venue_ns, len(fill.trade_id), fill.trade_id))

    async def balances(self) -> list[BalanceReport]:
        """Every asset with a balance."""
        reports = await self._attempt(
            Attempt(RequestKind.READ, "read balances"),
            "balances",
            lambda: self._client().fetch_balance(),
            self._reader.balances,
        )
        return [report for report in reports if (report.free, report.locked) != ("0", "0")]

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What else it can do; nothing before it is open, or without a key."""
        if self._exchange is None or self.config.public_only:
            return frozenset()
        return self._dialect.capabilities(self._exchange)

    async def permissions(self) -> KeyPermissions:
        """What our key may do; all None where the exchange does not tell."""
        return await self._attempt(
            Attempt(RequestKind.READ, "read the key's permissions"),
            "permissions",
            lambda: self._dialect.permissions(self._client()),
            lambda rights: rights,
        )

    async def cancel_all(self, symbol: str) -> list[OrderReport]:
        """Cancel every open order of a pair by one request; those that the answer names."""
        self.instrument(symbol)
        return await self._attempt(
            Attempt(RequestKind.CANCEL, f"cancel every order of {symbol}"),
            "cancel all",
            lambda: self._dialect.cancel_all(self._client(), symbol),
            lambda raws: [self._reader.order(raw) for raw in raws],
        )

    async def cancel_all_after(self, symbol: str, countdown_s: float) -> None:
        """Arm the exchange's dead man's switch, or take it away with 0."""
        request = f"arm the dead man's switch of {symbol}"
        if Capability.DEAD_MAN_SWITCH not in self.capabilities:
            raise VenueError(self.name, request, "this venue has none")
        # As urgent as a cancel: it is what cancels when nobody is left to do it.
        await self._attempt(
            Attempt(RequestKind.CANCEL, request),
            "dead man",
            lambda: self._dialect.cancel_all_after(self._client(), symbol, round(countdown_s * 1_000)),
            lambda _: None,
        )

    async def transfers_since(self, since_ns: int) -> list[TransferReport]:
        """Credited deposits and withdrawals that were not refused, from a time on, oldest first."""
        if Capability.TRANSFERS not in self.capabilities:
            raise VenueError(self.name, "read transfers", "this venue does not list them")
        since_ms = since_ns // NS_PER_MS + min(0, self._taps.offset_ms)
        found = await self._attempt(
            Attempt(RequestKind.READ, "read transfers"),
            "transfers",
            lambda: self._dialect.transfers(self._client(), since_ms),
            lambda raws: [report for raw in raws if (report := self._reader.transfer(raw)) is not None],
        )
        return sorted(found, key=lambda report: (report.venue_ns, report.transfer_id))

    async def market_events(self, symbol: str) -> AsyncGenerator[MarketEvent, None]:
        """The live feed; ends only when closed. One follower for a pair at a time.

        A SNAPSHOT follows every reconnect and every gap; an empty one tells that the feed is lost.
        """
        if symbol in self._feeds:
            raise VenueError(self.name, f"follow {symbol}", "the pair is followed already; share that feed")
        feed = self._feeds[symbol] = self._make_feed(symbol)
        task = self._start(feed.run())
        try:
            with contextlib.suppress(QueueClosedError):
                while True:
                    yield await feed.queue.get()
        finally:
            task.cancel()
            try:
                await asyncio.gather(task, return_exceptions=True)
            finally:
                del self._feeds[symbol]
                if all(other.connection is not feed.connection for other in self._feeds.values()):
                    feed.leave()

    async def user_events(self) -> AsyncGenerator[UserEvent, None]:
        """Our orders, fills and balances as they change. One follower at a time.

        Begins with `StreamState`: connected, or why not yet.
        """
        if self._account is not None:
            raise VenueError(self.name, "follow the account", "it is followed already; share that stream")
        account = self._account = AccountFeed(
            self._client(), self._dialect, self._reader, Backoff(self._random), self._explain
        )
        self._taps.on_order = account.take_order
        self._taps.on_fill = account.take_fill
        self._taps.on_account_subscribed = account.subscribed
        task = self._start(account.run())
        try:
            with contextlib.suppress(QueueClosedError):
                while True:
                    yield await account.queue.get()
        finally:
            task.cancel()
            try:
                # Until it has ended it may subscribe anew, on a connection that nobody would leave.
                await asyncio.gather(task, return_exceptions=True)
            finally:
                self._account = None
                account.leave()

    def _check_listed(self, symbols: tuple[str, ...]) -> None:
        known = set(self._known)
        for symbol in symbols:
            if symbol not in known:
                raise UnknownSymbolError(self.name, symbol, self._known)

    def _make_feed(self, symbol: str) -> MarketFeed:
        exchange, instrument = self._client(), self.instrument(symbol)
        return MarketFeed(
            exchange,
            instrument,
            self._dialect.frames(instrument, str(exchange.markets[symbol]["id"])),
            self._clock,
            book_limit=self._dialect.book_limit(self.config),
            max_pending=self.config.max_pending_events,
            backoff=Backoff(self._random),
            request=self._read,
            trades_cache=trades_cache,
        )

    def _client(self) -> Any:
        if self._exchange is None:
            raise VenueUnavailableError(self.name, "use the venue", "it is not open; call open() first")
        return self._exchange

    async def _read(self, request: str, call: Coroutine[Any, Any, T]) -> T:
        async def once() -> T:
            return await call

        try:
            return await self._once(Attempt(RequestKind.READ, request), request, once, lambda raw: raw)
        finally:
            call.close()

    async def _attempt(
        self,
        attempt: Attempt,
        costs: str,
        call: Callable[[], Awaitable[Any]],
        read: Callable[[Any], T],
    ) -> T:
        """One request under the budget, with the port's errors for whatever goes wrong.

        A stamp outside the receive window is refused before it has an effect, so that the clock is
        measured again and the very same request repeated once.
        """
        try:
            return await self._once(attempt, costs, call, read)
        except ClockSkewError:
            attempt.handed_ns = attempt.status = 0
            try:
                await self._correct_clock()
                return await self._once(attempt, costs, call, read)
            except ClockSkewError as error:
                if attempt.kind is RequestKind.PLACE:
                    raise ClockUntrustedError(self.name, attempt.request, error.detail) from error
                raise

    async def _once(
        self, attempt: Attempt, costs: str, call: Callable[[], Awaitable[Any]], read: Callable[[Any], T]
    ) -> T:
        weight = self._dialect.weight(costs)
        if not self.budget.try_acquire(attempt.kind, weight):
            await self.budget.acquire(attempt.kind, attempt.request, weight)
        token = current_attempt.set(attempt)
        try:
            return read(await call())
        except Exception as error:
            fault = translate(error, attempt, self.name, self.config.secrets)
            if isinstance(fault, RateLimitedError):
                if fault.banned:
                    self.budget.ban(fault.retry_after_s)
                else:
                    self.budget.slow_down(fault.retry_after_s)
            raise fault from error
        finally:
            current_attempt.reset(token)

    async def _correct_clock(self) -> None:
        if self._client().has.get("fetchTime"):
            await self._clocks.measure()

    async def _server_time(self) -> int:
        exchange = self._client()
        return int(await self._read("clock", exchange.fetch_time()))

    def _before_placing(self, request: str) -> None:
        """The last question before an order leaves: may its run still send, and do the clocks agree?"""
        require_permit(self.name, request)
        if not self._clocks.trusted:
            raise ClockUntrustedError(
                self.name, request, "the venue's clock and ours cannot be brought within 1 s"
            )

    def _set_offset(self, offset_ms: int) -> None:
        self._taps.offset_ms = offset_ms

    def _order_headers(self) -> Mapping[str, str]:
        deadline_ms = self._wall.now_ns() // NS_PER_MS + self._taps.offset_ms + self.config.recv_window_ms
        return self._dialect.order_headers(deadline_ms)

    def _start(self, job: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(job)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _explain(self, error: Exception) -> str:
        return clean(str(error) or type(error).__name__, self.config.secrets)

    def _handed(self, attempt: Attempt) -> None:
        if self.on_handed is not None:
            self.on_handed(attempt.client_order_id, attempt.handed_ns)

    def _answered(self, url: str, answer: Any) -> None:
        limits = self._dialect.published_limits(url, answer)
        if limits:
            self.budget.set_limits(limits)

    def _headed(self, headers: Mapping[str, str]) -> None:
        used = self._dialect.used(headers)
        if used:
            self.budget.observe_used(used)

    def _framed(self, connection: Any, frame: bytes) -> bool:
        for feed in self._feeds.values():
            if feed.offer(connection, frame):
                return True
        if self._account is not None:
            self._account.offer(connection, frame)
        return self._dialect.skips(frame)
