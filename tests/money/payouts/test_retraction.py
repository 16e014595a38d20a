"""A payment that the rail takes back costs the owner's reserve, never a user."""

from __future__ import annotations

import pytest

from money.payouts.conftest import HouseBuilder
from money.payouts.payments_house import BOB_ADDRESS, SENDER, House
from money.payouts.payments_outside import USDT, Trick
from mrmarket.money.ledger.account import Account, AccountKind
from mrmarket.money.payouts.payment import Standing
from mrmarket.money.payouts.payout import Payout
from mrmarket.money.payouts.port import IncomingPayment, PaymentState
from mrmarket.money.payouts.view import status

OWNER_RESERVE = Account.of(AccountKind.OWNER, "reserve")
CONFIRMED, RETRACTED, SEEN = PaymentState.CONFIRMED, PaymentState.RETRACTED, PaymentState.SEEN


def word(state: PaymentState, at_ms: int, memo: str = "deposit:alice") -> IncomingPayment:
    """A word about payment `p1` of 50 units."""
    return IncomingPayment("rail", "p1", "USDT", 50, SENDER, memo, state, 1, 1, at_ms)


def incidents(house: House) -> list[tuple[str, str]]:
    """Open incidents: (kind, reason)."""
    with house.reader.snapshot() as sql:
        return [(incident.kind, incident.reason) for incident in status(sql).incidents]


def test_what_was_only_seen_is_forgotten(house: House) -> None:
    """Without a posting there is nothing to undo."""
    house.take_word(word(SEEN, 10))
    house.take_word(word(RETRACTED, 20))
    assert house.payment("p1").standing is Standing.RETRACTED
    assert house.balance("rail:rail") == 0
    assert house.faults() == []


@pytest.mark.parametrize("memo", ["deposit:alice", "park:look", "nobody"])
async def test_what_is_still_in_suspense_is_reversed(house: House, memo: str) -> None:
    """Received, parked, or queued to be sent back: the receipt is reversed and nobody bears anything."""
    house.take_word(word(CONFIRMED, 10, memo))
    if memo != "deposit:alice":
        await house.incoming.step(house.now_ms)
    house.take_word(word(RETRACTED, 20, memo))
    assert house.payment("p1").standing is Standing.RETRACTED
    assert (house.balance("suspense:rail"), house.balance("rail:rail")) == (0, 0)
    await house.settle_down(3)
    assert house.rail.paid() == []
    assert incidents(house) == []
    assert house.faults() == []


async def test_a_claimer_may_give_it_back(either_house: House) -> None:
    """Where the user still has the deposit it is taken out again through suspense."""
    house = either_house
    house.take_word(word(CONFIRMED, 10))
    await house.round()
    house.take_word(word(RETRACTED, 20))
    assert house.payment("p1").standing is Standing.RETRACTED
    assert (house.balance("user:alice"), house.balance("rail:rail")) == (0, 0)
    assert house.faults() == []


async def test_what_was_spent_is_charged_to_the_reserve(build: HouseBuilder) -> None:
    """The user keeps the deposit, the reserve pays, and the payment keeps its disposition."""
    house = build(releases=False)
    house.fund(OWNER_RESERVE, 70, USDT)
    house.take_word(word(CONFIRMED, 10))
    await house.round()
    house.take_word(word(RETRACTED, 20))
    house.take_word(word(RETRACTED, 21))
    payment = house.payment("p1")
    assert (payment.standing, payment.booked) == (Standing.CLAIMED, False)
    assert (house.balance("user:alice"), house.balance("owner:reserve")) == (50, 20)
    assert house.balance("rail:rail") == 0
    assert incidents(house) == []
    assert house.faults() == []


async def test_a_short_reserve_leaves_a_visible_shortage(build: HouseBuilder) -> None:
    """Nobody goes below zero: the incident stays open with what is missing until the reserve can pay."""
    house = build(releases=False)
    house.fund(OWNER_RESERVE, 20, USDT)
    house.take_word(word(CONFIRMED, 10))
    await house.round()
    house.take_word(word(RETRACTED, 20))
    await house.round()
    ((kind, reason),) = incidents(house)
    assert kind == "retraction"
    assert "30 units of rail:USDT short" in reason
    assert (house.balance("owner:reserve"), house.balance("user:alice")) == (20, 50)
    house.fund(OWNER_RESERVE, 30, USDT)
    await house.round()
    assert incidents(house) == []
    assert (house.balance("owner:reserve"), house.balance("rail:rail")) == (0, 0)


