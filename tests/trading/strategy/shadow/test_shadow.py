"""Strategies on paper beside the live ones: they earn readings, and harm nobody."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress

import msgspec

from fake_venue import GRID
from mrmarket.core.clock import SystemClock
from mrmarket.trading.market.event import EventKind, MarketEvent
from mrmarket.trading.strategy.parameters import Parameters
from mrmarket.trading.strategy.port import MarketView, Strategy
from mrmarket.trading.strategy.pure_market_making import PureMarketMaking
from mrmarket.trading.strategy.shadow.bridge import FeedBridge
from mrmarket.trading.strategy.shadow.shadow import Feed, Life, Post, Shadow, quoting_life

CLOCK = SystemClock()


def book(last_id: int) -> MarketEvent:
    """A whole book."""
    return MarketEvent(
        kind=EventKind.SNAPSHOT,
        exchange_ns=CLOCK.now_ns(),
        local_ns=CLOCK.now_ns(),
        last_id=last_id,
        bids=[(5_999_950, 100_000)],
        asks=[(6_000_050, 100_000)],
    )


def trade(number: int, price_ticks: int, size_lots: int = 1_000_000) -> MarketEvent:
    """A seller comes to the bids."""
    return MarketEvent(
        kind=EventKind.TRADE,
        exchange_ns=CLOCK.now_ns(),
        local_ns=CLOCK.now_ns(),
        last_id=number,
        price_ticks=price_ticks,
        size_lots=size_lots,
        taker_buys=False,
    )


class Market:
    """A feed that anybody may follow, with a snapshot first."""

    def __init__(self) -> None:
        self.followed = 0
        self.failure: Exception | None = None
        self._queue: asyncio.Queue[MarketEvent | None] = asyncio.Queue()

    def put(self, event: MarketEvent | None) -> None:
        """Let something happen; None ends the feed."""
        self._queue.put_nowait(event)

    async def follow(self) -> AsyncIterator[MarketEvent]:
        """A snapshot, then what happens."""
        self.followed += 1
        yield book(100 + self.followed)
        while (event := await self._queue.get()) is not None:
            yield event
        if self.failure is not None:
            raise self.failure


def strategy() -> PureMarketMaking:
    """Quotes two tenths of a percent away, twice the fee."""
    table = {"bid_spread": "0.002", "ask_spread": "0.002", "order_amount": "0.1", "number_of_layers": 1}
    return PureMarketMaking(msgspec.convert(table, Parameters))


class Stage:
    """A shadow on a market."""

    def __init__(self, life: Life, *, patience_s: float = 5.0) -> None:
        self.market = Market()
        self.bridge = FeedBridge("live", GRID)
        feed = Feed(self.bridge, self.market.follow)
        self.shadow = Shadow("maker", life, [feed], CLOCK, patience_s=patience_s)
        self.task = asyncio.create_task(self.shadow.keep())

    async def until(self, condition: Callable[[], bool], within_s: float = 30) -> None:
        """Wait until something is so."""
        async with asyncio.timeout(within_s):
            while not condition():  # noqa: ASYNC110 - another thread tells nobody
                await asyncio.sleep(0.01)

    async def end(self) -> None:
        """Stop it."""
        self.task.cancel()
        with suppress(asyncio.CancelledError):
            await self.task


async def test_a_strategy_earns_on_paper_what_the_market_gives() -> None:
    """A live trade through its paper quote fills it, and the reading shows the gain; it ends when told to."""
    stage = Stage(quoting_life(strategy, CLOCK, life="one", latency_s=0.0))
    shadow = stage.shadow
    await stage.until(lambda: shadow.reading is not None and shadow.reading.used > 1_000)
    stage.market.put(trade(1, 5_980_000))
    await stage.until(lambda: shadow.reading is not None and shadow.reading.profit > 0)
    assert shadow.reading is not None
    assert shadow.reading.trading
    assert shadow.reading.capital > 1_000_000
    await stage.end()
    assert stage.shadow.reading is None
    assert stage.shadow.why_off == ""
    assert not [thread for thread in threading.enumerate() if thread.name == "shadow maker"]


class Broken(PureMarketMaking):
    """Raises at its first decision."""

    def quotes(self, view: MarketView) -> object:  # type: ignore[override] # never returns
        """Fail."""
        raise ZeroDivisionError("a bug of its own")


class Endless(PureMarketMaking):
    """Does not come back from its first decision, and catches what it can."""

    def quotes(self, view: MarketView) -> object:  # type: ignore[override] # never returns
        """Spin."""
        count = 0
        while True:
            count += 1


def made(kind: type[PureMarketMaking]) -> Callable[[], Strategy]:
    """Makes one of a kind."""
    return lambda: kind(msgspec.convert({"bid_spread": "0.001", "ask_spread": "0.001"}, Parameters))


async def test_a_strategy_that_raises_is_shut_off_with_a_line() -> None:
    """The reason is its own, nothing is raised to the owner, and its readings end."""
    stage = Stage(quoting_life(made(Broken), CLOCK, life="one", latency_s=0.0))
    await asyncio.wait_for(stage.task, 30)
    assert stage.shadow.why_off == "a bug of its own"
    assert stage.shadow.reading is None


async def test_a_strategy_that_hangs_is_interrupted_while_the_owner_goes_on() -> None:
    """The owner's loop turns meanwhile, and the line says what to look for."""
    stage = Stage(quoting_life(made(Endless), CLOCK, life="one", latency_s=0.0), patience_s=0.6)
    turns = 0
    async with asyncio.timeout(60):
        while not stage.task.done():
            await asyncio.sleep(0.02)
            turns += 1
    assert turns > 5
    assert "did not come back" in stage.shadow.why_off
    assert stage.shadow.reading is None


