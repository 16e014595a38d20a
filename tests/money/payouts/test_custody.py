"""A pool's money between the rail and the venue: counted once, moved once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from money.payouts.conftest import HouseBuilder
from money.payouts.payments_house import SENDER, House
from money.payouts.payments_outside import FUNDING, USDT, VENUE_USDT, OutsideRail, OutsideVenue, Trick
from mrmarket.core.errors import InvalidInputError
from mrmarket.core.money import Asset
from mrmarket.money.ledger.account import Account, AccountKind
from mrmarket.money.ledger.group import Group
from mrmarket.money.ledger.rules import Rejection
from mrmarket.money.payouts.errors import (
    InexactAmountError,
    PayoutConflictError,
    PayoutStateError,
    SettlementRefusedError,
)
from mrmarket.money.payouts.move import Direction, Move, MoveRow, MoveState, convert_units
from mrmarket.money.payouts.payment import Standing
from mrmarket.money.payouts.payout import PayoutState
from mrmarket.money.payouts.repository import PayoutRepository
from mrmarket.money.payouts.view import in_transit, moves, status

POOL = Account.of(AccountKind.POOL, "main")
SCALE = 10**10
"""One unit of the rail's USDT in units of the venue's."""
TO_VENUE = Move("sweep-1", POOL.id, Direction.TO_VENUE, USDT, VENUE_USDT, 60)
TO_RAIL = Move("unwind-1", POOL.id, Direction.TO_RAIL, USDT, VENUE_USDT, 60 * SCALE)


async def start(house: House, move: Move) -> MoveRow:
    """Begin a move that is possible."""
    row = await house.moves.start(move)
    assert isinstance(row, MoveRow)
    return row


def row_of(house: House, state: MoveState | None = None) -> MoveRow:
    """The only move."""
    with house.reader.snapshot() as sql:
        (row,) = moves(sql)
    assert state is None or row.state is state, row
    return row


def transit(house: House) -> dict[str, int]:
    """What the pool has under way."""
    with house.reader.snapshot() as sql:
        return in_transit(sql, POOL.id)


def worth(house: House) -> int:
    """Posted balances of the pool over both places, in the venue's units."""
    return house.balance(POOL.id) * SCALE + house.balance(POOL.id, VENUE_USDT.id)


@pytest.fixture
def funded(house: House) -> House:
    """A pool with 100 on the rail and 100 at the venue."""
    house.fund(POOL, 100, USDT)
    house.fund(POOL, 100 * SCALE, VENUE_USDT)
    return house


async def test_money_goes_to_the_venue(either_house: House) -> None:
    """Held on the rail while it travels, it appears at the venue in the posting that ends the hold."""
    house = either_house
    house.fund(POOL, 100, USDT)
    await start(house, TO_VENUE)
    assert (house.balance(POOL.id), house.available(POOL.id)) == (100, 40)
    assert transit(house) == {USDT.id: 60}
    assert worth(house) == 100 * SCALE
    await house.settle_down()
    row = row_of(house, MoveState.DONE)
    assert [line[1:] for line in house.rail.paid()] == [(60, FUNDING, row.memo)]
    assert (house.balance(POOL.id), house.balance(POOL.id, VENUE_USDT.id)) == (40, 60 * SCALE)
    assert transit(house) == {}
    assert worth(house) == 100 * SCALE
    assert house.faults() == []


@pytest.mark.parametrize("trick", [None, Trick.LOST_ANSWER, Trick.LATE, Trick.LOST_QUESTION])
async def test_money_comes_from_the_venue_once(either_house: House, trick: Trick | None) -> None:
    """However the venue answers, one withdrawal arrives, is claimed by its memo, and ends the move."""
    house = either_house
    house.fund(POOL, 100 * SCALE, VENUE_USDT)
    house.venue.tricks.extend([trick] if trick else [])
    await start(house, TO_RAIL)
    assert transit(house) == {VENUE_USDT.id: 60 * SCALE}
    worths = set()
    for _ in range(14):
        worths.add(worth(house))
        await house.round(3_000)
    await house.settle_down(3)
    row = row_of(house, MoveState.DONE)
    assert worths == {worth(house)} == {100 * SCALE}
    assert (house.balance(POOL.id), house.balance(POOL.id, VENUE_USDT.id)) == (60, 40 * SCALE)
    assert (house.payment(f"venue-{row.id}").claim, house.payment(f"venue-{row.id}").ref) == ("move", row.id)
    assert len(house.rail.told()) == 1
    assert house.faults() == []


