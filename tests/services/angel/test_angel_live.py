"""The Angel put together as in production, on the simulated exchange and SQLite."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mrmarket.angel.recovery import CAUSE
from mrmarket.angel.settings import AngelSection
from mrmarket.angel.sweep import Scope
from mrmarket.core.clock import NS_PER_S, SystemClock
from mrmarket.core.events import Filled
from mrmarket.core.side import Side
from mrmarket.services.angel import overview
from mrmarket.services.angel.composition import NoSourceError, assemble, instance_prefix
from mrmarket.services.angel.drill import (
    DrillFailedError,
    DrillRefusedError,
    drill_freeze,
    drill_run,
    dry_run,
    engine_to_freeze,
)
from mrmarket.services.angel.flattener import FlattenKeyMissingError, VenueFlattener
from mrmarket.services.angel.life import live
from mrmarket.services.angel.plan import DEAD_MAN_PATH, AngelPlan, WatchedAccount
from mrmarket.services.angel.process import AngelProcess, AngelProcessError
from mrmarket.services.angel.stores import Late
from mrmarket.services.store_address import StoreAddress
from mrmarket.store.operations import AngelAction, Beat, OperationsStore
from mrmarket.store.trading_port import TradingLog
from mrmarket.trading.execution.order_id import OrderIds
from mrmarket.trading.venue.ccxt_adapter.config import CcxtVenueConfig, VenueUrls
from mrmarket.trading.venue.ccxt_adapter.venue import CcxtVenue
from mrmarket.trading.venue.front.config import VenueConfig
from mrmarket.trading.venue.front.server import VenueServer
from mrmarket.trading.venue.port import NewOrder, OrderKind

PATIENCE_S = 120.0
SYMBOL, INSTANCE, RUN, NODE = "BTC/USDT", "instance-1", "run-1", "engine-1"


@dataclass
class Stage:
    """An exchange, an engine's adapter on it, the stores, and a plan for an Angel."""

    server: VenueServer
    engine: CcxtVenue
    operations: OperationsStore
    trading: TradingLog
    data: Path
    plan: AngelPlan
    fence: int = 0

    async def quote(self, count: int = 3) -> None:
        """Let orders of the run stand."""
        clock = SystemClock()
        self.fence = self.trading.acquire_lease(RUN, NODE, NS_PER_S, clock.now_ns())
        ids = OrderIds(INSTANCE, RUN, fence=self.fence)
        instrument = self.engine.instrument(SYMBOL)
        for number in range(count):
            order = NewOrder(
                symbol=SYMBOL,
                client_order_id=ids.make("b1", number),
                side=Side.BUY,
                kind=OrderKind.POST_ONLY,
                price_ticks=int(20_000 / instrument.tick_size),
                size_lots=1_000,
            )
            await self.engine.place(order)

    def beat(self, seq: int = 1, **about: Any) -> None:
        """A sign of life of the engine."""
        host = socket.gethostname()
        self.operations.beat(
            Beat(node=NODE, role="engine", seq=seq, started_ms=1, at_ms=1, host=host, **about)
        )

    async def standing(self) -> int:
        """How many orders stand."""
        return len(await self.engine.open_orders(SYMBOL))


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    """All of it, with an Angel that has a threshold of a second and no clock skew to wait for."""
    server = VenueServer(VenueConfig())
    await server.start()
    urls = VenueUrls(rest=server.rest_url, ws=server.ws_url, ws_api=server.ws_api_url)
    engine = CcxtVenue(
        CcxtVenueConfig(
            name="sim", symbols=(SYMBOL,), api_key=server.api_key, secret=server.api_secret, urls=urls
        ),
        SystemClock(),
    )
    await engine.open()
    address = StoreAddress(tmp_path)
    operations, trading = address.open_operations(), address.open_trading()
    angel = server.angel_keys[0]
    account = WatchedAccount(
        name="sim",
        exchange="binance",
        rest_url=server.rest_url,
        ws_url=server.ws_url,
        ws_api_url=server.ws_api_url,
        symbols=[SYMBOL],
        recv_window_ms=200,
        dead_man_path=DEAD_MAN_PATH,
        api_key=angel.key,
        api_secret=angel.secret,
    )
    settings = AngelSection(threshold_s=1, poll_s=0.05, clock_skew_s=0)
    plan = AngelPlan(instance=INSTANCE, settings=settings, accounts=[account])
    try:
        yield Stage(server, engine, operations, trading, tmp_path, plan)
    finally:
        await engine.close()
        operations.close()
        trading.close()
        await server.stop()


async def until(holds: Callable[[], object]) -> None:
    """Wait until something holds; tells what it saw instead when it gives up."""
    deadline_s = asyncio.get_running_loop().time() + PATIENCE_S
    while not (last := holds()):
        assert asyncio.get_running_loop().time() < deadline_s, f"it never held; seen: {last!r}"
        await asyncio.sleep(0.02)


