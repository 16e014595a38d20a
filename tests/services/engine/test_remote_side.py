"""A run that is somewhere else, as the API's process sees it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest

from fake_venue import GRID, FakeFeed
from mrmarket.core.clock import ManualClock, SystemClock
from mrmarket.services.engine.remote_side import (
    CommandRefusedByEngineError,
    CommandUnansweredError,
    RemoteSide,
)
from mrmarket.store.errors import DatabaseUnavailableError
from mrmarket.store.operations import Beat, CommandState, RunReport
from mrmarket.store.sqlite_operations import SqliteOperations
from mrmarket.trading.market.event import EventKind, MarketEvent
from mrmarket.trading.strategy.observer import RunState

LOOK = {"state": "running", "reason": "", "book_age_ms": 1, "user_stream_connected": True, "open_orders": 1}
ORDER = {
    "client_order_id": "c",
    "venue_order_id": "v",
    "symbol": GRID.symbol,
    "slot": "b0",
    "side": "buy",
    "price": "100.00",
    "size": "0.5",
    "filled": "0.1",
    "state": "acked",
    "created_ms": 1,
    "updated_ms": 1,
}


def view(side: RemoteSide) -> dict[str, object]:
    """A report's view of a run with one order."""
    market, nothing = side.desk.market(5), side.desk.performance()
    return {
        "look": LOOK,
        "market": msgspec.to_builtins(market),
        "quotes": {"strategy": "s", "reason": "", "quotes": [], "at_ms": 1},
        "orders": [ORDER],
        "performance": msgspec.to_builtins(nothing),
    }


@pytest.fixture
def operations(tmp_path: Path) -> SqliteOperations:
    """An empty database."""
    return SqliteOperations.open(tmp_path / "control.db")


def side_of(operations: SqliteOperations, clock: ManualClock) -> RemoteSide:
    """A side that nobody reports to yet."""
    return RemoteSide(
        "api",
        operations,
        FakeFeed(),
        GRID.symbol,
        "main",
        clock,
        on_market=lambda _: None,
        on_report=lambda: None,
    )


async def test_a_run_is_shown_as_reported_and_not_when_the_report_is_old(
    operations: SqliteOperations,
) -> None:
    """First there is none, then it is the present, then it is too old to be one."""
    clock = ManualClock()
    side = side_of(operations, clock)
    await side.begin()
    assert (side.desk.look().state, side.desk.look().reason) == (
        RunState.STARTING,
        "no engine has reported this run yet",
    )
    assert side.desk.quotes().quotes == []
    report = RunReport(run="main", node="e", fence=1, at_ms=5, state="running", view=view(side))
    operations.report(report)
    await side.begin()
    assert side.desk.look().state is RunState.RUNNING
    assert [order.client_order_id for order in side.desk.orders()] == ["c"]
    assert side.desk.quotes().strategy == "s"
    clock.advance(11_000_000_000)
    await side.begin()
    assert "11 s" in side.desk.look().reason
    assert side.heartbeat().role == "api"
    await side.close(abandon=False)


async def test_a_command_waits_for_the_engines_answer(operations: SqliteOperations) -> None:
    """Done is done, and refused is raised with the engine's words."""
    side = side_of(operations, ManualClock())

    async def engine(state: CommandState, answer: str) -> None:
        while not (asked := operations.commands(["main"])):  # noqa: ASYNC110 - a row in a database
            await asyncio.sleep(0)
        operations.report(RunReport(run="main", node="e", fence=1, at_ms=9, state="paused"))
        operations.answer(asked[0].id, state, answer, 5)

    async with asyncio.TaskGroup() as group:
        group.create_task(engine(CommandState.DONE, "paused"))
        group.create_task(side.pause("enough"))
    assert "is starting it" in side.desk.look().reason
    answering = asyncio.create_task(engine(CommandState.REFUSED, "no"))
    with pytest.raises(CommandRefusedByEngineError, match="refused: no"):
        await side.resume()
    await answering


class Forgetful(SqliteOperations):
    """A database that refuses the first sign of life."""

    refused = 0

    def beat(self, beat: Beat) -> None:
        """Refused once."""
        self.refused += 1
        if self.refused == 1:
            raise DatabaseUnavailableError("control.db", "the server is gone")
        super().beat(beat)


async def test_while_it_is_kept_it_reads_beats_and_follows_the_feed(tmp_path: Path) -> None:
    """Also where the database refuses once; the book comes from a feed of its own."""
    operations = Forgetful.open(tmp_path / "control.db")
    event = MarketEvent(
        kind=EventKind.SNAPSHOT, exchange_ns=1, local_ns=1, last_id=1, bids=[(9_999, 5)], asks=[(10_001, 5)]
    )
    seen: list[MarketEvent] = []
    reports: list[str] = []
    side = RemoteSide(
        "api",
        operations,
        FakeFeed([event]),
        GRID.symbol,
        "main",
        SystemClock(),
        on_market=seen.append,
        on_report=lambda: reports.append("one"),
    )
    operations.report(RunReport(run="main", node="e", fence=1, at_ms=5, state="running", view=view(side)))
    keeping = asyncio.create_task(side.keep())
    async with asyncio.timeout(30):
        while not (seen and reports and operations.beats()):  # noqa: ASYNC110 - a row in a database
            await asyncio.sleep(0.02)
    market = side.desk.market(3)
    assert (market.mid, market.last_price) == ("100", None)
    assert [(level.price, level.size) for level in market.book.bids] == [("99.99", "0.00005")]
    assert side.desk.performance().orders_placed == 0
    assert side.heartbeat().seq == side.seq >= 2
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)
    await side.close(abandon=False)
    assert operations.beats() == []
    operations.close()


async def test_without_a_database_there_is_a_reason_to_show_and_nothing_is_raised(tmp_path: Path) -> None:
    """Neither at the beginning nor at the end."""
    operations = SqliteOperations.open(tmp_path / "control.db")
    side = side_of(operations, ManualClock())
    operations.close()
    await side.begin()
    assert side.desk.look().reason == "no engine has reported this run yet"
    assert side.desk.orders() == []
    await side.close(abandon=True)


def test_what_nobody_has_answered_says_where_to_look() -> None:
    """With the command and the run."""
    error = CommandUnansweredError("pause", "main")
    assert (error.command, error.run, error.retryable) == ("pause", "main", True)
    assert "mrmarket status" in str(error)
