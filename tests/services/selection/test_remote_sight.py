"""What the choice sees of runs in engines elsewhere, and which process may choose."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from fake_exchange import FakeExchange, MemoryJournal
from mrmarket.core.clock import NS_PER_S, ManualClock, SystemClock
from mrmarket.services.engine.database_line import DatabaseLine
from mrmarket.services.engine.setbacks import RESTING
from mrmarket.services.selection.remote_sight import RemoteSight, told_of
from mrmarket.services.selection.turn_lease import NAME, TurnLease, TurnsElsewhereError
from mrmarket.services.store_address import StoreAddress
from mrmarket.store.errors import StoreError
from mrmarket.store.operations import Beat, DesiredState, OperationsStore, RunReport, RunSpec
from mrmarket.store.selection_log import SelectionLog
from mrmarket.store.trading_store import TradingStore
from mrmarket.trading.strategy.observer import RunState
from mrmarket.trading.strategy.selection.state import EngineState
from mrmarket.trading.strategy.shadow.reading import Reading, reading_of
from services.selection_stage import Stage as ChoiceStage
from strategy_stage import BOOK
from strategy_stage import Stage as RunStage

SPEC = RunSpec(id="run", venue="v", pair="BTC/USDT", kind="pure_market_making")
READING = Reading(
    life="", at_ns=1, trading=True, profit=2.5, fees=0.5, capital=100.0, used=1.0, attempts=3, successes=2
)


class Stage:
    """Eyes on a database."""

    def __init__(self, operations: OperationsStore) -> None:
        self.operations, self.clock = operations, ManualClock()
        shadows = {"near": SimpleNamespace(reading=READING)}
        self.sight = RemoteSight(operations, DatabaseLine(self.clock, 30.0), shadows, self.clock)

    def report(self, fence: int = 3, at_ms: int = 5, state: str = "running", **view: Any) -> None:
        """As an engine does."""
        said = {"revision": 4, "reading": msgspec.to_builtins(READING), **view}
        self.operations.report(
            RunReport(run="run", node="engine-1", fence=fence, at_ms=at_ms, state=state, view=said)
        )


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """Nothing is reported yet."""
    operations = StoreAddress(tmp_path).open_operations()
    yield Stage(operations)
    operations.close()


async def test_what_an_engine_reports_is_seen_until_it_grows_old(stage: Stage) -> None:
    """State, revision and what it has earned; a report that is not renewed says nothing after ten seconds."""
    await stage.sight.look()
    assert (stage.sight.state("run"), stage.sight.live("run", "main@1")) == (None, None)
    stage.report()
    await stage.sight.look()
    assert stage.sight.state("run") == (4, RunState.RUNNING)
    found = stage.sight.live("run", "main@1")
    assert found is not None
    assert (found.life, found.profit) == ("main@1/3", 2.5)
    stage.clock.advance(10 * NS_PER_S)
    await stage.sight.look()
    assert stage.sight.state("run") is not None
    stage.clock.advance(1)
    assert (stage.sight.state("run"), stage.sight.live("run", "main@1")) == (None, None)
    stage.report(at_ms=6)
    await stage.sight.look()
    assert stage.sight.state("run") == (4, RunState.RUNNING)


async def test_an_engine_reports_what_a_run_has_earned(stage: Stage) -> None:
    """Nothing before the first price; then what the same run would be read as in one process."""
    run_stage = RunStage(FakeExchange(SystemClock()), MemoryJournal())
    run = run_stage.run
    assert told_of(run, 4, 9) == {"revision": 4, "reading": None}
    await run.start()
    run_stage.venue.market.put_nowait(BOOK)
    await run_stage.until(lambda: len(run_stage.resting()) == 2)
    stage.report(**told_of(run, 4, 9))
    await stage.sight.look()
    assert stage.sight.live("run", "") == reading_of(run, "/3", 9)
    await run.abandon()


@pytest.mark.parametrize(
    "report",
    [{"state": "leaving"}, {"revision": None}, {"reading": None}, {"reading": {"life": 7}}],
    ids=["on its way", "of another version", "without a price", "of a later version"],
)
async def test_what_a_report_does_not_say_is_not_known(stage: Stage, report: dict[str, Any]) -> None:
    """Either of state and earnings may be missing."""
    stage.report(**report)
    await stage.sight.look()
    assert stage.sight.state("run") is None or stage.sight.live("run", "main@1") is None


async def test_a_run_rests_where_an_engine_says_so_and_nobody_runs_it(stage: Stage) -> None:
    """One that another engine has taken meanwhile does not."""
    beat = Beat(node="engine-1", role="engine", seq=1, started_ms=1, at_ms=1, detail={RESTING: ["run", "x"]})
    stage.operations.beat(beat)
    await stage.sight.look()
    assert stage.sight.failed() == {"run", "x"}
    stage.report()
    await stage.sight.look()
    assert stage.sight.failed() == {"x"}


async def test_pauses_and_shadows_are_seen_as_beside_an_engine(stage: Stage) -> None:
    """The owner's word in the database, and paper of this process."""
    stage.operations.put_run(msgspec.structs.replace(SPEC, desired=DesiredState.PAUSED))
    assert await stage.sight.held({"run"}) == {"run": "paused"}
    assert stage.sight.paper("near") is READING
    assert stage.sight.paper("main") is None


