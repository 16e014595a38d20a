"""A restart changes no decision: it is one look at nothing, and no more."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from mrmarket.services.selection.section import CapitalSection
from mrmarket.services.store_address import StoreAddress
from mrmarket.store.selection_log import SelectionLog
from services.selection_stage import QUICK, Stage

SLOW = msgspec.structs.replace(QUICK, debounce=4, half_life_s=300.0, cool_down_s=60.0, record_every=1_000)
RATES = [
    1.0,
    3.0,
    3.0,
    4.0,
    5.0,
    6.0,
    2.0,
    7.0,
    8.0,
    8.0,
    0.5,
    9.0,
    -3.0,
    -5.0,
    -2.0,
    -6.0,
    1.0,
    -4.0,
    1.0,
    1.0,
]


@pytest.fixture
def logs(tmp_path: Path) -> Iterator[list[SelectionLog]]:
    """Two empty logs, of an instance that is never restarted and of one that is."""
    made = [StoreAddress(tmp_path / name).open_selection() for name in ("steady", "restarted")]
    yield made
    for log in made:
        log.close()


async def play(stage: Stage, restarts: frozenset[int]) -> list[tuple[object, ...]]:
    """Every decision that was come to, kept or not, while arbitrage earns by the table."""
    await stage.chooser.tune(SLOW, "owner")
    told: list[tuple[object, ...]] = []
    for number, rate in enumerate(RATES):
        stage.world.paper_rate["arb"] = stage.world.live_rate["arb"] = rate
        if number in restarts:
            await stage.restart()
        stage.world.blind = number in BLIND
        await stage.look()
        standing = stage.chooser.standing()
        assert standing.last is not None
        scores = [(each.candidate, each.mean, each.value, each.samples) for each in standing.scores]
        told.append((standing.last.verdict, standing.last.reason, standing.state, scores))
    return told


BLIND = frozenset({3, 6, 9, 14})
"""Looks of both instances that see nothing: the first of each life of the one that is restarted."""


async def test_a_restart_is_a_look_at_nothing(logs: list[SelectionLog]) -> None:
    """Four restarts: the same verdicts, streaks, cool-downs, scores and budgets to the last digit."""
    steady, broken = (Stage(log, CapitalSection(act=True)) for log in logs)
    wanted = await play(steady, frozenset())
    found = await play(broken, BLIND)
    assert found == wanted
    assert len({verdict for verdict, *_ in wanted}) >= 4
    assert any(state.current == "arb" for *_, state, _ in wanted)  # type: ignore[attr-defined]
    assert [broken.budget(run) for run in ("pool.run", "arb")] == [
        steady.budget(run) for run in ("pool.run", "arb")
    ]
    assert broken.chooser.returns() == steady.chooser.returns()


async def test_another_strategy_under_the_same_name_begins_anew(logs: list[SelectionLog]) -> None:
    """Nothing is known of it, nor of what both did together; the other one's figures stay."""
    stage = Stage(logs[1])
    await stage.look(5)
    known = dict(await stage.memory.estimates())
    await stage.memory.save_estimates(
        {**known, "arb": msgspec.structs.replace(known["arb"], strategy="other")}
    )
    await stage.restart()
    stage.world.blind = True
    await stage.look()
    by_name = {each.candidate: each for each in stage.chooser.standing().scores}
    assert by_name["arb"].why_not == "no_data"
    assert by_name["main"].samples > 1
    assert stage.chooser.returns()[0] == []


async def test_a_record_of_another_version_is_passed_over(logs: list[SelectionLog]) -> None:
    """What cannot be read is as nothing; the choice goes on."""
    stage = Stage(logs[1], CapitalSection(act=True))
    for name in ("estimates", "budgets", "caps"):
        logs[1].put(name, '{"from": "the future"}')
    await stage.restart()
    await stage.look(3)
    assert stage.current == "main"
    assert stage.budget("arb") == Decimal(3_000)
