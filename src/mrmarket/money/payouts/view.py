"""Plain figures about money in and out, for pages and commands."""

from __future__ import annotations

from dataclasses import dataclass

from mrmarket.money.payouts.move import MoveRow, MoveState
from mrmarket.money.payouts.move_book import in_transit
from mrmarket.money.payouts.payment import FeedCursor, Incident, Payment, Standing
from mrmarket.money.payouts.payout import PENDING, Block, PayoutRow, PayoutState, Receipt
from mrmarket.money.payouts.repository import MoveRepository, PaymentRepository, PayoutRepository
from mrmarket.store.sql import Sql

__all__ = [
    "PayoutsStatus",
    "QueuedPayout",
    "Tally",
    "in_transit",
    "moves",
    "outbox",
    "payments",
    "receipt",
    "status",
]


@dataclass(frozen=True, slots=True)
class Tally:
    """How many rows are in one state."""

    state: str
    count: int
    oldest_ms: int
    """When the oldest of them began; UTC ms."""


@dataclass(frozen=True, slots=True)
class PayoutsStatus:
    """Everything that a person looks at first."""

    payouts: tuple[Tally, ...]
    payments: tuple[Tally, ...]
    moves: tuple[Tally, ...]
    blocks: tuple[Block, ...]
    feeds: tuple[FeedCursor, ...]
    incidents: tuple[Incident, ...]
    """Open ones, oldest first."""
    oldest_pending_ms: int | None
    """When the oldest payout that has not ended was queued; UTC ms."""


@dataclass(frozen=True, slots=True)
class QueuedPayout:
    """A payout and what stands in its way."""

    row: PayoutRow
    blocked: str | None
    """Why nothing of its asset leaves; None where nothing keeps it in or it has left already."""
    receipt: Receipt | None


def status(sql: Sql, incidents: int = 100) -> PayoutsStatus:
    """Counts by state, blocks, feeds and open incidents, of one moment."""
    payouts = PayoutRepository(sql)
    payments_ = PaymentRepository(sql)
    counts = payouts.counts()
    pending = [counts[state][1] for state in PENDING if state in counts]
    return PayoutsStatus(
        payouts=_tallies(counts),
        payments=_tallies(payments_.counts()),
        moves=_tallies(MoveRepository(sql).counts()),
        blocks=tuple(payouts.blocks()),
        feeds=tuple(payments_.cursors()),
        incidents=tuple(payments_.incidents("open", incidents)),
        oldest_pending_ms=min(pending, default=None),
    )


def outbox(
    sql: Sql,
    states: tuple[PayoutState, ...] = tuple(PayoutState),
    account: str | None = None,
    cause: str | None = None,
    limit: int = 100,
) -> list[QueuedPayout]:
    """The newest payouts, with what blocks them and the receipts of those that ended well."""
    repository = PayoutRepository(sql)
    blocked = {block.asset_code: block.reason for block in repository.blocks()}
    return [
        QueuedPayout(
            row,
            blocked.get(row.asset_code) if row.state is PayoutState.QUEUED else None,
            repository.receipt(row.id) if row.state is PayoutState.CONFIRMED else None,
        )
        for row in repository.listed(states, account, cause, limit)
    ]


def receipt(sql: Sql, payout_id: str) -> Receipt | None:
    """The proof that a payout ended well."""
    return PayoutRepository(sql).receipt(payout_id)


def payments(sql: Sql, standings: tuple[Standing, ...] = tuple(Standing), limit: int = 100) -> list[Payment]:
    """The newest incoming payments."""
    return PaymentRepository(sql).listed(standings, limit)


def moves(sql: Sql, states: tuple[MoveState, ...] = tuple(MoveState), limit: int = 100) -> list[MoveRow]:
    """The newest custody moves."""
    return MoveRepository(sql).listed(states, limit)


def _tallies(counts: dict[str, tuple[int, int]]) -> tuple[Tally, ...]:
    return tuple(Tally(state, *figures) for state, figures in sorted(counts.items()))