async def test_it_goes_on_looking_when_a_database_has_been_away(stage: Stage) -> None:
    """Haste makes it look at once."""
    stage.report()
    keeping = asyncio.create_task(stage.sight.keep())
    async with asyncio.timeout(30):
        while stage.sight.state("run") is None:
            stage.sight.hurry()
            await asyncio.sleep(0)
    stage.operations.close()
    with pytest.raises(StoreError):
        await stage.sight.look()
    stage.sight.hurry()
    await asyncio.sleep(0)
    assert not keeping.done()
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)


class Two:
    """Two processes that would both choose."""

    def __init__(self, one: TradingStore, other: TradingStore) -> None:
        self.log, self.clock = other, ManualClock(NS_PER_S)
        line = DatabaseLine(self.clock, 30.0)
        self.one = TurnLease(one, line, "one", self.clock)
        self.other = TurnLease(other, line, "other", self.clock)


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Two]:
    """Nobody has asked yet."""
    file = tmp_path / "trading.db"
    with closing(TradingStore.open(file)) as one, closing(TradingStore.open(file)) as other:
        yield Two(one, other)


async def test_one_process_chooses_at_a_time_and_a_silent_one_is_followed(two: Two) -> None:
    """It falls silent by its own clock before the other may begin, and the fence rises."""
    await two.one.ask()
    await two.other.ask()
    assert (two.one.is_ours, two.other.is_ours) == (True, False)
    two.clock.advance(4 * NS_PER_S)
    await two.one.ask()
    two.clock.advance(4 * NS_PER_S)
    await two.other.ask()
    assert (two.one.is_ours, two.other.is_ours) == (True, False)
    two.clock.advance(2 * NS_PER_S)
    assert not two.one.is_ours
    await two.other.ask()
    assert two.other.is_ours
    assert two.other.fence > two.one.fence
    await two.one.ask()
    assert not two.one.is_ours


async def test_a_lease_that_was_taken_away_is_noticed_at_the_next_renewal(two: Two) -> None:
    """Whoever seizes it is obeyed."""
    await two.one.ask()
    two.log.seize_lease(NAME, "angel", 60 * NS_PER_S, two.clock.now_ns())
    await two.one.ask()
    assert not two.one.is_ours


async def test_whoever_ends_lets_the_other_in_at_once(two: Two) -> None:
    """Without waiting for the lease to run out; and a database that is away keeps nobody from ending."""
    keeping = asyncio.create_task(two.one.keep())
    async with asyncio.timeout(30):
        while not two.one.is_ours:
            assert not keeping.done()
            await asyncio.sleep(0)
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)
    await two.other.ask()
    assert two.other.is_ours
    keeping = asyncio.create_task(two.other.keep())
    await asyncio.sleep(0)
    two.log.close()
    keeping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await keeping


@pytest.fixture
def log(tmp_path: Path) -> Iterator[SelectionLog]:
    """What choosing remembers."""
    made = StoreAddress(tmp_path).open_selection()
    yield made
    made.close()


async def test_a_process_that_does_not_lead_decides_nothing(log: SelectionLog) -> None:
    """It refuses the owner's thresholds, too, and takes up the other's state once it leads."""
    leads = [False]
    stage = ChoiceStage(log, leads=lambda: leads[0])
    await stage.chooser.recover()
    await stage.chooser.evaluate()
    assert stage.world.told == []
    assert log.note("state") is None
    with pytest.raises(TurnsElsewhereError):
        await stage.chooser.tune(stage.chooser.standing().thresholds, "owner")
    with pytest.raises(TurnsElsewhereError):
        await stage.chooser.set_cap("arb", 0.5, "owner")


async def test_whoever_begins_to_lead_goes_on_where_the_other_was(log: SelectionLog) -> None:
    """Its own memory of the state is older."""
    leads = [False]
    stage = ChoiceStage(log, leads=lambda: leads[0])
    keeping = asyncio.create_task(stage.chooser.keep())
    async with asyncio.timeout(30):
        assert stage.current == "main"
        await stage.memory.save_state(EngineState(current="arb"))
        leads[0] = True
        while stage.current != "arb":
            assert not keeping.done()
            await asyncio.sleep(0.001)  # the chooser tells nobody of its steps
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)
