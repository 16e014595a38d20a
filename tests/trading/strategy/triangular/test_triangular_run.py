"""Triangular arbitrage live: it takes an edge, and brings home or halts whatever goes wrong."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal

import pytest

from mrmarket.core.events import Filled, OrderCreated, RiskChanged, RunStateChanged
from mrmarket.trading.execution.legs import LegStage
from mrmarket.trading.execution.risk.state import Cause, RiskState, run_scope
from mrmarket.trading.strategy.errors import ControlRefusedError
from mrmarket.trading.strategy.observer import RunState
from mrmarket.trading.strategy.triangular.port import NoTriangleError, TriangleDecision
from triangle_stage import STREAM, UNITS, TriangleStage

DUST = 2 * UNITS // 1000


@pytest.fixture
async def stage() -> AsyncIterator[TriangleStage]:
    """10,000 USDT on one exchange with three pairs, and 1,000 a round."""
    made = TriangleStage()
    yield made
    await made.close()


def at_home(stage: TriangleStage) -> bool:
    """Whether nothing but remainders is held outside the home asset."""
    return stage.held("BTC") < DUST and stage.held("ETH") < DUST


async def test_it_takes_the_edge(stage: TriangleStage) -> None:
    """USDT to BTC to ETH and back with more, every fill in the one stream, each order's id by round."""
    told: list[TriangleDecision] = []
    run = await stage.ready(on_decision=told.append)
    assert run.decision is not None
    assert run.decision.code == "no_edge"
    stage.stray()
    await stage.until(lambda: len(run.rounds) > 2)
    report = await run.stop()
    assert report.clean
    assert run.state is RunState.STOPPED
    first = run.rounds[0]
    assert (first.stage, first.end) == (LegStage.DONE, "all three are through")
    assert first.made > 5
    assert abs(first.made - first.promised) < Decimal("0.3")
    assert stage.slots()[:3] == ["t100", "t200", "t300"]
    assert stage.held("USDT") > 10_015 * UNITS
    assert at_home(stage)
    assert run.pnl_home is not None
    assert run.pnl_home > 15
    fills = stage.facts(Filled)
    assert {fill.symbol for fill in fills} == {"BTC/USDT", "ETH/USDT", "ETH/BTC"}
    assert any(decision.triangle is not None for decision in told)
    assert "buy BTC/USDT → buy ETH/BTC → sell ETH/USDT" in first.why
    assert stage.facts(RunStateChanged)[0].state == "starting"
    assert run.live_orders == []
    assert run.instrument.symbol == "BTC/USDT"


async def test_a_refused_second_order_is_tried_again_then_brought_home(stage: TriangleStage) -> None:
    """After its attempts what the first order brought is sold where it was bought."""
    run = await stage.ready()
    stage.venue.faults.extend(["", "refuse", "refuse", "refuse"])
    stage.stray()
    await stage.until(lambda: len(run.rounds) > 0)
    assert stage.slots()[:5] == ["t100", "t200", "t201", "t202", "tb00"]
    assert (run.rounds[0].stage, run.rounds[0].end) == (LegStage.DONE, "undone: no such luck")
    assert run.rounds[0].made < 0


async def test_a_lost_answer_is_found_out_before_anything_is_sent(stage: TriangleStage) -> None:
    """The second order did trade: the query says so, nothing is sent twice, and the round is through."""
    run = await stage.ready()
    stage.venue.faults.extend(["", "lose_answer"])
    stage.stray()
    await stage.until(lambda: len(run.rounds) > 0)
    assert stage.slots()[:3] == ["t100", "t200", "t300"]
    assert run.rounds[0].end == "all three are through"
    created = [fact.client_order_id for fact in stage.facts(OrderCreated)]
    assert len(created) == len(set(created))


async def test_a_lost_request_is_tried_again_only_after_proof(stage: TriangleStage) -> None:
    """The venue denies the order, which proves that it never lived; only then the next attempt goes."""
    run = await stage.ready()
    stage.venue.faults.extend(["", "lose_request"])
    stage.stray()
    await stage.until(lambda: len(run.rounds) > 0)
    assert stage.slots()[:4] == ["t100", "t200", "t201", "t300"]
    assert run.rounds[0].made > 0


async def test_a_part_of_an_order_is_a_smaller_round(stage: TriangleStage) -> None:
    """The first order fills in part: the others are sized by what it brought."""
    run = await stage.ready()
    stage.venue.faults.extend(["part:20"])
    stage.stray()
    await stage.until(lambda: len(run.rounds) > 0)
    assert stage.venue.placed[0].size_lots > 20
    assert run.rounds[0].end == "all three are through"
    assert 0 < run.rounds[0].made < Decimal("1.5")


async def test_what_cannot_be_brought_home_halts_and_says_what_is_held(stage: TriangleStage) -> None:
    """Everything after the first order refused: HALT by `partial_leg`, left to the owner by the next life."""
    run = await stage.ready()
    stage.venue.faults.extend(["", *["refuse"] * 12])
    stage.stray()
    await stage.until(lambda: len(run.rounds) > 0)
    assert run.rounds[0].stage is LegStage.HALTED
    assert run.board.state(STREAM) is RiskState.HALT
    await stage.until(lambda: any(each.cause == Cause.PARTIAL_LEG for each in stage.facts(RiskChanged)))
    (fact,) = [each for each in stage.facts(RiskChanged) if each.cause == Cause.PARTIAL_LEG]
    assert fact.scope == run_scope(STREAM)
    assert fact.detail.startswith("round 1:")
    assert "BTC more than before it" in fact.detail
    await run.stop()
    held = stage.held("BTC")
    later = await stage.life(history=list(stage.journal.facts), fence=1)
    await later.start()
    await stage.until(lambda: later.decision is not None)
    assert len(later.rounds) == 0
    assert stage.held("BTC") == held


