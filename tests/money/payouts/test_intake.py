"""Every payment that comes in is posted once and comes to exactly one end."""

from __future__ import annotations

from typing import Any

import pytest

from money.payouts.conftest import HouseBuilder
from money.payouts.payments_house import BOB_ADDRESS, SENDER, House
from money.payouts.payments_outside import Trick
from mrmarket.core.errors import InvalidInputError
from mrmarket.core.money import Asset
from mrmarket.money.ledger.draft import Draft
from mrmarket.money.ledger.group import Group
from mrmarket.money.payouts.errors import PaymentNotParkedError, PayoutStateError, UnknownPaymentError
from mrmarket.money.payouts.payment import Claim, Payment, Standing, Verdict
from mrmarket.money.payouts.payout import PayoutState
from mrmarket.money.payouts.port import IncomingPage, IncomingPayment, PaymentState, clean_text
from mrmarket.money.payouts.repository import PayoutRepository
from mrmarket.money.payouts.view import payments, status


def word(state: PaymentState, at_ms: int = 10, **changes: Any) -> IncomingPayment:
    """A word about payment `p1`."""
    values: dict[str, Any] = {
        "rail": "rail",
        "id": "p1",
        "asset_code": "USDT",
        "units": 50,
        "sender": SENDER,
        "memo": "deposit:alice",
        "state": state,
        "confirmations": 1,
        "required": 1,
        "at_ms": at_ms,
    }
    return IncomingPayment(**{**values, **changes})


async def test_a_deposit_is_seen_received_and_claimed(either_house: House) -> None:
    """Nothing is posted before it is final; then it goes through suspense to whoever claims it, once."""
    house = either_house
    house.rail.tell("p1", 50, PaymentState.SEEN, memo="deposit:alice")
    await house.round()
    assert house.payment("p1").standing is Standing.SEEN
    assert house.balance("rail:rail") == 0
    house.rail.tell("p1", 50, memo="deposit:alice")
    house.rail.tricks["incoming"].extend([Trick.REPEATED, Trick.REPEATED, Trick.SHUFFLED])
    for _ in range(4):
        await house.round()
    payment = house.payment("p1")
    assert (payment.standing, payment.claim, payment.ref) == (Standing.CLAIMED, "deposit", "alice")
    assert (house.balance("user:alice"), house.balance("suspense:rail")) == (50, 0)
    assert house.balance("rail:rail") == -50
    assert house.told == [("p1", "seen"), ("p1", "received"), ("p1", "claimed")]
    assert house.faults() == []


async def test_words_out_of_order_come_to_the_same(house: House) -> None:
    """A confirmation before the first sight, and the sight after it, are one deposit."""
    for state in (PaymentState.CONFIRMED, PaymentState.SEEN, PaymentState.CONFIRMED, PaymentState.SEEN):
        house.take_word(word(state))
    await house.round()
    assert house.balance("user:alice") == 50
    assert house.payment("p1").receipts == 1


