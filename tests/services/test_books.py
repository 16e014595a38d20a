"""The books beside a run: verified before it, and never written on when they do not add up."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import msgspec
import pytest

from mrmarket.core.clock import SystemClock
from mrmarket.money.ledger.verification import LedgerCheck
from mrmarket.money.pool.plan import DEMO_FOUNDERS, PoolPlan
from mrmarket.money.pool.treasury import Treasury
from mrmarket.services.books import Books, begin_check, verify_pause_s, when_sound
from mrmarket.services.data_directory import DataDirectory, LedgerBrokenError
from mrmarket.services.hub import UpdateHub
from mrmarket.store.trading_store import TradingStore

STREAM = "simulated.BTCUSDT"
PLAN = PoolPlan(stream=STREAM, venue="simulated", quote="USDT", founders=DEMO_FOUNDERS)
BROKEN = LedgerCheck(ok=False, groups=1, entries=2, assets={}, first_bad_seq=1, reason="a sum is not zero")


@pytest.fixture
def directory(tmp_path: Path) -> DataDirectory:
    """A folder with a founded, empty ledger."""
    directory = DataDirectory(tmp_path)
    store = TradingStore.open(directory.trading_db)
    treasury = Treasury.open(directory.money_db, store, PLAN, SystemClock())
    treasury.settle()
    treasury.close()
    store.close()
    return directory


def spoil(directory: DataDirectory) -> None:
    """Give the ledger a balance that no posting explains."""
    with sqlite3.connect(directory.money_db) as money:
        money.execute("PRAGMA foreign_keys = OFF")
        money.execute(
            "INSERT INTO balances (account, asset, units) VALUES ('user:eve', 'simulated:BTC', '5')"
        )
    money.close()


async def test_there_is_nothing_to_check_in_a_new_folder(tmp_path: Path) -> None:
    """A first start does not wait for anything."""
    assert await begin_check(DataDirectory(tmp_path)) is None


async def test_a_sound_ledger_is_found_so_before_the_start(directory: DataDirectory) -> None:
    """The check is over and good."""
    check = await begin_check(directory)
    assert check is not None
    assert check.result().ok


async def test_a_start_on_a_broken_ledger_is_refused(directory: DataDirectory) -> None:
    """The one line names the file and says what to do; the file is as it was."""
    spoil(directory)
    before = directory.money_db.read_bytes()
    with pytest.raises(LedgerBrokenError, match=r"money\.db.*restore the last good backup"):
        await begin_check(directory)
    assert directory.money_db.read_bytes() == before


async def test_a_check_that_ends_badly_later_stops_the_run_before_anything_is_settled(
    directory: DataDirectory,
) -> None:
    """A ledger too long to be verified at once is not written to until it was."""
    store = TradingStore.open(directory.trading_db)
    treasury = Treasury.open(directory.money_db, store, PLAN, SystemClock())

    async def late() -> LedgerCheck:
        return BROKEN

    try:
        first = asyncio.create_task(late())
        books = Books(treasury, directory.money_db, store, STREAM, UpdateHub(), first)
        with pytest.raises(LedgerBrokenError, match="a sum is not zero"):
            await books.keep()
        assert books.check == BROKEN
        await books.settle()
        assert books.figures is None
    finally:
        treasury.close()
        store.close()


@pytest.mark.parametrize("sound", [True, False])
async def test_no_money_moves_before_the_books_are_known_to_add_up(*, sound: bool) -> None:
    """What pays waits for the first check, begins when it is good, and never begins when it is not."""
    over, begun = asyncio.Event(), []

    async def check() -> LedgerCheck:
        await over.wait()
        return msgspec.structs.replace(BROKEN, ok=sound)

    async def pay() -> None:
        begun.append(True)

    first = asyncio.create_task(check())
    waiting = asyncio.create_task(when_sound(first, pay()))
    await asyncio.sleep(0)
    assert not begun
    over.set()
    await waiting
    assert bool(begun) is sound


async def test_without_earlier_books_money_moves_at_once() -> None:
    """A new folder has nothing to check; a stop before the check is over leaves nothing behind."""
    begun = []

    async def pay() -> None:
        begun.append(True)

    await when_sound(None, pay())
    assert begun
    check = asyncio.create_task(asyncio.sleep(60, BROKEN))
    waiting = asyncio.create_task(when_sound(check, pay()))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert not check.done()
    check.cancel()
    assert len(begun) == 1


def test_a_long_ledger_is_verified_less_often() -> None:
    """Once a minute, unless that would be more than two percent of the time."""
    assert verify_pause_s(0.01) == 60.0
    assert verify_pause_s(1.2) == 60.0
    assert verify_pause_s(6.0) == pytest.approx(300.0)
