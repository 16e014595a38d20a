"""Two-phase transfers, ceilings and clamps, on every store."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256

import pytest

from money.ledger.conftest import Opener
from money.ledger_samples import ALICE, BOB, BTC, OPENING, USD, WORLD, ask, deposit, move
from mrmarket.core.clock import NS_PER_MS, ManualClock
from mrmarket.core.errors import InvalidInputError
from mrmarket.money.ledger.account import Account, AccountKind
from mrmarket.money.ledger.draft import Draft
from mrmarket.money.ledger.errors import IdempotencyConflictError
from mrmarket.money.ledger.group import (
    Answer,
    Group,
    Hold,
    HoldState,
    Phase,
    Posted,
    Rejected,
    Transfer,
    TransferKind,
    expire_hold,
    post_hold,
    reversal_of,
    void_hold,
)
from mrmarket.money.ledger.ledger import Ledger

START_MS = 1_700_000_000_000


@dataclass
class Desk:
    """Open books in which Alice has 100, a clock to turn, and short ways to ask."""

    open_store: Opener

    def __post_init__(self) -> None:
        """Open the books."""
        self.clock = ManualClock(START_MS * NS_PER_MS)
        self.ledger = Ledger(self.open_store(), self.clock)
        ask(self.ledger, OPENING)
        ask(self.ledger, deposit("d", 100))

    def restart(self) -> None:
        """Open the same books again."""
        self.ledger = Ledger(self.open_store(), self.clock)

    def ask(self, key: str, *transfers: Transfer) -> Answer:
        """Post a group."""
        return ask(self.ledger, Group(key, transfers))

    def refused(self, key: str, *transfers: Transfer) -> str:
        """Post a group that must be refused, and say why it was."""
        answer = self.ask(key, *transfers)
        assert isinstance(answer, Rejected)
        return answer.code

    def look(self, look: Callable[[Draft], object]) -> object:
        """Ask the draft something."""
        (outcome,) = self.ledger.drain([look])
        return outcome.value

    def hold(self, name: str) -> Hold:
        """A hold that must be there."""
        hold = self.look(lambda draft: draft.hold(name))
        assert isinstance(hold, Hold)
        return hold

    def figures(self) -> tuple[int, int, int]:
        """Alice's balance, what she can spend, and Bob's balance."""

        def look(draft: Draft) -> tuple[int, int, int]:
            return (
                draft.balance(ALICE.id, USD.id),
                draft.available(ALICE.id, USD.id),
                draft.balance(BOB.id, USD.id),
            )

        figures = self.look(look)
        assert isinstance(figures, tuple)
        return figures


@pytest.fixture
def desk(open_store: Opener) -> Desk:
    """Books on each store."""
    return Desk(open_store)


def pending(units: int, expires_ms: int | None = None, *, clamp: bool = False) -> Transfer:
    """Alice sets units aside for Bob."""
    return Transfer(
        ALICE.id,
        BOB.id,
        USD.id,
        units,
        TransferKind.DEBIT_WITHDRAW,
        Phase.PENDING,
        expires_ms=expires_ms,
        clamp=clamp,
    )


def clamped(units: int) -> Transfer:
    """Alice gives Bob as much as she has, at most so many."""
    return Transfer(ALICE.id, BOB.id, USD.id, units, TransferKind.LOCK, clamp=True)


def test_a_hold_is_posted_in_full(desk: Desk) -> None:
    """Held units stay in the balance, leave what can be spent, and move when the hold is posted."""
    desk.ask("h", pending(30))
    assert desk.figures() == (100, 70, 0)
    assert desk.hold("h#0") == Hold(
        "h#0", ALICE.id, BOB.id, USD.id, 30, TransferKind.DEBIT_WITHDRAW, None, HoldState.PENDING
    )
    desk.restart()
    assert desk.figures() == (100, 70, 0)
    assert isinstance(desk.ask("p", post_hold(desk.hold("h#0"))), Posted)
    assert desk.figures() == (70, 70, 30)
    desk.restart()
    assert desk.hold("h#0").state is HoldState.POSTED
    assert desk.figures() == (70, 70, 30)


def test_posting_a_part_releases_the_rest(desk: Desk) -> None:
    """A part moves, nothing is held any more, and the hold cannot be posted again."""
    desk.ask("h", pending(30))
    desk.ask("p", post_hold(desk.hold("h#0"), 10))
    assert desk.figures() == (90, 90, 10)
    assert desk.refused("p2", post_hold(desk.hold("h#0"), 10)) == "hold_settled"


def test_voiding_releases_everything(desk: Desk) -> None:
    """After a void the balance can be spent to the last unit."""
    desk.ask("h", pending(30))
    desk.ask("v", void_hold(desk.hold("h#0")))
    assert desk.figures() == (100, 100, 0)
    assert isinstance(desk.ask("all", move(ALICE, BOB, 100)), Posted)


def test_pending_debits_missing_from_available(desk: Desk) -> None:
    """What is held cannot be spent, held again, or clamped away."""
    desk.ask("h", pending(30))
    assert desk.refused("spend", move(ALICE, BOB, 71)) == "insufficient_funds"
    assert desk.refused("again", pending(71)) == "insufficient_funds"
    answer = desk.ask("clamp", clamped(1_000))
    assert isinstance(answer, Posted)
    assert desk.figures() == (30, 0, 70)
    assert desk.refused("more", clamped(1)) == "nothing_to_move"


def test_void_twice(desk: Desk) -> None:
    """A hold ends once: a second void under another key is refused and releases nothing."""
    desk.ask("h", pending(30))
    desk.ask("h2", pending(50))
    desk.ask("v1", void_hold(desk.hold("h#0")))
    answer = desk.ask("v2", void_hold(desk.hold("h#0")))
    assert isinstance(answer, Rejected)
    assert (answer.code, answer.message) == ("hold_settled", "h#0 is voided already")
    assert desk.figures() == (100, 50, 0)


def test_commit_of_a_rejected_pending_transfer_through_its_id(desk: Desk) -> None:
    """A refused PENDING makes no hold; posting it by the id it would have had moves nothing."""
    assert desk.refused("h", pending(101)) == "insufficient_funds"
    assert desk.look(lambda draft: draft.hold("h#0")) is None
    forged = Hold("h#0", ALICE.id, BOB.id, USD.id, 101, TransferKind.DEBIT_WITHDRAW, None, HoldState.PENDING)
    desk.ask("rich", move(WORLD, ALICE, 1_000))
    assert desk.refused("p", post_hold(forged)) == "unknown_hold"
    assert desk.refused("v", void_hold(forged)) == "unknown_hold"
    assert desk.figures() == (1_100, 1_100, 0)


def test_refund_twice(desk: Desk) -> None:
    """A posted hold is reversed once, with the units that moved."""
    desk.ask("h", pending(30))
    posting = Group("p", (post_hold(desk.hold("h#0"), 10),))
    ask(desk.ledger, posting)
    assert isinstance(ask(desk.ledger, reversal_of(posting, "r1")), Posted)
    assert desk.figures() == (100, 100, 0)
    desk.ask("rich", move(WORLD, BOB, 1_000))
    again = ask(desk.ledger, reversal_of(posting, "r2"))
    assert isinstance(again, Rejected)
    assert again.code == "already_reversed"
    assert desk.figures() == (100, 100, 1_000)


def test_repeated_refund_that_answers_conflict_and_moves_money_all_the_same(desk: Desk) -> None:
    """A refund whose key comes back with other units is a conflict, and neither request moves more."""
    refund = Transfer(ALICE.id, WORLD.id, USD.id, 10, TransferKind.REFUND)
    assert isinstance(desk.ask("refund", refund), Posted)
    with pytest.raises(IdempotencyConflictError):
        desk.ask("refund", Transfer(ALICE.id, WORLD.id, USD.id, 20, TransferKind.REFUND))
    assert isinstance(desk.ask("refund", refund), Posted)
    assert desk.figures() == (90, 90, 0)
    desk.restart()
    with pytest.raises(IdempotencyConflictError):
        desk.ask("refund", Transfer(ALICE.id, WORLD.id, USD.id, 20, TransferKind.REFUND))
    assert desk.figures() == (90, 90, 0)


def test_metadata_lost_after_the_first_transfer(desk: Desk) -> None:
    """Kind, terms and memo of every transfer of a group come back, not those of the first alone."""
    transfers = (
        Transfer(ALICE.id, BOB.id, USD.id, 1, TransferKind.LOCK),
        Transfer(WORLD.id, ALICE.id, BTC.id, 2, TransferKind.CREDIT_REWARD),
        pending(3, START_MS + 5),
        Transfer(ALICE.id, WORLD.id, USD.id, 1_000, TransferKind.FEE, clamp=True),
    )
    ask(desk.ledger, Group("many", transfers, memo="of all four"))
    desk.restart()
    record = desk.look(lambda draft: draft.record("many"))
    assert record is not None
    assert record.memo == "of all four"  # type: ignore[attr-defined]  # a record, as the draft says
    recorded = record.transfers  # type: ignore[attr-defined]  # the same
    assert recorded[:3] == transfers[:3]
    assert (recorded[3].units, recorded[3].asked_units, recorded[3].kind) == (96, 1_000, TransferKind.FEE)


def test_a_hold_can_be_made_and_settled_in_one_group(desk: Desk) -> None:
    """Later transfers of a group see the holds of earlier ones."""
    hold = Hold("g#0", ALICE.id, BOB.id, USD.id, 100, TransferKind.DEBIT_WITHDRAW, None, HoldState.PENDING)
    assert isinstance(desk.ask("g", pending(100), post_hold(hold, 60), move(ALICE, BOB, 40)), Posted)
    assert desk.figures() == (0, 0, 100)
    desk.restart()
    assert desk.hold("g#0").state is HoldState.POSTED


def test_expiry(desk: Desk) -> None:
    """Before its time a hold can be posted but not expired; from then on the other way round."""
    desk.ask("h", pending(30, START_MS + 10), pending(20, START_MS + 5), pending(1))
    assert desk.look(lambda draft: draft.expired_holds(10)) == []
    assert desk.refused("early", expire_hold(desk.hold("h#0"))) == "hold_not_expired"
    assert desk.refused("never", expire_hold(desk.hold("h#2"))) == "hold_not_expired"
    desk.clock.advance(9 * NS_PER_MS)
    desk.restart()
    assert desk.look(lambda draft: [hold.id for hold in draft.expired_holds(10)]) == ["h#1"]
    desk.clock.advance(NS_PER_MS)
    assert desk.look(lambda draft: [hold.id for hold in draft.expired_holds(10)]) == ["h#1", "h#0"]
    assert desk.look(lambda draft: [hold.id for hold in draft.expired_holds(1)]) == ["h#1"]
    assert desk.refused("late", post_hold(desk.hold("h#0"))) == "hold_expired"
    assert isinstance(desk.ask("end", expire_hold(desk.hold("h#0"))), Posted)
    assert desk.hold("h#0").state is HoldState.EXPIRED
    assert desk.refused("end again", expire_hold(desk.hold("h#0"))) == "hold_settled"
    assert desk.figures() == (100, 79, 0)
    assert desk.refused("stillborn", pending(1, START_MS + 10)) == "hold_expired"


def test_a_settlement_must_fit_its_hold(desk: Desk) -> None:
    """Other accounts, another asset or kind, or more units than held are refused."""
    desk.ask("h", pending(30))
    hold = desk.hold("h#0")
    kind, post, void = hold.kind, Phase.POST, Phase.VOID
    assert desk.refused("1", Transfer(ALICE.id, WORLD.id, USD.id, 30, kind, post, "h#0")) == "hold_differs"
    assert desk.refused("2", Transfer(ALICE.id, BOB.id, BTC.id, 30, kind, post, "h#0")) == "hold_differs"
    other = TransferKind.FEE
    assert desk.refused("3", Transfer(ALICE.id, BOB.id, USD.id, 30, other, post, "h#0")) == "hold_differs"
    assert desk.refused("4", post_hold(hold, 31)) == "hold_exceeded"
    assert desk.refused("5", Transfer(ALICE.id, BOB.id, USD.id, 29, kind, void, "h#0")) == "hold_differs"
    assert desk.figures() == (100, 70, 0)


def test_a_group_that_holds_units_is_voided_not_reversed(desk: Desk) -> None:
    """Reversing a PENDING would move what never moved."""
    desk.ask("h", pending(30), move(ALICE, BOB, 1))
    answer = ask(desk.ledger, Group("r", (move(BOB, ALICE, 1).mirror.mirror,), reverses="h"))
    assert isinstance(answer, Rejected)
    assert answer.code == "holds_units"


def test_a_clamped_group_is_reversed_from_its_record(desk: Desk) -> None:
    """What comes back is what moved, not what was asked for."""
    request = Group("c", (clamped(1_000),))
    ask(desk.ledger, request)
    refused = ask(desk.ledger, reversal_of(request, "r1"))
    assert isinstance(refused, Rejected)
    assert refused.code == "not_a_mirror"

    def undo(draft: Draft) -> Answer:
        record = draft.record("c")
        assert record is not None
        return draft.post(reversal_of(record, "r2"))

    assert isinstance(desk.look(undo), Posted)
    assert desk.figures() == (100, 100, 0)


def test_a_clamp_moves_what_is_there_at_its_place_in_the_group(desk: Desk) -> None:
    """Units that came in before it in the same group count, later ones do not."""
    desk.ask("g", move(WORLD, ALICE, 5), clamped(1_000), move(WORLD, ALICE, 7))
    assert desk.figures() == (7, 7, 105)
    desk.ask("less", clamped(3))
    assert desk.figures() == (4, 4, 108)
    desk.ask("world", Transfer(WORLD.id, BOB.id, USD.id, 9, TransferKind.DEPOSIT, clamp=True))
    assert desk.figures() == (4, 4, 117)


def test_a_clamped_hold_sets_aside_what_is_there(desk: Desk) -> None:
    """All that can be spent is held, and no more."""
    desk.ask("h", pending(1_000, clamp=True))
    assert desk.hold("h#0").units == 100
    assert desk.figures() == (100, 0, 0)


def test_the_most_that_a_clamp_may_move_is_part_of_the_content(desk: Desk) -> None:
    """The same request is answered alike although it moved less; another limit is a conflict."""
    first = desk.ask("c", clamped(1_000))
    assert desk.ask("c", clamped(1_000)) == first
    with pytest.raises(IdempotencyConflictError):
        desk.ask("c", clamped(100))
    with pytest.raises(IdempotencyConflictError):
        desk.ask("c", Transfer(ALICE.id, BOB.id, USD.id, 1_000, TransferKind.LOCK))


def test_a_ceiling_counts_what_is_on_its_way_in(desk: Desk) -> None:
    """Balance and incoming holds together never pass the ceiling; what leaves makes room."""
    purse = Account("user:purse", AccountKind.USER, 0, 50)
    ask(desk.ledger, Group("purse", accounts=(purse,)))
    inward = Transfer(ALICE.id, purse.id, USD.id, 30, TransferKind.LOCK, Phase.PENDING)
    assert isinstance(desk.ask("h", inward), Posted)
    assert desk.refused("more", move(ALICE, purse, 21)) == "ceiling_exceeded"
    assert desk.refused("hold more", inward) == "ceiling_exceeded"
    assert isinstance(desk.ask("fits", move(ALICE, purse, 20)), Posted)
    desk.restart()
    assert isinstance(desk.ask("p", post_hold(desk.hold("h#0"))), Posted)
    assert desk.refused("full", move(ALICE, purse, 1)) == "ceiling_exceeded"
    assert isinstance(desk.ask("through", move(ALICE, purse, 1), move(purse, BOB, 1)), Posted)


def test_a_failed_unit_of_work_leaves_no_hold(desk: Desk) -> None:
    """What it held and settled is as it was, and its neighbour in the batch is right."""
    desk.ask("h", pending(30))

    def work(draft: Draft) -> None:
        hold = draft.hold("h#0")
        assert hold is not None
        draft.post(Group("v", (void_hold(hold),)))
        draft.post(Group("h2", (pending(90),)))
        raise ZeroDivisionError

    failed, after = desk.ledger.drain([work, Group("a", (move(ALICE, BOB, 71),))])
    assert isinstance(failed.error, ZeroDivisionError)
    assert isinstance(after.value, Rejected)
    assert desk.figures() == (100, 70, 0)
    assert desk.hold("h#0").state is HoldState.PENDING
    assert desk.look(lambda draft: draft.hold("h2#0")) is None


def test_terms_stand_in_the_chain_as_described(open_store: Opener) -> None:
    """The hashes of holds, clamps and ceilings follow from the documented format alone."""
    store = open_store()
    desk = Desk(lambda: store)
    ask(desk.ledger, Group("purse", accounts=(Account("user:purse", AccountKind.USER, 0, 50),)))
    desk.ask("h", pending(30, START_MS + 5), pending(5_000, clamp=True))
    desk.ask("p", post_hold(desk.hold("h#0"), 10), void_hold(desk.hold("h#1")))
    first, *records = store.records(1, 10)
    previous = first.hash
    who = ["user:alice", "user:bob", "sim:USD"]
    accounts = [[["user:purse", "user", "0", "50"]], [], []]
    transfers: list[list[list[object]]] = [
        [],
        [
            [*who, "30", "DEBIT_WITHDRAW", {"expires_ms": START_MS + 5, "phase": "pending"}],
            [*who, "70", "DEBIT_WITHDRAW", {"asked": "5000", "phase": "pending"}],
        ],
        [
            [*who, "10", "DEBIT_WITHDRAW", {"hold": "h#0", "phase": "post"}],
            [*who, "70", "DEBIT_WITHDRAW", {"hold": "h#1", "phase": "void"}],
        ],
    ]
    for record, opened, moved in zip(records, accounts, transfers, strict=True):
        content = record.content_hash.hex()
        head = [1, record.seq, record.key, content, START_MS, store.epoch, "posted", "", "", None, []]
        body = json.dumps([*head, opened, moved], separators=(",", ":"))
        previous = sha256(previous + body.encode()).digest()
        assert record.hash == previous


@pytest.mark.parametrize(
    "build",
    [
        lambda: Transfer(ALICE.id, BOB.id, USD.id, 1, TransferKind.LOCK, Phase.POST),
        lambda: Transfer(ALICE.id, BOB.id, USD.id, 1, TransferKind.LOCK, Phase.PENDING, hold="h#0"),
        lambda: Transfer(ALICE.id, BOB.id, USD.id, 1, TransferKind.LOCK, hold="h#0"),
        lambda: Transfer(ALICE.id, BOB.id, USD.id, 1, TransferKind.LOCK, expires_ms=5),
        lambda: Transfer(ALICE.id, BOB.id, USD.id, 1, TransferKind.LOCK, Phase.PENDING, expires_ms=-1),
        lambda: Transfer(ALICE.id, BOB.id, USD.id, 1, TransferKind.LOCK, Phase.VOID, "h#0", clamp=True),
        lambda: Transfer(ALICE.id, BOB.id, USD.id, 1, TransferKind.LOCK, asked_units=5),
        lambda: Account("user:x", AccountKind.USER, 0, -1),
        lambda: Account("user:x", AccountKind.USER, 0, 2**127),
        lambda: Group("k\0", (move(ALICE, BOB, 1),)),
        lambda: Group("k", (move(ALICE, BOB, 1),), memo="\ud800"),
    ],
)
def test_terms_that_make_no_sense_are_refused_at_once(build: Callable[[], object]) -> None:
    """A settlement without a hold, a time without a hold, and text that cannot be written are no requests."""
    with pytest.raises(InvalidInputError):
        build()
