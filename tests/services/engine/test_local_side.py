"""An engine in the instance's own process, with real runs over a fake exchange."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from fake_exchange import SYMBOL, FakeExchange, FakeVenue, snapshot
from mrmarket.core.clock import NS_PER_MS, NS_PER_S, SystemClock
from mrmarket.core.notice import Notice
from mrmarket.services.config_sections import Config
from mrmarket.services.engine.composition import Engine, EngineSetting
from mrmarket.services.engine.keeper import OnRun
from mrmarket.services.engine.local_side import EngineEndedError, LocalSide
from mrmarket.services.engine.section import EngineSection
from mrmarket.services.engine.specs import main_spec, put_specs
from mrmarket.services.engine.venue_room import LoneRoom
from mrmarket.services.engine.workshop import RunWorkshop, SpecificationRefusedError
from mrmarket.services.partners.section import CampaignsSection
from mrmarket.services.run_desk import report_view
from mrmarket.store.errors import DatabaseDisconnectedError
from mrmarket.store.operations import Command, CommandState, DesiredState, RunGoal, RunSpec
from mrmarket.store.sqlite_operations import SqliteOperations
from mrmarket.store.trading_store import TradingStore
from mrmarket.trading.execution.risk.state import RiskState
from mrmarket.trading.market.event import MarketEvent
from mrmarket.trading.strategy.observer import RunState
from mrmarket.trading.strategy.parameters import Parameters
from mrmarket.trading.venue.port import AuthenticationRefusedError, StreamState, UserEvent

RUN = "fake.BTCUSDT"
PARAMETERS = msgspec.convert(
    {"bid_spread": "0.001", "ask_spread": "0.001", "number_of_layers": 1}, Parameters
)


class Streams(FakeVenue):
    """A venue whose streams can be followed again."""

    async def user_events(self) -> AsyncIterator[UserEvent]:
        """Connected, then what happens."""
        yield StreamState(connected=True)
        async for event in super().user_events():
            yield event

    async def market_events(self, symbol: str) -> AsyncIterator[MarketEvent]:
        """The whole book, fresh now and then."""
        while True:
            yield snapshot([(5_999_950, 100_000)], [(6_000_050, 100_000)])
            await asyncio.sleep(0.2)


class House:
    """Databases, an exchange, and an engine that looks often."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.wall = SystemClock()
        self.operations = SqliteOperations.open(folder / "control.db")
        self.log = TradingStore.open(folder / "trading.db")
        self.exchange = FakeExchange(self.wall)
        self.venue = Streams(self.exchange)
        self.asked = 0
        self.only_for_campaigns = False
        self.notices: list[Notice] = []

    def notify(self, notice: Notice) -> None:
        """What the owner is told."""
        self.notices.append(notice)

    def spec(self, run: str = RUN) -> RunSpec:
        """A run on the exchange."""
        return main_spec(run, "fake", SYMBOL, PARAMETERS, "main")

    def engine(self, on_run: OnRun) -> Engine:
        """As an instance makes it."""
        setting = EngineSetting(
            node="here",
            role="all",
            instance="house",
            folder=self.folder,
            operations=self.operations,
            log=self.log,
            room=LoneRoom(self.venue),
            wall=self.wall,
            world=self.wall,
            notices=self,
        )
        config = Config(
            engine=EngineSection(lease_s=2, renew_s=0.2, beat_s=0.1),
            campaigns=CampaignsSection(only_for_campaigns=self.only_for_campaigns),
        )
        return Engine(config, setting, on_run=on_run, view=lambda _, run: report_view(run, self.wall))

    def side(self, *, alone: bool = True) -> LocalSide:
        """The trading side of an instance."""
        return LocalSide(self.engine, RUN, self.wall, alone=alone)

    async def until(self, holds: Callable[[], object]) -> None:
        """Wait until something is so."""
        async with asyncio.timeout(90):
            while not holds():  # noqa: ASYNC110 - rows in a database
                await asyncio.sleep(0.01)

    async def ask(self, kind: str, target: str = RUN, **arguments: object) -> Command:
        """Ask the engine, and wait for its answer."""
        self.asked += 1
        asked = Command(
            id=f"c{self.asked}",
            target=target,
            kind=kind,
            arguments=arguments,
            asked_by="me",
            asked_ms=self.asked,
        )
        self.operations.ask(asked)

        def answered() -> bool:
            found = self.operations.command(asked.id)
            return found is not None and found.state is not CommandState.ASKED

        await self.until(answered)
        found = self.operations.command(asked.id)
        assert found is not None
        return found


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """One run is wanted."""
    made = House(tmp_path)
    put_specs(made.operations, [made.spec()])
    yield made
    made.operations.close()
    made.log.close()


