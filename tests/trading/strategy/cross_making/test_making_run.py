"""A maker live on two venues: every fill is passed on once, and whatever goes wrong is undone or told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from fractions import Fraction

import pytest

from making_stage import ASK, BID, LOTS, MakingStage
from mrmarket.core.events import OrderCreated, RiskChanged
from mrmarket.core.side import Side
from mrmarket.trading.execution.legs import LegStage
from mrmarket.trading.execution.risk.state import Cause, RiskState
from mrmarket.trading.strategy.observer import RunState


@pytest.fixture
async def stage() -> AsyncIterator[MakingStage]:
    """Two exchanges with a bitcoin and 100,000 each."""
    made = MakingStage()
    yield made
    await made.end()


async def test_a_fill_is_hedged_at_once(stage: MakingStage) -> None:
    """Bought below, sold above, in one stream; then both quotes stand again and the balance is a profit."""
    run = await stage.quoting()
    prices = {order.side: order.price_ticks for order in run.live_orders}
    assert prices == {Side.BUY: BID, Side.SELL: ASK}
    stage.hit(LOTS)
    await stage.until(lambda: len(run.pairs) == 1 and stage.stands())
    assert stage.sums()[0] == LOTS
    assert run.pairs[0].stage is LegStage.DONE
    assert run.pairs[0].why == "hedge of 0.01 BTC"
    stage.hit(LOTS, bid=False)
    await stage.until(lambda: len(run.pairs) == 2)
    assert [order.side for order in stage.hedges()] == [Side.SELL, Side.BUY]
    # The fee of the bought hedge is kept back in base, and stays owed until it is worth an order.
    assert run.work.owed == Fraction(-1, 100_000)
    report = await run.stop()
    assert report.clean
    assert run.pnl_quote is not None
    assert run.pnl_quote > 4
    reasons = [fact.reason for fact in stage.facts(OrderCreated)]
    assert any("hedged on high at" in reason for reason in reasons)
    assert any("second leg: hedge of" in reason for reason in reasons)


async def test_small_fills_are_gathered_for_one_hedge() -> None:
    """Below the hedge venue's least nothing is sent; the sum is passed on by one order."""
    stage = MakingStage(least_lots=500, order_refresh_time=60)
    try:
        run = await stage.quoting()
        stage.hit(300)
        await stage.until(lambda: run.work.owed == Fraction(300, 100_000))
        assert run.work.due is None
        assert stage.hedges() == []
        stage.hit(250)
        await stage.until(lambda: len(run.pairs) == 1)
        assert [order.size_lots for order in stage.hedges()] == [550]
        assert run.work.owed == 0
    finally:
        await stage.end()


@pytest.mark.parametrize("fault", ["lose_answer", "lose_request", "part:400"])
async def test_a_fill_is_hedged_once_whatever_the_answer(stage: MakingStage, fault: str) -> None:
    """A lost answer is asked for, a lost request sent again after proof, a part completed; never more."""
    run = await stage.quoting()
    stage.venues[1].faults.append(fault)
    stage.hit(LOTS)
    await stage.until(lambda: len(run.pairs) == 1 and run.work.owed == 0)
    quoted, hedged = stage.sums()
    assert (quoted, hedged) == (LOTS, -LOTS)
    assert len(stage.hedges()) == (1 if fault == "lose_answer" else 2)


async def test_what_cannot_be_hedged_is_undone_where_it_was_quoted(stage: MakingStage) -> None:
    """Quotes are pulled first, so that it meets none of ours; then it is sold back there, and they return."""
    run = await stage.quoting()
    stage.venues[1].faults.extend(["refuse"] * 2)
    stage.hit(LOTS)
    await stage.until(lambda: len(run.pairs) == 1 and stage.stands())
    assert run.pairs[0].end.startswith("undone: no such luck")
    assert run.work.owed == 0
    later = [order for order in stage.venues[0].placed if order.client_order_id.endswith("au00")]
    assert [(order.side, order.size_lots) for order in later] == [(Side.SELL, LOTS)]
    assert len(stage.hedges()) == 2