async def test_an_arrival_before_the_resend_ends_the_move(funded: House) -> None:
    """What was taken for absent and arrives before it is asked for again is not asked for again."""
    funded.venue.tricks.append(Trick.LATE)
    await start(funded, TO_RAIL)
    while row_of(funded).sends == 0 or row_of(funded).state is not MoveState.PLANNED:
        await funded.round(3_000)
    funded.venue.deliver()
    await funded.incoming.step(funded.now_ms)
    assert row_of(funded, MoveState.DONE).sends == 1
    await funded.settle_down(3)
    assert funded.balance(POOL.id) == 160
    assert funded.faults() == []


async def test_a_refused_withdrawal_gives_the_hold_back(funded: House) -> None:
    """The venue's no ends the move with its reason, and nothing has moved."""
    funded.venue.tricks.append(Trick.REFUSAL)
    await start(funded, TO_RAIL)
    await funded.round()
    row = row_of(funded, MoveState.REFUSED)
    assert row.reason == "more than is free"
    assert funded.available(POOL.id, VENUE_USDT.id) == 100 * SCALE
    assert transit(funded) == {}
    assert funded.faults() == []


async def test_a_refused_payment_to_the_venue_can_be_retried(funded: House) -> None:
    """The move follows its payout: refused with it, planned again with it, done with it."""
    funded.rail.tricks["send"].extend([Trick.REFUSAL] * 3)
    row = await start(funded, TO_VENUE)
    await funded.settle_down()
    assert row_of(funded, MoveState.REFUSED).reason == "not today"
    assert funded.available(POOL.id) == 100
    funded.do(lambda draft: funded.clearing.retry(draft, row.payout_id))
    assert row_of(funded).state is MoveState.PLANNED
    await funded.settle_down()
    row_of(funded, MoveState.DONE)
    assert worth(funded) == 200 * SCALE
    assert funded.faults() == []


async def test_a_payout_is_not_revived_for_a_move_that_has_not_failed(funded: House) -> None:
    """The cause's own state stands against a retry that would move money behind its back."""
    row = await start(funded, TO_VENUE)
    with pytest.raises(PayoutStateError):
        funded.do(lambda draft: funded.clearing.retry(draft, row.payout_id))
    payout = funded.do(lambda draft: PayoutRepository(draft.sql).find(row.payout_id))
    assert payout is not None
    assert payout.state is PayoutState.QUEUED


async def test_the_venues_fee_is_named_and_comes_out_of_the_pool(
    build: HouseBuilder, rail: OutsideRail
) -> None:
    """What arrives is less by the fee that the venue declares; the pool bears it, visibly."""
    house = build(venue=OutsideVenue(rail, fee_units=2 * SCALE))
    house.fund(POOL, 100 * SCALE, VENUE_USDT)
    await start(house, TO_RAIL)
    await house.settle_down()
    assert row_of(house, MoveState.DONE).fee_units == 2 * SCALE
    assert (house.balance(POOL.id), house.balance(POOL.id, VENUE_USDT.id)) == (58, 40 * SCALE)
    with house.reader.snapshot() as sql:
        kinds = sql.rows("SELECT units FROM transfers WHERE kind = 'NETWORK_FEE'")
    assert [int(units) for (units,) in kinds] == [2 * SCALE]
    assert house.faults() == []


async def test_a_strange_amount_waits_and_is_then_parked(funded: House) -> None:
    """With a move's memo and another amount a payment is neither taken nor sent back."""
    funded.venue.tricks.append(Trick.LOST_QUESTION)
    row = await start(funded, TO_RAIL)
    await funded.round()
    funded.rail.tell("odd", 59, memo=row.memo)
    await funded.incoming.step(funded.now_ms)
    assert funded.payment("odd").standing is Standing.RECEIVED
    assert "brings 60 units" in funded.payment("odd").reason
    await funded.settle_down(20)
    row_of(funded, MoveState.DONE)
    assert funded.payment("odd").standing is Standing.PARKED
    assert funded.balance("suspense:rail") == 59
    assert funded.faults() == []


@pytest.mark.parametrize("fee", [1, 61 * SCALE, 3 * SCALE])
async def test_a_fee_that_explains_nothing_parks_the_payment(
    build: HouseBuilder, rail: OutsideRail, fee: int
) -> None:
    """A declared fee must be less than the move, exact on the rail, and just what is missing."""
    house = build(venue=OutsideVenue(rail, fee_units=fee))
    house.fund(POOL, 100 * SCALE, VENUE_USDT)
    house.venue.tricks.append(Trick.LOST_QUESTION)
    row = await start(house, TO_RAIL)
    await house.round()
    house.rail._db.execute(
        "INSERT INTO withdrawals VALUES (?, 'USDT', '1', 'confirmed', ?)", (row.id, str(fee))
    )
    house.rail.tell("odd", 59, memo=row.memo, sender=FUNDING)
    for _ in range(6):
        await house.round(5_000)
    assert house.payment("odd").standing is Standing.PARKED
    assert house.balance(POOL.id) == 0
    assert house.faults() == []


