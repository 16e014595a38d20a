"""The owner's view of trading and the owner's words, over real databases and a real engine's parts."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from structlog.testing import capture_logs

from fake_exchange import FakeExchange, MemoryJournal
from mrmarket.core.clock import SystemClock
from mrmarket.core.notice import Unheard
from mrmarket.services.api import operations_schema as ops
from mrmarket.services.api.refusals import DatabaseAwayError, KeyReusedError, NotFoundError
from mrmarket.services.config_sections import Config
from mrmarket.services.engine.composition import Engine, EngineSetting
from mrmarket.services.engine.operations_desk import keep_live
from mrmarket.services.engine.operations_office import DrillSlowError, OfficeSetting, OperationsOffice
from mrmarket.services.engine.seat import Phase, Seat
from mrmarket.services.engine.venue_room import VenueRoom
from mrmarket.services.hub import UpdateHub
from mrmarket.services.telemetry.health import Health
from mrmarket.store.errors import DatabaseUnavailableError
from mrmarket.store.operations import (
    AngelAction,
    Beat,
    CommandState,
    DesiredState,
    Finding,
    Restriction,
    RunReport,
    RunSpec,
)
from mrmarket.store.sqlite_operations import SqliteOperations
from mrmarket.store.trading_store import TradingStore
from mrmarket.trading.execution.lease_guard import LeaseGuard
from mrmarket.trading.venue.port import KeyPermissions, Venue
from services.keys.key_samples import API_KEY, API_SECRET, credentials, store_in
from strategy_stage import Stage

LEASE_NS = 60 * 10**9


class FailingOperations(SqliteOperations):
    """A real store that stops answering when told to."""

    away = False

    def _refuse(self) -> None:
        if self.away:
            raise DatabaseUnavailableError("control.db", "the server is gone")

    def beats(self) -> list[Beat]:
        """Refused while away."""
        self._refuse()
        return super().beats()

    def ask(self, command: Any) -> Any:
        """Refused while away."""
        self._refuse()
        return super().ask(command)


class Scene:
    """Stores in a folder, an engine that holds nothing, and the office over them."""

    def __init__(self, folder: Path) -> None:
        self.clock = SystemClock()
        self.operations = FailingOperations.open(folder / "control.db")
        self.log = TradingStore.open(folder / "trading.db")
        self.folder = folder
        self.engine = self._engine()
        self.setting = OfficeSetting(
            operations=self.operations,
            log=self.log,
            clock=self.clock,
            folder=folder,
            engine=lambda: self.engine,
            angel_wanted=True,
        )
        self.office = OperationsOffice(self.setting)

    @property
    def now_ms(self) -> int:
        """The wall's."""
        return self.clock.now_ns() // 10**6

    def over(self, **changed: Any) -> OperationsOffice:
        """An office that is put together otherwise."""
        return OperationsOffice(replace(self.setting, **changed))

    def spec(self, run: str, **known: Any) -> RunSpec:
        """Add a run."""
        spec = RunSpec(id=run, venue="okx", pair="BTC/USDT", kind="pure_market_making", **known)
        self.operations.put_run(spec)
        return spec

    def close(self) -> None:
        """Close both stores."""
        self.operations.away = False
        self.operations.close()
        self.log.close()

    def _engine(self) -> Engine:
        async def opener(_: str, __: str) -> Venue:
            raise AssertionError("nothing is opened here")

        setting = EngineSetting(
            node="here",
            role="all",
            instance="here",
            folder=self.folder,
            operations=self.operations,
            log=self.log,
            room=VenueRoom(opener),
            wall=self.clock,
            world=self.clock,
            notices=Unheard(),
        )
        return Engine(Config(), setting, on_run=lambda _spec, _run, _error: None)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    """An instance without runs."""
    made = Scene(tmp_path)
    yield made
    made.close()


def word(key: str = "key-00001", **known: str) -> ops.OperationRequest:
    """The owner's word."""
    return ops.OperationRequest(key=key, **known)


def pulled(scene: Scene) -> bool:
    """Whether the kill switch holds everything now."""
    return scene.engine.switch.is_pulled