@pytest.mark.parametrize("memo", ["", "hello", "decline:too late"])
async def test_what_nobody_takes_goes_back_in_full(house: House, memo: str) -> None:
    """A payment without a claimer, or that its claimer declines, is refunded once to its sender."""
    house.rail.tell("p1", 50, memo=memo)
    await house.round()
    payment = house.payment("p1")
    assert payment.standing is Standing.REFUNDING
    assert payment.reason == ("too late" if memo.startswith("decline") else "it fits nothing that we expect")
    await house.settle_down()
    assert house.payment("p1").standing is Standing.REFUNDED
    assert [line[1:] for line in house.rail.paid()] == [(50, SENDER, "refund:p1")]
    assert (house.balance("suspense:rail"), house.balance("rail:rail")) == (0, 0)
    assert house.faults() == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"sender": ""}, "unknown_sender"),
        ({"sender": "nobody knows"}, "unknown_sender"),
        ({"memo": "refund:x"}, "a refund came back"),
        ({"memo": "park:look at this"}, "look at this"),
    ],
)
async def test_what_cannot_go_back_is_parked_in_suspense(
    house: House, change: dict[str, Any], reason: str
) -> None:
    """Without a sender, as somebody's refund, or at a claimer's word it waits for the owner, in the books."""
    house.take_word(word(PaymentState.CONFIRMED, **{"memo": "", **change}))
    await house.settle_down(2)
    payment = house.payment("p1")
    assert (payment.standing, payment.booked) == (Standing.PARKED, True)
    assert reason in payment.reason
    assert house.balance("suspense:rail") == 50
    assert house.rail.paid() == []
    sent = house.do(lambda draft: house.intake.send_back(draft, "rail", "p1", BOB_ADDRESS.upper()))
    assert sent.standing is Standing.REFUNDING
    await house.settle_down()
    assert house.payment("p1").standing is Standing.REFUNDED
    assert [line[1:3] for line in house.rail.paid()] == [(50, BOB_ADDRESS)]
    assert house.faults() == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"asset_code": "DOGE"}, "unknown_asset"),
        ({"units": 0}, "unbookable_amount"),
        ({"units": 2**127}, "unbookable_amount"),
        ({"units": 10**78 - 1}, "unbookable_amount"),
    ],
)
async def test_what_the_books_cannot_hold_is_parked_outside_them(
    house: House, change: dict[str, Any], reason: str
) -> None:
    """An asset that the rail does not list, or an impossible amount, is kept visibly; nothing is posted."""
    house.take_word(word(PaymentState.CONFIRMED, **change))
    payment = house.payment("p1")
    assert (payment.standing, payment.booked) == (Standing.PARKED, False)
    assert payment.units == change.get("units", 50)
    assert payment.reason.startswith(reason)
    with pytest.raises(PaymentNotParkedError):
        house.do(lambda draft: house.intake.send_back(draft, "rail", "p1"))
    again = house.do(lambda draft: house.intake.reconsider(draft, "rail", "p1"))
    assert again.standing is Standing.PARKED
    house.take_word(word(PaymentState.RETRACTED, **change))
    assert house.payment("p1").standing is Standing.RETRACTED
    assert house.faults() == []


async def test_an_asset_that_gets_listed_can_be_taken_after_all(house: House) -> None:
    """When the rail lists the asset, the owner's word takes the parked payment in."""
    house.take_word(word(PaymentState.CONFIRMED, asset_code="DOGE"))
    house.rail.listed.append(Asset("rail", "DOGE", 8))
    house.do(lambda draft: house.intake.reconsider(draft, "rail", "p1"))
    await house.round()
    assert house.balance("user:alice", "rail:DOGE") == 50
    assert house.faults() == []


async def test_an_asset_that_changed_its_digits_is_not_booked(house: House) -> None:
    """A rail that lists an asset with other decimals than the books know is not believed."""
    house.do(lambda draft: draft.post(Group("register", assets=(Asset("rail", "USDT", 6),))))
    house.take_word(word(PaymentState.CONFIRMED))
    payment = house.payment("p1")
    assert (payment.standing, payment.booked) == (Standing.PARKED, False)
    assert payment.reason.startswith("asset_differs")


async def test_the_owner_lets_a_parked_payment_go_on(house: House) -> None:
    """Reconsidering runs the claimers again; only parked payments wait for that."""
    house.take_word(word(PaymentState.CONFIRMED, memo="park:look"))
    await house.round()
    again = house.do(lambda draft: house.intake.reconsider(draft, "rail", "p1"))
    assert again.standing is Standing.RECEIVED
    with pytest.raises(PaymentNotParkedError):
        house.do(lambda draft: house.intake.reconsider(draft, "rail", "p1"))
    with pytest.raises(UnknownPaymentError):
        house.do(lambda draft: house.intake.send_back(draft, "rail", "p2"))
    await house.round()
    assert house.payment("p1").standing is Standing.PARKED


