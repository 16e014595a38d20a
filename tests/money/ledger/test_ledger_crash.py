"""SIGKILL at every labelled point of posting: what was acknowledged is there, the rest whole or absent."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from money import crash_child
from money.ledger_samples import ALICE, OPENING, USD, deposit
from mrmarket.core.clock import ManualClock
from mrmarket.money.ledger.group import Posted
from mrmarket.money.ledger.ledger import Ledger
from mrmarket.money.ledger.sqlite_store import SqliteStore
from mrmarket.money.ledger.verification import verify_ledger


@pytest.mark.parametrize("label", ["fence_checked", "first_group_written", "balances_written", "committed"])
@pytest.mark.parametrize("nth", [1, 4])
def test_a_killed_writer_keeps_what_it_acknowledged(tmp_path: Path, label: str, nth: int) -> None:
    """After the kill the file verifies, holds every acknowledged posting, and repeats complete the rest."""
    done = subprocess.run(
        [sys.executable, crash_child.__file__, "post", str(tmp_path), label, str(nth)],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    acknowledged = done.stdout.split()
    path = tmp_path / "money.db"
    store = SqliteStore.open(path, "heir")
    ledger = Ledger(store, ManualClock())
    present = {record.key for record in store.records(0, 1_000)}
    assert set(acknowledged) <= present
    outcomes = ledger.drain(
        [OPENING, *(deposit(f"k{number}", number + 1) for number in range(crash_child.POSTINGS))]
    )
    assert all(isinstance(outcome.value, Posted) for outcome in outcomes)
    assert ledger.state.balances[ALICE.id, USD.id] == sum(range(1, crash_child.POSTINGS + 1))
    ledger.close()
    check = verify_ledger(path)
    assert (check.ok, check.groups) == (True, crash_child.POSTINGS + 1)
