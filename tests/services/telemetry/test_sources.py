"""What runs, books and shared tables say, read from the real things."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from fake_exchange import FakeExchange, MemoryJournal
from money.payouts.payments_outside import OutsideRail
from mrmarket.core.clock import NS_PER_MS, ManualClock, SystemClock
from mrmarket.core.notice import Notice, Severity
from mrmarket.money.payouts.port import SendRequest
from mrmarket.services.notify.gate import GateRules
from mrmarket.services.notify.notifier import Notifier
from mrmarket.services.telemetry.health import Health
from mrmarket.services.telemetry.instance_report import (
    report_money,
    report_operations,
    report_runs,
    report_trading_store,
)
from mrmarket.services.telemetry.parts import check_lease, check_ledger, sight_of, silence
from mrmarket.services.telemetry.run_sources import HeldRun
from mrmarket.services.telemetry.state_sources import disk_source, leases_source, notices_source
from mrmarket.services.telemetry.telemetry import Telemetry
from mrmarket.store.operations import (
    AngelAction,
    Beat,
    DesiredState,
    Finding,
    Restriction,
    RunReport,
    RunSpec,
)
from mrmarket.store.sqlite_operations import SqliteOperations
from mrmarket.store.trading_store import TradingStore
from mrmarket.trading.venue.rate_budget import RateBudget, RateLimit
from services.money.counter_house import WHOLE, CounterHouse
from services.telemetry.scrape import series, value
from strategy_stage import Stage


@pytest.fixture
def house(tmp_path: Path) -> Iterator[CounterHouse]:
    """A founded pool."""
    clock = ManualClock()
    rail = OutsideRail(clock)
    made = CounterHouse(tmp_path, clock, rail)
    yield made
    made.close()
    rail.close()


async def test_a_quoting_run_tells_its_orders_and_its_venue() -> None:
    """State, orders, streams and rates of a run that quotes; then what a pause makes of it."""
    exchange = FakeExchange(SystemClock())
    stage = Stage(exchange, MemoryJournal())
    stage.venue.budget = RateBudget("fake", SystemClock(), [RateLimit("orders:10", 100, 10)])  # type: ignore[attr-defined] # as the adapter has one
    told = Telemetry("x", SystemClock())
    report_runs(told, lambda: [HeldRun(stage.run, "main")])
    await stage.quoting()
    found = series(await told.exposition())
    run, venue = stage.run.stream, stage.venue.name
    assert value(found, "mm_run_info", run=run, venue=venue, pair="BTC/USDT", pool="main") == 1
    assert value(found, "mm_runs_held") == 1
    assert value(found, "mm_strategy_state", run=run, state="running") == 1
    assert value(found, "mm_strategy_state", run=run, state="paused") == 0
    assert value(found, "mm_orders_open", run=run) == 2
    assert value(found, "mm_orders_total", venue=venue, pair="BTC/USDT", state="placed") == 2
    assert value(found, "mm_user_stream_up", venue=venue) == 1
    assert value(found, "mm_ws_age_seconds", venue=venue) >= 0
    assert value(found, "mm_rate_budget_ratio", venue="fake", limit="orders:10") == 1
    assert value(found, "mm_spread_captured_bps_bucket", run=run, le="+Inf") == 0
    assert (await told.readiness()).ready
    await stage.run.pause("by hand")
    after = series(await told.exposition())
    assert value(after, "mm_strategy_state", run=run, state="paused") == 1
    assert value(after, "mm_orders_open", run=run) == 0
    assert value(after, "mm_orders_total", venue=venue, pair="BTC/USDT", state="cancelled") == 2
    await stage.run.stop()


async def test_a_failed_or_deaf_run_is_not_ready_and_is_seen() -> None:
    """A run that failed is named with its reason; one whose stream is down makes its venue silent."""
    stage = Stage(FakeExchange(SystemClock()), MemoryJournal())
    health, runs = Health(), [HeldRun(stage.run)]
    await stage.quoting()
    assert silence(stage.run) == ""
    stage.run.user_stream_connected = False
    assert silence(stage.run) == "the user stream is down"
    sight = sight_of(lambda: runs, lambda: None)
    assert (sight.runs[0].silent, sight.runs[0].failed) == ("the user stream is down", "")
    stage.run.on_fault(OSError("the disk is gone"))
    assert sight_of(lambda: runs, lambda: None).runs[0].failed == "the disk is gone"
    told = Telemetry("x", SystemClock())
    report_runs(told, lambda: runs)
    parts = {part.part: part.reason for part in (await told.readiness()).parts}
    assert parts["run"] == f"{stage.run.stream} failed"
    check_lease(health, lambda: False)
    assert not (await health.readiness()).ready
    await stage.run.stop()


async def test_shared_tables_tell_engines_angels_and_restrictions(tmp_path: Path) -> None:
    """Signs of life, runs nobody holds, restrictions by scope, differences by kind, an Angel's last hour."""
    clock = ManualClock()
    now_ms = clock.now_ns() // NS_PER_MS
    store = SqliteOperations.open(tmp_path / "control.db")
    for run, desired in (
        ("a", DesiredState.RUNNING),
        ("b", DesiredState.PAUSED),
        ("c", DesiredState.STOPPED),
    ):
        store.put_run(RunSpec(id=run, venue="v", pair="BTC/USDT", kind="pure_market_making", desired=desired))
    store.report(RunReport(run="a", node="n", fence=1, at_ms=now_ms - 5_000, state="running"))
    store.report(RunReport(run="b", node="n", fence=1, at_ms=now_ms - 90_000, state="running"))
    store.beat(Beat(node="n", role="engine", seq=1, started_ms=1, at_ms=now_ms))
    store.beat(Beat(node="angel-1", role="angel", seq=1, started_ms=1, at_ms=now_ms - 2_000))
    store.restrict(Restriction(scope="venue:v", cause="x", state="halt", by="owner", since_ms=now_ms))
    store.restrict(Restriction(scope="run:a", cause="x", state="reduce", by="a", since_ms=now_ms))
    store.restrict(Restriction(scope="run:b", cause="x", state="reduce", by="b", since_ms=now_ms))
    store.note_finding(
        Finding(key="k", run="a", kind="balance", subject="BTC", ours="1", theirs="2", first_ms=1, last_ms=1)
    )
    for number, age_ms in enumerate((60_000, 120_000, 7_200_000)):
        at_ms = now_ms - age_ms
        store.log_action(
            AngelAction(id=str(number), angel="angel-1", at_ms=at_ms, incident="i", action="cancel")
        )
    told = Telemetry("x", clock)
    report_operations(told, store, clock)
    found = series(await told.exposition())
    assert value(found, "mm_runs_wanted") == 2
    assert value(found, "mm_runs_unheld") == 1
    assert value(found, "mm_angel_heartbeat_timestamp_seconds", angel="angel-1") == (now_ms - 2_000) / 1_000
    assert value(found, "mm_node_heartbeat_timestamp_seconds", node="n", role="engine") == now_ms / 1_000
    assert value(found, "mm_restrictions", scope="venue", state="halt") == 1
    assert value(found, "mm_restrictions", scope="run", state="reduce") == 2
    assert value(found, "mm_restrictions", scope="instance", state="halt") == 0
    assert value(found, "mm_differences_open", run="a", kind="balance") == 1
    assert value(found, "mm_angel_actions", action="cancel") == 2
    assert value(found, "mm_ready", part="control database") == 1
    store.close()


