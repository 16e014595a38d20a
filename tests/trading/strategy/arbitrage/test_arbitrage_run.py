"""Arbitrage live on two venues: it takes an edge, and undoes or halts whatever goes wrong."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from arbitrage_stage import CrossStage, FaultyVenue, NamedFeed
from mrmarket.core.clock import NS_PER_S, ManualClock, SystemClock
from mrmarket.core.errors import InvalidInputError
from mrmarket.core.events import Filled, OrderCreated, RiskChanged, RunStateChanged
from mrmarket.store.errors import DuplicateIntentError
from mrmarket.store.trading_store import TradingStore
from mrmarket.trading.execution.lease_guard import LeaseGuard
from mrmarket.trading.execution.legs import LegStage
from mrmarket.trading.execution.risk.state import Cause, RiskState, run_scope
from mrmarket.trading.market.event import EventKind, MarketEvent
from mrmarket.trading.strategy.arbitrage.cross_exchange import CrossExchangeArbitrage
from mrmarket.trading.strategy.arbitrage.run import ArbitrageRun
from mrmarket.trading.strategy.cross_port import CrossDecision, CrossView, WashTradeRefusedError
from mrmarket.trading.strategy.errors import ControlRefusedError, RunNotReadyError
from mrmarket.trading.strategy.multileg.setting import Place, RunSetting
from mrmarket.trading.strategy.observer import RunState
from mrmarket.trading.strategy.past import read_history
from mrmarket.trading.venue.port import AuthenticationRefusedError, FillReport
from mrmarket.trading.venue.simulated.exchange import SimulatedExchange


@pytest.fixture
async def stage() -> AsyncIterator[CrossStage]:
    """Two exchanges with a bitcoin and 100,000 each, and 60 a pair."""
    made = CrossStage()
    yield made
    await made.close()


async def test_it_takes_the_edge(stage: CrossStage) -> None:
    """Bought where it is cheap, sold where it is dear, every fill in the one stream, profit after fees."""
    told: list[CrossDecision] = []
    run = await stage.ready(on_decision=told.append)
    assert run.decision is not None
    assert run.decision.opportunity is None
    assert "no edge after fees" in run.decision.why
    stage.diverge()
    await stage.until(lambda: len(run.pairs) > 2)
    report = await run.stop()
    assert report.clean
    assert run.state is RunState.STOPPED
    first = run.pairs[0]
    assert (first.stage, first.end) == (LegStage.DONE, "both legs are through")
    assert first.made_quote > 0
    assert abs(first.made_quote - first.promised_quote) < Decimal("0.02")
    assert run.pnl_quote is not None
    assert run.pnl_quote > 0
    low, high = stage.held()
    assert low > 10**8 > high
    fills = stage.facts(Filled)
    assert {fill.venue for fill in fills} == {"low-paper", "high-paper"}
    assert len({(fill.venue, fill.trade_id) for fill in fills}) == len(fills)
    assert any(decision.opportunity is not None for decision in told)
    assert stage.slots()[:2] == ["a100", "b200"]
    assert stage.facts(RunStateChanged)[0].state == "starting"


async def test_a_refused_second_leg_is_tried_again_then_undone(stage: CrossStage) -> None:
    """After its attempts the first leg is sold back where it was bought, and nothing is held."""
    run = await stage.ready()
    stage.venues[1].faults.extend(["refuse"] * 3)
    stage.diverge()
    await stage.until(lambda: len(run.pairs) > 0)
    pair = run.pairs[0]
    assert stage.slots()[:5] == ["a100", "b200", "b201", "b202", "au00"]
    assert pair.stage is LegStage.DONE
    assert pair.end == "undone: no such luck"
    assert pair.made_quote < 0


async def test_a_lost_answer_of_the_second_leg_is_found_out_before_anything_is_sent(
    stage: CrossStage,
) -> None:
    """The order did trade: the query says so, nothing is sent twice, and the pair is through."""
    run = await stage.ready()
    stage.venues[1].faults.append("lose_answer")
    stage.diverge()
    await stage.until(lambda: len(run.pairs) > 0)
    assert stage.slots()[:2] == ["a100", "b200"]
    assert [order.client_order_id for order in stage.venues[1].placed][:1] == [
        key for key, record in stage.journal.records.items() if record.slot == "b200"
    ][:1]
    assert run.pairs[0].end == "both legs are through"


async def test_a_lost_request_is_tried_again_only_after_proof(stage: CrossStage) -> None:
    """The venue denies the order, which proves that it never lived; only then the next attempt goes."""
    run = await stage.ready()
    stage.venues[1].faults.append("lose_request")
    stage.diverge()
    await stage.until(lambda: len(run.pairs) > 0)
    assert stage.slots()[:3] == ["a100", "b200", "b201"]
    assert run.pairs[0].end == "both legs are through"
    assert run.pairs[0].made_quote > 0


async def test_a_partial_second_leg_is_completed(stage: CrossStage) -> None:
    """What the second venue took is kept; the rest is sent again."""
    run = await stage.ready()
    stage.venues[1].faults.append("part:30")
    stage.diverge()
    await stage.until(lambda: len(run.pairs) > 0)
    assert run.pairs[0].end == "both legs are through"
    sizes = [order.size_lots for order in stage.venues[1].placed[:2]]
    assert sizes[0] > sizes[1] > 0


async def test_what_cannot_be_undone_halts_and_says_what_is_held(stage: CrossStage) -> None:
    """Second leg and undoing refused: HALT of the run by `partial_leg`, until the owner re-arms."""
    run = await stage.ready()
    stage.venues[1].faults.extend(["refuse"] * 9)
    stage.venues[0].faults.extend(["", *["refuse"] * 9])
    stage.diverge()
    await stage.until(lambda: len(run.pairs) > 0)
    assert run.pairs[0].stage is LegStage.HALTED
    assert run.board.state("arb-1") is RiskState.HALT
    await stage.until(lambda: any(each.cause == Cause.PARTIAL_LEG for each in stage.facts(RiskChanged)))
    (fact,) = [each for each in stage.facts(RiskChanged) if each.cause == Cause.PARTIAL_LEG]
    assert fact.scope == run_scope("arb-1")
    assert "pair 1:" in fact.detail
    assert "BTC more than before it" in fact.detail
    assert run.live_orders == []
    assert run.rearm() == [Cause.PARTIAL_LEG]
    stage.venues[0].faults.clear()
    stage.venues[1].faults.clear()
    await stage.until(lambda: len(run.pairs) > 1)


async def test_a_crash_between_the_legs_is_undone_by_the_next_life(stage: CrossStage) -> None:
    """The first leg's fill is in the log, the second was never sent: the next start sells it back, once."""
    run = await stage.ready()
    stage.venues[1].faults.extend(["lose_request"] * 9)
    stage.venues[1].deaf = True
    stage.diverge()
    await stage.until(lambda: len(stage.facts(Filled)) > 0 and len(stage.venues[1].placed) > 0)
    before = stage.held()
    assert before[0] > 10**8
    await run.abandon()
    later = await stage.life(history=list(stage.journal.facts), fence=1)
    await later.start()
    await stage.until(lambda: later.decision is not None)
    assert [pair.why for pair in later.pairs] == ["undone after a restart"]
    assert later.pairs[0].stage is LegStage.DONE
    low, high = stage.held()
    assert high == before[1]
    assert abs(low - 10**8) <= 2_000
    again = await stage.life(history=list(stage.journal.facts), fence=2)
    await later.stop()
    await again.start()
    await stage.until(lambda: again.decision is not None)
    assert len(again.pairs) == 0


