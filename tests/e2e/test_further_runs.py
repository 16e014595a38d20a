"""Several runs in one process."""

from __future__ import annotations

from pathlib import Path

from e2e.running import start_instance, wait_until
from mrmarket.core.events import Filled
from mrmarket.store.sqlite_operations import SqliteOperations
from mrmarket.store.trading_store import TradingStore

CONFIG = """
[simulation]
speed = 20.0
[angel]
enabled = false
[strategy]
order_refresh_time = 0.5
[[runs]]
id = "second"
account = "b"
[runs.strategy]
order_refresh_time = 0.5
bid_spread = 0.00004
ask_spread = 0.00004
"""


def test_a_further_run_trades_on_an_account_of_its_own(tmp_path: Path) -> None:
    """Both quote in one process over one feed; trades of the second never reach the books of the first."""
    config = tmp_path / "mrmarket.toml"
    config.write_text(CONFIG)
    running = start_instance(tmp_path / "data", "--config", str(config))
    try:
        operations = SqliteOperations.open(tmp_path / "data" / "control.db")
        wait_until(lambda: {report.state for report in operations.reports()} == {"running"})
        assert {report.run for report in operations.reports()} == {"second", "simulated.BTCUSDT"}
        store = TradingStore.open(tmp_path / "data" / "trading.db")
        wait_until(lambda: store.latest_facts("second", 1, ("filled",)))
        (row,) = store.latest_facts("second", 1, ("filled",))
        assert isinstance(row.fact, Filled)
        assert row.fact.venue == "simulated-b"
        operations.close()
        store.close()
    finally:
        assert running.interrupt() == 0
