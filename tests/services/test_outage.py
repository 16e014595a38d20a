"""Work that waits for its database."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from mrmarket.services.outage import through_outages
from mrmarket.store.errors import DatabaseBusyError, DatabaseDisconnectedError, DatabaseFullError, StoreError

PLACE = Path("money.db")


class Database:
    """One that is away for the first few times."""

    def __init__(self, *errors: StoreError) -> None:
        self.errors = list(errors)
        self.asked = 0
        self.was_asked = asyncio.Event()

    async def work(self) -> str:
        """What needs it."""
        self.asked += 1
        self.was_asked.set()
        if self.errors:
            raise self.errors.pop(0)
        return "done"


async def test_work_is_done_again_until_the_database_is_back() -> None:
    """Lost connections and locks are waited for, and the answer is the last try's."""
    database = Database(DatabaseDisconnectedError(PLACE, "gone"), DatabaseBusyError(PLACE))
    assert await through_outages("a test", database.work) == "done"
    assert database.asked == 3


async def test_patience_ends() -> None:
    """A database that stays away for too long is told to whoever waits."""
    database = Database(DatabaseDisconnectedError(PLACE, "gone"))
    with pytest.raises(DatabaseDisconnectedError):
        await through_outages("a test", database.work, patience_s=0)
    assert database.asked == 1


async def test_what_waiting_cannot_mend_is_raised_at_once() -> None:
    """A full disk needs a person."""
    with pytest.raises(DatabaseFullError):
        await through_outages("a test", Database(DatabaseFullError(PLACE)).work)


async def test_waiting_can_be_cancelled() -> None:
    """Whoever shuts down does not wait for a database."""
    database = Database(*[DatabaseBusyError(PLACE)] * 1_000)
    task = asyncio.create_task(through_outages("a test", database.work))
    await database.was_asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
