"""The instance against an exchange that is not its child: live with keys, and on paper with none."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from e2e.running import END_S, RunningInstance, command, read_json, reconcile, start_instance, wait_until
from mrmarket.services.audit import verify_money
from mrmarket.trading.venue.front.signature import sign

pytestmark = pytest.mark.e2e


@pytest.fixture
def exchange(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """`mrmarket venue` on the built-in market, as an exchange that goes on whatever happens to us."""
    process = subprocess.Popen(
        command("venue", "--port", "0", "--speed", "10", "--json", "--state", str(tmp_path / "exchange")),
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    ready: dict[str, Any] = json.loads(process.stdout.readline())
    yield ready
    process.terminate()
    process.wait(END_S)
    process.stdout.close()


def configure(tmp_path: Path, exchange: dict[str, Any]) -> Path:
    """A config file that takes the exchange for Binance."""
    file = tmp_path / "mrmarket.toml"
    file.write_text(
        "[venue]\n"
        'exchange = "binance"\n'
        f'rest_url = "{exchange["rest"]}"\n'
        f'ws_url = "{exchange["ws"]}"\n'
        f'ws_api_url = "{exchange["ws_api"]}"\n'
        "[strategy]\n"
        "order_refresh_time = 0.5\n"
    )
    return file


@pytest.fixture
def keys(exchange: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """The exchange's key pair, in the environment, where live trading looks for it."""
    monkeypatch.setenv("MRMARKET_API_KEY", exchange["api_key"])
    monkeypatch.setenv("MRMARKET_API_SECRET", exchange["api_secret"])


def test_orders_that_lived_on_while_we_were_dead_are_found_again(
    tmp_path: Path, exchange: dict[str, Any], keys: None
) -> None:
    """The exchange goes on after `kill -9`; the next start finds our orders and what they were filled."""
    data, config = tmp_path / "data", configure(tmp_path, exchange)
    running = start_instance(data, "--config", str(config))
    wait_until(lambda: running.remote.performance().fills > 0 and running.remote.status().open_orders >= 2)
    running.kill()
    # The market goes on without us: what stands may be filled.
    time.sleep(3)
    again = start_instance(data, "--config", str(config))
    wait_until(lambda: again.remote.status().open_orders >= 2)
    wait_until(lambda: again.remote.status().ledger_verified is True)
    assert balances_agree(again, exchange)
    assert again.interrupt() == 0
    assert verify_money(data).ok


def balances_agree(running: RunningInstance, exchange: dict[str, Any]) -> bool:
    """Whether, with trading stopped, the ledger's holdings come to what the exchange says it owes us."""
    running.stop_trading()
    query = f"timestamp={time.time_ns() // 1_000_000}"
    url = f"{exchange['rest']}/api/v3/account?{query}&signature={sign(exchange['api_secret'], query)}"
    account = read_json(url, {"X-MBX-APIKEY": exchange["api_key"]})
    held = {row["asset"]: row for row in account["balances"]}
    wait_until(lambda: pool_holds(running, held))
    return True


def pool_holds(running: RunningInstance, held: dict[str, dict[str, str]]) -> bool:
    """Whether the ledger's holdings are what the exchange says, to the last digit."""
    holdings = {holding.asset: Decimal(holding.amount) for holding in running.remote.pool().holdings}
    return all(
        holdings.get(asset) == Decimal(held[asset]["free"]) + Decimal(held[asset]["locked"])
        for asset in ("BTC", "USDT")
    )


def test_paper_trading_sends_no_order_and_survives_a_kill(tmp_path: Path, exchange: dict[str, Any]) -> None:
    """Quotes on the exchange's public feed without a key; after `kill -9` account and ledger agree."""
    assert "MRMARKET_API_KEY" not in os.environ
    data, config = tmp_path / "data", configure(tmp_path, exchange)
    running = start_instance(data, "--config", str(config), "--paper")
    status = running.remote.status()
    assert (status.paper, status.simulated) == (True, False)
    wait_until(lambda: running.remote.performance().fills > 0)
    wait_until(lambda: len(running.remote.pool().depositors) == 3)
    running.kill()
    again = start_instance(data, "--config", str(config), "--paper")
    wait_until(lambda: again.remote.status().open_orders > 0)
    assert again.interrupt() == 0
    assert verify_money(data).ok
    assert {line.difference for line in reconcile(data)} == {"0"}


def test_live_trading_without_a_key_is_refused(tmp_path: Path, exchange: dict[str, Any]) -> None:
    """The line names the variables to set; nothing is sent."""
    config = configure(tmp_path, exchange)
    refused = subprocess.run(
        command("run", "--config", str(config), "--data", str(tmp_path / "data"), "--port", "0"),
        capture_output=True,
        timeout=180,
        check=False,
    )
    assert refused.returncode == 2
    assert b"MRMARKET_API_KEY" in refused.stderr


def test_no_secret_reaches_the_log_or_the_screen(
    tmp_path: Path, exchange: dict[str, Any], keys: None
) -> None:
    """Neither key nor secret stands in the log, the config view or an error."""
    data, config = tmp_path / "data", configure(tmp_path, exchange)
    running = start_instance(data, "--config", str(config))
    wait_until(lambda: running.remote.performance().orders_placed > 0)
    shown = subprocess.check_output(command("config", "show", "--config", str(config), "--json"), timeout=120)
    assert running.interrupt() == 0
    everything = shown + (data / "mrmarket.log").read_bytes() + (tmp_path / "data.log").read_bytes()
    for secret in (exchange["api_key"], exchange["api_secret"]):
        assert secret.encode() not in everything


def test_a_live_feed_is_recorded_to_a_tape(tmp_path: Path, exchange: dict[str, Any]) -> None:
    """`mrmarket record` writes a tape that `tape info` reads to the end."""
    tape = tmp_path / "recorded.tape.gz"
    urls = ("--rest-url", exchange["rest"], "--ws-url", exchange["ws"])
    for length_s in ("3", "60"):  # a busy machine may need longer until the first event is there
        recorded = subprocess.check_output(
            command("record", "binance", "BTC/USDT", "--out", str(tape), "--for", length_s, "--json", *urls),
            timeout=300,
        )
        if json.loads(recorded)["events"]:
            break
        tape.unlink()
    assert json.loads(recorded)["events"] > 0
    info = json.loads(subprocess.check_output(command("tape", "info", str(tape), "--json"), timeout=180))
    assert info["instrument"]["symbol"] == "BTC/USDT"
    assert info["gap_lines"] == []
