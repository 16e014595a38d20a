"""The order journal: written before sending, never lost, never confused."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from mrmarket.store.trading_store import TradingStore
from store.trading_samples import STREAM, intent


def test_the_open_list_is_served_by_its_index(store: TradingStore, path: Path) -> None:
    """Finding open orders costs nothing with a long history."""
    store.record_intent(intent("a"))
    connection = sqlite3.connect(path)
    plan = connection.execute(
        "EXPLAIN QUERY PLAN SELECT * FROM orders WHERE stream = ? AND"
        " state NOT IN ('filled', 'cancelled', 'rejected', 'expired') ORDER BY created_ns, rowid",
        (STREAM,),
    ).fetchall()
    connection.close()
    assert any("orders_open" in row[3] for row in plan)