def is_stopped(pid: int) -> bool:
    """Whether a process stands still."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def did(stage: Stage) -> list[str]:
    """What the Angel has done, oldest first."""
    return [action.action for action in reversed(stage.operations.actions(1_000))]


async def test_an_engine_that_falls_silent_is_cleared_and_its_lease_is_free(stage: Stage) -> None:
    """From the ready line to the last sign-off, with everything in the stores."""
    await stage.quote()
    stage.beat()
    ready: list[dict[str, Any]] = []
    settings = msgspec.structs.replace(stage.plan.settings, recovery="manual", dead_man_s=9.0)
    plan = msgspec.structs.replace(stage.plan, settings=settings)
    watching = asyncio.create_task(live(plan, stage.data, "", {}, ready.append))
    await until(lambda: "closed" in did(stage))
    assert ready[0]["venues"] == ["sim"]
    assert await stage.standing() == 0
    lease = stage.trading.lease(RUN)
    assert lease is not None
    assert (lease.fence, lease.expires_ns) == (stage.fence + 1, 0)

    def seen() -> overview.AngelOverview:
        return overview.overview(stage.operations, stage.trading, SystemClock())

    await until(lambda: [angel.alive for angel in seen().angels] == [True])
    found = seen()
    assert found.waiting_for_owner
    assert "cleared" in [action.action for action in found.last_intervention]
    assert overview.resume(stage.operations) == ["instance"]
    assert CAUSE not in {row.cause for row in stage.operations.restrictions()}
    await until(lambda: NODE not in {beat.node for beat in stage.operations.beats()})
    os.kill(os.getpid(), signal.SIGTERM)
    angel = await watching
    assert angel.faults == 0
    assert [beat.role for beat in stage.operations.beats()] == []
    assert did(stage)[-1] == "left"


async def test_an_angel_leaves_when_its_folder_is_removed(stage: Stage, tmp_path: Path) -> None:
    """Whoever deletes an instance need not hunt for its Angel."""
    watching = asyncio.create_task(live(stage.plan, stage.data, "", {}, lambda _: None))
    await until(lambda: "venue_ready" in did(stage))
    (tmp_path / "angel" / "angel.lock").unlink()
    await watching


async def test_without_a_source_it_does_not_begin(stage: Stage) -> None:
    """Nothing to look at is an error, not a calm watch."""
    with pytest.raises(NoSourceError):
        await assemble(stage.plan, stage.data, "", {}, with_store=False)


async def test_a_dry_run_lists_what_would_go_and_touches_nothing(stage: Stage) -> None:
    """In scope and out of it; a venue that does not answer is named."""
    await stage.quote(2)
    assembled = await assemble(stage.plan, stage.data, "", {})
    async with assembled.closing:
        ours = Scope(whole_account=False, prefixes=(instance_prefix(INSTANCE),))
        found = await dry_run(assembled.angel, ours)
        others = await dry_run(assembled.angel, Scope(whole_account=False, prefixes=("mmother",)))
        await assembled.angel.leave()
    assert [order.venue for order in found.orders] == ["sim", "sim"]
    assert (found.spared, len(others.orders), others.spared) == (0, 0, 2)
    assert found.silent == {}
    assert await stage.standing() == 2


async def test_a_drill_takes_a_run_and_gives_it_back(stage: Stage) -> None:
    """Times in order, orders gone, the lease free under a new fence."""
    await stage.quote(2)
    assembled = await assemble(stage.plan, stage.data, "", {})
    async with assembled.closing:
        report = await drill_run(assembled.angel, INSTANCE, RUN, "drill-1", SystemClock())
        await assembled.angel.leave()
    assert report.orders_cancelled == 2
    assert report.swept_ms is not None
    assert report.proven_ms is not None
    assert report.closed_ms is not None
    assert 0 <= report.swept_ms <= report.proven_ms <= report.closed_ms
    assert await stage.standing() == 0


async def test_a_freeze_drill_needs_one_engine_here_and_an_angel(stage: Stage) -> None:
    """Anything else is refused before a process is touched."""
    with pytest.raises(DrillRefusedError, match="no engine of this machine"):
        engine_to_freeze(stage.operations, None)
    stage.beat(pid=os.getpid())
    with pytest.raises(DrillRefusedError, match="no Angel watches"):
        engine_to_freeze(stage.operations, None)
    stage.operations.beat(Beat(node="angel-1", role="angel", seq=1, started_ms=1, at_ms=1))
    stage.beat(2, pid=1)
    with pytest.raises(DrillRefusedError, match="not an engine of ours"):
        engine_to_freeze(stage.operations, NODE)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks into /proc")
async def test_a_freeze_drill_thaws_what_it_froze_and_tells_the_times(stage: Stage) -> None:
    """The engine stands still only until the Angel has closed its intervention."""
    sleeper = [sys.executable, "-c", "import time; time.sleep(60)  # mrmarket"]
    process = subprocess.Popen(sleeper)  # noqa: ASYNC220 - it is there at once
    try:
        stage.beat(pid=process.pid)
        stage.operations.beat(Beat(node="angel-1", role="angel", seq=1, started_ms=1, at_ms=1))
        engine = engine_to_freeze(stage.operations, None)
        drilling = asyncio.create_task(drill_freeze(stage.operations, engine, SystemClock()))
        await until(lambda: drilling.done() or is_stopped(process.pid))
        now_ms = SystemClock().now_ns() // 1_000_000
        for number, name in enumerate(("intervene", "cancelling", "proving", "cleared", "closed")):
            stage.operations.log_action(
                AngelAction(
                    id=f"a{number}", angel="angel-1", at_ms=now_ms + number, incident="i", action=name
                )
            )
        report = await drilling
        await until(lambda: not is_stopped(process.pid))
    finally:
        process.kill()
        process.wait()
    assert (report.kind, report.target, report.orders_cancelled) == ("freeze", NODE, 1)
    assert report.noticed_ms is not None
    assert report.closed_ms == report.noticed_ms + 4


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks into /proc")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
async def test_a_freeze_drill_that_is_ended_leaves_no_engine_frozen(
    stage: Stage, number: signal.Signals
) -> None:
    """Also not after many interventions of the past, whose ends are not taken for this one's."""
    for count in range(300):
        action = "closed" if count == 0 else "cancelling"
        stage.operations.log_action(
            AngelAction(id=f"old{count}", angel="angel-1", at_ms=count, incident="old", action=action)
        )
    sleeper = [sys.executable, "-c", "import time; time.sleep(60)  # mrmarket"]
    process = subprocess.Popen(sleeper)  # noqa: ASYNC220 - it is there at once
    try:
        stage.beat(pid=process.pid)
        stage.operations.beat(Beat(node="angel-1", role="angel", seq=1, started_ms=1, at_ms=1))
        engine = engine_to_freeze(stage.operations, None)
        drilling = asyncio.create_task(drill_freeze(stage.operations, engine, SystemClock()))
        await until(lambda: drilling.done() or is_stopped(process.pid))
        os.kill(os.getpid(), number)
        with pytest.raises(DrillFailedError, match="ended in the middle"):
            await drilling
        await until(lambda: not is_stopped(process.pid))
    finally:
        process.kill()
        process.wait()


