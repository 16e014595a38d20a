"""Real processes are killed, frozen and cut off while orders live, and a checker reads what all sides wrote.

`MRMARKET_CHAOS=full` is the long form, of several days and longer ones. `MRMARKET_CHAOS_SEED` chooses the
first day; a failing one prints its seed and leaves its folders.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from chaos.blows import draw
from chaos.fleet import Day, House
from chaos.history import contradictions
from chaos.one_house import OneHouse
from chaos.three_house import ThreeHouse
from postgres_server import PostgresServer, postgres_server

__all__ = ["postgres_server"]
pytestmark = pytest.mark.e2e

FULL = os.environ.get("MRMARKET_CHAOS") == "full"
SEED = int(os.environ.get("MRMARKET_CHAOS_SEED", "5"))
SEEDS = range(SEED, SEED + (10 if FULL else 1))
STORM_S, EVERY_S = (90.0, 3.0) if FULL else (20.0, 2.5)
TAIL_S = 3.0
"""After the last blow things go on for so long before the calm begins."""
START_S, HEAL_S = 180.0, 180.0
"""Limits for a machine that has other work to do; they say nothing of how fast it is on a free one."""


def live(seed: int, house: House) -> None:
    """One day: up, storm, calm, a clean end; then every contradiction in what was written down."""
    day = Day(house)
    try:
        day.heal(START_S)
        blows = draw(seed, house.menu, STORM_S - TAIL_S, EVERY_S)
        day.storm(blows, STORM_S)
        day.heal(HEAL_S)
        history = day.close(HEAL_S)
        assert contradictions(history) + house.books() == []
    finally:
        house.end()
    orders = sum(len(account.orders) for account in history.accounts)
    trades = sum(len(account.trades) for account in history.accounts)
    print(  # noqa: T201 - what the day was like
        f"seed {seed}: {len(blows)} blows {dict(day.done)}, {orders} orders, {trades} trades,"
        f" {len(history.endings)} deaths, {len(history.actions)} deeds of the Angel,"
        f" well after {day.healed_s:.1f} s"
    )
    assert trades > 0, "nothing was traded, so nothing was tried"


@contextmanager
def folder_of(seed: int, name: str) -> Iterator[Path]:
    """A folder that stays where the day goes wrong."""
    folder = Path(tempfile.mkdtemp(prefix=f"mrmarket-chaos-{name}-{seed}-"))
    try:
        yield folder
    except BaseException:
        print(  # noqa: T201 - how to see it again
            f"MRMARKET_CHAOS={'full' if FULL else 'short'} MRMARKET_CHAOS_SEED={seed}"
            f" pytest tests/e2e/test_trading_chaos.py -k {name}; what was left is in {folder}"
        )
        raise
    shutil.rmtree(folder)


def recovery(seed: int) -> str:
    """On every third day trading waits for the owner after the Angel has come."""
    return "manual" if seed % 3 == 0 else "automatic"


@pytest.mark.timeout(1_200 if FULL else 600)
@pytest.mark.parametrize("seed", SEEDS)
def test_no_order_is_lost_in_one_process_on_sqlite(seed: int) -> None:
    """Instance, Angel and exchange die and freeze, files are locked, the exchange fails: all sides agree."""
    with folder_of(seed, "sqlite") as folder:
        live(seed, OneHouse(folder, recovery=recovery(seed)))


@pytest.mark.timeout(1_200 if FULL else 600)
@pytest.mark.parametrize("seed", SEEDS)
def test_no_order_is_lost_by_many_processes_on_postgresql(seed: int, postgres_server: PostgresServer) -> None:
    """API, two engines, Angel, exchange and the server itself: runs move, nobody is forgotten."""
    with folder_of(seed, "postgresql") as folder, postgres_server.database() as address:
        live(seed, ThreeHouse(folder, postgres_server, address, recovery=recovery(seed)))


@pytest.mark.skipif(not FULL, reason="a part of the long form")
@pytest.mark.timeout(1_200)
@pytest.mark.parametrize("seed", SEEDS)
def test_no_order_is_lost_on_a_disk_that_fills_up(seed: int) -> None:
    """The databases are on a small disk that now and then has no byte left."""
    with folder_of(seed, "disk") as folder, small_disk(folder / "disk") as disk:
        live(seed, OneHouse(folder, recovery=recovery(seed), disk=disk))


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A disk of 64 MB; skips where one cannot be had."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("a small disk needs the right to mount one")
    try:
        yield folder
    finally:
        unmount = ["umount", "--lazy", str(folder)]
        subprocess.run(unmount, check=True)