async def test_everything_that_is_written_down_is_shown(scene: Scene) -> None:
    """Engines, runs elsewhere, restrictions, differences, the Angel and its drills."""
    scene.spec("far")
    scene.spec("lost", desired=DesiredState.PAUSED)
    now = scene.now_ms
    scene.log.acquire_lease("far", "there", LEASE_NS, scene.clock.now_ns())
    beat = Beat(node="there", role="engine", seq=4, started_ms=now, at_ms=now, host="h", pid=3)
    scene.operations.beat(beat)
    scene.operations.beat(msgspec.structs.replace(beat, node="old", at_ms=now - 60_000))
    detail = {"stage": "watching", "threshold_s": 5.0, "nodes": {"there": "alive"}}
    scene.operations.beat(msgspec.structs.replace(beat, node="angel-1", role="angel", detail=detail))
    look = {"state": "running", "reason": "", "book_age_ms": 7, "user_stream_connected": True}
    view = {"look": {**look, "open_orders": 2}, "orders": [{"state": "unknown"}, {"state": "acked"}]}
    scene.operations.report(
        RunReport(run="far", node="there", fence=1, at_ms=now, state="running", view=view)
    )
    scene.operations.restrict(
        Restriction(
            scope="venue:okx", cause="clock_offset", state="cancel_only", by="far", since_ms=1, until_ms=9
        )
    )
    scene.operations.note_finding(
        Finding(
            key="1", run="far", kind="balance", subject="BTC", ours="1", theirs="2", first_ms=1, last_ms=1
        )
    )
    for number, action in enumerate(("intervene", "cancelling", "cleared", "closed")):
        scene.operations.log_action(
            AngelAction(
                id=str(number),
                angel="angel-1",
                at_ms=1000 + 10 * number,
                incident="drill-1",
                action=action,
                target="far",
            )
        )
    seen = await scene.office.operations()
    assert [(one.node, one.alive, one.runs) for one in seen.engines] == [
        ("old", False, []),
        ("there", True, ["far"]),
    ]
    far, lost = seen.runs
    assert (far.state, far.holder, far.open_orders, far.unknown_orders) == ("running", "there", 2, 1)
    assert (far.risk, [one.cause for one in far.why]) == ("cancel_only", ["clock_offset"])
    assert far.dead_man.state == "elsewhere"
    assert (lost.state, lost.holder, lost.open_orders) == ("unheld", None, None)
    assert [(one.name, one.risk, one.stream_connected) for one in seen.venues] == [
        ("okx", "cancel_only", True)
    ]
    assert [one.until_ms for one in seen.restrictions] == [9]
    assert [one.subject for one in seen.differences] == ["BTC"]
    assert seen.angel.present
    assert seen.angel.watchers[0].threshold_s == 5.0
    (drill,) = seen.angel.interventions
    assert (drill.drill, drill.cancels, drill.proven_ms, drill.closed_ms) == (True, 1, 20, 30)
    assert seen.checklist[0].step == "angel"
    assert seen.trading == "recovering"
    assert seen.database.ready
    assert [one.kind for one in await scene.office.differences(open_only=True, limit=10)] == ["balance"]
    assert len(await scene.office.angel_actions(2)) == 2


async def test_a_report_of_another_version_tells_only_its_state(scene: Scene) -> None:
    """What cannot be read of it stays unknown instead of ending the view."""
    scene.spec("far")
    scene.log.acquire_lease("far", "there", LEASE_NS, scene.clock.now_ns())
    scene.operations.report(
        RunReport(run="far", node="there", fence=1, at_ms=1, state="paused", view={"look": {"state": 7}})
    )
    (run,) = (await scene.office.operations()).runs
    assert (run.state, run.open_orders) == ("paused", None)


async def test_a_command_is_written_down_once_and_audited(scene: Scene) -> None:
    """With who asked and why; the same key for something else is refused."""
    scene.spec("a")
    with capture_logs() as lines:
        first = await scene.office.ask_run("a", "cancel-all", word(reason="too wide"), "owner")
    again = await scene.office.ask_run("a", "cancel-all", word(), "owner")
    assert (first.target, first.kind, first.state, first.recorded) == ("a", "cancel_all", "asked", True)
    assert again.asked_ms == first.asked_ms
    (line,) = [line for line in lines if line["event"] == "asked"]
    assert (line["kind"], line["target"], line["by"], line["reason"]) == (
        "cancel_all",
        "a",
        "owner",
        "too wide",
    )
    with pytest.raises(KeyReusedError):
        await scene.office.ask_venue("okx", "halt", word(), "owner")
    scene.operations.answer("key-00001", CommandState.DONE, "4 cancels sent", 5)
    told = await scene.office.command("key-00001")
    assert (told.state, told.answer, told.ended_ms) == ("done", "4 cancels sent", 5)


