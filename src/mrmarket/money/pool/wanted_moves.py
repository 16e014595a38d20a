"""What of a pool's money should be at another place: to pay who leaves, or to be put to work."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

from mrmarket.core.money import Asset
from mrmarket.money.ledger.draft import Draft
from mrmarket.money.payouts.move import Direction
from mrmarket.money.pool.appraisal import narrowed, widened
from mrmarket.money.pool.book import PoolBook
from mrmarket.money.pool.request_repository import RequestRepository
from mrmarket.money.pool.terms import BPS
from mrmarket.money.pool.withdrawal import QUEUED, Withdrawals

_MARGIN_BPS: Final = 50
"""Fetched on top of what a withdrawal is worth, because its price moves on the way."""
_AT_ONCE: Final = 10_000


@dataclass(frozen=True, slots=True)
class MovePolicy:
    """How much of a pool's quote stays on the payment rail."""

    idle_buffer: int = 0
    """Kept there for who leaves next, in quote units."""
    least_sweep: int = 10 * 10**18
    """Less than this is not worth a move to the venue, in quote units; of other assets a millionth of it."""


class WantedMove(NamedTuple):
    """A move that would be right now; `payouts.Move` takes its last five fields."""

    pool: str
    code: str
    units: int
    """In base units of the asset that is given: the rail's on the way to the venue, else the venue's."""
    direction: Direction
    account: str
    rail_asset: Asset
    venue_asset: Asset


def wanted_moves(
    draft: Draft, book: PoolBook, withdrawals: Withdrawals, policy: MovePolicy
) -> list[WantedMove]:
    """What should be moved for one pool. What is on its way already is counted.

    Amounts are exact on both sides: whole units of whichever asset has fewer decimals.
    """
    plan = book.plan
    if plan.rail is None:
        return []
    moves = []
    rail_quote = draft.asset(f"{plan.rail}:{plan.quote}")
    if rail_quote is not None:
        move = _quote_move(draft, book, withdrawals, policy, rail_quote)
        if move is not None:
            moves.append(move)
    if plan.stream is not None:
        for asset_id in draft.holdings(plan.pool.id):
            asset = draft.asset(asset_id)
            if asset is None or asset.namespace != plan.rail or asset.code == plan.quote:
                continue
            free = draft.available(plan.pool.id, asset.id)
            if free and widened(free, asset.decimals) >= policy.least_sweep // 10**6:
                moves.append(_move(book, asset, free, Direction.TO_VENUE))
    return moves


def _quote_move(
    draft: Draft, book: PoolBook, withdrawals: Withdrawals, policy: MovePolicy, rail: Asset
) -> WantedMove | None:
    plan = book.plan
    venue = plan.quote_asset
    queued = RequestRepository(draft.sql).withdrawals_in(plan.name, QUEUED, _AT_ONCE)
    owed = {row.id: withdrawals.estimate(draft, row) for row in queued}
    due = sum(owed[row.id] for row in queued if row.ready_ms <= draft.at_ms)
    coming = narrowed(draft.pending(plan.pool.id, venue.id).outgoing, rail.decimals)
    have = draft.available(plan.pool.id, rail.id)
    wanted = -(-due * (BPS + _MARGIN_BPS) // BPS)
    if due > have + coming:
        at_venue = narrowed(draft.available(plan.pool.id, venue.id), rail.decimals)
        fetched = min(wanted - have - coming, at_venue)
        return _move(book, rail, fetched, Direction.TO_RAIL) if fetched > 0 else None
    spare = have - sum(owed.values()) - narrowed(policy.idle_buffer, rail.decimals)
    if plan.stream is not None and spare > 0 and widened(spare, rail.decimals) >= policy.least_sweep:
        return _move(book, rail, spare, Direction.TO_VENUE)
    return None


def _move(book: PoolBook, rail: Asset, rail_units: int, direction: Direction) -> WantedMove:
    venue = book.plan.asset(rail.code)
    units = rail_units if direction is Direction.TO_VENUE else widened(rail_units, rail.decimals)
    return WantedMove(book.plan.name, rail.code, units, direction, book.plan.pool.id, rail, venue)