async def test_one_that_swallows_the_interrupt_is_left_behind() -> None:
    """After a few tries the owner lets go of the thread; it ends when its call does."""
    release = threading.Event()

    async def stubborn(_: Sequence[FeedBridge], __: Post) -> None:
        while not release.is_set():
            with suppress(Exception):
                while not release.is_set():
                    pass

    stage = Stage(stubborn, patience_s=0.6)
    await asyncio.wait_for(stage.task, 60)
    assert "did not come back" in stage.shadow.why_off
    release.set()
    await stage.until(lambda: all(thread.name != "shadow maker" for thread in threading.enumerate()))


async def test_a_feed_that_fails_ends_the_shadow_and_says_so() -> None:
    """The exchange's end is the reason."""
    stage = Stage(quoting_life(strategy, CLOCK, life="one", latency_s=0.0))
    await stage.until(lambda: stage.market.followed == 1)
    stage.market.failure = ConnectionError("the exchange is gone")
    stage.market.put(None)
    await asyncio.wait_for(stage.task, 30)
    assert stage.shadow.why_off == "the exchange is gone"


async def test_a_bridge_that_is_too_far_behind_begins_anew_with_a_whole_book() -> None:
    """A flood while the other side sleeps is left out, told as a loss, and mended by a snapshot."""
    seen: list[MarketEvent] = []
    asleep, awake = threading.Event(), threading.Event()

    async def sleeper(bridges: Sequence[FeedBridge], _: Post) -> None:
        async for event in bridges[0].market_events(GRID.symbol):
            seen.append(event)
            if len(seen) == 1:
                asleep.set()
                await asyncio.to_thread(awake.wait)

    stage = Stage(sleeper)
    await stage.until(asleep.is_set)
    for number in range(20_010):
        stage.market.put(trade(number, 5_990_000))
    await stage.until(lambda: stage.bridge.is_lost)
    awake.set()
    await stage.until(lambda: stage.market.followed == 2 and not stage.bridge.is_lost)
    await stage.until(lambda: stage.bridge.behind == 0)
    losses = [
        number for number, event in enumerate(seen) if event.kind is EventKind.SNAPSHOT and not event.bids
    ]
    (loss,) = losses
    assert seen[loss + 1].kind is EventKind.SNAPSHOT
    assert seen[loss + 1].bids
    await stage.end()