async def test_a_memo_of_no_move_is_an_ordinary_payment(funded: House) -> None:
    """A stranger's `move:` memo, or one with another asset, goes back to its sender."""
    row = await start(funded, TO_RAIL)
    funded.rail.tell("a", 60, memo="move:nothing")
    funded.rail.tell("b", 60, memo=row.memo, code="BTC")
    await funded.settle_down()
    assert {funded.payment(name).standing for name in ("a", "b")} == {Standing.REFUNDED}
    assert {line[2] for line in funded.rail.paid()} == {SENDER}


async def test_asking_twice_is_one_move(funded: House) -> None:
    """The same cause gives the row as it stands; with other content it is an error."""
    first = await start(funded, TO_VENUE)
    assert await funded.moves.start(TO_VENUE) == first
    with pytest.raises(PayoutConflictError):
        await funded.moves.start(replace(TO_VENUE, units=61))
    assert funded.available(POOL.id) == 40


@pytest.mark.parametrize("move", [replace(TO_VENUE, units=101), replace(TO_RAIL, units=101 * SCALE)])
async def test_a_move_needs_the_money(funded: House, move: Move) -> None:
    """More than is free is refused by the books, and nothing is written."""
    refusal = await funded.moves.start(move)
    assert isinstance(refusal, Rejection)
    assert refusal.code == "insufficient_funds"
    with funded.reader.snapshot() as sql:
        assert moves(sql) == []
        assert [tally.state for tally in status(sql).moves] == []


async def test_digits_are_never_lost(funded: House) -> None:
    """An amount that the rail cannot hold exactly is refused with the part that fits."""
    with pytest.raises(InexactAmountError) as caught:
        await funded.moves.start(replace(TO_RAIL, units=60 * SCALE + 1))
    assert caught.value.exact_units == 60 * SCALE
    assert convert_units(7, 8, 18) == 7 * SCALE
    assert convert_units(7 * SCALE, 18, 8) == 7
    with pytest.raises(InexactAmountError):
        _ = replace(TO_VENUE, venue_asset=Asset("simulated", "USDT", 6), units=1).venue_units


@pytest.mark.parametrize(
    "change", [{"cause_key": ""}, {"units": 0}, {"venue_asset": Asset("simulated", "BTC", 18)}]
)
def test_a_move_without_sense_is_refused(change: dict[str, object]) -> None:
    """It needs a cause, an amount, and the same asset at both ends."""
    with pytest.raises(InvalidInputError):
        replace(TO_VENUE, **change)  # type: ignore[arg-type]  # wrong values are the point


async def test_a_venue_asset_that_differs_is_refused_before_anything_moves(house: House) -> None:
    """Where the books know the venue's asset with other decimals, the plan fails whole."""
    house.fund(POOL, 100, USDT)
    house.do(lambda draft: draft.post(Group("register", assets=(Asset("simulated", "USDT", 6),))))
    with pytest.raises(SettlementRefusedError):
        await house.moves.start(TO_VENUE)
    assert house.available(POOL.id) == 100


async def test_a_stale_report_changes_nothing(funded: House) -> None:
    """A report on a move that has ended, and a take of one that is under way, are ignored."""
    row = await start(funded, TO_RAIL)
    await funded.round()
    assert funded.do(lambda draft: funded.book.take(draft, row.id, 0)) is None
    await funded.settle_down(4)
    done = row_of(funded, MoveState.DONE)
    report = await funded.venue.find(row.id)
    after = funded.do(lambda draft: funded.book.note(draft, done, report, 0, looked_up=True))
    assert after == done
    funded.do(lambda draft: funded.book.stumble(draft, row.id, "late", 0))
    assert row_of(funded) == done


async def test_a_report_that_cannot_be_followed_is_noted(funded: House) -> None:
    """An error inside the books leaves the move as it was, with the reason and a later time."""
    await start(funded, TO_RAIL)
    note = funded.book.note

    def objects(*args: object, **options: object) -> MoveRow:
        raise ValueError("not now")

    funded.book.note = objects  # type: ignore[method-assign]  # a book that fails once
    await funded.moves.step(funded.now_ms)
    row = row_of(funded, MoveState.MOVING)
    assert (row.reason, row.due_ms > funded.now_ms) == ("ValueError: not now", True)
    funded.book.note = note  # type: ignore[method-assign]  # it is well again
    await funded.settle_down(4)
    row_of(funded, MoveState.DONE)