async def test_a_crash_in_the_middle_is_brought_home_by_the_next_life(stage: TriangleStage) -> None:
    """The first fill is in the log, the second order's fate unknown: the next start sells back, once."""
    run = await stage.ready()
    stage.venue.faults.extend(["", *["lose_request"] * 9])
    stage.venue.deaf = True
    stage.stray()
    await stage.until(lambda: len(stage.facts(Filled)) > 0 and len(stage.venue.placed) > 1)
    assert stage.held("BTC") > DUST
    await run.abandon()
    later = await stage.life(history=list(stage.journal.facts), fence=1)
    await later.start()
    await stage.until(lambda: later.decision is not None)
    assert [each.end for each in later.rounds] == ["undone after a restart"]
    assert at_home(stage)
    assert later.pnl_home is not None
    assert Decimal(-10) < later.pnl_home < 0
    await later.stop()
    again = await stage.life(history=list(stage.journal.facts), fence=2)
    await again.start()
    await stage.until(lambda: again.decision is not None)
    assert len(again.rounds) == 0
    assert again.pnl_home == later.pnl_home


async def test_a_crash_before_the_third_order_is_brought_home(stage: TriangleStage) -> None:
    """What the second order brought goes home by the third pair."""
    run = await stage.ready()
    stage.venue.faults.extend(["", "", *["lose_request"] * 9])
    stage.venue.deaf = True
    stage.stray()
    await stage.until(lambda: len(stage.facts(Filled)) > 1 and len(stage.venue.placed) > 2)
    await run.abandon()
    assert stage.held("ETH") > DUST
    later = await stage.life(history=list(stage.journal.facts), fence=1)
    await later.start()
    await stage.until(lambda: later.decision is not None)
    assert at_home(stage)
    assert [each.stage for each in later.rounds] == [LegStage.DONE]
    assert any(slot.startswith("tc") for slot in stage.slots())


async def test_pairs_that_are_no_longer_traded_halt_the_next_life(stage: TriangleStage) -> None:
    """A run that is given other pairs cannot bring home what it held: it halts and says so."""
    run = await stage.ready()
    stage.venue.faults.extend(["", *["lose_request"] * 9])
    stage.venue.deaf = True
    stage.stray()
    await stage.until(lambda: len(stage.facts(Filled)) > 0 and len(stage.venue.placed) > 1)
    await run.abandon()
    history = [fact for fact in stage.journal.facts if getattr(fact, "symbol", "") != "BTC/USDT"]
    moved = [
        type(fact)(**{name: getattr(fact, name) for name in fact.__struct_fields__} | {"symbol": "X/USDT"})
        for fact in stage.journal.facts
        if isinstance(fact, Filled)
    ]
    for record in list(stage.journal.records):
        del stage.journal.records[record]
    later = await stage.life(history=[*history, *moved], fence=1)
    await later.start()
    await stage.until(lambda: later.board.state(STREAM) is RiskState.HALT)
    assert "not traded here any more" in later.board.explain(STREAM, "")


async def test_pausing_ends_the_round_first(stage: TriangleStage) -> None:
    """A paused run brings its round home, leaves nothing open, and goes on when resumed."""
    run = await stage.ready()
    stage.stray()
    await stage.until(lambda: len(stage.venue.placed) > 0)
    report = await run.pause("asked to")
    assert report.proven
    rounds = len(run.rounds)
    assert rounds > 0
    assert at_home(stage)
    assert run.state is RunState.PAUSED
    run.resume()
    await stage.until(lambda: len(run.rounds) > rounds)


async def test_the_owner_halts_and_re_arms(stage: TriangleStage) -> None:
    """Nothing is sent in HALT; flattening is refused in words; re-armed it goes on."""
    run = await stage.ready()
    report = await run.halt("look at it")
    assert report.clean
    stage.stray()
    await stage.until(lambda: "look at it" in run.waits_for)
    assert stage.slots() == []
    with pytest.raises(ControlRefusedError, match="USDT alone"):
        await run.flatten("now")
    assert run.rearm() == [Cause.OWNER]
    await stage.until(lambda: len(run.rounds) > 0)
    assert run.worth_home is not None
    assert run.capital is not None


async def test_a_fault_ends_the_run(stage: TriangleStage) -> None:
    """A store that refuses facts fails the run with its error; others are untouched."""
    run = await stage.ready()
    stage.journal.fail_intents = RuntimeError("disk full")
    stage.stray()
    await stage.until(lambda: run.failure is not None)
    await run.wait()
    assert run.state is RunState.FAILED
    assert "disk full" in run.state_reason


async def test_pairs_without_a_triangle_are_refused(stage: TriangleStage) -> None:
    """A home asset that no triangle passes through: one clear line, nothing is started."""
    with pytest.raises(NoTriangleError, match="close no triangle through XRP"):
        await stage.life(parameters={**stage.table, "home": "XRP"})
