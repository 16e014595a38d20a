"""One strategy on live data without orders, watched so that whatever it does touches nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import structlog

from mrmarket.core.clock import Clock
from mrmarket.trading.market.event import MarketEvent
from mrmarket.trading.strategy.port import Strategy
from mrmarket.trading.strategy.run import StrategyRun
from mrmarket.trading.strategy.shadow.bridge import FeedBridge, pump
from mrmarket.trading.strategy.shadow.journal import ForgetfulJournal
from mrmarket.trading.strategy.shadow.reading import Reading, reading_of
from mrmarket.trading.strategy.shadow.thread import ShadowHungError, ShadowThread
from mrmarket.trading.venue.paper import PaperVenue
from mrmarket.trading.venue.simulated.exchange import SimulatedExchange

_LOOK_S: Final = 0.5
_READ_S: Final = 1.0
_END_S: Final = 0.02
_INTERRUPTS: Final = 3
_log = structlog.get_logger("mrmarket.shadow")

Post = Callable[[Reading | None], None]
Life = Callable[[Sequence[FeedBridge], Post], Coroutine[Any, Any, None]]
"""A paper run on these feeds; posts what it has earned about once a second, until cancelled."""


@dataclass(frozen=True, slots=True)
class Feed:
    """A pair's live feed, for the owner's loop."""

    bridge: FeedBridge
    follow: Callable[[], AsyncIterator[MarketEvent]]


class Shadow:
    """One strategy on paper, in a thread of its own.

    A shadow that raises, or does not come back from a call, is shut off with a line that says why.
    """

    def __init__(
        self, name: str, life: Life, feeds: Sequence[Feed], clock: Clock, *, patience_s: float = 5.0
    ) -> None:
        """Nothing begins before `keep`.

        Args:
            name: of the candidate, for people.
            life: its paper run.
            feeds: what it trades on.
            clock: real time.
            patience_s: how long one call of the strategy may take.
        """
        self.name = name
        self.reading: Reading | None = None
        """What it has earned by the last look; None while there is nothing to say."""
        self.why_off = ""
        """Why it was shut off; empty while it runs."""
        self._feeds = feeds
        self._clock = clock
        self._patience_s = patience_s
        self._thread = ShadowThread(
            f"shadow {name}", lambda: life([each.bridge for each in feeds], self._post), clock
        )

    async def keep(self) -> None:
        """Run it until cancelled, or until it has to be shut off; never raises what the shadow raises."""
        pumps = [asyncio.create_task(pump(each.follow, each.bridge)) for each in self._feeds]
        self._thread.start()
        try:
            await self._watch(pumps)
        finally:
            self.reading = None
            self._thread.stop()
            for task in pumps:
                task.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            await self._see_it_end()

    async def _watch(self, pumps: Sequence[asyncio.Task[None]]) -> None:
        interrupts = 0
        while True:
            await asyncio.sleep(_LOOK_S)
            if self._thread.is_over:
                self._shut(self._thread.failure)
                return
            for task in pumps:
                if task.done() and not task.cancelled():
                    self._shut(task.exception())
                    return
            if self._thread.silent_s() > self._patience_s:
                self.reading = None
                if interrupts == _INTERRUPTS:
                    self._shut(ShadowHungError(self.name, self._patience_s))
                    return
                interrupts += 1
                self._thread.interrupt()

    def _shut(self, error: BaseException | None) -> None:
        self.why_off = str(error or "") or type(error).__name__
        if isinstance(error, ShadowHungError):
            self.why_off = str(ShadowHungError(self.name, self._patience_s))
        _log.warning("a strategy on paper was shut off", candidate=self.name, reason=self.why_off)

    def _post(self, reading: Reading | None) -> None:
        self.reading = reading

    async def _see_it_end(self) -> None:
        """Wait for its last step; one that hangs in it ends with the process."""
        for _ in range(int(self._patience_s / _END_S)):
            if self._thread.is_over or self.why_off:
                return
            await asyncio.sleep(_END_S)


def quoting_life(
    make: Callable[[], Strategy],
    clock: Clock,
    *,
    life: str,
    world: Clock | None = None,
    opening: Mapping[str, int] | None = None,
    latency_s: float = 0.02,
    run_with: Mapping[str, Any] | None = None,
) -> Life:
    """A quoting strategy on a paper venue: the run is the very one that trades live.

    Our own live orders are in the feed as anybody's, and paper orders stand behind them; what that flatters
    or spoils is in the measured ratio of live to paper.

    Args:
        make: the strategy, on the shadow's thread.
        clock: real time.
        life: names the sums of this life.
        world: the strategy's time.
        opening: balances of the paper account in units of 1e-8; the exchange's own by default.
        latency_s: one way to the paper exchange.
        run_with: further arguments of the run, such as its limits.
    """

    async def live(bridges: Sequence[FeedBridge], post: Post) -> None:
        strategy = make()
        (bridge,) = bridges
        venue = PaperVenue(
            bridge, SimulatedExchange(), clock, account="shadow", opening=opening, latency_s=latency_s
        )
        run = StrategyRun(
            venue,
            strategy,
            ForgetfulJournal(),
            instance="shadow",
            stream=f"shadow.{life}",
            wall=clock,
            world=world,
            **(run_with or {}),
        )
        await venue.open()
        try:
            await run.start()
            while run.failure is None:
                post(reading_of(run, life, clock.now_ns()))
                with suppress(TimeoutError):
                    async with asyncio.timeout(_READ_S):
                        await run.wait()
            raise run.failure
        finally:
            await run.abandon()
            await venue.close()

    return live
