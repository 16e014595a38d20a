"""Checks that the tables of this room and the ledger tell the same story."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from mrmarket.money.ledger.history import posted_keys
from mrmarket.money.payouts.move import MOVES_PENDING, MoveRow, MoveState
from mrmarket.money.payouts.outbox import read_batch_memo
from mrmarket.money.payouts.payment import Payment, Standing
from mrmarket.money.payouts.payout import PENDING, PayoutRow, PayoutState
from mrmarket.money.payouts.repository import (
    MoveRepository,
    PaymentRepository,
    PayoutRepository,
    altered_rows,
    batch_memos,
    hold_state,
    is_posted,
    suspense_balances,
)
from mrmarket.store.sql import Sql

IN_SUSPENSE: Final = (Standing.RECEIVED, Standing.PARKED, Standing.REFUNDING)
"""Of a payment that is in the books: its units are in suspense."""


def faults(sql: Sql) -> Iterator[str]:
    """Sentences about everything that is not as it must be; none where all is well.

    To be asked inside one snapshot, or inside a unit of work that has not posted yet. Rows that are not what
    was written are named first; while there are any, nothing is compared with them.
    """
    altered = list(altered_rows(sql))
    if altered:
        yield from altered
        return
    yield from _payment_faults(sql)
    yield from _payout_faults(sql)
    yield from _move_faults(sql)
    yield from _missing_rows(sql)


def _missing_rows(sql: Sql) -> Iterator[str]:
    """What the ledger has posted for payouts and payments that no row tells of."""
    told = {
        f"payout:{row.id}{part}" for row in PayoutRepository(sql).every() for part in _parts(row.round, ":")
    }
    for payment in PaymentRepository(sql).every():
        name = f"receive:{payment.rail}:{payment.id}"
        told.update(f"{name}{part}" for part in _parts(payment.receipts, "~"))
    for key in posted_keys(sql, "payout:", "receive:"):
        if key not in told:
            yield f"the ledger has posted {key}, and its row is missing"
    for memo in batch_memos(sql):
        for payout_id in read_batch_memo(memo):
            if f"payout:{payout_id}" not in told:
                yield f"the ledger has held the units of payout {payout_id}, and its row is missing"


def _parts(count: int, mark: str) -> list[str]:
    return ["", *(f"{mark}{number}" for number in range(1, count + 1))]


def _payment_faults(sql: Sql) -> Iterator[str]:
    expected: dict[tuple[str, str], int] = {}
    for payment in PaymentRepository(sql).every():
        if payment.booked and not is_posted(sql, f"receive:{payment.name}"):
            yield f"payment {payment.name} counts as received and has no posting"
        if payment.booked and payment.standing in IN_SUSPENSE:
            holding = (payment.suspense, payment.asset)
            expected[holding] = expected.get(holding, 0) + payment.units
        yield from _refund_faults(sql, payment)
    held = suspense_balances(sql)
    for holding in sorted(held.keys() | expected.keys()):
        if held.get(holding, 0) != expected.get(holding, 0):
            yield (
                f"{holding[0]} holds {held.get(holding, 0)} of {holding[1]}, and the payments that wait"
                f" there come to {expected.get(holding, 0)}"
            )


def _refund_faults(sql: Sql, payment: Payment) -> Iterator[str]:
    if payment.standing not in {Standing.REFUNDING, Standing.REFUNDED}:
        return
    payout = PayoutRepository(sql).find(payment.ref)
    ended = payment.standing is Standing.REFUNDED
    if (
        payout is None
        or (payout.state is PayoutState.CONFIRMED) is not ended
        or payout.units != payment.units
    ):
        yield f"payment {payment.name} is {payment.standing} and its payout does not say so"


def _payout_faults(sql: Sql) -> Iterator[str]:
    for payout in PayoutRepository(sql).every():
        state = hold_state(sql, payout.hold)
        wanted = _wanted_hold(payout.state)
        if state != wanted:
            yield f"payout {payout.id} is {payout.state} and its hold is {state or 'missing'}, not {wanted}"
        yield from _receipt_faults(sql, payout)


def _receipt_faults(sql: Sql, payout: PayoutRow) -> Iterator[str]:
    receipt = PayoutRepository(sql).receipt(payout.id)
    if payout.state is not PayoutState.CONFIRMED:
        if receipt is not None:
            yield f"payout {payout.id} is {payout.state} and has a receipt"
    elif receipt is None or not is_posted(sql, receipt.posting):
        yield f"payout {payout.id} is confirmed without a receipt and a posting"
    elif (receipt.asset, receipt.units, receipt.destination) != (
        payout.asset,
        payout.units,
        payout.destination,
    ):
        yield f"payout {payout.id} has a receipt for another payment"


def _move_faults(sql: Sql) -> Iterator[str]:
    for move in MoveRepository(sql).every():
        if move.hold:
            state = hold_state(sql, move.hold)
            wanted = _wanted_move_hold(move)
            if state != wanted:
                yield f"move {move.id} is {move.state} and its hold is {state or 'missing'}, not {wanted}"
        if move.state is MoveState.DONE and not is_posted(sql, f"arrive:{move.id}"):
            yield f"move {move.id} is done and nothing was posted"


def _wanted_hold(state: PayoutState) -> str:
    if state in PENDING:
        return "pending"
    return "posted" if state is PayoutState.CONFIRMED else "voided"


def _wanted_move_hold(move: MoveRow) -> str:
    if move.state in MOVES_PENDING:
        return "pending"
    return "posted" if move.state is MoveState.DONE else "voided"
