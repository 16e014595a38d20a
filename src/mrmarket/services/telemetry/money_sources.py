"""What the books say, and what is owed against what was seen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from mrmarket.core.clock import NS_PER_MS, Clock
from mrmarket.money.ledger.verification import LedgerCheck
from mrmarket.money.payouts.payout import PENDING
from mrmarket.money.payouts.view import PayoutsStatus, status
from mrmarket.money.pool.books_view import SnapshotView
from mrmarket.money.pool.view import PoolFigures
from mrmarket.money.rewards.inputs import unallocated_account
from mrmarket.money.rewards.receipts import rewards_account
from mrmarket.money.solvency.repository import SolvencyRepository
from mrmarket.money.solvency.watch import lines_of
from mrmarket.services.money.offices import Offices
from mrmarket.services.money.watch import SolvencyWatch
from mrmarket.services.telemetry.reading import Reading, Source
from mrmarket.store.sql import Sql

_MS_PER_S: Final = 1_000


@dataclass(frozen=True, slots=True)
class BooksState:
    """What settlement keeps at hand."""

    figures: PoolFigures | None
    check: LedgerCheck | None


def books_source(state: Callable[[], BooksState]) -> Source:
    """Pool and ledger as of the last settlement; to be read on the event loop."""

    def read() -> Iterator[Reading]:
        now = state()
        if now.check is not None:
            yield Reading("mm_ledger_verify_ok", float(now.check.ok))
        if (figures := now.figures) is not None:
            yield Reading("mm_equity_quote", float(figures.nav), (figures.id,))
            yield Reading("mm_ledger_seq", figures.ledger_seq)
            yield Reading("mm_facts_unsettled", figures.log_head_seq - figures.settled_through_seq)
            yield Reading("mm_fills_parked", figures.parked_fills)

    return read


def money_source(offices: Offices, watch: SolvencyWatch, clock: Clock) -> Source:
    """Differences, incidents, payments out and rewards, as of one commit; to be read in a thread."""

    def read() -> list[Reading]:
        with offices.treasury.reader.snapshot() as sql:
            return [
                *_solvency(sql, watch, clock.now_ns() // NS_PER_MS),
                *_payouts(status(sql), clock.now_ns() // NS_PER_MS),
                *_rewards(sql, [plan.name for plan in offices.treasury.plans]),
            ]

    return read


def _solvency(sql: Sql, watch: SolvencyWatch, now_ms: int) -> Iterator[Reading]:
    decimals = _decimals(sql)
    for line in lines_of(sql, watch.places(), now_ms):
        if line.asset in decimals:
            yield Reading(
                "mm_reconcile_difference", _whole(line.unexplained, decimals[line.asset]), (line.asset,)
            )
    yield Reading("mm_incidents_open", len(SolvencyRepository(sql).open_incidents()))


def _payouts(now: PayoutsStatus, now_ms: int) -> Iterator[Reading]:
    pending = sum(tally.count for tally in now.payouts if tally.state in PENDING)
    yield Reading("mm_outbox_depth", pending)
    oldest_ms = now.oldest_pending_ms
    yield Reading(
        "mm_outbox_oldest_seconds", 0 if oldest_ms is None else max(0, now_ms - oldest_ms) / _MS_PER_S
    )


def _rewards(sql: Sql, pools: list[str]) -> Iterator[Reading]:
    view, decimals = SnapshotView(sql, 0), _decimals(sql)
    left: dict[str, int] = {}
    for pool in pools:
        for account in (rewards_account(pool).id, unallocated_account(pool)):
            for asset, units in view.holdings(account).items():
                left[asset] = left.get(asset, 0) + units
    for asset, units in sorted(left.items()):
        yield Reading("mm_reward_unallocated", _whole(units, decimals[asset]), (asset,))


def _whole(units: int, decimals: int) -> float:
    return float(Decimal(units).scaleb(-decimals))


def _decimals(sql: Sql) -> dict[str, int]:
    return dict(sql.rows("SELECT id, decimals FROM assets"))
