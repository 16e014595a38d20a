"""A second market for the demo: it follows the first one, and now and then its prices go their own way."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import replace
from decimal import Decimal
from random import Random
from typing import Final

import msgspec

from mrmarket.core.clock import NS_PER_S, Clock
from mrmarket.core.instrument import Instrument
from mrmarket.trading.market.book import OrderBook
from mrmarket.trading.market.errors import SequenceGapError
from mrmarket.trading.market.event import EventKind, Level, MarketEvent

SECOND: Final = "second"
"""The name of the venue, and of its exchange."""
_DEEP: Final = 200
_STEP_S: Final = 1.0
"""The premium moves so often, at most: each move is a new book."""
_STEP_BPS: Final = 2.0


class Premium:
    """How far the second market stands above the first, in basis points, as a function of time.

    Calm stretches without a difference, then one of a minute or so with a difference that is worth trading;
    the sign alternates, so that what was bought on one side comes back. Seeded, and made as time goes on.
    """

    def __init__(self, seed: int, *, calm_s: float = 75.0, apart_s: float = 60.0, bps: float = 25.0) -> None:
        """Lengths and height are means; each stretch has its own within a third of them."""
        self._random = Random(seed)  # noqa: S311 - a simulation, not a secret
        self._calm_s = calm_s
        self._apart_s = apart_s
        self._bps = bps
        self._sign = 1
        self._ends_s = 0.0
        self._now_bps = 0.0
        self._is_apart = True

    def at(self, seconds: float) -> float:
        """The premium then; to be asked with times that do not decrease."""
        while seconds >= self._ends_s:
            self._is_apart = not self._is_apart
            length_s = self._apart_s if self._is_apart else self._calm_s
            self._ends_s += length_s * self._random.uniform(2 / 3, 4 / 3)
            self._sign = -self._sign if self._is_apart else self._sign
            height = self._bps * self._random.uniform(2 / 3, 4 / 3)
            self._now_bps = self._sign * height if self._is_apart else 0.0
        return self._now_bps


class FollowingFeed:
    """The feed of the second market: every event of the first, its prices moved by the premium.

    It glides to a new premium in steps; each step is a whole book, as after a reconnect.
    """

    def __init__(
        self,
        instrument: Instrument,
        follow: Callable[[], AsyncIterator[MarketEvent]],
        premium: Callable[[], Premium],
        world: Clock,
    ) -> None:
        """Put it together.

        Args:
            instrument: of the first market.
            follow: its feed; each call is another follower.
            premium: a premium from the beginning of time; the same for every follower.
            world: the market's time.
        """
        self.name = SECOND
        self._instrument = replace(instrument, venue=SECOND)
        self._follow = follow
        self._premium = premium
        self._world = world

    async def open(self) -> None:
        """It is open."""

    async def close(self) -> None:
        """The first market stays."""

    def instrument(self, symbol: str) -> Instrument:  # noqa: ARG002 - it has one pair
        """That of the first market."""
        return self._instrument

    def market_events(self, symbol: str) -> AsyncIterator[MarketEvent]:  # noqa: ARG002 - the same
        """The moved events, from a snapshot on."""
        return self._moved()

    async def _moved(self) -> AsyncGenerator[MarketEvent, None]:
        book, premium, bps, next_s = OrderBook(self._instrument), self._premium(), 0.0, 0.0
        move_ticks = 0
        async for event in self._follow():
            if event.kind is not EventKind.TRADE:
                try:
                    book.apply(event)
                except SequenceGapError:
                    book = OrderBook(self._instrument)
            seconds = self._world.monotonic_ns() / NS_PER_S
            best = book.best_bid
            if seconds >= next_s and best is not None and event.kind is EventKind.DEPTH and book.synced:
                next_s = seconds + _STEP_S
                wanted = premium.at(seconds)
                moved = bps + max(-_STEP_BPS, min(_STEP_BPS, wanted - bps))
                ticks = int(best[0] * Decimal(moved) / 10_000)
                if moved != bps:
                    bps, move_ticks = moved, ticks
                    yield _shifted(_whole(book, event), move_ticks)
                    continue
            yield _shifted(event, move_ticks)


def _whole(book: OrderBook, event: MarketEvent) -> MarketEvent:
    return MarketEvent(
        kind=EventKind.SNAPSHOT,
        exchange_ns=event.exchange_ns,
        local_ns=event.local_ns,
        last_id=book.last_id,
        bids=book.bids(_DEEP),
        asks=book.asks(_DEEP),
    )


def _shifted(event: MarketEvent, ticks: int) -> MarketEvent:
    if not ticks:
        return event
    if event.kind is EventKind.TRADE:
        return msgspec.structs.replace(event, price_ticks=event.price_ticks + ticks)
    bids: list[Level] = [(price + ticks, lots) for price, lots in event.bids]
    asks: list[Level] = [(price + ticks, lots) for price, lots in event.asks]
    return msgspec.structs.replace(event, bids=bids, asks=asks)
