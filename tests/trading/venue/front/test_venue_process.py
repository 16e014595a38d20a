"""The venue as a process of its own: announced, killed, ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
import requests

from front_desk import quiet_events, quiet_instrument
from mrmarket.core.clock import NS_PER_MS
from mrmarket.trading.market.tape import TapeWriter
from mrmarket.trading.venue.front.config import VenueConfig
from mrmarket.trading.venue.front.process import print_json_line, serve
from mrmarket.trading.venue.front.signature import sign

RUN = """
import sys, msgspec
from mrmarket.core.errors import MrMarketError
from mrmarket.trading.venue.front.config import VenueConfig
from mrmarket.trading.venue.front.process import run_venue
try:
    run_venue(msgspec.json.decode(sys.argv[1], type=VenueConfig))
except MrMarketError as error:
    sys.exit(f"{error.code}: {error}")
"""

pytestmark = pytest.mark.e2e


class Process:
    """A running venue and a signed client of its first account."""

    def __init__(self, child: subprocess.Popen[bytes]) -> None:
        assert child.stdout is not None
        self.child = child
        self.where: dict[str, Any] = msgspec.json.decode(child.stdout.readline())

    def call(self, method: str, path: str, **fields: Any) -> Any:
        """A signed call's JSON."""
        server_ms = requests.get(self.where["rest"] + "/api/v3/time", timeout=60).json()["serverTime"]
        query = "&".join(f"{name}={value}" for name, value in (fields | {"timestamp": server_ms}).items())
        url = f"{self.where['rest']}{path}?{query}&signature={sign(self.where['api_secret'], query)}"
        headers = {"X-MBX-APIKEY": self.where["api_key"]}
        return requests.request(method, url, headers=headers, timeout=60).json()


@contextmanager
def running(**config: Any) -> Iterator[Process]:
    """A venue process, ended at the latest with the block."""
    command = [sys.executable, "-c", RUN, msgspec.json.encode(config).decode()]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        try:
            yield Process(child)
        finally:
            child.kill()


def test_an_acknowledged_order_and_its_fills_survive_kill_9(quiet_tape: Path, tmp_path: Path) -> None:
    """Filled, placed, killed, started again: same key, same order, same trades, same balances."""
    config = {"tapes": [str(quiet_tape)], "state_dir": str(tmp_path / "state")}
    order = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC"}
    with running(**config) as first:
        taken = first.call("POST", "/api/v3/order", **order, quantity="0.5", price="60010")
        assert taken["status"] == "FILLED"
        placed = first.call(
            "POST", "/api/v3/order", **order, quantity="1", price="60005", newClientOrderId="kept"
        )
        before = [
            first.call("GET", path, symbol="BTCUSDT") for path in ("/api/v3/openOrders", "/api/v3/myTrades")
        ]
        balances = first.call("GET", "/api/v3/account")["balances"]
        first.child.send_signal(signal.SIGKILL)
        first.child.wait(90)
    with running(**config) as second:
        assert second.where["api_key"] == first.where["api_key"]
        after = [
            second.call("GET", path, symbol="BTCUSDT") for path in ("/api/v3/openOrders", "/api/v3/myTrades")
        ]
        assert after == before
        assert second.call("GET", "/api/v3/account")["balances"] == balances
        gone = second.call("DELETE", "/api/v3/order", symbol="BTCUSDT", origClientOrderId="kept")
        assert (gone["orderId"], gone["status"]) == (placed["orderId"], "CANCELED")


def test_sigterm_ends_the_venue_cleanly(quiet_tape: Path) -> None:
    """Exit code 0; the announcement has everything a client needs."""
    with running(tapes=[str(quiet_tape)]) as venue:
        keys = {"api_key", "api_secret", "angel_key", "angel_secret", "accounts", "keys", "funding_token"}
        assert set(venue.where) == {"rest", "ws", "ws_api", "symbols", "instruments"} | keys
        assert venue.where["instruments"][0]["tick_size"] == "0.01"
        venue.child.send_signal(signal.SIGTERM)
        assert venue.child.wait(90) == 0


def test_the_venue_ends_with_its_parent(quiet_tape: Path) -> None:
    """The end of standard input is the end of the venue, if asked for."""
    with running(tapes=[str(quiet_tape)], exit_with_parent=True) as venue:
        assert venue.child.stdin is not None
        venue.child.stdin.close()
        assert venue.child.wait(90) == 0


def test_a_taken_port_is_one_line(quiet_tape: Path) -> None:
    """The second venue ends at once and says what to do; the first goes on."""
    with running(tapes=[str(quiet_tape)]) as first:
        port = int(first.where["rest"].rpartition(":")[2])
        config = msgspec.json.encode({"port": port, "tapes": [str(quiet_tape)]}).decode()
        second = subprocess.run(
            [sys.executable, "-c", RUN, config], capture_output=True, text=True, timeout=180, check=False
        )
        assert (second.returncode, second.stdout) == (1, "")
        assert second.stderr.startswith(f"port_taken: cannot listen on 127.0.0.1:{port}")
        assert second.stderr.count("\n") == 1
        assert first.call("GET", "/api/v3/openOrders") == []


async def test_a_tape_that_is_over_ends_the_venue(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It tells where it was, that it ended, and returns."""
    path = tmp_path / "short.tape"
    with TapeWriter(path, quiet_instrument()) as writer:
        for event in quiet_events(1):
            writer.write(event)
    await serve(VenueConfig(tapes=[str(path)], loop=False, speed=1_000.0), print_json_line)
    announced, ended = (msgspec.json.decode(line) for line in capsys.readouterr().out.splitlines())
    assert announced["symbols"] == ["BTC/USDT"]
    assert ended["clock"]["elapsed_tape_ns"] == 1_000 * NS_PER_MS


async def test_the_parents_end_is_watched(quiet_tape: Path, tmp_path: Path) -> None:
    """A pipe that is closed ends the venue from inside."""
    read, write = os.pipe()
    told: list[dict[str, Any]] = []

    def announce(fields: dict[str, Any]) -> None:
        told.append(fields)
        os.close(write)

    with os.fdopen(read, "rb") as stdin:
        config = VenueConfig(tapes=[str(quiet_tape)], exit_with_parent=True, state_dir=str(tmp_path))
        await serve(config, announce, stdin)
    assert len(told) == 1
    assert (tmp_path / "venue.state").exists()
