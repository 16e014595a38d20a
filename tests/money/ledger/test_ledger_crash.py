"""SIGKILL at every labelled point of posting: what was acknowledged is there, the rest whole or absent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from money import ledger_child
from money.ledger_samples import ALICE, BOB, OPENING, USD
from mrmarket.core.clock import ManualClock
from mrmarket.core.crash import VARIABLE
from mrmarket.money.ledger import CRASH_POINTS
from mrmarket.money.ledger.books import Pending
from mrmarket.money.ledger.group import Posted
from mrmarket.money.ledger.ledger import Ledger
from mrmarket.money.ledger.verification import verify_ledger


@pytest.fixture(params=["sqlite", "postgres"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where the ledger is."""
    if request.param == "sqlite":
        return str(tmp_path / "money.db")
    address: str = request.getfixturevalue("postgres")
    return address


@pytest.mark.parametrize("label", CRASH_POINTS)
@pytest.mark.parametrize("nth", [1, 4])
def test_a_killed_writer_keeps_what_it_acknowledged(address: str, label: str, nth: int) -> None:
    """After the kill the books verify, hold every acknowledged posting, and repeats complete the rest."""
    done = subprocess.run(
        [sys.executable, ledger_child.__file__, address],
        check=False,
        capture_output=True,
        text=True,
        env=os.environ | {VARIABLE: f"{label}:{nth}"},
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    acknowledged = done.stdout.split()
    store = ledger_child.open_store(address)
    ledger = Ledger(store, ManualClock())
    present = {record.key for record in store.records(0, 1_000)}
    assert set(acknowledged) <= present
    postings = [ledger_child.posting(number) for number in range(ledger_child.POSTINGS)]
    outcomes = ledger.drain([OPENING, *postings])
    assert all(isinstance(outcome.value, Posted) for outcome in outcomes)
    assert ledger.state.balances[ALICE.id, USD.id] == sum(range(1, ledger_child.POSTINGS + 1))
    assert ledger.state.pending[BOB.id, USD.id] == Pending(0, ledger_child.POSTINGS)
    assert ledger.state == Ledger(store, ManualClock()).state
    ledger.close()
    if address.startswith("/"):
        check = verify_ledger(Path(address))
        assert (check.ok, check.groups) == (True, ledger_child.POSTINGS + 1)
