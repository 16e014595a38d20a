"""Allocation runs as pages and commands show them."""

from __future__ import annotations

from mrmarket.money.rewards.inputs import Draught
from mrmarket.money.rewards.repository import RewardRepository
from mrmarket.money.rewards.rows import RunRow
from mrmarket.money.rewards.view import run_state
from mrmarket.services.api import money_schema as money
from mrmarket.services.money.mapping import signed
from mrmarket.store.sql import Sql


def cycles_at(sql: Sql, pool: str | None, at_ms: int) -> list[tuple[str, int]]:
    """(campaign, day) of every cycle that a moment belongs to; of every pool where none is named."""
    days = [(campaign.id, campaign.day_at(at_ms)) for campaign in RewardRepository(sql).campaigns(pool)]
    return [(name, day) for name, day in days if day is not None]


def run_view(sql: Sql, row: RunRow) -> money.RewardRunView:
    """A run that was recorded."""
    decimals = decimals_of(sql, row.asset)
    return money.RewardRunView(
        run=row.id,
        pool=row.pool,
        campaign=row.campaign,
        start_ms=row.start_ms,
        end_ms=row.end_ms,
        asset=row.asset,
        amount=signed(row.total_units, decimals),
        allocated=signed(row.credited_units, decimals),
        unallocated=signed(row.unallocated_units, decimals),
        dust=signed(row.dust_units, decimals),
        users=row.rows,
        kind=row.kind.value,
        state=run_state(sql, row),
        inputs_hash=row.input_hash.hex(),
    )


def draught_view(sql: Sql, draught: Draught) -> money.RewardRunView:
    """A run that was computed and not written down."""
    campaign, _, asset = draught.key
    decimals, plan = decimals_of(sql, asset), draught.plan
    return money.RewardRunView(
        run=draught.id,
        pool=draught.campaign.pool,
        campaign=campaign,
        start_ms=draught.span.start_ms,
        end_ms=draught.span.end_ms,
        asset=asset,
        amount=signed(draught.money.total, decimals),
        allocated=signed(plan.credited, decimals),
        unallocated=signed(plan.unallocated, decimals),
        dust=signed(plan.dust, decimals),
        users=len(plan.rows),
        kind=draught.kind.value,
        state="preview",
        inputs_hash=draught.input_hash.hex(),
    )


def decimals_of(sql: Sql, asset: str) -> int:
    """Decimals of an asset; 0 for one that the books do not know."""
    rows = sql.rows("SELECT decimals FROM assets WHERE id = ?", asset)
    return int(rows[0][0]) if rows else 0