async def test_what_is_not_there_is_not_asked(scene: Scene) -> None:
    """Runs that are stopped, venues without a run, commands that nobody gave, an Angel on paper."""
    scene.spec("gone", desired=DesiredState.STOPPED)
    with pytest.raises(NotFoundError):
        await scene.office.ask_run("gone", "pause", word(), "owner")
    with pytest.raises(NotFoundError):
        await scene.office.ask_venue("elsewhere", "halt", word(), "owner")
    with pytest.raises(NotFoundError):
        await scene.office.command("key-00009")
    with pytest.raises(NotFoundError):
        await scene.office.drill(word(), "owner")


async def test_the_kill_switch_is_pulled_before_any_database_is_asked(scene: Scene) -> None:
    """With the database gone everything here is halted, and what is not known is said to be so."""
    scene.spec("a")
    await scene.office.operations()
    scene.operations.away = True
    view = await scene.office.halt(word(reason="now"), "owner")
    assert (view.state, view.recorded) == ("done", False)
    assert pulled(scene)
    assert (scene.folder / "HALT").read_text() == "now\n"
    async with asyncio.timeout(60):
        # What was read before is shown for half a second.
        while (seen := await scene.office.operations()).database.ready:  # noqa: ASYNC110 - it is asked anew
            await asyncio.sleep(0.02)
    assert "the server is gone" in seen.database.reason
    assert (seen.kill_switch.pulled, seen.kill_switch.reason) == (True, "now")
    assert seen.runs[0].risk == "halt"
    with pytest.raises(DatabaseAwayError):
        await scene.office.ask_venue("okx", "halt", word("key-00002"), "owner")
    lifted = await scene.office.rearm(word("key-00003"), "owner")
    assert not lifted.recorded
    assert not pulled(scene)
    assert scene.engine.board.restrictions() == []


async def test_a_halt_is_written_down_for_every_other_engine(scene: Scene) -> None:
    """The switch here, a command for the rest; lifting does both again, and only where it is meant."""
    view = await scene.office.halt(word(), "owner")
    assert (view.target, view.kind, view.recorded) == ("instance", "halt", True)
    assert [held.cause for held in scene.engine.board.restrictions()] == ["kill_switch"]
    await scene.office.rearm(word("key-00002", cause="loss_24h"), "owner")
    assert pulled(scene)
    command = scene.operations.command("key-00002")
    assert command is not None
    assert command.arguments == {"cause": "loss_24h"}
    await scene.office.rearm(word("key-00003"), "owner")
    assert not pulled(scene)


async def test_where_nothing_trades_a_halt_needs_the_database(scene: Scene) -> None:
    """An API by itself passes it on, and refuses loudly where nobody can be told."""
    office = scene.over(engine=lambda: None)
    view = await office.halt(word(), "owner")
    assert (view.state, view.recorded) == ("asked", True)
    assert (await office.operations()).kill_switch.local is False
    scene.operations.away = True
    with pytest.raises(DatabaseAwayError):
        await office.halt(word("key-00002"), "owner")
    with pytest.raises(DatabaseAwayError):
        await office.rearm(word("key-00003"), "owner")


async def test_resuming_lifts_what_a_manual_recovery_holds_and_nothing_else(scene: Scene) -> None:
    """The owner's own halt stays."""
    for cause in ("angel_recovery", "owner"):
        scene.operations.restrict(
            Restriction(scope="instance", cause=cause, state="halt", by="x", since_ms=1)
        )
    assert (await scene.office.operations()).angel.waiting_for_owner
    resumed = await scene.office.resume(word(), "owner")
    assert resumed.lifted == ["instance"]
    seen = await scene.office.operations()
    assert not seen.angel.waiting_for_owner
    assert [one.cause for one in seen.restrictions] == ["owner"]


async def test_a_dry_run_is_kept_for_the_page(scene: Scene) -> None:
    """What would go now is shown until it is asked for again; one that is too slow says so."""
    found = ops.DryRunView(at_ms=1, orders=[], spared=3, silent={})

    async def look() -> ops.DryRunView:
        return found

    async def hang() -> ops.DryRunView:
        raise TimeoutError

    office = scene.over(dry_run=look)
    assert await office.drill(word(), "owner") is found
    assert (await office.operations()).angel.dry_run is found
    with pytest.raises(DrillSlowError):
        await scene.over(dry_run=hang).drill(word(), "owner")