async def test_a_halted_pair_is_left_to_the_owner_after_a_restart(stage: CrossStage) -> None:
    """What the owner was told of is not traded away behind their back."""
    run = await stage.ready()
    stage.venues[1].faults.extend(["refuse"] * 9)
    stage.venues[0].faults.extend(["", *["refuse"] * 9])
    stage.diverge()
    await stage.until(lambda: len(run.pairs) > 0)
    await run.stop()
    held = stage.held()
    later = await stage.life(history=list(stage.journal.facts), fence=1)
    await later.start()
    await stage.until(lambda: later.decision is not None)
    assert len(later.pairs) == 0
    assert stage.held() == held


async def test_pausing_ends_the_pair_first(stage: CrossStage) -> None:
    """A paused run finishes both legs, leaves nothing open, begins no new pair, and goes on when resumed."""
    run = await stage.ready()
    stage.diverge()
    await stage.until(lambda: len(stage.venues[0].placed) > 0)
    report = await run.pause("asked to")
    assert report.proven
    pairs = len(run.pairs)
    assert pairs > 0
    assert all(pair.stage is LegStage.DONE for pair in run.pairs)
    assert run.state is RunState.PAUSED
    run.resume()
    await stage.until(lambda: len(run.pairs) > pairs)


async def test_the_owner_halts_and_cancels(stage: CrossStage) -> None:
    """A halt stops new pairs and is proven on both venues; flattening is refused with what to do instead."""
    run = await stage.ready()
    report = await run.halt("enough")
    assert report.proven
    stage.diverge()
    await stage.until(lambda: "enough" in run.waits_for)
    assert len(run.pairs) == 0
    with pytest.raises(ControlRefusedError, match="then rebalance"):
        await run.flatten("now")
    assert (await run.cancel_all("all")).proven
    assert run.rearm() == [Cause.OWNER]


