"""Orders that a start takes over keep their places while the first book is on its way, and not for longer."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import msgspec

from fake_exchange import FakeExchange, MemoryJournal
from mrmarket.core.clock import NS_PER_S, SystemClock
from strategy_stage import BOOK, QUICK, Stage


async def left_behind() -> tuple[FakeExchange, MemoryJournal]:
    """An exchange with two quotes of a run that was killed."""
    exchange, journal = FakeExchange(SystemClock()), MemoryJournal()
    first = Stage(exchange, journal)
    await first.quoting()
    await first.run.abandon()
    assert len(exchange.open()) == 2
    return exchange, journal


async def test_adopted_orders_wait_for_the_first_book() -> None:
    """The book comes a moment after the start: nothing is cancelled and nothing placed."""
    exchange, journal = await left_behind()
    second = Stage(
        exchange, journal, history=list(journal.facts), timing=replace(QUICK, first_book_ns=9 * NS_PER_S)
    )
    starting = asyncio.ensure_future(second.run.start())
    await second.until(lambda: second.run.recovery is not None)
    second.venue.market.put_nowait(msgspec.structs.replace(BOOK, last_id=2))
    await starting
    await second.until(lambda: second.run.pulled == "")
    assert (second.venue.cancelled, second.venue.placed) == ([], [])
    assert second.resting() == ["b1", "s1"]
    await second.run.stop()


async def test_without_a_book_they_are_pulled() -> None:
    """A feed that does not come is a stale book like any other."""
    exchange, journal = await left_behind()
    second = Stage(exchange, journal, history=list(journal.facts))
    await second.run.start()
    await second.until(lambda: not exchange.open())
    assert second.run.pulled == "the book is stale (no_book)"
    await second.run.stop()
