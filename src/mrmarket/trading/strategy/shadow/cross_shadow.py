"""A strategy between two venues on paper, and what such a run has earned."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from typing import Any, Final

from mrmarket.core.clock import Clock
from mrmarket.trading.execution.legs import LegStage
from mrmarket.trading.strategy.arbitrage.run import ArbitrageRun
from mrmarket.trading.strategy.arbitrage.two_venue_run import TwoVenueRun
from mrmarket.trading.strategy.cross_port import CrossMaker, CrossStrategy
from mrmarket.trading.strategy.multileg.setting import Place, RunSetting
from mrmarket.trading.strategy.observer import RunState
from mrmarket.trading.strategy.shadow.bridge import FeedBridge
from mrmarket.trading.strategy.shadow.journal import ForgetfulJournal
from mrmarket.trading.strategy.shadow.reading import Reading
from mrmarket.trading.strategy.shadow.shadow import Life, Post
from mrmarket.trading.venue.paper import PaperVenue
from mrmarket.trading.venue.simulated.exchange import SimulatedExchange

_READ_S: Final = 1.0


def cross_reading(run: TwoVenueRun, life: str, now_ns: int) -> Reading | None:
    """What a run on two venues has earned; None before it knows both accounts and prices."""
    mid, profit, worth = run.mid, run.pnl_quote, run.worth_quote
    if mid is None or profit is None or worth is None:
        return None
    fees = sum(float(side.totals.fees_quote(mid)) for side in run.sides)
    return Reading(
        life=life,
        at_ns=now_ns,
        trading=run.state is RunState.RUNNING,
        profit=float(profit),
        fees=fees,
        capital=float(worth),
        # Base and quote have to stand ready on both sides, or there is nothing to trade when it pays.
        used=float(worth),
        attempts=len(run.pairs),
        successes=sum(pair.stage is LegStage.DONE for pair in run.pairs),
        volatility=None,
    )


def cross_life(
    make: Callable[[], CrossStrategy | CrossMaker],
    clock: Clock,
    *,
    life: str,
    world: Clock | None = None,
    opening: Mapping[str, int] | None = None,
    latency_s: float = 0.02,
    run_with: Mapping[str, Any] | None = None,
    run_of: Callable[..., TwoVenueRun] = ArbitrageRun,
) -> Life:
    """As `quoting_life`, on two paper venues; `run_of` is what runs the strategy that `make` gives."""

    async def live(bridges: Sequence[FeedBridge], post: Post) -> None:
        strategy = make()
        async with AsyncExitStack() as closing:
            venues = []
            for bridge in bridges:
                venue = PaperVenue(
                    bridge, SimulatedExchange(), clock, account="shadow", opening=opening, latency_s=latency_s
                )
                await venue.open()
                closing.push_async_callback(venue.close)
                venues.append(venue)
            one, two = venues
            run = run_of(
                (Place(one), Place(two)),
                strategy,
                ForgetfulJournal(),
                RunSetting(
                    instance="shadow",
                    stream=f"shadow.{life}",
                    wall=clock,
                    world=world,
                    **(run_with or {}),
                ),
            )
            closing.push_async_callback(run.abandon)
            await run.start()
            while run.failure is None:
                post(cross_reading(run, life, clock.now_ns()))
                with suppress(TimeoutError):
                    async with asyncio.timeout(_READ_S):
                        await run.wait()
            raise run.failure

    return live