async def test_the_notice_says_how_it_goes_and_never_why(scene: Scene) -> None:
    """From what was last read: at first nothing is known, then paused, limited, recovering or quoting."""
    assert scene.office.notice().state == "recovering"
    scene.spec("far")
    scene.log.acquire_lease("far", "there", LEASE_NS, scene.clock.now_ns())
    report = RunReport(run="far", node="there", fence=1, at_ms=1, state="running", view={})
    scene.operations.report(report)
    await scene.office.refresh()
    assert scene.office.notice().state == "quoting"
    scene.engine.board.hold("run:far", "loss_1m", "far")
    assert scene.office.notice().state == "limited"
    scene.engine.board.rearm("run:far")
    scene.operations.report(msgspec.structs.replace(report, state="paused"))
    fresh = scene.over()
    await fresh.refresh()
    assert fresh.notice().state == "paused"


async def test_many_who_look_ask_the_database_once(scene: Scene) -> None:
    """Looks within half a second share one reading."""
    asked = 0
    beats = scene.operations.beats

    def counted() -> list[Beat]:
        nonlocal asked
        asked += 1
        return beats()

    scene.operations.beats = counted  # type: ignore[method-assign] # counts calls of the real one
    await asyncio.gather(*(scene.office.operations() for _ in range(20)))
    assert asked == 1


async def test_parts_and_keys_are_listed_without_secrets(scene: Scene) -> None:
    """Readiness comes from whoever knows; a file of keys that cannot be read is said and nothing more."""
    health = Health()

    async def broken() -> str:
        return "it does not verify"

    health.check("ledger", broken)
    (scene.folder / "keys.json").write_text("{")
    (scene.folder / "keys.json").chmod(0o600)
    seen = await scene.over(health=health).operations()
    assert [(part.part, part.ready, part.reason) for part in seen.health] == [
        ("ledger", False, "it does not verify")
    ]
    assert seen.keys == []
    assert "keys.json" in seen.keys_problem


async def test_watchers_are_sent_the_view_and_nobody_else_costs_anything(scene: Scene) -> None:
    """Only while somebody listens is a view made."""
    hub = UpdateHub()
    live = asyncio.create_task(keep_live(scene.office, hub))
    updates = hub.subscribe(frozenset({"operations"}))
    update = await asyncio.wait_for(anext(updates), 60)
    assert update.topic == "operations"
    assert isinstance(update.data, ops.OperationsView)
    live.cancel()
    await asyncio.gather(live, return_exceptions=True)


async def test_a_run_of_this_process_is_shown_as_it_is_now(scene: Scene) -> None:
    """Orders, book, stream and switch come from the run itself, not from what was last written down."""
    spec = scene.spec("run-1")
    stage = Stage(FakeExchange(scene.clock), MemoryJournal())
    await stage.quoting()
    seat = Seat(spec, 7, LeaseGuard(scene.clock), 0)
    seat.run, seat.phase = stage.run, Phase.HELD
    scene.engine.host.seats["run-1"] = seat
    (run,) = (await scene.office.operations()).runs
    assert (run.state, run.holder, run.fence) == ("running", "here", 7)
    assert (run.open_orders, run.unknown_orders, run.stream_connected) == (2, 0, True)
    assert run.book_age_ms is not None
    assert run.dead_man.state == "none"
    assert scene.office.notice().state == "quoting"
    await stage.run.pause("a look")
    (run,) = (await scene.office.operations()).runs
    assert (run.state, run.reason, run.open_orders) == ("paused", "a look", 0)
    assert scene.office.notice().state == "paused"
    seat.phase = Phase.LEAVING
    assert (await scene.office.operations()).runs[0].state == "leaving"
    seat.run, seat.phase = None, Phase.STARTING
    assert (await scene.office.operations()).runs[0].state == "starting"
    assert scene.office.notice().state == "recovering"
    scene.engine.host.seats.clear()
    await stage.run.stop("the test is over")


async def test_stored_keys_are_shown_with_their_rights(scene: Scene) -> None:
    """What the exchange said a key may do, and nothing that is secret of it."""
    store = store_in(scene.folder)
    rights = KeyPermissions(read=True, trade=True, withdraw=True)
    store.add(
        "main",
        "okx",
        credentials(),
        rights=rights,
        allow_withdraw=True,
    )
    seen = await scene.office.operations()
    (key,) = seen.keys
    assert (key.name, key.venue, key.withdraw, key.ip_restricted, key.checked_ms) == (
        "main",
        "okx",
        True,
        None,
        None,
    )
    text = msgspec.json.encode(seen)
    assert API_KEY.encode() not in text
    assert API_SECRET.encode() not in text
