"""SIGKILL between any two effects, and again during the recovery: everybody ends where they would have."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from money.pool import pool_child
from money.pool.pool_house import OTHER_WALLET
from mrmarket.core.crash import VARIABLE
from mrmarket.money.payouts import CRASH_POINTS as PAYOUT_POINTS
from mrmarket.money.pool import CRASH_POINTS
from mrmarket.money.pool.audit import verify

SEED: Final = 20_231_114

_rng = random.Random(SEED)  # noqa: S311 - picks cases, guards nothing
CASES: Final = [
    *([f"{label}:{nth}"] for label in CRASH_POINTS for nth in (1, 2)),
    *([label] for label in PAYOUT_POINTS if label != "payouts.enqueued"),
    *(
        [f"{_rng.choice(CRASH_POINTS)}:{first}", f"{_rng.choice(CRASH_POINTS)}:{_rng.randint(1, 4)}"]
        for first in (1, 2, 1, 2, 1)
    ),
]


def run(folder: Path, start: int, label: str | None = None) -> int:
    """One life of the process; its exit code."""
    environment = {name: value for name, value in os.environ.items() if name != VARIABLE}
    if label is not None:
        environment[VARIABLE] = label
    done = subprocess.run(
        [sys.executable, pool_child.__file__, str(folder), str(start)],
        check=False,
        capture_output=True,
        text=True,
        env=environment,
    )
    assert done.returncode in {0, -signal.SIGKILL}, done.stderr
    return done.returncode


def end(folder: Path) -> list[object]:
    """Where everybody is."""
    house = pool_child.opened(folder, 100)
    try:
        return pool_child.summary(house)
    finally:
        house.close()
        house.rail.close()


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[object]]:
    """An empty folder's databases, and the end of a life that nothing interrupts."""
    empty, folder = tmp_path_factory.mktemp("empty"), tmp_path_factory.mktemp("whole")
    house = pool_child.opened(empty, 0)
    house.close()
    house.rail.close()
    shutil.copytree(empty, folder, dirs_exist_ok=True)
    assert run(folder, 1) == 0
    return empty, end(folder)


def test_the_uninterrupted_life_ends_well(whole: tuple[Path, list[object]]) -> None:
    """Both deposits are minted, both withdrawals paid, what is left is at the venue, nothing is at fault."""
    minted, withdrawals, paid, *_, faults = whole[1]
    assert minted == [True, True]
    assert [state for state, _ in withdrawals] == ["confirmed", "confirmed"]  # type: ignore[attr-defined]  # a summary
    assert [place for _, place in paid] == ["venue:main", OTHER_WALLET, OTHER_WALLET]  # type: ignore[attr-defined]  # a summary
    assert faults == []


@pytest.mark.parametrize("labels", CASES, ids=" then ".join)
def test_a_killed_desk_ends_where_it_would_have(
    tmp_path: Path, whole: tuple[Path, list[object]], labels: list[str]
) -> None:
    """Every deposit is minted once, every withdrawal paid once, every fee charged once."""
    empty, wanted = whole
    folder = tmp_path / "life"
    shutil.copytree(empty, folder)
    for start, label in enumerate(labels, 1):
        code = run(folder, start, label)
        assert code == -signal.SIGKILL or start > 1
        assert verify(folder / "money.db").ok
    assert run(folder, len(labels) + 1) == 0
    assert end(folder) == wanted
