"""The Angel with real processes: an instance that is frozen or killed, on an exchange that lives on."""

from __future__ import annotations

import os
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import msgspec
import pytest

from e2e.loopback_venue import LoopbackVenue, start_venue
from e2e.running import RunningInstance, start_instance, wait_for, wait_until
from e2e.squaring import assert_square
from mrmarket.angel.diary import read_journal
from mrmarket.angel.recovery import CAUSE
from mrmarket.core.events import OrderCreated
from mrmarket.services.angel.composition import JOURNAL
from mrmarket.services.angel.holding import AngelFolder, is_held
from mrmarket.services.angel.overview import resume
from mrmarket.services.angel.plan import FOLDER
from mrmarket.store.operations import AngelAction
from mrmarket.store.sqlite_operations import SqliteOperations
from mrmarket.trading.execution.order_id import parse_order_id

pytestmark = pytest.mark.e2e

STRATEGY = """
order_refresh_time = 0.2
number_of_layers = 5
bid_spread = 0.00004
ask_spread = 0.00004
"""


DATABASES = ("trading.db", "control.db", "money.db")


def is_locked(database: Path) -> bool:
    """Whether somebody is in the middle of writing it."""
    with closing(sqlite3.connect(database, timeout=0, isolation_level=None)) as mine:
        try:
            mine.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return True
        mine.execute("ROLLBACK")
        return False


class Watched:
    """An instance with an Angel, on an exchange that outlives both."""

    def __init__(self, venue: LoopbackVenue, folder: Path) -> None:
        self.venue = venue
        self.data = folder / "data"
        self.config = folder / "mrmarket.toml"
        self.running: RunningInstance | None = None
        self.floor = venue.clear()

    def start(self, recovery: str = "automatic") -> RunningInstance:
        """Start it, and wait until it quotes and is watched."""
        angel = f'[angel]\nrecovery = "{recovery}"\n'
        self.config.write_text(f"{self.venue.config(STRATEGY)}\n{angel}")
        self.running = start_instance(self.data, "--config", str(self.config))
        self.has_done("venue_ready")
        wait_until(self.venue.open_orders)
        return self.running

    def actions(self) -> list[AngelAction]:
        """What the Angel did, oldest first, by its own file."""
        return read_journal(self.data / FOLDER / JOURNAL, 10_000)[::-1]

    def did(self) -> list[str]:
        """The names of it."""
        return [action.action for action in self.actions()]

    def has_done(self, action: str) -> None:
        """Wait until the Angel has done it."""
        wait_until(lambda: action in self.did(), seen=self.did)

    def fences(self) -> set[int]:
        """The fences of the orders that stand."""
        ids = [parse_order_id(order["clientOrderId"]) for order in self.venue.open_orders()]
        return {parsed.fence for parsed in ids if parsed is not None}

    def fence(self) -> int:
        """The one fence of the orders that stand; waits, for while quotes are renewed none may stand."""
        seen: list[set[int]] = []

        def is_one() -> bool:
            seen.append(self.fences())
            return len(seen[-1]) == 1

        wait_until(is_one, seen=lambda: seen[-1])
        return seen[-1].pop()

    def quotes_anew(self, old: int) -> None:
        """Wait until orders stand that are all of a newer life than `old`."""
        wait_until(lambda: min(self.fences(), default=old) > old, seen=self.fences)

    def freeze(self, running: RunningInstance) -> None:
        """Stop it outside of every transaction.

        Frozen in the middle of one it holds a database that the Angel then cannot read: that is another
        story, told by the tests of the Angel's own policy, and nothing is seized in it.
        """
        held: list[str] = []

        def is_frozen() -> bool:
            running.process.send_signal(signal.SIGSTOP)
            held[:] = [name for name in DATABASES if is_locked(self.data / name)]
            if held:
                running.process.send_signal(signal.SIGCONT)
            return not held

        wait_until(is_frozen, seen=lambda: held)

    def operations(self) -> SqliteOperations:
        """What the roles tell each other."""
        return SqliteOperations.open(self.data / "control.db")

    def end(self) -> None:
        """Leave no process behind."""
        if self.running is not None and self.running.process.poll() is None:
            self.running.process.send_signal(signal.SIGCONT)
            self.running.kill()
        if pid := is_held(self.data):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        wait_until(lambda: not is_held(self.data))


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watched]:
    """An exchange, and an instance ready to be started; the Angel has a key that cannot place."""
    venue = start_venue(tmp_path / "venue", 20.0)
    for name, value in venue.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MRMARKET_ANGEL_API_KEY", venue.ready["angel_key"])
    monkeypatch.setenv("MRMARKET_ANGEL_API_SECRET", venue.ready["angel_secret"])
    watched = Watched(venue, tmp_path)
    yield watched
    watched.end()
    venue.end()


