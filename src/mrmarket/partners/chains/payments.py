"""The vault's payments, attempts and swept transfers in the tables. Called inside somebody's transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from mrmarket.partners.chains.payment import Attempt, Payment, PaymentState
from mrmarket.partners.chains.transfer import TransferKey
from mrmarket.store.sql import Sql

_COLUMNS: Final = (
    "key, chain_id, account, nonce, token, destination, units, gas, state, created_ms, changed_ms, tx_hash,"
    " block_number, block_hash, succeeded, cost_wei, reason"
)
_ATTEMPT: Final = "payment, number, tx_hash, raw, max_fee_wei, tip_wei, signed_ms, offered_ms"
_DEAD: Final = "('replaced', 'failed')"
_OVER: Final = "('final', 'replaced', 'failed')"


def find_payment(sql: Sql, key: str) -> Payment | None:
    """The payment with a key."""
    found = _payments(sql, "WHERE key = ?", key)
    return found[0] if found else None


def open_payments(sql: Sql, chain_id: int, account: str) -> list[Payment]:
    """Payments of an account that are not over, by nonce."""
    tail = f"WHERE chain_id = ? AND account = ? AND state NOT IN {_OVER} ORDER BY nonce"
    return _payments(sql, tail, chain_id, account)


def latest_payments(sql: Sql, chain_id: int, limit: int) -> list[Payment]:
    """The newest payments on a chain."""
    return _payments(sql, "WHERE chain_id = ? ORDER BY created_ms DESC, nonce DESC LIMIT ?", chain_id, limit)


def reopen_above(sql: Sql, chain_id: int, height: int, at_ms: int) -> int:
    """Payments that were over by a block above a height are looked at again; how many."""
    return sql.run(
        "UPDATE vault_payments SET state = 'mined', changed_ms = ?, reason = ?"
        " WHERE chain_id = ? AND block_number > ? AND state IN ('final', 'failed')",
        *(at_ms, "the block it was final in is gone", chain_id, height),
    )


def reopen_unused(sql: Sql, chain_id: int, account: str, used: int, at_ms: int) -> int:
    """Payments that were over and whose nonces the chain has not used after all; how many."""
    return sql.run(
        "UPDATE vault_payments SET state = 'mined', changed_ms = ?, reason = ?"
        " WHERE chain_id = ? AND account = ? AND nonce >= ? AND state IN ('final', 'failed')",
        *(at_ms, "the chain has not used its nonce", chain_id, account, used),
    )


def next_nonce(sql: Sql, chain_id: int, account: str) -> int:
    """One more than the highest nonce that was ever reserved; 0 if none was."""
    rows = sql.rows(
        "SELECT max(nonce) FROM vault_payments WHERE chain_id = ? AND account = ?", chain_id, account
    )
    return 0 if rows[0][0] is None else int(rows[0][0]) + 1


def spent_units(sql: Sql, chain_id: int, token: str, since_ms: int) -> int:
    """What payments since a moment took or may take."""
    rows = sql.rows(
        "SELECT units FROM vault_payments WHERE chain_id = ? AND token = ? AND created_ms > ?"  # noqa: S608 - a constant
        f" AND state NOT IN {_DEAD}",
        *(chain_id, token, since_ms),
    )
    return sum(int(row[0]) for row in rows)


def open_units(sql: Sql, chain_id: int, account: str, token: str) -> int:
    """What payments that are not over may still take."""
    return sum(one.units for one in open_payments(sql, chain_id, account) if one.token == token)


def add_payment(sql: Sql, payment: Payment) -> None:
    """Write a new payment; its key and its nonce must not be there."""
    marks = ", ".join("?" * len(_values(payment)))
    sql.run(f"INSERT INTO vault_payments ({_COLUMNS}) VALUES ({marks})", *_values(payment))  # noqa: S608 - names from the code


def put_payment(sql: Sql, payment: Payment) -> None:
    """Write how a payment stands now; what it is does not change."""
    sql.run(
        "UPDATE vault_payments SET state = ?, changed_ms = ?, tx_hash = ?, block_number = ?, block_hash = ?,"
        " succeeded = ?, cost_wei = ?, reason = ? WHERE key = ?",
        *(payment.state.value, payment.changed_ms, payment.tx_hash, payment.block_number),
        *(payment.block_hash, int(payment.succeeded), str(payment.cost_wei), payment.reason, payment.key),
    )


def attempts_of(sql: Sql, key: str) -> list[Attempt]:
    """What was signed for a payment, in order."""
    rows = sql.rows(
        f"SELECT {_ATTEMPT} FROM vault_attempts WHERE payment = ? ORDER BY number",  # noqa: S608 - names from the code
        key,
    )
    return [
        Attempt(row[0], row[1], row[2], bytes(row[3]), int(row[4]), int(row[5]), row[6], row[7])
        for row in rows
    ]


def add_attempt(sql: Sql, attempt: Attempt) -> None:
    """Write down what was signed; before anybody hears of it."""
    sql.run(
        f"INSERT INTO vault_attempts ({_ATTEMPT}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 - names from the code
        *(attempt.payment, attempt.number, attempt.tx_hash, attempt.raw, str(attempt.max_fee_wei)),
        *(str(attempt.tip_wei), attempt.signed_ms, attempt.offered_ms),
    )


def note_offer(sql: Sql, attempt: Attempt, at_ms: int) -> None:
    """A node was offered it."""
    sql.run(
        "UPDATE vault_attempts SET offered_ms = ? WHERE payment = ? AND number = ?",
        *(at_ms, attempt.payment, attempt.number),
    )


def add_items(sql: Sql, key: str, items: Sequence[TransferKey]) -> None:
    """Which received transfers a payment moves on."""
    sql.run_many(
        "INSERT INTO vault_items (payment, chain_id, tx_hash, log_index) VALUES (?, ?, ?, ?)",
        [(key, item.chain_id, item.tx_hash, item.log_index) for item in items],
    )


def items_of(sql: Sql, key: str) -> list[TransferKey]:
    """Which received transfers a payment moves on."""
    rows = sql.rows(
        "SELECT chain_id, tx_hash, log_index FROM vault_items WHERE payment = ?"
        " ORDER BY chain_id, tx_hash, log_index",
        key,
    )
    return [TransferKey(*row) for row in rows]


def sweep_of(sql: Sql, item: TransferKey) -> Payment | None:
    """The payment that moves or moved a received transfer on; one that came to nothing does not count."""
    rows = sql.rows(
        "SELECT i.payment FROM vault_items i JOIN vault_payments p ON p.key = i.payment"  # noqa: S608 - a constant
        f" WHERE i.chain_id = ? AND i.tx_hash = ? AND i.log_index = ? AND p.state NOT IN {_DEAD}",
        *(item.chain_id, item.tx_hash, item.log_index),
    )
    return find_payment(sql, rows[0][0]) if rows else None


def taken_items(sql: Sql, chain_id: int) -> set[TransferKey]:
    """Received transfers that some payment moves or moved on."""
    rows = sql.rows(
        "SELECT i.chain_id, i.tx_hash, i.log_index FROM vault_items i"  # noqa: S608 - a constant
        f" JOIN vault_payments p ON p.key = i.payment WHERE i.chain_id = ? AND p.state NOT IN {_DEAD}",
        chain_id,
    )
    return {TransferKey(*row) for row in rows}


def _payments(sql: Sql, tail: str, *values: object) -> list[Payment]:
    rows = sql.rows(f"SELECT {_COLUMNS} FROM vault_payments {tail}", *values)  # noqa: S608 - names from the code
    return [_payment(row) for row in rows]


def _payment(row: Sequence[Any]) -> Payment:
    return Payment(
        key=row[0],
        chain_id=row[1],
        account=row[2],
        nonce=row[3],
        token=row[4],
        destination=row[5],
        units=int(row[6]),
        gas=row[7],
        state=PaymentState(row[8]),
        created_ms=row[9],
        changed_ms=row[10],
        tx_hash=row[11],
        block_number=row[12],
        block_hash=row[13],
        succeeded=bool(row[14]),
        cost_wei=int(row[15]),
        reason=row[16],
    )


def _values(payment: Payment) -> tuple[object, ...]:
    return (
        *(payment.key, payment.chain_id, payment.account, payment.nonce, payment.token, payment.destination),
        *(str(payment.units), payment.gas, payment.state.value, payment.created_ms, payment.changed_ms),
        *(payment.tx_hash, payment.block_number, payment.block_hash, int(payment.succeeded)),
        *(str(payment.cost_wei), payment.reason),
    )
