"""What choosing between strategies remembers, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mrmarket.core.clock import SystemClock
from mrmarket.services.engine.database_line import DatabaseLine
from mrmarket.services.selection.bookkeeping import KeptEstimate
from mrmarket.services.selection.memory import SelectionMemory
from mrmarket.services.store_address import StoreAddress
from mrmarket.store.postgres_operations import open_postgres_selection
from mrmarket.store.selection_log import SelectionLog
from mrmarket.trading.strategy.selection.budget_plan import BudgetState
from mrmarket.trading.strategy.selection.roi import Outcome, RoiEstimate
from mrmarket.trading.strategy.shadow.paper_ratio import PaperRatio


@pytest.fixture(params=["sqlite", "postgresql"])
def log(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SelectionLog]:
    """An empty log."""
    opened = (
        StoreAddress(tmp_path).open_selection()
        if request.param == "sqlite"
        else open_postgres_selection(request.getfixturevalue("server_address"))
    )
    yield opened
    opened.close()


def test_a_note_is_the_last_that_was_written(log: SelectionLog) -> None:
    """Nothing, then one, then the other."""
    assert log.note("state") is None
    log.put("state", "one")
    log.put("state", "two")
    assert (log.note("state"), log.note("thresholds")) == ("two", None)


def test_rows_come_by_pages_and_in_order(log: SelectionLog) -> None:
    """Newest first page by page, also those of one millisecond; oldest first from a time on."""
    for number, at_ms in enumerate((5, 7, 7, 9)):
        log.append("decision", at_ms, str(number))
    log.append("scores", 6, "other")
    page = log.newest("decision", 2)
    rest = log.newest("decision", 5, before=page[-1][:2])
    assert [row.payload for row in (*page, *rest)] == ["3", "2", "1", "0"]
    assert [row.payload for row in log.since("decision", 7, 2)] == ["2", "3"]


def test_old_rows_are_forgotten(log: SelectionLog) -> None:
    """Only those of the kind, only those before the time."""
    log.append("decision", 5, "old")
    log.append("decision", 6, "new")
    log.append("scores", 5, "other")
    assert log.prune("decision", 6) == 1
    assert [row.payload for row in log.newest("decision", 9)] == ["new"]
    assert [row.payload for row in log.newest("scores", 9)] == ["other"]


async def test_what_was_measured_comes_back_to_the_last_digit(log: SelectionLog) -> None:
    """Estimates, budgets and caps of another life, whichever database keeps them."""
    memory = SelectionMemory(log, DatabaseLine(SystemClock(), 5.0), 30)
    assert (await memory.estimates(), await memory.budgets(), await memory.caps()) == ({}, None, {})
    stretch = Outcome(
        at_ns=7, seconds=1 / 3, profit=0.1, locked=3.0, used=1e-9, attempts=3, successes=1, volatility=1e-5
    )
    live = RoiEstimate().after(stretch, 60.0).after(replace(stretch, at_ns=10**18, profit=-0.7), 60.0)
    ratio = PaperRatio().after(stretch, stretch, 60.0)
    kept = {"main": KeptEstimate(strategy="abc", live=live, paper=RoiEstimate(), ratio=ratio)}
    budgets = BudgetState(units={"run": 10**30}, changed_ns={"run": 2**62}, worth={"run": 1}, index=0.1 + 0.2)
    await memory.save_estimates(kept)
    await memory.save_budgets(budgets)
    await memory.save_caps({"main": 0.1})
    found = (await memory.estimates(), await memory.budgets(), await memory.caps())
    assert found == (kept, budgets, {"main": 0.1})
