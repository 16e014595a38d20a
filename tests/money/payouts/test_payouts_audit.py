"""The audit finds tables that tell another story than the ledger."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from msgspec.structs import replace

from money.payouts.payments_house import ALICE, SENDER, House
from money.payouts.payments_outside import USDT, VENUE_USDT, Trick
from mrmarket.money.ledger.account import Account, AccountKind
from mrmarket.money.ledger.draft import Draft
from mrmarket.money.ledger.group import Group, Transfer, TransferKind
from mrmarket.money.payouts.move import Direction, Move, MoveState
from mrmarket.money.payouts.payment import Standing
from mrmarket.money.payouts.payout import PayoutState
from mrmarket.money.payouts.repository import MoveRepository, PaymentRepository, PayoutRepository
from mrmarket.money.payouts.view import moves

POOL = Account.of(AccountKind.POOL, "main")


async def busy(house: House) -> None:
    """A house with rows in every table."""
    house.fund(ALICE, 100, USDT)
    house.fund(POOL, 100, USDT)
    house.fund(POOL, 10**12, VENUE_USDT)
    house.withdraw("w1", 10)
    house.rail.tell("p1", 50, memo="deposit:alice")
    house.rail.tell("p2", 50)
    house.rail.tell("p3", 50, memo="park:look")
    house.rail.tell("p3", 51, memo="park:look")
    await house.moves.start(Move("m1", POOL.id, Direction.TO_RAIL, USDT, VENUE_USDT, 10**12))
    await house.settle_down()
    house.withdraw("w2", 10)
    house.rail.tricks["send"].extend([Trick.REFUSAL] * 3)
    await house.settle_down()
    house.withdraw("w3", 10)
    house.do(lambda draft: house.outbox.block(draft, "USDT", "why not"))
    assert house.faults() == []


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("UPDATE payouts SET destination = 'mallory' WHERE cause_key = 'w3'", "payouts: the row of"),
        ("UPDATE payouts SET units = '11' WHERE cause_key = 'w3'", "payouts: the row of"),
        ("UPDATE payouts SET units = 'xi' WHERE cause_key = 'w3'", "payouts: the row of"),
        ("UPDATE payments SET memo = 'deposit:mallory' WHERE id = 'p3'", "payments: the row of"),
        ("UPDATE payment_cursors SET cursor = '0'", "payment_cursors: the row of"),
        ("UPDATE payment_incidents SET state = 'closed'", "payment_incidents: the row of"),
        ("UPDATE payout_blocks SET reason = ''", "payout_blocks: the row of"),
        ("UPDATE custody_moves SET ended_ms = 0", "custody_moves: the row of"),
        ("DELETE FROM payments WHERE id = 'p3'", "suspense:rail holds 50"),
        ("DELETE FROM payments WHERE id = 'p1'", "posted receive:rail:p1, and its row is missing"),
        ("DELETE FROM payouts WHERE cause_key = 'w1'", "posted payout:"),
        ("DELETE FROM payouts WHERE cause_key = 'w3'", "posted payout:"),
        ("DROP TRIGGER receipts_never_delete; DELETE FROM receipts", "confirmed without a receipt"),
        ("DROP TRIGGER receipts_never_update; UPDATE receipts SET reference = 'x'", "receipts: the row of"),
    ],
)
async def test_a_changed_row_is_found(house: House, tmp_path: Path, statement: str, told: str) -> None:
    """An edit behind the program's back, in any table of the room, is named."""
    await busy(house)
    connection = sqlite3.connect(tmp_path / "money.db")
    connection.executescript(statement)
    connection.close()
    found = house.faults()
    assert any(told in sentence for sentence in found), found


async def test_receipts_are_append_only(house: House, tmp_path: Path) -> None:
    """The database itself refuses to change or remove a proof."""
    await busy(house)
    connection = sqlite3.connect(tmp_path / "money.db")
    for statement in ("UPDATE receipts SET units = '1'", "DELETE FROM receipts"):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            connection.execute(statement)
    connection.close()


async def test_states_without_their_postings_are_found(house: House) -> None:
    """Rows that are sealed but claim what the ledger does not know are named one by one."""
    await busy(house)
    with house.reader.snapshot() as sql:
        (move,) = moves(sql)
        (receipt,) = (row for row in PayoutRepository(sql).receipts(9) if row.destination == SENDER)
    w1, w3 = house.payout("w1"), house.payout("w3")
    p2, p3 = house.payment("p2"), house.payment("p3")

    def lie(draft: Draft) -> None:
        sql = draft.sql
        PayoutRepository(sql).put(replace(w1, state=PayoutState.QUEUED))
        PayoutRepository(sql).put(replace(w3, state=PayoutState.CONFIRMED))
        PaymentRepository(sql).put(replace(p2, standing=Standing.REFUNDING))
        PaymentRepository(sql).put(replace(p3, id="p4"))
        MoveRepository(sql).put(replace(move, state=MoveState.PLANNED))
        MoveRepository(sql).put(replace(move, id="other", hold=""))
        PayoutRepository(sql).add_receipt(replace(receipt, payout_id=w3.id))

    house.do(lie)
    found = " | ".join(house.faults())
    for told in (
        f"payout {w1.id} is queued and its hold is posted, not pending",
        f"payout {w1.id} is queued and has a receipt",
        f"payout {w3.id} is confirmed and its hold is pending, not posted",
        f"payout {w3.id} has a receipt for another payment",
        "payment rail:p2 is refunding and its payout does not say so",
        "payment rail:p4 counts as received and has no posting",
        f"move {move.id} is planned and its hold is posted, not pending",
        "move other is done and nothing was posted",
    ):
        assert told in found, (told, found)


async def test_money_taken_from_suspense_is_found(house: House) -> None:
    """A posting past the payments leaves suspense and its payments apart."""
    await busy(house)
    transfer = Transfer("suspense:rail", ALICE.id, USDT.id, 1, TransferKind.ADJUSTMENT)
    house.do(lambda draft: draft.post(Group("theft", (transfer,))))
    assert any("suspense:rail holds 49" in sentence for sentence in house.faults())
