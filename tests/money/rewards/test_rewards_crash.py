"""SIGKILL at every labelled point, and at pairs: what comes after a restart is as if nothing had been."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from money.rewards import reward_crash_child
from money.rewards.reward_crash_child import USERS, stage_of
from money.rewards.reward_stage import RESERVE, USDT
from mrmarket.core.crash import VARIABLE
from mrmarket.money.ledger.verification import verify_ledger
from mrmarket.money.rewards import CRASH_POINTS
from mrmarket.money.rewards.rows import RunRow

SEED = 20_240_924
PAIRS = random.Random(SEED).sample([(a, b) for a in CRASH_POINTS for b in CRASH_POINTS], 8)  # noqa: S311 - a choice of tests

AGAIN = (
    "rewards.received:3",
    "rewards.recorded:3",
    "rewards.chunk_posted:6",
    "rewards.chunk_credited:4",
    "jobs.ran:2",
)
"""Later visits: in the middle of a run's credits, and in the adjusting run."""


def live(folder: Path, crash_at: str | None) -> int:
    """Run the child; its return code."""
    environment = {key: value for key, value in os.environ.items() if key != VARIABLE}
    if crash_at is not None:
        environment[VARIABLE] = crash_at
    done = subprocess.run(
        [sys.executable, reward_crash_child.__file__, str(folder)],
        check=False,
        capture_output=True,
        text=True,
        env=environment,
    )
    assert done.returncode in {0, -signal.SIGKILL}, done.stderr
    return done.returncode


def outcome(folder: Path) -> tuple[list[int], list[tuple[str, int, int, bytes]]]:
    """Balances and runs of books that are checked from end to end."""
    stage = stage_of(folder)
    (money,) = stage.money()
    assert money.ok
    balances = stage.balances(*USERS, RESERVE.id, "rewards:main", "external:hufi")
    held = stage.do(lambda draft: draft.balance(USERS[0], USDT.id) - draft.available(USERS[0], USDT.id))
    runs: list[RunRow] = stage.repository(lambda repository: repository.all_runs())
    stage.close()
    assert verify_ledger(folder / "money.db").ok
    return [*balances, held], sorted((run.id, run.credited_units, run.day, run.rows_hash) for run in runs)


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> object:
    """What comes out where nothing goes wrong."""
    folder = tmp_path_factory.mktemp("undisturbed")
    assert live(folder, None) == 0
    return outcome(folder)


@pytest.mark.parametrize("crash_at", [*CRASH_POINTS, *AGAIN])
def test_a_restart_completes_what_a_kill_interrupted(
    tmp_path: Path, undisturbed: object, crash_at: str
) -> None:
    """Every label is reached; afterwards nothing is missing, nothing given twice, and the books verify."""
    assert live(tmp_path, crash_at) == -signal.SIGKILL
    assert live(tmp_path, None) == 0
    assert outcome(tmp_path) == undisturbed


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_two_kills_in_a_row_change_nothing_either(
    tmp_path: Path, undisturbed: object, first: str, second: str
) -> None:
    """A recovery that is itself killed leaves a state that the next one completes."""
    live(tmp_path, first)
    live(tmp_path, second)
    assert live(tmp_path, None) == 0
    assert outcome(tmp_path) == undisturbed
