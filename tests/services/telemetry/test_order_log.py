"""Log lines about orders: complete where it matters, bounded where it does not."""

from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs

from fake_exchange import FakeExchange, MemoryJournal
from mrmarket.core.clock import SystemClock
from mrmarket.core.events import (
    DifferenceFound,
    Fact,
    MarkObserved,
    OrderAccepted,
    OrderDoubted,
    RiskChanged,
)
from mrmarket.services.engine.seat import Seat
from mrmarket.services.telemetry import order_log as order_log_module
from mrmarket.services.telemetry.followed_workshop import FollowedWorkshop, held_runs, leases_hold
from mrmarket.services.telemetry.order_lines import OrderLines
from mrmarket.services.telemetry.order_log import OrderLog
from mrmarket.store.operations import RunSpec
from mrmarket.trading.execution.lease_guard import LeaseGuard
from mrmarket.trading.execution.order_id import OrderIds
from strategy_stage import Stage

ORDER = OrderIds("house", "run-1", fence=7).make("b1", 3)


def heard(stage: Stage) -> bool:
    """Whether anybody hears of the run's facts."""
    return stage.run.facts.told is not None


def accepted(number: int = 0) -> OrderAccepted:
    """A routine fact."""
    return OrderAccepted(
        venue="v", at_ns=5_000_000, symbol="BTC/USDT", client_order_id=ORDER, venue_order_id=str(number)
    )


def test_a_line_names_order_run_and_fence() -> None:
    """The fence of this process and the one in the order's id may differ: the heir reports on old orders."""
    lines = OrderLines("run-1", 9, per_s=10)
    lines.take(accepted())
    with capture_logs() as logs:
        assert lines.write(1.0) == 1
    assert logs == [
        {
            "event": "order accepted", "log_level": "info", "run": "run-1", "fence": 9, "order": ORDER,
            "order_fence": 7, "pair": "BTC/USDT", "venue": "v", "venue_order_id": "0", "at_ms": 5,
        }
    ]  # fmt: skip


def test_routine_lines_are_bounded_and_the_others_are_not() -> None:
    """Above the rate the routine is counted; what somebody will look for is always there."""
    lines = OrderLines("run-1", 1, per_s=10)
    for number in range(30):
        lines.take(accepted(number))
        lines.take(OrderDoubted(venue="v", at_ns=1, symbol="s", client_order_id=ORDER, request="place"))
    with capture_logs() as logs:
        assert lines.write(0.5) == 35
    assert sum(line["event"] == "order doubted" for line in logs) == 30
    assert logs[-1]["event"] == "lines about orders were left out"
    assert (logs[-1]["count"], lines.left_out) == (25, 25)


@pytest.mark.parametrize(
    ("fact", "level"),
    [
        (
            DifferenceFound(
                venue="v", at_ns=1, symbol="s", kind="balance", subject="BTC", ours="1", theirs="2"
            ),
            "warning",
        ),
        (RiskChanged(venue="v", at_ns=1, symbol="s", scope="run:r", state="halt", cause="x"), "warning"),
        (RiskChanged(venue="v", at_ns=1, symbol="s", scope="run:r", state="active", cause="x"), "info"),
    ],
)
def test_differences_and_restrictions_are_warnings(fact: Fact, level: str) -> None:
    """They also reach whoever looks at the screen; that it is over does not need to."""
    lines = OrderLines("r", 1, per_s=0)
    lines.take(fact)
    with capture_logs() as logs:
        lines.write(1.0)
    assert [line["log_level"] for line in logs] == [level]


def test_prices_and_balances_are_not_logged() -> None:
    """Marks come every other second and are in the event log."""
    lines = OrderLines("r", 1, per_s=100)
    lines.take(MarkObserved(venue="v", at_ns=1, symbol="s", base="B", quote="Q", bid="1", ask="2"))
    assert lines.write(1.0) == 0


def test_a_flood_is_bounded_in_memory() -> None:
    """What nobody has written yet is kept up to a limit, and counted beyond."""
    lines = OrderLines("r", 1, per_s=100)
    for number in range(10_500):
        lines.take(accepted(number))
    assert lines.left_out == 500


async def test_a_run_is_followed_from_its_first_fact_to_its_last(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both orders of a quoting run stand in the log with its fence, and so does their end."""
    monkeypatch.setattr(order_log_module, "_EVERY_S", 0.01)
    log = OrderLog(per_s=100_000)
    stage = Stage(FakeExchange(SystemClock()), MemoryJournal(), fence=4)
    with capture_logs() as logs:
        log.follow(stage.run, 4)
        keeping = asyncio.create_task(log.keep())
        await stage.quoting()
        await stage.run.stop()
        log.forget(stage.run)
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
    orders = [line for line in logs if "order" in line]
    assert {line["event"] for line in orders} >= {"order created", "order accepted", "order cancelled"}
    assert {(line["run"], line["fence"], line["order_fence"]) for line in orders} == {
        (stage.run.stream, 4, 4)
    }
    assert len({line["order"] for line in orders}) == 2
    assert (stage.run.facts.told, log.left_out) == (None, 0)


async def test_a_followed_workshop_makes_runs_that_the_log_hears() -> None:
    """The wrapper changes nothing else: specification, view and commands go through."""
    stage = Stage(FakeExchange(SystemClock()), MemoryJournal())

    class Plain:
        def __init__(self) -> None:
            self.calls: list[str] = []

        def check(self, spec: RunSpec) -> None:
            self.calls.append(f"check {spec.id}")

        async def make(self, spec: RunSpec, fence: int, guard: LeaseGuard) -> Stage:
            self.calls.append(f"make {spec.id} {fence}")
            return stage.run  # type: ignore[return-value] # the run itself

        async def clear(self, spec: RunSpec, run: object) -> None:
            self.calls.append(f"clear {spec.id}")

        def view(self, spec: RunSpec, run: object) -> dict[str, object]:
            return {"of": spec.id}

        async def command(self, run: object, kind: str, arguments: dict[str, object], asked_by: str) -> str:
            return f"{kind} for {asked_by}"

    plain, log = Plain(), OrderLog(per_s=10)
    workshop = FollowedWorkshop(plain, log)  # type: ignore[arg-type] # a fake that implements the port
    spec = RunSpec(id="run-1", venue="v", pair="BTC/USDT", kind="pure_market_making", pool="main")
    guard = LeaseGuard(SystemClock())
    workshop.check(spec)
    run = await workshop.make(spec, 3, guard)
    assert heard(stage)
    seat = Seat(spec, 3, guard, 0)
    assert list(held_runs([seat])) == []
    seat.run = run
    assert [(held.run, held.pool) for held in held_runs([seat])] == [(stage.run, "main")]
    assert not leases_hold([seat])
    guard.renewed(SystemClock().monotonic_ns(), 60 * 10**9)
    assert leases_hold([seat])
    assert workshop.view(spec, run) == {"of": "run-1"}
    assert await workshop.command(run, "halt", {}, "owner") == "halt for owner"
    await workshop.clear(spec, run)
    assert not heard(stage)
    assert plain.calls == ["check run-1", "make run-1 3", "clear run-1"]
    await stage.run.stop()
