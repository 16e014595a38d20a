"""The rail as a process of its own: announced, killed at every step, ended, and watched by its parent."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from front_desk import quiet_events, quiet_instrument
from mrmarket.core.crash import VARIABLE
from mrmarket.core.errors import MrMarketError
from mrmarket.money.payouts.port import SendRequest, SendState
from mrmarket.services.child_process import ChildProcess
from mrmarket.services.rail import CRASH_POINTS
from mrmarket.services.rail.client import RailClient
from mrmarket.services.rail.config import RailConfig, VenueLink
from mrmarket.services.rail.funding import RailVenueFunding
from mrmarket.services.rail.life import serve
from mrmarket.services.rail.messages import RailEndpoints, WalletAnswer
from mrmarket.services.rail.payment import Stage
from mrmarket.services.rail.process import RailProcess, RailProcessError
from mrmarket.trading.market.tape import TapeWriter
from mrmarket.trading.venue.front.config import VenueConfig
from mrmarket.trading.venue.front.server import VenueServer
from rail_conformance import FINAL, insist, until
from services.rail.rail_bench import FAST, SimulatedBench

pytestmark = pytest.mark.e2e

OPENING = 1_000_000 * 10**8


@contextmanager
def running(state: Path, crash_at: str = "") -> Iterator[tuple[subprocess.Popen[bytes], RailEndpoints]]:
    """`mrmarket rail` on a folder, to die at a label; ended at the latest with the block."""
    state.mkdir(mode=0o700, exist_ok=True)
    plan = state / "plan.json"
    plan.write_bytes(msgspec.json.encode(RailConfig(state_dir=str(state), exit_with_parent=True, **FAST)))
    command = [sys.executable, "-m", "mrmarket", "rail", "--plan", str(plan), "--json"]
    environment = {**os.environ, VARIABLE: crash_at} if crash_at else {**os.environ}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as child:
        try:
            assert child.stdout is not None
            yield child, msgspec.json.decode(child.stdout.readline(), type=RailEndpoints)
        finally:
            child.kill()


def _paid(wallet: WalletAnswer) -> bool:
    return any(each.memo == "d-1" and each.stage is Stage.CONFIRMED for each in wallet.payments)


class Errands:
    """Everything that moves money, under keys that stay the same over a crash."""

    def __init__(self) -> None:
        self.wallet = "0x" + "cd" * 20
        self.friend = "0x" + "ef" * 20
        self.send_key, self.deposit_key, self.withdraw_key = (str(uuid.uuid4()) for _ in range(3))

    async def run(self, endpoints: RailEndpoints, venue: VenueServer) -> None:
        """Fund, pay in, send, deposit, withdraw; each to its end."""
        bench = SimulatedBench(endpoints)
        client, funding = RailClient(endpoints), RailVenueFunding(endpoints)
        try:
            await client.link_venue(VenueLink(url=venue.rest_url, token=venue.funding_token))
            await bench.wallets.fund(self.wallet, "fund", "USDT", "0.00001000")
            await bench.wallets.pay(self.wallet, "pay", endpoints.treasury, "USDT", "0.00000900", "d-1")
            await until(lambda: bench.wallets.wallet(self.wallet), _paid)
            sent = await insist(client, SendRequest(self.send_key, "USDT", 200, self.friend, ""))
            target = await funding.deposit_address("USDT")
            deposited = await insist(client, SendRequest(self.deposit_key, "USDT", 300, target, "m"))
            await funding.withdraw(self.withdraw_key, "USDT", 50, 8, endpoints.treasury, "w")
            withdrawn = await until(
                lambda: funding.find(self.withdraw_key), lambda report: report.state in FINAL
            )
            assert {sent.state, deposited.state, withdrawn.state} == {SendState.CONFIRMED}
            assert await client.balances() == {"USDT": 450, "BTC": 0, "ETH": 0}
            assert (await bench.held(self.wallet), await bench.held(self.friend)) == (100, 200)
        finally:
            await bench.close()
            await client.close()
            await funding.close()


@pytest.fixture(scope="module")
def quiet_tape(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A market in which nothing fills."""
    path = tmp_path_factory.mktemp("tapes") / "quiet.tape.gz"
    with TapeWriter(path, quiet_instrument()) as writer:
        for event in quiet_events():
            writer.write(event)
    return path


@pytest.mark.parametrize("visit", [1, 2, 4])
@pytest.mark.parametrize("label", CRASH_POINTS)
async def test_a_kill_at_any_step_loses_and_doubles_nothing(
    quiet_tape: Path, tmp_path: Path, label: str, visit: int
) -> None:
    """Killed there, started again and asked again with the same keys: every figure is as without a kill."""
    venue = VenueServer(VenueConfig(tapes=[str(quiet_tape)]))
    await venue.start()
    errands = Errands()
    try:
        with running(tmp_path / "rail", f"{label}:{visit}") as (child, endpoints):
            task = asyncio.create_task(errands.run(endpoints, venue))
            died = asyncio.create_task(asyncio.to_thread(child.wait, 60))
            await asyncio.wait({task, died}, return_when=asyncio.FIRST_COMPLETED)
            if task.done() and task.exception() is None:
                assert visit > 1, f"{label} is never reached"
                child.kill()
            await died
            assert child.returncode == -signal.SIGKILL
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        with running(tmp_path / "rail") as (_, endpoints):
            await errands.run(endpoints, venue)
        free, locked = venue.gateway.exchange.balances("default")["USDT"]
        assert (free, locked) == (OPENING + 250, 0)
    finally:
        await venue.stop()


