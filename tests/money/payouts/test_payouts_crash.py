"""SIGKILL at every labelled point of money in and out: what follows brings everything to its one end."""

from __future__ import annotations

import asyncio
import os
import random
import re
import signal
import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest

from money.payouts import payments_crash_child as child
from money.payouts.payments_house import ALICE
from mrmarket.core.crash import VARIABLE
from mrmarket.money import payouts
from mrmarket.money.ledger.verification import verify_ledger
from mrmarket.money.payouts import CRASH_POINTS
from mrmarket.money.payouts.move import MoveState
from mrmarket.money.payouts.payout import PayoutState
from mrmarket.money.payouts.view import moves, outbox, payments

PAIRS = random.Random(2_024).sample(  # noqa: S311 - a fixed choice of pairs
    list(product([f"{label}:{nth}" for label in CRASH_POINTS for nth in (1, 3)], repeat=2)), 8
)


def run(folder: Path, label: str, minutes: int) -> int:
    """One life of the process; its exit code."""
    done = subprocess.run(
        [sys.executable, child.__file__, str(folder), str(minutes)],
        check=False,
        env={**os.environ, VARIABLE: label},
        capture_output=True,
        text=True,
    )
    assert done.returncode in {0, -signal.SIGKILL}, done.stderr
    return done.returncode


def check_ends(folder: Path, minutes: int) -> None:
    """The last life: everything ends, nothing is lost, and nothing was paid twice."""
    with child.opened(folder, minutes) as house:
        assert house.faults() == []
        asyncio.run(child.live(house))
        asyncio.run(house.settle_down(20))
        assert house.faults() == []
        with house.reader.snapshot() as sql:
            rows = [line.row for line in outbox(sql, limit=1_000)]
            assert {row.state for row in rows} == {PayoutState.CONFIRMED}
            assert {row.state for row in moves(sql)} == {MoveState.DONE}
            ends = {row.id: row.standing.value for row in payments(sql) if row.id in child.MEMOS}
        assert ends == {
            "p0": "claimed",
            "p1": "refunded",
            "p2": "parked",
            "p3": "claimed",
            "p4": "refunded",
        }
        paid = sorted((units, memo) for _, units, _, memo in house.rail.paid())
        assert paid == sorted((row.units, row.memo) for row in rows)
        assert len(paid) == len(child.WITHDRAWALS) + 2 + 1
        received = sum(20 + number for number in range(len(child.MEMOS)))
        credited, refunded, parked = 20 + 23, 21 + 24, 22
        assert received == credited + refunded + parked
        assert house.balance("user:bob") == 23
        assert house.balance(ALICE.id) == 100 + 20 - sum(child.WITHDRAWALS.values())
        assert house.balance("suspense:rail") == parked
        assert house.balance(child.POOL.id) == 500 - 60 + 75
        assert house.balance(child.POOL.id, "simulated:USDT") == (500 + 60 - 75) * child.SCALE
        held = asyncio.run(house.rail.balances())["USDT"]
        assert -house.balance("rail:rail") == held
    check = verify_ledger(folder / "money.db")
    assert check.ok, check.reason


@pytest.mark.parametrize("label", CRASH_POINTS)
@pytest.mark.parametrize("nth", [1, 2])
def test_a_killed_process_leaves_everything_recoverable(tmp_path: Path, label: str, nth: int) -> None:
    """Every label is reached and survived; each payment has one end and each payout is made once."""
    child.found(tmp_path)
    assert run(tmp_path, f"{label}:{nth}", 1) == -signal.SIGKILL
    check_ends(tmp_path, 2)


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_a_process_killed_twice_recovers(tmp_path: Path, first: str, second: str) -> None:
    """A second kill during the recovery changes nothing about the end."""
    child.found(tmp_path)
    run(tmp_path, first, 1)
    run(tmp_path, second, 3)
    check_ends(tmp_path, 5)


def test_every_point_in_the_code_is_listed() -> None:
    """The labels in the sources and the room's list are the same."""
    folder = Path(payouts.__file__).parent
    sources = "".join(path.read_text() for path in folder.glob("*.py"))
    assert sorted(re.findall(r'reach\("([^"]+)"\)', sources)) == sorted(CRASH_POINTS)