async def test_the_main_run_is_followed_from_life_to_life(house: House) -> None:
    """It quotes when `begin` returns; changed parameters make another life, and the screen shows that one."""
    side = house.side()
    with pytest.raises(RuntimeError, match="has not begun"):
        _ = side.run
    await side.begin()
    first = side.run
    await house.until(lambda: len(house.exchange.open()) == 2)
    beat = side.heartbeat()
    assert (beat.node, beat.role, beat.seq > 0) == ("here", "all", True)
    assert (await house.ask("tune", bid_spread="0.002")).answer == "revision 2"
    await house.until(lambda: side.run is not first and side.run.state is RunState.RUNNING)
    await house.until(lambda: len(house.exchange.open()) == 2)
    assert side.desk is not None
    assert side.desk.run is side.run
    await side.close(abandon=False)
    assert house.exchange.open() == []
    assert house.operations.beats() == []
    assert [lease.expires_ns for lease in house.log.leases()] == [0]


async def test_the_owner_pauses_and_resumes_the_main_run(house: House) -> None:
    """Pausing cancels and proves; an abandoned side leaves its orders where they are."""
    side = house.side()
    await side.begin()
    await house.until(lambda: len(house.exchange.open()) == 2)
    await side.pause("enough")
    assert (side.run.state, house.exchange.open()) == (RunState.PAUSED, [])
    await side.resume()
    await house.until(lambda: len(house.exchange.open()) == 2)
    await side.close(abandon=True)
    assert len(house.exchange.open()) == 2


@pytest.mark.parametrize("known", [True, False])
async def test_what_was_taken_away_is_waited_for_before_closing(house: House, known: bool) -> None:
    """The lease went to an Angel a moment ago, noticed or not: its orders are cancelled by the next life."""
    side = house.side()
    await side.begin()
    await house.until(lambda: len(house.exchange.open()) == 2)
    with closing(TradingStore.open(house.folder / "trading.db")) as elsewhere:
        elsewhere.seize_lease(RUN, "angel", NS_PER_S, house.wall.now_ns())
    if known:
        await house.until(lambda: not side.engine.runs)
    await side.close(abandon=False)
    assert house.exchange.open() == []
    assert side.run.settled


async def test_what_the_journal_did_not_take_is_settled_before_closing(house: House) -> None:
    """Filled after the lease was lost: nothing is live in memory, and yet the next life is waited for."""
    side = house.side()
    await side.begin()
    await house.until(lambda: len(house.exchange.open()) == 2)
    first = side.run
    with closing(TradingStore.open(house.folder / "trading.db")) as elsewhere:
        elsewhere.seize_lease(RUN, "angel", NS_PER_S, house.wall.now_ns())
    for order in house.exchange.open():
        house.venue.fill(order.order.client_order_id, order.order.size_lots)
    await house.until(lambda: not first.live_orders)
    assert house.log.open_intents(RUN)
    await side.close(abandon=False)
    assert (first.settled, side.run.settled) == (False, True)
    assert (house.exchange.open(), house.log.open_intents(RUN)) == ([], [])


async def test_every_word_of_the_owner_is_carried_out_on_the_run(house: House) -> None:
    """Cancel all, halt, re-arm, flatten, and what is none of them; each is answered with what came of it."""
    side = house.side()
    await side.begin()
    await house.until(lambda: len(house.exchange.open()) == 2)
    cancelled = (await house.ask("cancel_all")).answer
    assert re.fullmatch(r"[0-9]+ cancels sent, all proven closed", cancelled), cancelled
    halted = await house.ask("halt", reason="stop it")
    assert halted.state is CommandState.DONE
    assert side.run.risk.state is RiskState.HALT
    assert "owner" in (await house.ask("rearm", cause="owner")).answer
    # On a busy machine a breaker may stand and be lifted, too; the owner's own does not any more.
    assert "owner" not in (await house.ask("rearm")).answer
    await house.until(lambda: side.run.risk.state is RiskState.ACTIVE and not side.run.pulled)
    flattened = await house.ask("flatten")
    assert flattened.state is CommandState.DONE, flattened
    assert isinstance(json.loads(flattened.answer), dict)
    refused = await house.ask("dance")
    assert (refused.state, "no such command" in refused.answer) == (CommandState.REFUSED, True)
    (report,) = house.operations.reports()
    assert report.view["look"]["state"] in ("running", "paused")
    await side.close(abandon=False)