async def test_a_refused_refund_is_parked_and_can_be_tried_again(house: House) -> None:
    """The money is in suspense again; a retry of the payout, or another address, sends it back once."""
    house.rail.tricks["send"].extend([Trick.REFUSAL] * 3)
    house.rail.tell("p1", 50)
    await house.settle_down()
    payment = house.payment("p1")
    assert (payment.standing, payment.reason) == (Standing.PARKED, "the refund was refused: not today")
    assert house.balance("suspense:rail") == 50
    with pytest.raises(PayoutStateError):
        house.do(lambda draft: house.intake.send_back(draft, "rail", "p1"))
    house.do(lambda draft: house.clearing.retry(draft, payment.ref))
    assert house.payment("p1").standing is Standing.REFUNDING
    await house.settle_down()
    assert house.payment("p1").standing is Standing.REFUNDED
    assert len(house.rail.paid()) == 1
    assert house.faults() == []


async def test_a_refund_elsewhere_ends_the_first_one(house: House) -> None:
    """Once the owner has named another address, the refused refund to the sender cannot be retried."""
    house.rail.tricks["send"].extend([Trick.REFUSAL] * 3)
    house.rail.tell("p1", 50)
    await house.settle_down()
    first = house.payment("p1").ref
    house.do(lambda draft: house.intake.send_back(draft, "rail", "p1", BOB_ADDRESS))
    refused = house.do(lambda draft: PayoutRepository(draft.sql).find(first))
    assert refused is not None
    assert refused.state is PayoutState.REFUSED
    retried = house.do(lambda draft: house.clearing.retry(draft, first))
    assert getattr(retried, "code", "") == "insufficient_funds"
    await house.settle_down()
    assert [line[2] for line in house.rail.paid()] == [BOB_ADDRESS]
    assert house.faults() == []


async def test_a_claimer_that_waits_is_asked_again_later(house: House) -> None:
    """The payment stays in suspense with the reason, and the pauses grow."""
    house.rail.tell("p1", 50, memo="wait:for the venue")
    await house.round(0)
    payment = house.payment("p1")
    assert (payment.standing, payment.reason, payment.attempts) == (Standing.RECEIVED, "for the venue", 1)
    assert payment.due_ms > house.now_ms
    await house.round(20_000)
    assert house.payment("p1").attempts == 1
    await house.round()
    assert house.payment("p1").attempts == 2


def greedy(draft: Draft, payment: Payment) -> Verdict:
    """Claims without posting."""
    return Claim("deposit", "nobody")


async def test_a_claim_must_take_exactly_what_came_in(house: House) -> None:
    """A claimer that posts another amount is undone and shown; the payment is not lost and others go on."""
    house.intake._claimers = (greedy,)
    house.rail.tell("p1", 50)
    taken = await house.incoming.step(house.now_ms)
    assert (taken.updates, taken.decided, taken.stumbled) == (1, 0, 1)
    payment = house.payment("p1")
    assert payment.standing is Standing.RECEIVED
    assert payment.reason.startswith("claim_mismatch: ")
    assert house.balance("suspense:rail") == 50


async def test_a_rail_that_contradicts_itself_changes_nothing_in_the_books(house: House) -> None:
    """A changed amount, memo or sender opens one incident; what is posted stays, what is not is parked."""
    house.take_word(word(PaymentState.CONFIRMED))
    for change in (
        {"units": 51},
        {"memo": "deposit:mallory"},
        {"sender": BOB_ADDRESS},
        {"asset_code": "BTC"},
    ):
        house.take_word(word(PaymentState.CONFIRMED, 20, **change))
    await house.round()
    assert house.balance("user:alice") == 50
    house.take_word(word(PaymentState.SEEN, id="p2"))
    house.take_word(word(PaymentState.CONFIRMED, id="p2", units=5_000))
    assert (house.payment("p2").standing, house.payment("p2").booked) == (Standing.PARKED, False)
    with house.reader.snapshot() as sql:
        found = [(incident.kind, incident.payment_id) for incident in status(sql).incidents]
    assert sorted(found) == [("contradiction", "p1"), ("contradiction", "p2")]
    assert house.faults() == []


async def test_a_sender_may_become_known(house: House) -> None:
    """A rail that names the sender later tells where a refund can go."""
    house.take_word(word(PaymentState.SEEN, sender=""))
    house.take_word(word(PaymentState.CONFIRMED, memo="deposit:alice"))
    assert house.payment("p1").sender == SENDER