def test_it_ends_with_its_parent_and_on_a_signal(tmp_path: Path) -> None:
    """The end of standard input and SIGTERM are both a clean end, and the folder is free again."""
    with running(tmp_path / "rail") as (child, first):
        assert child.stdin is not None
        child.stdin.close()
        assert child.wait(90) == 0
    with running(tmp_path / "rail") as (child, second):
        assert (second.token, second.treasury) == (first.token, first.treasury)
        child.send_signal(signal.SIGTERM)
        assert child.wait(90) == 0


async def test_the_instance_starts_and_stops_its_rail(tmp_path: Path) -> None:
    """As a child: endpoints when ready, a pid while it lives, gone after stop, and started again."""
    process = RailProcess(RailConfig(state_dir=str(tmp_path / "rail"), **FAST))
    pids = [process.pid]
    first = await process.start()
    pids.append(process.pid)
    client = RailClient(first)
    assert await client.balances() == {"USDT": 0, "BTC": 0, "ETH": 0}
    await client.close()
    await process.stop()
    pids.append(process.pid)
    assert [pid is None for pid in pids] == [True, False, True]
    again = await process.start()
    assert again.treasury == first.treasury
    await process.stop()


async def test_a_rail_that_dies_is_noticed(tmp_path: Path) -> None:
    """`ended` gives the error and the status; a second rail on the folder says why it refuses."""
    process = RailProcess(RailConfig(state_dir=str(tmp_path / "rail"), **FAST))
    await process.start()
    assert process.pid is not None
    second = RailProcess(RailConfig(state_dir=str(tmp_path / "rail"), **FAST))
    with pytest.raises(RailProcessError, match="in use by another rail"):
        await second.start()
    os.kill(process.pid, signal.SIGKILL)
    failure = await process.ended()
    assert (failure.code, failure.status, failure.retryable) == ("rail_process_failed", -9, True)
    await process.stop()


async def test_a_child_that_says_nothing_readable_is_a_failure(tmp_path: Path) -> None:
    """Any command of ours whose first line is not what was agreed."""
    child = ChildProcess("the clock", ["--version"], RailEndpoints)
    with pytest.raises(MrMarketError, match="the clock: "):
        await child.start()
    await ChildProcess("nothing", [], RailEndpoints).stop()


async def test_a_former_life_is_given_the_time_to_leave(tmp_path: Path) -> None:
    """Its parent was killed a moment ago: the next one starts as soon as it has let go of the folder."""
    state = tmp_path / "rail"
    with running(state) as (former, _):
        process = RailProcess(RailConfig(state_dir=str(state), **FAST))
        starting = asyncio.create_task(process.start(after=state / "rail.lock"))
        done, _pending = await asyncio.wait({starting}, timeout=0.5)
        assert not done
        former.kill()
        told = await starting
        await process.stop()
    assert told.token


async def test_a_child_that_does_not_leave_is_made_to(tmp_path: Path) -> None:
    """One that overlooks the end of its input is terminated, and one that was not ready yet goes too."""
    arguments = ["rail", "--state", str(tmp_path / "rail"), "--json"]
    child = ChildProcess("a rail", arguments, RailEndpoints, patience_s=0.5)
    await child.start()
    await child.stop()
    assert child.pid is None
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await child.start()
    assert child.pid is None


def test_people_see_where_it_is(tmp_path: Path) -> None:
    """Without --json: address, tokens and treasury, each on a line of its own."""
    command = [sys.executable, "-m", "mrmarket", "rail", "--state", str(tmp_path / "rail")]
    child = subprocess.run(
        [*command, "--exit-with-parent"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert child.returncode == 0
    assert "http://127.0.0.1:" in child.stdout
    assert "treasury" in child.stdout


async def test_the_parents_end_is_watched_from_inside(tmp_path: Path) -> None:
    """A pipe that is closed ends the rail, and a port that is taken ends it at once."""
    read, write = os.pipe()
    told: list[Any] = []

    def announce(endpoints: RailEndpoints) -> None:
        told.append(endpoints)
        os.close(write)

    with os.fdopen(read, "rb") as stdin:
        config = RailConfig(state_dir=str(tmp_path / "rail"), exit_with_parent=True, **FAST)
        await serve(config, announce, stdin)
    assert len(told) == 1
    async with await asyncio.start_server(lambda *_: None, "127.0.0.1", 0) as taken:
        port = taken.sockets[0].getsockname()[1]
        with pytest.raises(MrMarketError, match="cannot listen"):
            await serve(RailConfig(state_dir=str(tmp_path / "rail"), port=port), announce)