async def test_without_a_lease_nothing_is_sent(stage: CrossStage) -> None:
    """A lapsed lease holds the first order back; once it is renewed the pair goes through."""
    clock = ManualClock()
    guard = LeaseGuard(clock)
    run = await stage.ready(guard=guard)
    stage.diverge()
    await stage.until(lambda: "at work" in run.waits_for)
    assert stage.venues[0].placed == []
    guard.renewed(clock.monotonic_ns(), 600 * NS_PER_S)
    await stage.until(lambda: len(run.pairs) > 0)
    assert run.pairs[0].end == "both legs are through"


async def test_a_strategy_that_raises_fails_its_run(stage: CrossStage) -> None:
    """The run says why, and sends nothing."""

    class Raising(CrossExchangeArbitrage):
        """A strategy with a bug."""

        def decide(self, view: CrossView) -> CrossDecision:
            """Never gets there."""
            raise ZeroDivisionError("a bug")

    run = await stage.life()
    broken = await stage.life(strategy=Raising(run.strategy.parameters))  # type: ignore[attr-defined]  # it is ours
    await broken.start()
    await broken.wait()
    assert broken.state is RunState.FAILED
    assert isinstance(broken.failure, ZeroDivisionError)
    assert (await broken.stop()).clean


async def test_a_journal_that_fails_fails_the_run(stage: CrossStage) -> None:
    """An order that was not written down is not sent."""
    run = await stage.ready()
    stage.journal.fail_intents = OSError("disk full")
    stage.diverge()
    await run.wait()
    assert run.state is RunState.FAILED
    assert stage.venues[0].placed == []


async def test_the_same_order_is_never_written_twice(stage: CrossStage) -> None:
    """Pair, venue, part and attempt make the id: deciding it again gives the same one, which is refused."""
    run = await stage.ready()
    stage.diverge()
    await stage.until(lambda: len(run.pairs) > 0)
    await run.pause("look")
    records = list(stage.journal.records.values())
    with pytest.raises(DuplicateIntentError):
        stage.journal.record_intents([records[0]])
    assert len({fact.client_order_id for fact in stage.facts(OrderCreated)}) == len(stage.facts(OrderCreated))


async def test_a_budget_rests_after_failures(stage: CrossStage) -> None:
    """After a pair that was undone the run cools down and says so."""
    stage.table["failure_cooldown"] = 600
    run = await stage.ready()
    stage.venues[1].faults.extend(["refuse"] * 3)
    stage.diverge()
    await stage.until(lambda: "cooling down" in run.waits_for)
    assert len(run.pairs) == 1


def places(one: NamedFeed, two: NamedFeed) -> tuple[Place, Place]:
    """Two venues."""
    return Place(FaultyVenue(one, SimulatedExchange())), Place(FaultyVenue(two, SimulatedExchange()))