async def test_what_keeps_the_main_run_from_beginning_ends_the_start(house: House) -> None:
    """Nothing is left running, and no lease is held."""
    house.venue.read_faults.append(AuthenticationRefusedError("fake", "read", "no such key"))
    side = house.side()
    with pytest.raises(Exception, match="no such key"):
        await side.begin()
    assert side.engine.runs == []


@pytest.mark.parametrize("alone", [True, False])
async def test_the_failure_of_a_run_that_is_alone_is_the_instances(house: House, alone: bool) -> None:
    """Beside others it is tried again, and the notice says so; a restarting database ends nothing at all."""
    side = house.side(alone=alone)
    await side.begin()
    keeping = asyncio.create_task(side.keep())
    first = side.run
    first.on_fault(DatabaseDisconnectedError("here", "restarted"))
    await house.until(lambda: side.run is not first)
    assert not keeping.done()
    side.run.on_fault(ValueError("broken"))
    if alone:
        with pytest.raises(ValueError, match="broken"):
            await keeping
    else:
        await house.until(lambda: not side.engine.runs)
        assert not keeping.done()
        keeping.cancel()
    await side.close(abandon=False)
    passing, told = (notice.title for notice in house.notices if notice.kind == "run")
    assert "is tried again in" in passing
    assert ("ends this process" if alone else "is tried again in") in told


async def test_a_run_quotes_only_while_a_campaign_asks_for_it(house: House) -> None:
    """Where the owner wants that: it begins without quotes, says why, and follows each word that is told."""
    house.only_for_campaigns = True
    side = house.side()
    await side.begin()
    assert side.desk is not None
    desk = side.desk
    await house.until(lambda: "no campaign asks for volume here" in desk.look().reason)
    assert house.exchange.open() == []
    now_ms = house.wall.now_ns() // NS_PER_MS
    goal = RunGoal(
        campaign="a",
        cycle=0,
        venue="fake",
        account="default",
        pair=SYMBOL,
        starts_ms=now_ms,
        ends_ms=now_ms + 600_000,
        volume="1000",
        min_spread_bps=20,
        max_spread_bps=50,
        max_inventory="1000000",
        cost_ceiling="1",
        pause="none",
        reason="",
        changed_ms=now_ms,
    )
    house.operations.put_goal(goal)
    await house.until(lambda: len(house.exchange.open()) == 2)
    bid = min(resting.order.price_ticks for resting in house.exchange.open())
    assert bid == 5_988_000, "20 basis points from the mid, and not the strategy's 10"
    assert "campaign a asks for volume in cycle 0" in desk.look().asked
    house.operations.put_goal(msgspec.structs.replace(goal, pause="target_met", reason="it is made"))
    await house.until(lambda: house.exchange.open() == [])
    assert "campaign a asks for nothing (target met)" in desk.look().reason
    await side.close(abandon=False)


async def test_an_engine_that_ends_by_itself_is_told(house: House) -> None:
    """The instance does not go on without anybody who trades."""

    class Idle(Engine):
        async def keep(self) -> None:
            return

    def make(on_run: OnRun) -> Engine:
        engine = house.engine(on_run)
        engine.__class__ = Idle
        return engine

    side = LocalSide(make, RUN, house.wall, alone=True)
    with pytest.raises(EngineEndedError, match="here ended by itself"):
        await side.begin()


async def test_a_specification_that_nobody_can_run_is_refused(house: House) -> None:
    """Its strategy is unknown, or its parameters are none; it is said which run and why."""
    workshop = RunWorkshop(LoneRoom(house.venue), house.log, instance="house", wall=house.wall)
    spec = house.spec()
    with pytest.raises(SpecificationRefusedError, match="no strategy dance"):
        workshop.check(msgspec.structs.replace(spec, kind="dance"))
    with pytest.raises(SpecificationRefusedError, match=RUN):
        workshop.check(msgspec.structs.replace(spec, parameters={"bid_spread": "wide"}))


def test_specifications_outlive_restarts(house: House) -> None:
    """What the owner wants stays, what is new is written, and what is named no longer is stopped."""
    further = msgspec.structs.replace(house.spec("second"), account="b")
    put_specs(house.operations, [house.spec(), further])
    paused = house.operations.run_spec(RUN)
    assert paused is not None
    house.operations.put_run(msgspec.structs.replace(paused, desired=DesiredState.PAUSED, revision=2))
    specs = {spec.id: spec for spec in put_specs(house.operations, [house.spec()])}
    assert (specs[RUN].desired, specs[RUN].revision) == (DesiredState.PAUSED, 2)
    assert specs["second"].desired is DesiredState.STOPPED
    again = {spec.id: spec.desired for spec in put_specs(house.operations, [house.spec(), further])}
    assert again == {RUN: DesiredState.PAUSED, "second": DesiredState.RUNNING}