def test_a_frozen_instance_loses_its_orders_and_comes_back_under_a_new_fence(watched: Watched) -> None:
    """Frozen, swept, proven; thawed: nothing under the old fence, quotes under a new one, books square."""
    running = watched.start()
    old = watched.fence()
    watched.freeze(running)
    watched.has_done("cleared")
    assert watched.venue.open_orders() == []
    watched.has_done("closed")
    running.process.send_signal(signal.SIGCONT)
    watched.quotes_anew(old)
    assert running.interrupt() == 0
    facts = assert_square(watched.data, watched.venue, watched.floor)
    created = [parse_order_id(fact.client_order_id) for fact in facts if isinstance(fact, OrderCreated)]
    fences = {parsed.fence for parsed in created if parsed is not None}
    # The Angel takes one fence and places nothing; on a machine that is slow enough it may come again.
    assert fences >= {old, old + 2}
    assert {fence - old for fence in fences} <= set(range(0, 100, 2))
    wait_until(lambda: not is_held(watched.data))


def test_an_instance_that_thaws_in_the_middle_changes_nothing(watched: Watched) -> None:
    """Its guard has lapsed: the intervention goes on to its proof."""
    running = watched.start()
    old = watched.fence()
    watched.freeze(running)
    watched.has_done("seize")
    running.process.send_signal(signal.SIGCONT)
    watched.has_done("closed")
    watched.quotes_anew(old)
    assert "proven" in watched.did()


def test_a_killed_instance_is_cleared_and_waits_for_its_owner_where_that_was_chosen(watched: Watched) -> None:
    """SIGKILL: the Angel lives on and cancels; the next start quotes only after `angel resume`."""
    running = watched.start("manual")
    first = is_held(watched.data)
    running.kill()
    assert is_held(watched.data) == first
    watched.has_done("closed")
    assert watched.venue.open_orders() == []
    again = start_instance(watched.data, "--config", str(watched.config))
    watched.running = again
    wait_until(lambda: is_held(watched.data) not in (0, first))
    assert watched.venue.open_orders() == []
    operations = watched.operations()
    try:
        assert CAUSE in {row.cause for row in operations.restrictions()}
        assert resume(operations) == ["instance"]
    finally:
        operations.close()
    wait_until(watched.venue.open_orders)


def test_an_angel_that_dies_is_started_again(watched: Watched) -> None:
    """Who watches the Angel: the instance does, and the new one takes over."""
    watched.start()
    first = is_held(watched.data)
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: is_held(watched.data) not in (0, first))
    wait_for(lambda: watched.did().count("watching"), 2)


def test_the_angel_of_an_instance_with_its_own_exchange_ends_after_it(tmp_path: Path) -> None:
    """SIGKILL takes the embedded exchange along: the Angel records that and leaves in bounded time."""
    data = tmp_path / "data"
    running = start_instance(data)
    wait_until(lambda: is_held(data))
    journal = AngelFolder(data).path / JOURNAL
    wait_until(lambda: b"venue_ready" in (journal.read_bytes() if journal.exists() else b""))
    running.kill()
    wait_until(lambda: not is_held(data), 120)
    did = [msgspec.json.decode(line, type=AngelAction).action for line in journal.read_bytes().splitlines()]
    assert "gone" in did
    assert did[-1] == "left"
