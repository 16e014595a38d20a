"""All SQL of this room."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from mrmarket.money.ledger.chain import POSTED
from mrmarket.money.payouts.move import MOVES_PENDING, MoveRow, MoveState
from mrmarket.money.payouts.payment import FeedCursor, Incident, Payment, Standing
from mrmarket.money.payouts.payout import Block, PayoutRow, PayoutState, Receipt
from mrmarket.money.payouts.sealed_table import SealedTable
from mrmarket.store.sql import Sql

_PAYOUTS: Final = SealedTable("payouts", PayoutRow, ("id",))
_RECEIPTS: Final = SealedTable("receipts", Receipt, ("payout_id",))
_BLOCKS: Final = SealedTable("payout_blocks", Block, ("asset_code",))
_PAYMENTS: Final = SealedTable("payments", Payment, ("rail", "id"))
_CURSORS: Final = SealedTable("payment_cursors", FeedCursor, ("rail",))
_INCIDENTS: Final = SealedTable("payment_incidents", Incident, ("id",))
_MOVES: Final = SealedTable("custody_moves", MoveRow, ("id",))

_ASKED_AT_ONCE: Final = 500
"""Values of one query; databases have a limit."""

_BLOCKED: Final = (
    "EXISTS (SELECT 1 FROM payout_blocks"
    " WHERE payouts.asset = payouts.rail || ':' || payout_blocks.asset_code)"
)


class PayoutRepository:
    """The outbox, its receipts and its gate."""

    def __init__(self, sql: Sql) -> None:
        self._sql = sql

    def find(self, payout_id: str) -> PayoutRow | None:
        """A payout."""
        return _PAYOUTS.find(self._sql, payout_id)

    def find_all(self, payout_ids: Sequence[str]) -> dict[str, PayoutRow]:
        """Those of the payouts that there are, by id."""
        found: dict[str, PayoutRow] = {}
        for start in range(0, len(payout_ids), _ASKED_AT_ONCE):
            part = payout_ids[start : start + _ASKED_AT_ONCE]
            found.update(
                (row.id, row) for row in _PAYOUTS.select(self._sql, f"WHERE id IN ({_marks(part)})", *part)
            )
        return found

    def add_all(self, rows: Iterable[PayoutRow]) -> None:
        """Keep payouts that are not there yet."""
        _PAYOUTS.add_many(self._sql, rows)

    def put(self, row: PayoutRow) -> None:
        """Keep a payout as it stands."""
        _PAYOUTS.put(self._sql, row)

    def ready(self, rails: Sequence[str], now_ms: int, limit: int) -> list[PayoutRow]:
        """Queued payouts that may be sent now, the longest due first."""
        return self._due((PayoutState.QUEUED,), rails, now_ms, limit, f"AND NOT {_BLOCKED}")

    def unsettled(self, rails: Sequence[str], now_ms: int, limit: int) -> list[PayoutRow]:
        """Payouts that the rail was asked for and that are to be looked up now."""
        states = (PayoutState.SENDING, PayoutState.SENT, PayoutState.UNKNOWN)
        return self._due(states, rails, now_ms, limit, "")

    def listed(
        self, states: Sequence[PayoutState], account: str | None, cause: str | None, limit: int
    ) -> list[PayoutRow]:
        """The newest payouts, by state and optionally by account and cause."""
        tail, values = f"WHERE state IN ({_marks(states)})", [*_texts(states)]
        if account is not None:
            tail, values = f"{tail} AND account = ?", [*values, account]
        if cause is not None:
            tail, values = f"{tail} AND cause = ?", [*values, cause]
        return _PAYOUTS.select(self._sql, f"{tail} ORDER BY queued_ms DESC, id LIMIT ?", *values, limit)

    def every(self) -> Iterator[PayoutRow]:
        """All payouts, for an audit."""
        yield from _PAYOUTS.select(self._sql, "ORDER BY id")

    def counts(self) -> dict[str, tuple[int, int]]:
        """By state: how many, and when the oldest of them was queued."""
        rows = self._sql.rows("SELECT state, count(*), min(queued_ms) FROM payouts GROUP BY state")
        return {state: (int(count), int(oldest)) for state, count, oldest in rows}

    def add_receipt(self, receipt: Receipt) -> None:
        """Keep the proof of a payout."""
        _RECEIPTS.add(self._sql, receipt)

    def receipt(self, payout_id: str) -> Receipt | None:
        """The proof of a payout."""
        return _RECEIPTS.find(self._sql, payout_id)

    def receipts(self, limit: int) -> list[Receipt]:
        """The newest receipts."""
        return _RECEIPTS.select(self._sql, "ORDER BY at_ms DESC, payout_id LIMIT ?", limit)

    def block(self, block: Block) -> None:
        """Keep an asset in."""
        _BLOCKS.put(self._sql, block)

    def unblock(self, asset_code: str) -> None:
        """Let an asset out again."""
        self._sql.run("DELETE FROM payout_blocks WHERE asset_code = ?", asset_code)

    def blocks(self) -> list[Block]:
        """Assets that are kept in."""
        return _BLOCKS.select(self._sql, "ORDER BY asset_code")

    def _due(
        self, states: Sequence[PayoutState], rails: Sequence[str], now_ms: int, limit: int, also: str
    ) -> list[PayoutRow]:
        if not rails:
            return []
        tail = (
            f"WHERE state IN ({_marks(states)}) AND rail IN ({_marks(rails)}) AND due_ms <= ? {also}"
            " ORDER BY due_ms, id LIMIT ?"
        )
        return _PAYOUTS.select(self._sql, tail, *_texts(states), *rails, now_ms, limit)


class PaymentRepository:
    """Incoming payments, how far their feeds were read, and what needs a person's eye."""

    def __init__(self, sql: Sql) -> None:
        self._sql = sql

    def find(self, rail: str, payment_id: str) -> Payment | None:
        """A payment."""
        return _PAYMENTS.find(self._sql, rail, payment_id)

    def of_payout(self, payout_id: str) -> Payment | None:
        """The payment that a payout sends back."""
        rows = _PAYMENTS.select(self._sql, "WHERE ref = ? AND claim = 'refund'", payout_id)
        return rows[0] if rows else None

    def put(self, payment: Payment) -> None:
        """Keep a payment as it stands."""
        _PAYMENTS.put(self._sql, payment)

    def undecided(self, rails: Sequence[str], now_ms: int, limit: int) -> list[Payment]:
        """Received payments to be decided on now, the longest due first."""
        if not rails:
            return []
        tail = f"WHERE standing = ? AND rail IN ({_marks(rails)}) AND due_ms <= ? ORDER BY due_ms, rail, id"
        return _PAYMENTS.select(self._sql, f"{tail} LIMIT ?", Standing.RECEIVED.value, *rails, now_ms, limit)

    def listed(self, standings: Sequence[Standing], limit: int) -> list[Payment]:
        """The newest payments, by standing."""
        tail = f"WHERE standing IN ({_marks(standings)}) ORDER BY seen_ms DESC, rail, id LIMIT ?"
        return _PAYMENTS.select(self._sql, tail, *_texts(standings), limit)

    def every(self) -> Iterator[Payment]:
        """All payments, for an audit."""
        yield from _PAYMENTS.select(self._sql, "ORDER BY rail, id")

    def counts(self) -> dict[str, tuple[int, int]]:
        """By standing: how many, and when the oldest of them was first told of."""
        rows = self._sql.rows("SELECT standing, count(*), min(seen_ms) FROM payments GROUP BY standing")
        return {standing: (int(count), int(oldest)) for standing, count, oldest in rows}

    def cursor(self, rail: str) -> FeedCursor:
        """How far a feed was read."""
        return _CURSORS.find(self._sql, rail) or FeedCursor(rail, "", 0, "", 0, 0)

    def put_cursor(self, cursor: FeedCursor) -> None:
        """Remember how far a feed was read."""
        _CURSORS.put(self._sql, cursor)

    def cursors(self) -> list[FeedCursor]:
        """How far every feed was read."""
        return _CURSORS.select(self._sql, "ORDER BY rail")

    def incident(self, incident_id: str) -> Incident | None:
        """An incident."""
        return _INCIDENTS.find(self._sql, incident_id)

    def put_incident(self, incident: Incident) -> None:
        """Keep an incident as it stands."""
        _INCIDENTS.put(self._sql, incident)

    def incidents(self, state: str, limit: int) -> list[Incident]:
        """The oldest incidents that are `open`, or `closed`."""
        return _INCIDENTS.select(self._sql, "WHERE state = ? ORDER BY opened_ms, id LIMIT ?", state, limit)