async def test_what_can_be_neither_hedged_nor_undone_halts(stage: MakingStage) -> None:
    """HALT by `partial_leg` says what is unhedged, after a restart too; re-armed, it is passed on."""
    run = await stage.quoting()
    stage.venues[1].faults.extend(["refuse"] * 9)
    stage.venues[0].faults.extend(["refuse"] * 9)
    stage.hit(LOTS)
    await stage.until(lambda: run.board.state("xemm-1") is RiskState.HALT and not run.live_orders)
    await stage.until(lambda: any(each.cause == Cause.PARTIAL_LEG for each in stage.facts(RiskChanged)))
    (fact,) = [each for each in stage.facts(RiskChanged) if each.cause == Cause.PARTIAL_LEG]
    assert fact.detail.startswith("hedge ")
    assert fact.detail.endswith("0.01 BTC unhedged")
    await run.abandon()
    later = await stage.begin()
    await later.start()
    assert later.board.state("xemm-1") is RiskState.HALT
    assert later.work.owed == Fraction(1, 100)
    assert stage.hedges() == []
    assert later.rearm() == [Cause.PARTIAL_LEG]
    await stage.until(lambda: later.work.owed == 0 and stage.stands())
    await later.abandon()
    again = await stage.quoting()
    assert again.board.state("xemm-1") is RiskState.ACTIVE


async def test_a_crash_after_a_fill_is_hedged_by_the_next_life(stage: MakingStage) -> None:
    """The fill is in the log, the hedge was lost: the next start takes the quotes over and passes it on."""
    run = await stage.quoting()
    stage.venues[1].faults.extend(["lose_request"] * 9)
    stage.venues[1].deaf = True
    stage.hit(LOTS)
    await stage.until(lambda: len(stage.hedges()) == 1)
    asks = [
        order.client_order_id for order in run.live_orders if order.side is Side.SELL and order.slot == "s1"
    ]
    await run.abandon()
    later = await stage.begin()
    assert later.work.owed == Fraction(1, 100)
    await later.start()
    await stage.until(lambda: later.work.owed == 0 and stage.stands())
    assert len(stage.hedges()) == 1
    assert [order.client_order_id for order in later.live_orders if order.slot == "s1"] == asks
    assert stage.sums() == (LOTS, -LOTS)


async def test_a_crash_after_a_hedge_is_not_hedged_again(stage: MakingStage) -> None:
    """The hedge traded, its answer died with the process: the next start finds the fill, and sends none."""
    run = await stage.quoting()
    stage.venues[1].gate = asyncio.Event()
    stage.hit(LOTS)
    await stage.until(lambda: len(stage.hedges()) == 1)
    sent = stage.hedges()[0]
    await run.abandon()
    # What was on its way arrives after the process has died.
    stage.exchanges[1].place("us", sent, 9)
    later = await stage.begin()
    await later.start()
    await stage.until(lambda: later.work.owed == 0 and stage.stands())
    assert stage.hedges() == []
    assert stage.sums() == (LOTS, -LOTS)


async def test_pausing_pulls_the_quotes_and_passes_on_what_they_owe(stage: MakingStage) -> None:
    """A fill that comes with the pause is hedged before it is over; resumed, both quotes stand again."""
    run = await stage.quoting()
    stage.hit(LOTS)
    await stage.until(lambda: stage.sums()[0] == LOTS)
    report = await run.pause("asked to")
    assert report.proven
    assert run.state is RunState.PAUSED
    assert run.work.owed == 0
    assert run.live_orders == []
    run.resume()
    await stage.until(stage.stands)


async def test_quotes_leave_while_the_hedge_venue_is_away(stage: MakingStage) -> None:
    """An empty book there: nothing could be hedged, so nothing stands; it comes back with the prices."""
    run = await stage.quoting()
    stage.feeds[1].show(5_999_900, 6_000_100, 0)
    await stage.until(lambda: not run.live_orders)
    stage.feeds[1].show(5_999_900, 6_000_100)
    await stage.until(stage.stands)
    await run.halt("enough")
    assert run.live_orders == []
    assert "enough" in run.waits_for or run.board.state("xemm-1") is RiskState.HALT