async def test_our_own_accounts_are_no_two_sides(stage: CrossStage) -> None:
    """Two accounts on one exchange, and two venues of one name, are refused before anything runs."""
    run = await stage.life()
    setting = RunSetting(instance="i", stream="s", wall=SystemClock())
    with pytest.raises(WashTradeRefusedError, match="wash trading"):
        ArbitrageRun(places(NamedFeed("one"), NamedFeed("one")), run.strategy, stage.journal, setting)
    one, two = places(NamedFeed("one"), NamedFeed("one"))
    with pytest.raises(InvalidInputError, match="different names"):
        ArbitrageRun((Place(one.venue, "x"), Place(two.venue, "y")), run.strategy, stage.journal, setting)


async def test_a_venue_that_does_not_answer_keeps_the_run_from_beginning(stage: CrossStage) -> None:
    """Its error at the start is the run's, and everything is given back."""
    run = await stage.life()

    async def refused() -> list[Any]:
        """The key was revoked."""
        raise AuthenticationRefusedError("high", "balances", "bad key")

    stage.venues[1].balances = refused  # type: ignore[method-assign]  # a venue whose key was revoked
    with pytest.raises(RunNotReadyError, match="bad key"):
        await run.start()


async def test_both_venues_write_one_chained_stream(stage: CrossStage, tmp_path: Path) -> None:
    """On the real store: every fill once, the chain whole, a reason on each first leg; a restart reads it."""
    store = TradingStore.open(tmp_path / "trading.db")
    fence = store.acquire_lease("arb-1", "here", 60 * NS_PER_S, 0)
    run = await stage.ready(journal=store, fence=fence)
    stage.diverge()
    await stage.until(lambda: len(run.pairs) > 3)
    await run.stop()
    rows = store.read_facts("arb-1", 0, 10_000)
    assert store.verify_log().ok
    fills = [row.fact for row in rows if isinstance(row.fact, Filled)]
    assert len(fills) >= 8
    first = next(row.fact for row in rows if isinstance(row.fact, OrderCreated))
    assert "earns" in first.reason
    profit = run.pnl_quote
    history = read_history(store, "arb-1", with_fold=False)
    later = await stage.life(journal=store, fence=fence, history=history)
    await later.start()
    await stage.until(lambda: later.pnl_quote is not None)
    assert profit is not None
    assert later.pnl_quote is not None
    assert abs(later.pnl_quote - profit) < 1
    assert sum(side.totals.fills for side in later.sides) == len(fills)
    await later.stop()
    store.close()


async def test_a_fill_of_a_pair_long_over_halts(stage: CrossStage) -> None:
    """Nobody would undo it, so the owner is told; it counts in the totals like any other."""
    run = await stage.ready()
    stage.diverge()
    await stage.until(lambda: len(run.pairs) > 1)
    await run.pause("look")
    old = next(record for record in stage.journal.records.values() if record.slot == "a100")
    fills = run.sides[0].totals.fills
    late = FillReport(
        symbol=old.symbol,
        trade_id="late",
        client_order_id="",
        venue_order_id=old.venue_order_id,
        side=old.side,
        price_ticks=old.price_ticks,
        size_lots=7,
        fee="0",
        fee_asset="BTC",
        maker=False,
        venue_ns=1,
    )
    run.sides[0].execution.desk.fill(late)
    await stage.until(lambda: run.board.state("arb-1") is RiskState.HALT)
    assert "a fill came after its pair was settled; 0.00007 BTC" in run.board.explain("arb-1", "")
    assert run.sides[0].totals.fills == fills + 1


async def test_a_venue_that_loses_its_stream_stops_new_pairs(stage: CrossStage) -> None:
    """The reading names the venue and what is wrong with it."""
    run = await stage.ready()
    stage.feeds[1].put(MarketEvent(kind=EventKind.SNAPSHOT, exchange_ns=0, local_ns=0))
    await stage.until(lambda: run.decision is not None and "high: the book is stale" in run.decision.why)
    assert run.decision is not None
    assert run.decision.readings[0].code == "unfit"
    assert run.mid is None
    assert run.pnl_quote is None
    assert run.worth_quote is None


async def test_a_venue_that_ends_fails_the_run(stage: CrossStage) -> None:
    """Half of an arbitrage is none."""
    run = await stage.ready()
    stage.feeds[0].finish()
    await run.wait()
    assert run.state is RunState.FAILED