class MoveRepository:
    """Moves between rails and venues."""

    def __init__(self, sql: Sql) -> None:
        self._sql = sql

    def find(self, move_id: str) -> MoveRow | None:
        """A move."""
        return _MOVES.find(self._sql, move_id)

    def put(self, row: MoveRow) -> None:
        """Keep a move as it stands."""
        _MOVES.put(self._sql, row)

    def due(self, venues: Sequence[str], now_ms: int, limit: int) -> list[MoveRow]:
        """Moves to a rail that are to be asked for or looked up now, the longest due first."""
        if not venues:
            return []
        tail = (
            f"WHERE state IN ({_marks(MOVES_PENDING)}) AND direction = 'to_rail'"
            f" AND venue IN ({_marks(venues)}) AND due_ms <= ? ORDER BY due_ms, id LIMIT ?"
        )
        return _MOVES.select(self._sql, tail, *_texts(MOVES_PENDING), *venues, now_ms, limit)

    def decimals(self, asset: str) -> int:
        """Of a registered asset."""
        return int(self._sql.rows("SELECT decimals FROM assets WHERE id = ?", asset)[0][0])

    def pending(self, account: str | None = None) -> list[MoveRow]:
        """Unfinished moves, oldest first, of one account or of all."""
        tail, values = f"WHERE state IN ({_marks(MOVES_PENDING)})", [*_texts(MOVES_PENDING)]
        if account is not None:
            tail, values = f"{tail} AND account = ?", [*values, account]
        return _MOVES.select(self._sql, f"{tail} ORDER BY planned_ms, id", *values)

    def listed(self, states: Sequence[MoveState], limit: int) -> list[MoveRow]:
        """The newest moves, by state."""
        tail = f"WHERE state IN ({_marks(states)}) ORDER BY planned_ms DESC, id LIMIT ?"
        return _MOVES.select(self._sql, tail, *_texts(states), limit)

    def every(self) -> Iterator[MoveRow]:
        """All moves, for an audit."""
        yield from _MOVES.select(self._sql, "ORDER BY id")

    def counts(self) -> dict[str, tuple[int, int]]:
        """By state: how many, and when the oldest of them was planned."""
        rows = self._sql.rows("SELECT state, count(*), min(planned_ms) FROM custody_moves GROUP BY state")
        return {state: (int(count), int(oldest)) for state, count, oldest in rows}


