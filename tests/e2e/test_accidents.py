"""What takes the ground away under a running instance: disk, lease, exchange. It ends in one line, whole."""

from __future__ import annotations

import errno
import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from e2e.arena import SPEED, Arena
from e2e.loopback_venue import start_venue
from e2e.running import END_S, RunningInstance, command, start_instance, wait_until
from e2e.squaring import facts_of, unsettled_orders
from mrmarket.core.events import Filled
from mrmarket.services.audit import verify_money

pytestmark = pytest.mark.e2e


@pytest.fixture
def arena(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Arena]:
    """An exchange and an instance on it, ready to be started."""
    venue = start_venue(tmp_path / "venue", SPEED)
    for name, value in venue.environment().items():
        monkeypatch.setenv(name, value)
    arena = Arena(venue, tmp_path)
    yield arena
    arena.end()
    arena.venue.end()


def last_words(data: Path) -> list[str]:
    """What the instance said on stderr that it ends with; the warnings of its log are there, too."""
    lines = (data.parent / f"{data.name}.log").read_text().splitlines()
    return [line for line in lines[2:] if line.startswith("error:")]


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A disk of 12 MB; skips where one cannot be had."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("a small disk needs the right to mount one")
    try:
        yield folder
    finally:
        unmount = ["umount", "--lazy", str(folder)]
        subprocess.run(unmount, check=True)


