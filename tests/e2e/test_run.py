"""The whole path as a user drives it: real processes, real sockets, the committed tape."""

from __future__ import annotations

import json
import subprocess
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from e2e.running import END_S, RunningInstance, command, reconcile, start_instance, wait_until
from mrmarket.services.audit import verify_money
from mrmarket.store.trading_store import TradingStore
from shared_data import SHARED, needs_shared

pytestmark = pytest.mark.e2e

TAPE = Path(__file__).resolve().parents[1] / "tapes" / "generated.tape.gz"
FIELDS = {
    *(
        "tape",
        "events",
        "orders_placed",
        "orders_cancelled",
        "fills",
        "maker_fills",
        "volume_quote",
        "fees_quote",
    ),
    *(
        "cash_quote",
        "inventory_base",
        "final_mid",
        "pnl_quote",
        "nav_per_share",
        "quote_latency_us",
        "ledger_verified",
    ),
}


def run_to_the_end(data: Path, *arguments: str, status: int = 0) -> dict[str, Any]:
    """`mrmarket run --json` until it ends by itself; its one object."""
    done = subprocess.run(
        command("run", "--data", str(data), "--port", "0", "--json", *arguments),
        capture_output=True,
        timeout=1200,
        check=False,
    )
    assert done.returncode == status, done.stderr.decode()
    lines = done.stdout.splitlines()
    assert len(lines) == 1, done.stdout
    answer: dict[str, Any] = json.loads(lines[0])
    return answer


def fills_in_log(data: Path) -> int:
    """How many trades of ours the event log holds."""
    store = TradingStore.open(data / "trading.db")
    try:
        assert store.verify_log().ok
        return sum(len(store.latest_facts(stream, 10_000, ("filled",))) for stream in store.streams())
    finally:
        store.close()


def test_a_tape_is_traded_to_its_end_and_the_books_add_up(tmp_path: Path) -> None:
    """One object on stdout with every field; the ledger verifies; no order is left; fills are in the log."""
    for speed in ("30", "4"):  # a busy machine may not come to quote before a fast tape is over
        data = tmp_path / f"data-{speed}"
        summary = run_to_the_end(data, "--tape", str(TAPE), "--speed", speed)
        if summary["orders_placed"]:
            break
    assert summary.keys() >= FIELDS
    assert summary["ledger_verified"] is True
    assert summary["orders_remaining"] == 0
    assert summary["orders_placed"] > 0
    assert summary["fills"] == fills_in_log(data)
    assert {"p50", "p99"} <= summary["quote_latency_us"].keys()
    for field in ("volume_quote", "fees_quote", "inventory_base", "pnl_quote", "nav_per_share"):
        assert isinstance(summary[field], str)
        Decimal(summary[field])
    cash, base, mid, fees = (
        Decimal(summary[field]) for field in ("cash_quote", "inventory_base", "final_mid", "fees_quote")
    )
    assert Decimal(summary["pnl_quote"]) == cash + base * mid - fees
    assert verify_money(data).ok


@needs_shared
def test_the_real_tape_gives_real_maker_fills(tmp_path: Path) -> None:
    """On the recorded BTC/USDT tape our quotes are filled as maker, and fees are paid for it."""
    tape = SHARED / "market/binance_raw_20240808/spot_btcusdt_20240808.gz"
    summary = run_to_the_end(tmp_path / "data", "--tape", str(tape), "--for", "300", "--speed", "20")
    assert summary["maker_fills"] > 0
    assert Decimal(summary["fees_quote"]) > 0
    assert summary["ledger_verified"] is True
    assert verify_money(tmp_path / "data").ok


def test_an_interrupted_instance_leaves_no_order_behind(tmp_path: Path) -> None:
    """Ctrl-C cancels everything, settles, and the next start finds the books as they were."""
    data = tmp_path / "data"
    running = start_instance(data, "--speed", "10")
    wait_until(lambda: running.remote.performance().fills > 0 and running.remote.status().open_orders > 0)
    assert running.interrupt() == 0
    store = TradingStore.open(data / "trading.db")
    assert [record for stream in store.streams() for record in store.open_intents(stream)] == []
    store.close()
    assert verify_money(data).ok
    before = fills_in_log(data)
    again = start_instance(data, "--speed", "10")
    wait_until(lambda: again.remote.status().open_orders > 0)
    assert again.remote.performance().fills >= before
    assert again.interrupt() == 0


def test_a_killed_instance_comes_back_with_the_same_books(tmp_path: Path) -> None:
    """After `kill -9` nothing acknowledged is lost, nothing is settled twice, and it trades again."""
    data = tmp_path / "data"
    for _ in range(3):
        running = start_instance(data, "--speed", "20")
        trade_some(running)
        running.kill()
        assert verify_money(data).ok
        known = fills_in_log(data)
    running = start_instance(data, "--speed", "20")
    trade_some(running)
    assert running.remote.performance().fills > known
    assert running.interrupt() == 0
    assert verify_money(data).ok
    differences = {line.asset: line.difference for line in reconcile(data)}
    assert set(differences.values()) == {"0"}, differences


def trade_some(running: RunningInstance) -> None:
    """Wait for one more fill and a live quote."""
    floor = running.remote.performance().fills
    wait_until(lambda: running.remote.performance().fills > floor and running.remote.status().open_orders > 0)


def test_one_folder_holds_one_instance(tmp_path: Path) -> None:
    """A second instance on the same folder is refused with the process that holds it."""
    data = tmp_path / "data"
    running = start_instance(data)
    refused = subprocess.run(
        command("run", "--data", str(data), "--port", "0"), capture_output=True, timeout=180, check=False
    )
    assert refused.returncode == 3
    assert str(running.process.pid) in refused.stderr.decode()
    assert running.interrupt() == 0


def test_status_and_doctor_look_at_a_running_instance(tmp_path: Path) -> None:
    """`status --json` and `doctor --json` answer one object each while it runs."""
    data = tmp_path / "data"
    running = start_instance(data)
    status = json.loads(
        subprocess.check_output(command("status", "--data", str(data), "--json"), timeout=120)
    )
    assert status["instance"]["state"] == "running"
    assert status["url"] == running.url
    doctor = json.loads(
        subprocess.check_output(command("doctor", "--data", str(data), "--json"), timeout=120)
    )
    assert doctor["ok"] is True
    assert running.interrupt() == 0


def test_the_venue_alone_announces_itself_on_one_line(tmp_path: Path) -> None:
    """`mrmarket venue --json` prints its addresses and a key pair, and ends when interrupted."""
    process = subprocess.Popen(
        command("venue", "--tape", str(TAPE), "--port", "0", "--json"), stdout=subprocess.PIPE, cwd=tmp_path
    )
    assert process.stdout is not None
    ready = json.loads(process.stdout.readline())
    assert {"rest", "ws", "api_key", "api_secret"} <= ready.keys()
    process.terminate()
    assert process.wait(END_S) == 0
    process.stdout.close()