def filled(trade_id: str, side: Side, size: str) -> Filled:
    """A trade of the run."""
    return Filled(
        venue="sim",
        at_ns=1,
        symbol=SYMBOL,
        base="BTC",
        quote="USDT",
        trade_id=trade_id,
        client_order_id="x",
        venue_order_id="y",
        side=side,
        price="60000",
        size=size,
        quote_size="1",
        fee="0",
        fee_asset="USDT",
        maker=True,
    )


async def test_flatten_sells_what_the_run_bought(stage: Stage) -> None:
    """Positions come from the event log; the order is filled at once inside its limit, on the grid."""
    stage.trading.append_facts(RUN, [filled("1", Side.BUY, "0.3"), filled("2", Side.SELL, "0.1")])
    keys = {"MRMARKET_FLATTEN_API_KEY": stage.server.api_key}
    with pytest.raises(FlattenKeyMissingError, match="MRMARKET_FLATTEN_API_SECRET"):
        VenueFlattener(stage.plan, keys, None, SystemClock())
    keys["MRMARKET_FLATTEN_API_SECRET"] = stage.server.api_secret
    late = Late(lambda: stage.trading)
    flattener = VenueFlattener(stage.plan, keys, late, SystemClock())
    try:
        (position,) = await flattener.positions([RUN])
        assert (position.venue, position.symbol, position.base) == ("sim", SYMBOL, Decimal("0.2"))
        bid, ask = await flattener.touch("sim", SYMBOL)
        assert 0 < bid < ask
        sold = await flattener.immediate("sim", SYMBOL, Side.SELL, Decimal("0.001"), bid * Decimal("0.99"))
        bought = await flattener.immediate("sim", SYMBOL, Side.BUY, Decimal("0.001"), ask * Decimal("1.01"))
        nothing = await flattener.immediate("sim", SYMBOL, Side.BUY, Decimal("0.000001"), ask)
        assert (sold, bought, nothing) == (Decimal("0.001"), Decimal("0.001"), Decimal(0))
    finally:
        await flattener.close()
    assert await VenueFlattener(stage.plan, keys, None, SystemClock()).positions([RUN]) == []


async def test_a_process_that_cannot_begin_says_why(tmp_path: Path) -> None:
    """In its own words, with its exit status."""
    account = WatchedAccount(name="binance", exchange="binance")
    process = AngelProcess(tmp_path, AngelPlan(instance="i", accounts=[account]))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MRMARKET_")}
    with pytest.raises(AngelProcessError, match="no exchange key") as refused:
        await process.start(environment)
    assert refused.value.status == 2
    assert process.pid is None