async def test_strange_texts_are_cut_and_cleaned(house: House) -> None:
    """What a stranger writes is kept without control characters and with an end."""
    house.take_word(word(PaymentState.CONFIRMED, memo="a\0b\ud800" + "x" * 1_000, sender="\n"))
    payment = house.payment("p1")
    assert payment.memo == ("a\ufffdb\ufffd" + "x" * 508)
    assert payment.sender == ""
    assert clean_text("  plain  ") == "plain"
    await house.round()
    assert house.payment("p1").standing is Standing.PARKED


@pytest.mark.parametrize(
    "change", [{"id": ""}, {"id": "x" * 129}, {"id": "ä"}, {"units": -1}, {"units": 1.5}, {"at_ms": 2**63}]
)
def test_a_word_without_sense_is_refused_at_the_port(change: dict[str, Any]) -> None:
    """Nameless payments, fractions and times beyond 64 bits never reach the books."""
    with pytest.raises(InvalidInputError):
        word(PaymentState.SEEN, **change)


async def test_a_silent_feed_is_asked_less_often_and_says_so(house: House) -> None:
    """Failures are counted with their reason, the pause grows, and nothing is lost when it comes back."""
    house.rail.tell("p1", 50, memo="deposit:alice")
    house.rail.tricks["incoming"].extend([Trick.UNCLEAR, Trick.UNCLEAR])
    assert (await house.incoming.step(house.now_ms)).failures == 1
    assert (await house.incoming.step(house.now_ms)).updates == 0
    house.pass_time(10_000)
    assert (await house.incoming.step(house.now_ms)).failures == 1
    with house.reader.snapshot() as sql:
        (feed,) = status(sql).feeds
    assert (feed.failures, feed.due_ms > house.now_ms) == (2, True)
    assert "no answer" in feed.reason
    house.pass_time(10_000)
    assert (await house.incoming.step(house.now_ms)).updates == 1
    with house.reader.snapshot() as sql:
        assert [line.failures for line in status(sql).feeds] == [0]
        assert [line.id for line in payments(sql)] == ["p1"]


async def test_a_feed_that_recovers_empty_forgets_its_failures(house: House) -> None:
    """An answer without news ends a row of failures."""
    house.rail.tricks["incoming"].append(Trick.UNCLEAR)
    await house.incoming.step(house.now_ms)
    house.pass_time(10_000)
    await house.incoming.step(house.now_ms)
    with house.reader.snapshot() as sql:
        assert [line.failures for line in status(sql).feeds] == [0]


async def test_a_page_of_another_rail_is_not_taken(house: House) -> None:
    """A feed that tells of other rails' payments is treated as failing."""
    stranger = word(PaymentState.CONFIRMED, rail="other")

    async def confused(cursor: str, limit: int) -> IncomingPage:
        return IncomingPage([stranger], "1")

    house.rail.incoming = confused  # type: ignore[method-assign]  # a confused rail
    assert (await house.incoming.step(house.now_ms)).failures == 1
    with house.reader.snapshot() as sql:
        assert payments(sql) == []


async def test_a_page_that_cannot_be_kept_is_read_again(build: HouseBuilder) -> None:
    """An error while booking keeps the cursor where it was, so that nothing of the page is lost."""
    house = build()
    observe = house.intake._observers

    def objects(draft: Draft, payment: Payment) -> None:
        raise ValueError("not now")

    house.intake._observers = (objects,)
    house.rail.tell("p1", 50, memo="deposit:alice")
    assert (await house.incoming.step(house.now_ms)).failures == 1
    with house.reader.snapshot() as sql:
        assert [feed.reason for feed in status(sql).feeds] == ["ValueError: not now"]
        assert payments(sql) == []
    house.intake._observers = observe
    house.pass_time(10_000)
    await house.round()
    assert house.balance("user:alice") == 50


async def test_many_pages_are_read_in_one_round(house: House) -> None:
    """A round goes on with the next page until the feed has no more, and every payment is credited once."""
    for number in range(250):
        house.rail.tell(f"p{number}", 2, memo="deposit:alice")
    for _ in range(3):
        await house.round()
    assert house.balance("user:alice") == 500
    with house.reader.snapshot() as sql:
        tallies = [(tally.state, tally.count) for tally in status(sql).payments]
    assert tallies == [("claimed", 250)]