async def test_leases_tell_how_long_they_have(tmp_path: Path) -> None:
    """Seconds left by the store's word, below zero once lapsed, nothing for one that was given back."""
    clock = ManualClock()
    store = TradingStore.open(tmp_path / "trading.db")
    for run in ("a", "b"):
        store.acquire_lease(run, "me", 10 * 10**9, clock.now_ns())
    store.release_lease("b")
    clock.advance(12 * 10**9)
    told = Telemetry("x", clock)
    report_trading_store(told, store, clock)
    found = series(await told.exposition())
    assert value(found, "mm_lease_seconds_left", run="a") == -2
    assert ("mm_lease_seconds_left", (("run", "b"),)) not in found
    assert [reading.labels for reading in leases_source(store.leases, clock)()] == [("a",)]
    store.close()


async def test_the_books_tell_worth_differences_and_payouts(house: CounterHouse) -> None:
    """What is missing at the rail shows as a difference and an incident, in whole units; the books verify."""
    house.offices.world.venues.clear()
    house.rail.tell("p1", 500 * WHOLE, memo="unknown")
    await house.live(8)
    treasury = house.offices.treasury
    told = Telemetry("x", house.clock)
    check = treasury.verify()
    report_money(
        told, house.offices, house.watch, house.clock, check=lambda: check, figures=treasury.pool_view
    )
    found = series(await told.exposition())
    figures = treasury.pool_view()
    assert value(found, "mm_equity_quote", pool=figures.id) == float(figures.nav)
    assert value(found, "mm_ledger_seq") == figures.ledger_seq
    assert value(found, "mm_ledger_verify_ok") == 1
    assert value(found, "mm_incidents_open") == 0
    assert value(found, "mm_outbox_depth") >= 0
    assert told.pools == 1
    assert (await told.readiness()).ready
    await house.rail.send(SendRequest("nobody-asked", "USDT", 7 * WHOLE, "0x" + "ee" * 20, ""))
    await house.live(60)
    fresh = Telemetry("x", house.clock)
    report_money(
        fresh, house.offices, house.watch, house.clock, check=lambda: check, figures=treasury.pool_view
    )
    after = series(await fresh.exposition())
    assert value(after, "mm_incidents_open") == 1
    assert value(after, "mm_reconcile_difference", asset="rail:USDT") == -7


