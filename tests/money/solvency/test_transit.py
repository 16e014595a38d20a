"""Money on its way is no difference: through whole lives of deposits, moves and payouts it always adds up."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from money.payouts.payments_outside import OutsideRail, Trick
from money.pool.pool_house import ALICE, ONE, OTHER_WALLET, SHARE, PoolHouse, plan
from mrmarket.core.clock import ManualClock
from mrmarket.money.payouts.port import PaymentState
from mrmarket.money.pool.wanted_moves import MovePolicy
from mrmarket.money.solvency.comparison import Line, Place, Span, Standing
from mrmarket.money.solvency.repository import Observation
from mrmarket.money.solvency.transit import spans_of
from mrmarket.money.solvency.watch import lines_of, observe

RAIL = "rail:USDT"
PLACES = {"rail": Place("rail", 60_000, slack_ms=10)}


@pytest.fixture
def house(tmp_path: Path) -> Iterator[PoolHouse]:
    """A founded pool that keeps nothing idle on the rail."""
    clock = ManualClock()
    rail = OutsideRail(clock)
    house = PoolHouse(tmp_path, rail, clock, [plan()], moves=MovePolicy())
    house.found()
    house.pass_time(60)
    yield house
    house.close()
    rail.close()


def line(house: PoolHouse) -> Line:
    """Ask the rail what it holds, and tell how its USDT fares."""
    units = asyncio.run(house.rail.balances())["USDT"]
    words = [Observation("rail", "USDT", units, 8, house.now_ms)]
    house.do(lambda draft: observe(draft, words))
    with house.treasury.reader.snapshot() as sql:
        lines = lines_of(sql, PLACES, house.now_ms)
    (found,) = [line for line in lines if line.asset == RAIL] or [_nothing()]
    return found


def _nothing() -> Line:
    return Line(
        asset=RAIL,
        place="rail",
        owed=0,
        seen=0,
        seen_at_ms=0,
        difference=0,
        unexplained=0,
        spans=(),
        standing=Standing.MATCHES,
        why="",
    )


def spans(house: PoolHouse) -> list[Span]:
    """What is on its way."""
    with house.treasury.reader.snapshot() as sql:
        return list(spans_of(sql))


def test_a_payout_may_have_left_before_we_know(house: PoolHouse) -> None:
    """From asking the rail to its receipt the units may be on either side; before and after they are not."""
    house.enter(1_000 * ONE)
    house.pass_time(5)
    assert line(house).standing is Standing.MATCHES
    house.leave(400 * SHARE)
    house.price("60000")
    assert spans(house) == []
    house.round(1)
    (span,) = [span for span in spans(house) if span.asset == RAIL]
    assert (span.low, span.high) == (-400 * ONE, 0)
    assert line(house).is_sound
    for _ in range(4):
        house.rail.confirm()
        house.round(5)
        assert line(house).is_sound
    assert spans(house) == []
    house.pass_time(5)
    assert (line(house).standing, line(house).owed) == (Standing.MATCHES, 600 * ONE)
    assert house.paid() == [(400 * ONE, OTHER_WALLET)]


def test_a_payment_that_is_seen_and_not_final_may_be_there(house: PoolHouse) -> None:
    """It may count in what the rail says and does not count in the books."""
    row = house.intend(50 * ONE)
    house.pay(row, state=PaymentState.SEEN, name="slow")
    (span,) = spans(house)
    assert (span.asset, span.low, span.high) == (RAIL, 0, 50 * ONE)
    assert line(house).is_sound
    house.pay(row, name="slow")
    assert spans(house) == []
    assert line(house).is_sound
    house.pass_time(5)
    assert (line(house).standing, line(house).owed) == (Standing.MATCHES, 50 * ONE)


@pytest.mark.parametrize("trick", [None, Trick.LOST_ANSWER, Trick.LOST_QUESTION, Trick.UNCLEAR])
def test_whatever_the_rail_does_with_a_payout_it_adds_up(house: PoolHouse, trick: Trick | None) -> None:
    """Paid and unanswered, unpaid and unanswered, paid and answered: never a unit unexplained."""
    house.enter(1_000 * ONE)
    if trick is not None:
        house.rail.tricks["send"].append(trick)
    house.leave(250 * SHARE)
    house.price("60000")
    for _ in range(60):
        assert line(house).is_sound
        house.round(5)
        assert line(house).is_sound
        house.rail.confirm()
    house.pass_time(30)
    assert line(house).standing is Standing.MATCHES
    assert house.paid() == [(250 * ONE, OTHER_WALLET)]


def test_moves_to_and_from_the_venue_are_on_their_way(house: PoolHouse) -> None:
    """Both ends may have it while a move is under way; afterwards neither has a span."""
    house.enter(1_000 * ONE)
    moved = house.carry_moves()
    seen: set[str] = set()
    for _ in range(8):
        seen |= {span.asset for span in spans(house)}
        assert line(house).is_sound
        house.rail.confirm()
        house.venue.deliver()
        house.round(5)
    assert spans(house) == []
    assert (moved > 0) is ("simulated:USDT" in seen)
    house.leave(900 * SHARE, ALICE)
    house.price("60000")
    moved = house.carry_moves()
    assert line(house).is_sound
    for _ in range(8):
        house.rail.confirm()
        house.venue.deliver()
        house.round(5)
        assert line(house).is_sound
    house.pass_time(30)
    assert spans(house) == []
    assert line(house).standing is Standing.MATCHES
