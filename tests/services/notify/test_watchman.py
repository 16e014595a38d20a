"""What the watchman tells, once when it begins and once when it is over."""

from __future__ import annotations

import asyncio

import pytest

from mrmarket.core.clock import NS_PER_S, SystemClock
from mrmarket.core.notice import Notice, Severity
from mrmarket.services.notify import watchman as watchman_module
from mrmarket.services.notify.watchman import RunSight, Sight, Watchman, keep_watch


def sight(*, failed: str = "", silent: str = "", ledger: str = "", venue: str = "binance") -> Sight:
    """One run and the books."""
    return Sight(runs=(RunSight(run="r", venue=venue, failed=failed, silent=silent),), ledger_fault=ledger)


def look(watchman: Watchman, seen: Sight, second: int) -> list[Notice]:
    """One look at a second."""
    return watchman.look(seen, second * NS_PER_S, second * 1_000)


def test_a_run_that_failed_is_told_once_and_so_is_its_return() -> None:
    """Critical with the reason; nothing while it lasts; then that it is over."""
    watchman = Watchman(30)
    (told,) = look(watchman, sight(failed="the disk is full"), 1)
    assert (told.severity, told.kind, told.key) == (Severity.CRITICAL, "run", "run.r.failed")
    assert told.text.startswith("the disk is full.")
    assert look(watchman, sight(failed="the disk is full"), 2) == []
    (over,) = look(watchman, sight(), 3)
    assert over.title == "over: r failed"
    assert look(watchman, sight(), 4) == []


def test_books_that_do_not_verify_are_critical() -> None:
    """With the reason that the verification gave."""
    (told,) = look(Watchman(30), sight(ledger="group 7 does not hold"), 1)
    assert (told.kind, told.severity) == ("ledger", Severity.CRITICAL)
    assert "group 7 does not hold" in told.text


def test_a_venue_is_silent_after_its_time_and_not_before() -> None:
    """A short gap is nobody's news; a long one is told once, and its end."""
    watchman = Watchman(30)
    gone = sight(silent="the user stream is down")
    assert [look(watchman, gone, second) for second in (0, 10, 29)] == [[], [], []]
    (told,) = look(watchman, gone, 30)
    assert (told.key, told.severity) == ("venue.binance.silent", Severity.WARNING)
    assert told.title == "binance has been silent for 30 s"
    assert look(watchman, gone, 60) == []
    assert [each.title for each in look(watchman, sight(), 61)] == ["over: binance silent"]


def test_a_venue_that_comes_back_in_time_starts_its_time_anew() -> None:
    """Two gaps of twenty seconds are not one of forty."""
    watchman = Watchman(30)
    gone = sight(silent="the book is stale")
    seen = [(gone, 0), (gone, 20), (sight(), 21), (gone, 22), (gone, 45)]
    assert [look(watchman, each, second) for each, second in seen] == [[]] * 5


def test_one_silent_run_of_many_speaks_for_its_venue() -> None:
    """A venue with two runs is told once."""
    watchman = Watchman(1)
    both = Sight(
        runs=(
            RunSight(run="a", venue="okx", failed="", silent=""),
            RunSight(run="b", venue="okx", failed="", silent="the book is stale"),
        )
    )
    assert look(watchman, both, 0) == []
    assert [each.key for each in look(watchman, both, 1)] == ["venue.okx.silent"]


def test_a_venue_without_runs_is_forgotten() -> None:
    """When its last run has moved away, its silence is nobody's here."""
    watchman = Watchman(10)
    look(watchman, sight(silent="down"), 0)
    look(watchman, Sight(), 5)
    assert look(watchman, sight(silent="down"), 11) == []


async def test_the_watch_looks_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it sees goes to the sink, until it is cancelled."""
    monkeypatch.setattr(watchman_module, "_EVERY_S", 0.001)
    heard: asyncio.Queue[Notice] = asyncio.Queue()

    class Ears:
        def notify(self, notice: Notice) -> None:
            heard.put_nowait(notice)

    task = asyncio.create_task(keep_watch(Watchman(0), lambda: sight(silent="down"), Ears(), SystemClock()))
    async with asyncio.timeout(60):
        assert (await heard.get()).key == "venue.binance.silent"
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert heard.empty()
