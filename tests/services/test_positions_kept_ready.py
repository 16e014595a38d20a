"""Positions that many pages ask for at once are looked up once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from mrmarket.core.clock import NS_PER_S, ManualClock
from mrmarket.money.pool.plan import PoolPlan
from mrmarket.services.api import money_schema as money
from mrmarket.services.money.depositor_counter import HoldingsCounter
from mrmarket.services.money.offices import Limits, Offices
from mrmarket.services.money.world import PaymentWorld
from mrmarket.store.errors import DatabaseBusyError
from mrmarket.store.trading_store import TradingStore

PLAN = PoolPlan(stream="simulated.BTCUSDT", venue="simulated", quote="USDT", founders=())


class CountingCounter(HoldingsCounter):
    """Counts how often the books are really asked."""

    asked = 0

    async def positions(self, user: str) -> money.PositionsView:
        """The same, counted."""
        self.asked += 1
        return await super().positions(user)


@pytest.fixture
def clock() -> ManualClock:
    """The books' own."""
    return ManualClock(1_700_000_000 * NS_PER_S)


@pytest.fixture
def offices(tmp_path: Path, clock: ManualClock) -> Iterator[Offices]:
    """Empty books without a payment rail."""
    store = TradingStore.open(tmp_path / "trading.db")
    offices = Offices.open(tmp_path, store, [PLAN], clock, PaymentWorld.none(), Limits())
    yield offices
    offices.close()
    store.close()


async def test_who_asks_while_positions_are_looked_up_waits_for_the_same_answer(
    offices: Offices, clock: ManualClock
) -> None:
    """Fifty pages at once cost one look at the books, and so do the next fifty half a second later."""
    counter = CountingCounter(offices)
    first = await asyncio.gather(*(counter.positions_json("alice") for _ in range(50)))
    assert (counter.asked, len(set(first))) == (1, 1)
    clock.advance(NS_PER_S)
    later = await asyncio.gather(*(counter.positions_json("alice") for _ in range(50)))
    assert (counter.asked, len(set(later))) == (2, 1)
    assert later[0] != first[0]


async def test_a_page_that_hangs_up_takes_the_answer_from_nobody(offices: Offices) -> None:
    """The one who asked first leaves; the second is answered."""
    counter = CountingCounter(offices)
    leaving = asyncio.create_task(counter.positions_json("alice"))
    staying = asyncio.create_task(counter.positions_json("alice"))
    await asyncio.sleep(0)
    leaving.cancel()
    assert b'"positions":[]' in await staying
    assert leaving.cancelled()
    assert counter.asked == 1


async def test_a_failed_look_is_told_to_all_and_not_kept(offices: Offices) -> None:
    """Everybody who waited hears of it, and the next one asks anew."""

    class Refusing(CountingCounter):
        refused = True

        async def positions(self, user: str) -> money.PositionsView:
            found = await super().positions(user)
            if self.refused:
                raise DatabaseBusyError(Path("money.db"))
            return found

    counter = Refusing(offices)
    asked = [counter.positions_json("alice") for _ in range(3)]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(answer) for answer in answers] == [DatabaseBusyError] * 3
    counter.refused = False
    assert b'"positions":[]' in await counter.positions_json("alice")
    assert counter.asked == 2