def fill_up(folder: Path) -> Path:
    """Take every byte that is left."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError as full:
            assert full.errno == errno.ENOSPC  # noqa: PT017 - the loop ends no other way
    return filler


@pytest.mark.parametrize("on_it", ["everything", "money.db"])
def test_a_disk_that_fills_up_pulls_the_quotes_and_ends_it(arena: Arena, tmp_path: Path, on_it: str) -> None:
    """Status 4 and one line; nothing of ours stands at the exchange; with space the books are square."""
    with small_disk(tmp_path / "disk") as disk:
        if on_it == "everything":
            arena.data.symlink_to(disk)
        else:
            arena.data.mkdir()
            (arena.data / on_it).symlink_to(disk / on_it)
        running = arena.start()
        wait_until(lambda: running.remote.performance().fills > 0)
        filler = fill_up(disk)
        assert running.process.wait(END_S) == 4
        assert arena.venue.open_orders() == []
        (line,) = last_words(arena.data)
        assert line.startswith("error: ")
        assert "the disk is full; free some space" in line
        filler.unlink()
        arena.start()
        arena.square()


def test_who_loses_the_lease_falls_silent_until_nobody_else_has_it(arena: Arena) -> None:
    """Another process takes over: nothing is written as if by it; the run comes back with a new fence."""
    running = arena.start()
    wait_until(lambda: running.remote.performance().fills > 0)
    with closing(sqlite3.connect(arena.data / "trading.db")) as database, database:
        database.execute("UPDATE leases SET fence = fence + 1, owner = 'heir'")
        (taken,) = database.execute("SELECT max(fence) FROM leases").fetchone()

    def holder() -> tuple[int, str]:
        with closing(sqlite3.connect(arena.data / "trading.db")) as database:
            fence, owner = database.execute("SELECT fence, owner FROM leases").fetchone()
            return int(fence), str(owner)

    wait_until(lambda: holder()[0] > taken)
    assert holder()[1] != "heir"
    wait_until(lambda: running.remote.status().open_orders > 0)
    with closing(sqlite3.connect(arena.data / "trading.db")) as database:
        assert database.execute("SELECT count(*) FROM events WHERE epoch = ?", (taken,)).fetchone() == (0,)
    arena.square()


@pytest.mark.parametrize("noticed", [False, True])
def test_who_has_just_lost_the_lease_ends_with_nothing_left(arena: Arena, noticed: bool) -> None:
    """Ctrl-C at once, or when the run is down: the orders of the life that is over are cancelled first."""
    running = arena.start()
    with closing(sqlite3.connect(arena.data / "trading.db")) as database, database:
        database.execute("UPDATE leases SET fence = fence + 1, owner = 'heir'")
    if noticed:
        log = arena.data / "mrmarket.log"
        wait_until(lambda: "set a run down" in log.read_text(), seen=running.last_words)
    arena.square()


def test_a_start_that_is_ended_at_any_instant_can_be_made_again(tmp_path: Path) -> None:
    """SIGTERM some time into a start after `kill -9`: it ends, and the next start takes up what is there."""
    data = tmp_path / "data"
    running = start_instance(data, "--speed", "20")
    wait_until(lambda: running.remote.performance().fills > 0)
    running.kill()
    for instant_s in (0.2, 1.0, 2.0, 3.0, 4.0):
        with (tmp_path / "early.log").open("wb") as log:
            line = command("run", "--data", str(data), "--port", "0", "--speed", "20")
            process = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=log)
            try:
                time.sleep(instant_s)  # the instant; nothing is waited for
                process.terminate()
                status = process.wait(END_S)
            finally:
                process.kill()
        # Before it has anything to put in order the signal itself ends it.
        assert status in {0, -signal.SIGTERM}, (tmp_path / "early.log").read_text()
    again = start_instance(data, "--speed", "20")
    assert again.interrupt() == 0
    assert unsettled_orders(data) == []
    assert verify_money(data).ok


def test_orders_that_a_power_cut_took_from_the_journal_are_found_by_their_trades(arena: Arena) -> None:
    """The last intents are gone from the disk, and their orders are filled meanwhile: no trade is lost."""
    for _ in range(10):  # the market may leave them alone until the exchange's own switch cancels them
        running = arena.start()
        wait_until(lambda: running.remote.performance().fills > 0 and running.remote.status().open_orders > 4)  # noqa: B023 - used at once
        running.kill()
        if forget_open_orders(arena) and unknown_trade_comes(arena):
            break
    else:
        raise AssertionError("the market filled none of the forgotten orders, ten times")
    arena.start()
    arena.square()


def forget_open_orders(arena: Arena) -> int:
    """Take every open order from the journal; how many there were."""
    with closing(sqlite3.connect(arena.data / "trading.db")) as database, database:
        return database.execute(
            "DELETE FROM orders WHERE state NOT IN ('filled', 'cancelled', 'rejected', 'expired')"
        ).rowcount


def unknown_trade_comes(arena: Arena, within_s: float = 10.0) -> bool:
    """Whether the exchange has, or gets in time, a trade of ours that the event log does not hold."""
    known = sum(isinstance(fact, Filled) for fact in facts_of(arena.data))
    deadline = time.monotonic() + within_s
    while len(arena.venue.trades(arena.floor)) <= known:
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.1)
    return True


def test_an_exchange_that_vanishes_leaves_orders_to_be_found_later(arena: Arena) -> None:
    """Ctrl-C while nobody answers: status 3 says that orders are left; they are found when it is back."""
    running = arena.start()
    wait_until(lambda: running.remote.performance().fills > 0 and running.remote.status().open_orders > 0)
    arena.venue.process.kill()
    assert running.interrupt() == 3
    assert "start again to have them found" in last_words(arena.data)[-1]
    arena.venue = arena.venue.again()
    arena.start()
    arena.square()


def embedded_exchange(running: RunningInstance) -> int:
    """The process id of an instance's own exchange."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            words = (folder / "cmdline").read_bytes().split(b"\0")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if parent == running.process.pid and b"venue" in words:
            return int(folder.name)
    raise AssertionError("it has no such child")


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds the exchange's process by /proc")
def test_an_instance_ends_with_its_own_exchange(tmp_path: Path) -> None:
    """Even where that ended well: status 3 and one line, the ledger verifies, the next start goes on."""
    data = tmp_path / "data"
    running = start_instance(data, "--speed", "20")
    wait_until(lambda: running.remote.performance().fills > 0 and running.remote.status().open_orders > 0)
    os.kill(embedded_exchange(running), signal.SIGTERM)
    assert running.process.wait(END_S) == 3
    (line,) = last_words(data)
    assert line.startswith("error: the embedded exchange: ")
    assert verify_money(data).ok
    fills = sum(isinstance(fact, Filled) for fact in facts_of(data))
    again = start_instance(data, "--speed", "20")
    wait_until(lambda: again.remote.performance().fills > fills)
    assert again.interrupt() == 0
    assert verify_money(data).ok