def altered_rows(sql: Sql) -> Iterator[str]:
    """Sentences about rows of this room that are not what was written."""
    for table in (_PAYOUTS, _RECEIPTS, _BLOCKS, _PAYMENTS, _CURSORS, _INCIDENTS, _MOVES):
        yield from table.altered(sql)


def suspense_balances(sql: Sql) -> dict[tuple[str, str], int]:
    """What the ledger's suspense accounts hold, by (account, asset id)."""
    rows = sql.rows("SELECT account, asset, units FROM balances WHERE account LIKE 'suspense:%'")
    return {(account, asset): int(units) for account, asset, units in rows}


def hold_state(sql: Sql, hold: str) -> str | None:
    """Where one of the ledger's holds stands; None where there is none."""
    rows = sql.rows("SELECT state FROM holds WHERE id = ?", hold)
    return str(rows[0][0]) if rows else None


def batch_memos(sql: Sql) -> Iterator[str]:
    """What is kept beside every group that holds the units of several payouts."""
    statement = "SELECT memo FROM groups WHERE key LIKE ? AND outcome = ? ORDER BY seq"
    for (memo,) in sql.rows(statement, "payouts:%", POSTED):
        yield str(memo)


def is_posted(sql: Sql, key: str) -> bool:
    """Whether the ledger has posted a group under a key."""
    return bool(sql.rows("SELECT 1 FROM groups WHERE key = ? AND outcome = ?", key, POSTED))


def _marks(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))


def _texts(values: Sequence[str]) -> list[str]:
    return [str(value) for value in values]
