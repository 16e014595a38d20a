"""Reading snapshots: ties, pages, late-comers, crashes between reading and taking."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mrmarket.core.clock import ManualClock
from mrmarket.core.errors import InvalidInputError
from mrmarket.partners.mixin.client import MAX_PAGE
from mrmarket.partners.mixin.errors import MixinDriftError, MixinFeedStuckError
from mrmarket.partners.mixin.feed import (
    FeedMark,
    format_time,
    next_snapshots,
    parse_time,
    read_mark,
    write_mark,
)
from mrmarket.partners.mixin.messages import Snapshot
from mrmarket.partners.mixin.sandbox.config import USDT_POLYGON
from partners.mixin.mixin_bench import MixinBench
from partners.mixin.mixin_samples import new_uuid, seeded

START_NS = 1_700_000_000_000_000_000
SECOND = 1_000_000_000


class Ledger:
    """Snapshots by time; offsets inclusive or not, kept in nano- or microseconds."""

    def __init__(self, *, inclusive: bool = True, unit_ns: int = 1) -> None:
        self.rows: list[tuple[int, str]] = []
        self.inclusive = inclusive
        self.unit_ns = unit_ns
        self.asked = 0

    def add(self, at_ns: int, name: str) -> None:
        """A snapshot appears, perhaps with a time that is past."""
        self.rows.append((at_ns, name))

    async def ask(self, offset: str, limit: int) -> list[Snapshot]:
        """A page."""
        self.asked += 1
        start_ns = parse_time(offset) // self.unit_ns * self.unit_ns if offset else -1
        rows = [row for row in self.rows if row[0] > start_ns or (self.inclusive and row[0] == start_ns)]
        page = sorted(rows)[: min(limit, MAX_PAGE)]
        return [Snapshot(name, USDT_POLYGON, "1", format_time(at_ns)) for at_ns, name in page]


async def read_all(ledger: Ledger, cursor: str, limit: int) -> tuple[list[str], str]:
    """Read until there is nothing new, as the platform does."""
    names: list[str] = []
    while True:
        found, mark = await next_snapshots(ledger.ask, read_mark(cursor), limit)
        if not found:
            return names, cursor
        names += [snapshot.snapshot_id for snapshot in found]
        cursor = write_mark(mark)


@pytest.mark.parametrize("inclusive", [True, False])
@pytest.mark.parametrize("unit_ns", [1, 1_000])
@pytest.mark.parametrize("limit", [1, 7, 500])
async def test_ties_and_pages_are_told_once(inclusive: bool, unit_ns: int, limit: int) -> None:
    """Snapshots of which 200 share each time, whatever the offset means: each once, in order."""
    ledger = Ledger(inclusive=inclusive, unit_ns=unit_ns)
    count, ties = {1: (50, 20), 7: (450, 200), 500: (800, 200)}[limit]
    for number in range(count):
        ledger.add(START_NS + number // ties * 3_000, f"{number:05d}")
    names, cursor = await read_all(ledger, "", limit)
    assert names == [name for _, name in ledger.rows]
    assert await read_all(ledger, cursor, limit) == ([], cursor)


async def test_late_comers_are_told_once() -> None:
    """A snapshot that appears 4 s late is told; the cursor does not move back for it."""
    ledger = Ledger()
    for second in range(20):
        ledger.add(START_NS + second * SECOND, f"a{second}")
    _, cursor = await read_all(ledger, "", 50)
    ledger.add(START_NS + 15 * SECOND + 1, "late")
    ledger.add(START_NS + 20 * SECOND, "next")
    names, cursor = await read_all(ledger, cursor, 50)
    assert names == ["late", "next"]
    assert await read_all(ledger, cursor, 50) == ([], cursor)


@settings(max_examples=30)
@given(st.integers(0, 2**32), st.integers(1, 9))
async def test_a_crash_between_reading_and_taking_loses_nothing(seed: int, limit: int) -> None:
    """Pages are read and thrown away at random while snapshots appear: each is taken once."""
    rng: Random = seeded(seed)
    ledger = Ledger(inclusive=rng.random() < 0.5, unit_ns=rng.choice((1, 1_000)))
    taken: list[str] = []
    cursor, now_ns, made = "", START_NS, 0
    for _ in range(60):
        if rng.random() < 0.6:
            now_ns += rng.choice((0, 0, 1, 999, SECOND, 7 * SECOND))
            late_ns = rng.choice((0, 0, 0, 2 * SECOND))
            ledger.add(now_ns - late_ns, f"{made:04d}")
            made += 1
        found, mark = await next_snapshots(ledger.ask, read_mark(cursor), limit)
        assert len(found) <= limit
        if rng.random() < 0.7:  # else the process dies before the transaction that takes them
            taken += [snapshot.snapshot_id for snapshot in found]
            cursor = write_mark(mark)
    more, _ = await read_all(ledger, cursor, limit)
    assert sorted(taken + more) == [f"{number:04d}" for number in range(made)]


async def test_more_ties_than_a_page_stop_the_feed_loudly() -> None:
    """What cannot be asked for is an error, never a gap."""
    ledger = Ledger()
    for number in range(MAX_PAGE + 1):
        ledger.add(START_NS, f"{number:05d}")
    with pytest.raises(MixinFeedStuckError):
        await next_snapshots(ledger.ask, FeedMark(), MAX_PAGE + 5)


async def test_a_page_out_of_order_is_drift() -> None:
    """Times that go back would make a cursor skip."""

    async def ask(_offset: str, _limit: int) -> list[Snapshot]:
        return [
            Snapshot("b", USDT_POLYGON, "1", format_time(START_NS + 1)),
            Snapshot("a", USDT_POLYGON, "1", format_time(START_NS)),
        ]

    with pytest.raises(MixinDriftError):
        await next_snapshots(ask, FeedMark(), 10)


async def test_a_busy_feed_keeps_a_small_cursor() -> None:
    """4,000 snapshots within the overlap: the cursor holds 2,000 of them, and none is told twice."""
    ledger = Ledger()
    for number in range(4_000):
        ledger.add(START_NS + number * 100_000, f"{number:05d}")
    names, cursor = await read_all(ledger, "", 500)
    assert len(names) == len(set(names)) == 4_000
    assert len(read_mark(cursor).taken) <= 2_000


@pytest.mark.parametrize("cursor", ["x", "{}x", "[]", '{"floor_ns": "a"}', "\ud800"])
def test_a_cursor_that_is_none_is_refused(cursor: str) -> None:
    """Guessing would skip."""
    with pytest.raises(InvalidInputError):
        read_mark(cursor)


@given(st.integers(0, 4 * 10**18))
def test_times_come_back_to_the_nanosecond(at_ns: int) -> None:
    """Writing and reading is the identity."""
    assert parse_time(format_time(at_ns)) == at_ns


@pytest.mark.parametrize(
    "text", ["", "now", "2026-01-01T00:00:00", "2026-13-01T00:00:00Z", "2026-01-01T00:00:00.x1Z"]
)
def test_a_time_without_a_zone_is_drift(text: str) -> None:
    """Local times have cost others payments."""
    with pytest.raises(MixinDriftError):
        parse_time(text)
    assert parse_time("2026-01-01T00:00:00Z") == parse_time("2026-01-01T00:00:00.000Z")


@pytest.fixture(params=[True, False], ids=["inclusive", "exclusive"])
async def standing(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[MixinBench]:
    """A sandbox whose stamps stand still, so that every snapshot ties."""
    bench = MixinBench(
        tmp_path,
        timeout_s=10.0,
        stamps=ManualClock(START_NS),
        inclusive_offset=request.param,
        microseconds=not request.param,
    )
    await bench.open()
    try:
        yield bench
    finally:
        await bench.close()


async def test_the_rail_reads_ties_over_a_restart(standing: MixinBench) -> None:
    """Twenty payments with one time, read three at a time by two rails: each once."""
    payer = standing.sandbox.enrol("payer", new_uuid(seeded(1))).app_id
    for _ in range(20):
        standing.sandbox.fund(payer, USDT_POLYGON, 5)
    paid = {standing.sandbox.pay(payer, standing.bot.app_id, USDT_POLYGON, 5, "m") for _ in range(20)}
    taken: list[str] = []
    cursor = ""
    while True:
        page = await standing.rail.incoming(cursor, 3)
        taken += [update.id for update in page.updates]
        if page.next_cursor == cursor:
            break
        cursor = page.next_cursor
        await standing.client.close()
        standing.reopen()
    assert sorted(taken) == sorted(paid)
    assert len(taken) == 20
