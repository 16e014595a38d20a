"""A strategy over several markets is asked when something it looks at has changed, and now and then."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal

import pytest

from arbitrage_stage import CrossStage
from making_stage import MakingStage
from mrmarket.core.clock import NS_PER_S, ManualClock
from mrmarket.trading.execution.risk.budget import Budget
from mrmarket.trading.market.event import EventKind, MarketEvent
from mrmarket.trading.strategy.arbitrage.cross_exchange import CrossExchangeArbitrage
from mrmarket.trading.strategy.arbitrage.parameters import CrossExchangeParameters
from mrmarket.trading.strategy.cross_port import CrossDecision, CrossView
from mrmarket.trading.strategy.multileg.host import MultiLegRun
from mrmarket.trading.strategy.multileg.patience import oldest_of
from mrmarket.trading.strategy.selection.funded_cross import FundedCross


class Asked(CrossExchangeArbitrage):
    """Counts how often it is asked."""

    times = 0

    def decide(self, view: CrossView) -> CrossDecision:
        """As always."""
        self.times += 1
        return super().decide(view)


class Restless(Asked):
    """Says nothing of time."""

    def __init__(self, parameters: CrossExchangeParameters) -> None:
        super().__init__(parameters)
        self.oldest_book_ns = None  # type: ignore[assignment]


PARAMETERS = CrossExchangeParameters(max_book_age=600, max_book_gap=600)


async def ticked(run: MultiLegRun, times: int = 3) -> None:
    """Several ticks, and whatever follows from them."""
    for _ in range(times):
        run._tick()
        await asyncio.sleep(0)


@pytest.fixture
async def stage() -> AsyncIterator[CrossStage]:
    """Two exchanges that show the same price."""
    made = CrossStage()
    yield made
    await made.close()


async def test_a_tick_asks_only_where_something_has_changed(stage: CrossStage) -> None:
    """A budget, a book deep down, an account, and a second that has passed; nothing else."""
    clock, strategy = ManualClock(), Asked(PARAMETERS)
    run = await stage.ready(strategy=strategy, world=clock)
    await ticked(run)
    asked = strategy.times
    await ticked(run)
    assert strategy.times == asked

    run.board.budgets.of("arb-1").set(Decimal(5), "its part")
    await ticked(run)
    assert strategy.times == asked + 1

    book = run.sides[0].watch.tracker.book
    deep = MarketEvent(
        kind=EventKind.DEPTH, exchange_ns=7, local_ns=8, first_id=2, last_id=2, bids=[(5_900_000, 5)], asks=[]
    )
    stage.feeds[0].put(deep)
    await stage.until(lambda: book.last_id == 2)
    await ticked(run)
    assert strategy.times == asked + 2

    run.sides[1].execution.account.revision += 1
    await ticked(run)
    assert strategy.times == asked + 3

    clock.advance(NS_PER_S)
    await ticked(run)
    assert strategy.times == asked + 4


async def test_a_strategy_that_says_nothing_of_time_is_asked_at_every_tick(stage: CrossStage) -> None:
    """As one of a third party may go by the clock."""
    strategy = Restless(PARAMETERS)
    run = await stage.ready(strategy=strategy, world=ManualClock())
    await ticked(run)
    asked = strategy.times
    await ticked(run, 3)
    assert strategy.times == asked + 3


async def test_a_maker_is_asked_again_when_the_hedges_book_grows_old() -> None:
    """Its quotes go without an event: time alone makes the book too old."""
    stage = MakingStage(max_book_age=0.3)
    try:
        run = await stage.begin()
        await run.start()
        await stage.until(lambda: "last heard of" in run.targets.reason)
        assert not run.targets.quotes
    finally:
        await stage.end()


def test_a_budget_in_between_passes_the_word_on() -> None:
    """Of the strategy behind it, where it has given one."""
    assert oldest_of(FundedCross(Asked(PARAMETERS), Budget())) == 600 * NS_PER_S
    assert oldest_of(FundedCross(Restless(PARAMETERS), Budget())) is None
    assert oldest_of(object()) is None
