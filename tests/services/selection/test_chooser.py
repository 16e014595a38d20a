"""The loop that chooses, over a board and eyes that are made up and a real log."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from mrmarket.core.errors import InvalidInputError
from mrmarket.services.selection.figures import selection_source
from mrmarket.services.selection.memory import load_state
from mrmarket.services.store_address import StoreAddress
from mrmarket.services.telemetry.reading import Reading as Figure
from mrmarket.trading.strategy.selection.thresholds import Thresholds
from services.selection_stage import QUICK, Stage


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """A chooser on an empty log."""
    log = StoreAddress(tmp_path).open_selection()
    yield Stage(log)
    log.close()


async def test_whoever_earns_more_on_paper_takes_over_and_gives_the_turn_back(stage: Stage) -> None:
    """Stop, then start, then a notice; the interrupted one goes on when it earns more again."""
    await stage.look(3)
    assert (stage.current, stage.world.told) == ("main", [])
    stage.world.paper_rate["arb"] = 9.0
    await stage.look(6)
    assert stage.current == "arb"
    assert stage.world.told == [("stop", "main"), ("start", "arb")]
    assert [notice.title for notice in stage.world.notices] == ["arb has the turn now"]
    stage.world.live_rate["arb"] = stage.world.paper_rate["arb"] = -9.0
    await stage.look(12)
    assert stage.current == "main"
    decisions = await stage.office.decisions(10, None)
    assert [each.outcome for each in decisions[:2]] == ["started", "switch"]
    assert decisions[0].resumes
    older = await stage.office.decisions(10, (decisions[1].at_ms, decisions[1].number))
    assert all(each.at_ms <= decisions[1].at_ms for each in older)


async def test_nothing_begins_before_the_proof_and_a_restart_asks_for_it_again(stage: Stage) -> None:
    """One question an evaluation; another life begins with the same question."""
    stage.world.proven = False
    stage.world.paper_rate["arb"] = 9.0
    await stage.look(8)
    assert ("start", "arb") not in stage.world.told
    saved = load_state(stage.log)
    assert saved is not None
    assert (saved.phase, saved.current, saved.target) == ("stopping", "main", "arb")
    stage.world.told.clear()
    stage.world.proven = True
    stage.chooser = stage.another()
    keeping = asyncio.create_task(stage.chooser.keep())
    async with asyncio.timeout(20):
        while stage.current != "arb":  # noqa: ASYNC110 - the chooser tells nobody of its steps
            await asyncio.sleep(0.005)
    keeping.cancel()
    assert stage.world.told[:2] == [("stop", "main"), ("start", "arb")]


async def test_one_that_cannot_begin_rests_and_nobody_has_the_turn(stage: Stage) -> None:
    """It is stopped to the proof, and told as failed."""
    stage.world.starts = False
    stage.world.paper_rate["arb"] = 9.0
    await stage.look(6)
    assert ("stop", "arb") in stage.world.told
    assert stage.current != "arb"
    assert any(notice.title == "arb has failed" for notice in stage.world.notices)
    view = stage.office.standing()
    assert next(each for each in view.candidates if each.id == "arb").rests_until_ms


async def test_the_owners_pause_stands(stage: Stage) -> None:
    """While the current run is paused by its owner nothing is begun; a halt keeps a newcomer out."""
    stage.world.owner = {"pool.run": "paused"}
    stage.world.paper_rate["arb"] = 9.0
    await stage.look(6)
    assert stage.world.told == []
    assert stage.office.standing().verdict == "owner_holds"
    stage.world.owner = {"arb": "halted"}
    await stage.look(3)
    assert stage.world.told == []
    stage.world.owner = {"arb": "paused"}  # that is our own pause
    await stage.look(2)
    assert ("start", "arb") in stage.world.told


async def test_a_run_that_fails_gives_way(stage: Stage) -> None:
    """The engine says that it rests: the turn is over."""
    await stage.look(2)
    stage.world.resting = {"pool.run"}
    await stage.look()
    assert stage.world.told == [("stop", "main")]
    assert stage.current == ""
    assert stage.office.standing().state == "idle"


async def test_thresholds_are_tuned_while_it_runs_and_outlive_it(stage: Stage) -> None:
    """The change is recorded with who made it; another life has them."""
    patient = Thresholds(debounce=1_000, paper_ratio=1.0)
    view = await stage.office.tune(patient, "owner")
    assert view.thresholds == patient
    await stage.office.tune(patient, "owner")
    (decision,) = await stage.office.decisions(10, None)
    assert (decision.outcome, decision.by) == ("tuned", "owner")
    stage.world.paper_rate["arb"] = 9.0
    await stage.look(6)
    assert stage.current == "main"
    assert await stage.memory.thresholds() == patient


async def test_a_dry_run_says_what_other_thresholds_would_have_done(stage: Stage) -> None:
    """The recorded scores, once more."""
    await stage.chooser.tune(Thresholds(debounce=1_000, least_samples=2, half_life_s=60), "owner")
    stage.world.paper_rate["arb"] = 9.0
    await stage.look(15)
    found = await stage.office.dry_run(QUICK)
    assert (found.evaluations, found.was_switches) == (15, 0)
    assert [each.outcome for each in found.switches] == ["switch"]
    view = stage.office.standing()
    assert sum(each.share for each in view.slices) + view.idle_share == pytest.approx(1.0)


def figures(stage: Stage) -> dict[tuple[str, ...], float]:
    """What Prometheus is told, by name and labels."""
    found = selection_source(stage.office)()
    return {(each.metric, *each.labels): each.value for each in found if isinstance(each, Figure)}


async def test_figures_say_who_has_the_turn(stage: Stage) -> None:
    """One reading a strategy; a score only where there is one."""
    before = figures(stage)
    assert before["mm_selection_turn", "main"] == 1.0
    assert before["mm_selection_turn", "arb"] == 0.0
    assert ("mm_selection_score", "main") not in before
    await stage.look(4)
    after = figures(stage)
    assert after["mm_selection_score", "main"] > 0
    assert after["mm_selection_switches",] == 0


async def test_what_moving_money_has_cost_is_borne_once(stage: Stage) -> None:
    """The next stretch is charged, whether live or on paper; nothing is owed after that."""
    await stage.look(3)
    stage.chooser.charge("main", 5.0)
    stage.chooser.charge("arb", 5.0)
    await stage.look()
    kept = await stage.memory.estimates()
    assert [kept[name].owed for name in ("main", "arb")] == [0.0, 0.0]
    assert kept["main"].live.mean < kept["main"].paper.mean
    assert kept["arb"].paper.mean < kept["main"].paper.mean
    assert stage.chooser.expected("main") > 0
    assert stage.chooser.expected("nobody") == 0


async def test_a_plan_that_nobody_made_cannot_be_approved(stage: Stage) -> None:
    """Nothing is moved here at all: there is nothing to show, and nothing to decide."""
    assert stage.office.rebalance() == []
    with pytest.raises(InvalidInputError, match="waits for its approval"):
        await stage.office.decide_rebalance("BTC-1", "owner", approve=True)
