"""Trades positions away for the `flatten` fail-safe, with a key of its own that may trade."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Final

from mrmarket.angel.failsafe import Position
from mrmarket.core.clock import NS_PER_MS, Clock
from mrmarket.core.errors import MrMarketError
from mrmarket.core.events import Filled
from mrmarket.core.side import Side
from mrmarket.services.angel.plan import AngelPlan, WatchedAccount
from mrmarket.services.angel.stores import Late
from mrmarket.store.trading_port import TradingLog
from mrmarket.trading.market.event import EventKind, MarketEvent
from mrmarket.trading.venue.ccxt_adapter.config import CcxtVenueConfig, VenueUrls
from mrmarket.trading.venue.ccxt_adapter.venue import CcxtVenue
from mrmarket.trading.venue.port import NewOrder, OrderKind

_PAGE: Final = 5_000
_BOOK_S: Final = 5.0


class FlattenKeyMissingError(MrMarketError):
    """`flatten` was chosen without a key that may trade."""

    code = "flatten_key_missing"

    def __init__(self, names: list[str]) -> None:
        self.names = names
        super().__init__(
            f'fail_safe = "flatten" needs a key of its own that may trade: set {" and ".join(names)},'
            " or choose cancel_all"
        )


class VenueFlattener:
    """Implements `Flattener` over the exchange adapter and the event log."""

    def __init__(
        self, plan: AngelPlan, environ: Mapping[str, str], log: Late[TradingLog] | None, clock: Clock
    ) -> None:
        """Raises `FlattenKeyMissingError`."""
        names = [plan.settings.flatten_key_env, plan.settings.flatten_secret_env]
        missing = [name for name in names if not environ.get(name)]
        if missing:
            raise FlattenKeyMissingError(missing)
        self._accounts = {account.name: account for account in plan.accounts}
        self._key, self._secret = (environ[name] for name in names)
        self._log = log
        self._clock = clock
        self._venues: dict[tuple[str, str], CcxtVenue] = {}

    async def positions(self, runs: Sequence[str]) -> list[Position]:
        """What the runs bought less what they sold, by the event log."""
        if self._log is None:
            return []
        return await asyncio.to_thread(lambda: list(self._positions(runs)))

    async def touch(self, venue: str, symbol: str) -> tuple[Decimal, Decimal]:
        """Best bid and best ask, from a fresh book."""
        open_venue = await self._open(venue, symbol)
        instrument = open_venue.instrument(symbol)
        async with asyncio.timeout(_BOOK_S), _following(open_venue, symbol) as events:
            async for event in events:
                if event.kind is EventKind.SNAPSHOT and event.bids and event.asks:
                    bid = max(price for price, _ in event.bids)
                    ask = min(price for price, _ in event.asks)
                    return Decimal(instrument.price_text(bid)), Decimal(instrument.price_text(ask))
        raise TimeoutError

    async def immediate(
        self, venue: str, symbol: str, side: Side, base: Decimal, limit_price: Decimal
    ) -> Decimal:
        """An IOC order on the grid, rounded towards less; what was filled."""
        open_venue = await self._open(venue, symbol)
        instrument = open_venue.instrument(symbol)
        size_lots = int(base / instrument.lot_size)
        ticks = limit_price / instrument.tick_size
        inwards = ROUND_FLOOR if side is Side.BUY else ROUND_CEILING
        price_ticks = int(ticks.to_integral_value(inwards))
        if size_lots < 1:
            return Decimal(0)
        report = await open_venue.place(
            NewOrder(
                symbol=symbol,
                client_order_id=f"mmflat{self._clock.now_ns() // NS_PER_MS}",
                side=side,
                kind=OrderKind.IOC,
                price_ticks=price_ticks,
                size_lots=size_lots,
            )
        )
        return report.filled_lots * instrument.lot_size

    async def close(self) -> None:
        """Close every connection."""
        for venue in self._venues.values():
            await venue.close()

    def _positions(self, runs: Sequence[str]) -> Iterator[Position]:
        assert self._log is not None  # noqa: S101 - asked for by `positions`
        log = self._log.get()
        for run in runs:
            net: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
            after = 0
            while rows := log.read_facts(run, after, _PAGE):
                for row in rows:
                    if isinstance(row.fact, Filled):
                        size = Decimal(row.fact.size)
                        net[row.fact.venue, row.fact.symbol] += size * row.fact.side.sign
                after = rows[-1].seq
            for (venue, symbol), base in net.items():
                yield Position(run=run, venue=venue, symbol=symbol, base=base)

    async def _open(self, name: str, symbol: str) -> CcxtVenue:
        if (name, symbol) not in self._venues:
            venue = CcxtVenue(self._reach(self._accounts[name], symbol), self._clock)
            await venue.open()
            self._venues[name, symbol] = venue
        return self._venues[name, symbol]

    def _reach(self, account: WatchedAccount, symbol: str) -> CcxtVenueConfig:
        return CcxtVenueConfig(
            exchange=account.exchange,
            name=account.name,
            symbols=(symbol,),
            api_key=self._key,
            secret=self._secret,
            urls=VenueUrls(rest=account.rest_url, ws=account.ws_url, ws_api=account.ws_api_url),
            recv_window_ms=account.recv_window_ms,
        )


@asynccontextmanager
async def _following(
    venue: CcxtVenue, symbol: str
) -> AsyncGenerator[AsyncGenerator[MarketEvent, None], None]:
    events = venue.market_events(symbol)
    try:
        yield events
    finally:
        await events.aclose()