async def test_what_comes_back_is_credited_again(house: House) -> None:
    """Confirmed after a retraction it is posted anew, under a key of its own, and claimed again."""
    house.take_word(word(CONFIRMED, 10))
    house.take_word(word(RETRACTED, 20))
    house.take_word(word(SEEN, 30))
    assert house.payment("p1").standing is Standing.SEEN
    house.take_word(word(CONFIRMED, 40))
    await house.round()
    payment = house.payment("p1")
    assert (payment.standing, payment.receipts) == (Standing.CLAIMED, 2)
    assert (house.balance("user:alice"), house.balance("rail:rail")) == (50, -50)
    assert house.faults() == []


async def test_an_old_word_does_not_bring_it_back(house: House) -> None:
    """A late repeat of the confirmation, or an overtaken retraction, changes nothing."""
    house.take_word(word(CONFIRMED, 10))
    house.take_word(word(RETRACTED, 5))
    assert house.payment("p1").standing is Standing.RECEIVED
    house.take_word(word(RETRACTED, 20))
    house.take_word(word(CONFIRMED, 10))
    house.take_word(word(CONFIRMED, 20))
    assert house.payment("p1").standing is Standing.RETRACTED
    assert house.balance("suspense:rail") == 0


@pytest.mark.parametrize("reserve", [70, 0])
async def test_a_charged_payment_that_comes_back_repays_the_reserve(
    build: HouseBuilder, reserve: int
) -> None:
    """Charged and repaid as often as the rail changes its mind; without one the incident just closes."""
    house = build(releases=False)
    if reserve:
        house.fund(OWNER_RESERVE, reserve, USDT)
    house.take_word(word(CONFIRMED, 10))
    await house.round()
    for at_ms in (20, 40):
        house.take_word(word(RETRACTED, at_ms))
        assert house.balance("owner:reserve") == max(0, reserve - 50)
        house.take_word(word(CONFIRMED, at_ms + 10))
        assert house.balance("owner:reserve") == reserve
        assert incidents(house) == []
    payment = house.payment("p1")
    assert (payment.standing, payment.booked) == (Standing.CLAIMED, True)
    assert (house.balance("user:alice"), house.balance("rail:rail")) == (50, -50)
    assert house.faults() == []


@pytest.mark.parametrize("reserve", [70, 0])
@pytest.mark.parametrize("refused", [True, False])
async def test_a_refund_under_way_cannot_be_called_back(house: House, reserve: int, refused: bool) -> None:
    """The reserve pays for one that goes through; of a refused one nothing was lost, and it is repaid."""
    if reserve:
        house.fund(OWNER_RESERVE, reserve, USDT)
    house.take_word(word(CONFIRMED, 10, "nobody"))
    house.rail.tricks["send"].extend([Trick.LATE] if not refused else [Trick.LOST_QUESTION])
    await house.round()
    house.take_word(word(RETRACTED, 20, "nobody"))
    assert house.balance("owner:reserve") == max(0, reserve - 50)
    if refused:
        house.rail.tricks["send"].extend([Trick.REFUSAL] * 3)
        for _ in range(14):
            await house.round(5_000)
    else:
        await house.settle_down()
    payment = house.payment("p1")
    assert payment.standing is (Standing.RETRACTED if refused else Standing.REFUNDED)
    assert house.balance("owner:reserve") == (reserve if refused else max(0, reserve - 50))
    assert len(incidents(house)) == (0 if refused or reserve else 1)
    assert house.balance("suspense:rail") == 0
    assert house.faults() == []


async def test_a_refund_that_is_back_with_its_sender_is_charged(house: House) -> None:
    """Retracted after its refund was final, the loss is the reserve's."""
    house.fund(OWNER_RESERVE, 70, USDT)
    house.rail.tell("p1", 50)
    await house.settle_down()
    update = house.rail.told()[0]
    house.rail.tell("p1", 50, RETRACTED, at_ms=update.at_ms + 1)
    await house.round()
    assert house.payment("p1").standing is Standing.REFUNDED
    assert house.balance("owner:reserve") == 20
    assert house.faults() == []


async def test_somebody_elses_refund_is_left_alone(house: House) -> None:
    """A payout of the cause `refund` that no payment belongs to ends without touching any."""
    house.fund(OWNER_RESERVE, 70, USDT)
    payout = Payout("refund", "by hand", "rail", OWNER_RESERVE.id, USDT.id, 5, BOB_ADDRESS)
    house.do(lambda draft: house.outbox.enqueue(draft, payout))
    await house.settle_down()
    assert house.balance("owner:reserve") == 65
    assert house.faults() == []