async def test_incidents_are_told_without_amounts(house: CounterHouse) -> None:
    """The owner hears which asset and where; no figure leaves the house."""
    heard: list[Notice] = []

    class Ears:
        def notify(self, notice: Notice) -> None:
            heard.append(notice)

    house.watch._notices = Ears()
    house.offices.world.venues.clear()
    house.rail.tell("p1", 500 * WHOLE, memo="unknown")
    await house.live(8)
    await house.rail.send(SendRequest("nobody-asked", "USDT", 7 * WHOLE, "0x" + "ee" * 20, ""))
    await house.live(60)
    (begun,) = heard
    assert (begun.kind, begun.severity, begun.key) == ("solvency", Severity.CRITICAL, "solvency.rail:USDT")
    assert begun.title == "USDT at rail does not add up"
    assert "7" not in begun.title + begun.text
    assert "500" not in begun.title + begun.text


async def test_a_ledger_that_is_behind_or_broken_is_not_ready(house: CounterHouse) -> None:
    """Each state of the books has its own reason."""
    treasury = house.offices.treasury
    good = treasury.verify()
    told = Telemetry("x", house.clock)
    reasons = []
    for check, behind in ((None, 0), (replace(good, ok=False), 0), (good, 9_000), (good, 0)):
        health = told.health = Health()
        check_ledger(health, house.offices, lambda check=check: check, lambda behind=behind: behind)  # type: ignore[misc] # bound early
        reasons.append((await health.readiness()).parts[0].reason)
    assert reasons == [
        "it is being verified",
        "it does not verify",
        "settlement is 9000 facts behind",
        "",
    ]


async def test_disk_and_notices_tell_their_figures(tmp_path: Path) -> None:
    """Free bytes, and how each way has fared."""

    class Deaf:
        name = "deaf"

        async def send(self, notice: Notice) -> None:
            raise RuntimeError(notice.key)

        async def close(self) -> None:
            """Nothing to hang up."""

    (free,) = disk_source(tmp_path)()
    assert free.value > 0  # type: ignore[union-attr] # a reading
    notifier = Notifier([Deaf()], GateRules(Severity.INFO, 0, 100), ManualClock())
    await notifier.start()
    notifier.notify(Notice(key="k", kind="t", severity=Severity.INFO, title="t", at_ms=1))
    await notifier.close()
    found = {reading.labels: reading.value for reading in notices_source(notifier)()}  # type: ignore[union-attr] # readings
    assert found["deaf", "failed"] == 1
    assert found["deaf", "delivered"] == 0
