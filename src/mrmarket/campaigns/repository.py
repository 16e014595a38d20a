"""All SQL of campaigns."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from mrmarket.campaigns.entity import Campaign, Event, Stage
from mrmarket.campaigns.errors import UnknownOfferError
from mrmarket.campaigns.rows import (
    CursorRow,
    EstimateRow,
    GoalRow,
    OfferRow,
    PayoutRow,
    PayoutStep,
    PayoutStepRow,
    StepRow,
    campaign_of,
    row_of,
)
from mrmarket.campaigns.terms import ExecutionGoal
from mrmarket.money.payouts.sealed_table import SealedTable
from mrmarket.store.sql import Sql

_OFFERS: Final = SealedTable("campaign_offers", OfferRow, ("id",))
_STEPS: Final = SealedTable("campaign_steps", StepRow, ("campaign", "seq"))
_GOALS: Final = SealedTable("campaign_goals", GoalRow, ("campaign", "cycle"))
_ESTIMATES: Final = SealedTable("campaign_estimates", EstimateRow, ("campaign", "cycle", "seq"))
_PAYOUTS: Final = SealedTable("campaign_payouts", PayoutRow, ("id",))
_PAYOUT_STEPS: Final = SealedTable("campaign_payout_steps", PayoutStepRow, ("payout", "step", "ref"))
_CURSORS: Final = SealedTable("campaign_cursors", CursorRow, ("feed",))


class CampaignRepository:
    """Campaigns, their goals and their payouts, inside somebody's transaction."""

    def __init__(self, sql: Sql) -> None:
        self._sql = sql

    def campaign(self, name: str) -> Campaign:
        """A campaign. Raises `UnknownOfferError`."""
        found = self.find(name)
        if found is None:
            raise UnknownOfferError(name)
        return found

    def find(self, name: str) -> Campaign | None:
        """A campaign; None where nobody has seen it."""
        row = _OFFERS.find(self._sql, name)
        return None if row is None else campaign_of(row)

    def campaigns(self) -> list[Campaign]:
        """Every campaign, by id."""
        return [campaign_of(row) for row in _OFFERS.select(self._sql, "ORDER BY id")]

    def ids(self) -> set[str]:
        """Names of all campaigns."""
        return {row[0] for row in self._sql.rows("SELECT id FROM campaign_offers")}

    def in_stage(self, *stages: Stage) -> list[Campaign]:
        """Campaigns that stand at one of some stages, by id."""
        marks = ", ".join("?" * len(stages))
        tail = f"WHERE stage IN ({marks}) ORDER BY id"
        return [
            campaign_of(row) for row in _OFFERS.select(self._sql, tail, *(stage.value for stage in stages))
        ]

    def put(self, campaign: Campaign, event: Event | str, at_ms: int) -> None:
        """Keep a campaign as it stands now, and what brought it there."""
        _OFFERS.put(self._sql, row_of(campaign))
        seq = self._next("campaign_steps", campaign.id)
        name = event.value if isinstance(event, Event) else event
        _STEPS.add(self._sql, StepRow(campaign.id, seq, name, campaign.stage, campaign.reason, at_ms))

    def steps(self, campaign: str) -> list[StepRow]:
        """What happened to a campaign, in order."""
        return _STEPS.select(self._sql, "WHERE campaign = ? ORDER BY seq", campaign)

    def put_goal(self, goal: ExecutionGoal, at_ms: int, *, told: bool) -> None:
        """Keep what the engine is asked for in a cycle."""
        text = msgspec.json.encode(goal).decode()
        _GOALS.put(self._sql, GoalRow(goal.campaign, goal.cycle, goal.pause, text, told, at_ms))

    def goal(self, campaign: str, cycle: int) -> ExecutionGoal | None:
        """What the engine is asked for in a cycle."""
        rows = _GOALS.select(self._sql, "WHERE campaign = ? AND cycle = ?", campaign, cycle)
        return msgspec.json.decode(rows[0].goal, type=ExecutionGoal) if rows else None

    def untold_goals(self) -> list[ExecutionGoal]:
        """Goals that the engine does not have, oldest first."""
        rows = _GOALS.select(self._sql, "WHERE told = 0 ORDER BY changed_ms, campaign, cycle")
        return [msgspec.json.decode(row.goal, type=ExecutionGoal) for row in rows]

    def goals(self, campaign: str) -> list[ExecutionGoal]:
        """All goals of a campaign, by cycle."""
        rows = _GOALS.select(self._sql, "WHERE campaign = ? ORDER BY cycle", campaign)
        return [msgspec.json.decode(row.goal, type=ExecutionGoal) for row in rows]

    def add_estimate(self, estimate: EstimateRow) -> EstimateRow:
        """Keep what we expect of a cycle now; its `seq` is given here."""
        rows = self._sql.rows(
            "SELECT coalesce(max(seq), 0) FROM campaign_estimates WHERE campaign = ? AND cycle = ?",
            estimate.campaign,
            estimate.cycle,
        )
        kept = msgspec.structs.replace(estimate, seq=rows[0][0] + 1)
        _ESTIMATES.add(self._sql, kept)
        return kept

    def estimates(self, campaign: str, cycle: int) -> list[EstimateRow]:
        """What we expected of a cycle, oldest first."""
        return _ESTIMATES.select(self._sql, "WHERE campaign = ? AND cycle = ? ORDER BY seq", campaign, cycle)

    def payout(self, name: str) -> PayoutRow | None:
        """A payout by its id."""
        return _PAYOUTS.find(self._sql, name)

    def add_payout(self, payout: PayoutRow) -> None:
        """Keep a payout."""
        _PAYOUTS.add(self._sql, payout)

    def payouts(self, campaign: str, cycle: int | None = None) -> list[PayoutRow]:
        """Payouts of a campaign, or of one of its cycles, oldest first."""
        if cycle is None:
            return _PAYOUTS.select(self._sql, "WHERE campaign = ? ORDER BY at_ms, id", campaign)
        tail = "WHERE campaign = ? AND cycle = ? ORDER BY at_ms, id"
        return _PAYOUTS.select(self._sql, tail, campaign, cycle)

    def all_payouts(self) -> list[PayoutRow]:
        """Every payout, oldest first."""
        return _PAYOUTS.select(self._sql, "ORDER BY at_ms, id")

    def add_step(self, step: PayoutStepRow) -> None:
        """Keep what became of a payout."""
        _PAYOUT_STEPS.add(self._sql, step)

    def payout_steps(self, payout: str) -> list[PayoutStepRow]:
        """What became of a payout, oldest first."""
        return _PAYOUT_STEPS.select(self._sql, "WHERE payout = ? ORDER BY at_ms, step, ref", payout)

    def steps_of_ref(self, step: PayoutStep, ref: str) -> list[PayoutStepRow]:
        """Payouts that share a step, such as one transfer out of the vault; by payout."""
        return _PAYOUT_STEPS.select(self._sql, "WHERE step = ? AND ref = ? ORDER BY payout", step.value, ref)

    def open_sweeps(self) -> list[str]:
        """Keys of transfers out of the vault that neither arrived nor failed."""
        rows = self._sql.rows(
            "SELECT DISTINCT s.ref FROM campaign_payout_steps s WHERE s.step = 'sweeping' AND NOT EXISTS"
            " (SELECT 1 FROM campaign_payout_steps d WHERE d.payout = s.payout AND d.ref = s.ref"
            " AND d.step IN ('arrived', 'sweep_failed')) ORDER BY s.ref"
        )
        return [row[0] for row in rows]

    def arrived_by(self, payment: str) -> tuple[str, int] | None:
        """Key and chain of the transfer out of the vault that a payment of the rail is."""
        rows = self._sql.rows(
            "SELECT s.ref, p.chain_id FROM campaign_payout_steps s JOIN campaign_payouts p ON p.id = s.payout"
            " WHERE s.step = 'arrived' AND s.why = ? LIMIT 1",
            payment,
        )
        return (rows[0][0], int(rows[0][1])) if rows else None

    def is_awaited(self, asset: str) -> bool:
        """Whether a transfer that pays out rewards in an asset neither arrived nor failed."""
        rows = self._sql.rows(
            "SELECT 1 FROM campaign_payout_steps s JOIN campaign_payout_steps e ON e.payout = s.payout"
            " AND e.step = 'entered' JOIN reward_entries r ON r.id = e.ref AND r.asset = ?"
            " WHERE s.step = 'sweeping' AND NOT EXISTS (SELECT 1 FROM campaign_payout_steps d"
            " WHERE d.payout = s.payout AND d.ref = s.ref AND d.step IN ('arrived', 'sweep_failed')) LIMIT 1",
            asset,
        )
        return bool(rows)

    def unswept(self, chain_id: int, token: str) -> list[PayoutRow]:
        """Payouts of a token that were entered and belong to no transfer that is under way or arrived."""
        return _PAYOUTS.select(
            self._sql,
            "WHERE chain_id = ? AND token = ?"
            " AND EXISTS (SELECT 1 FROM campaign_payout_steps e WHERE e.payout = campaign_payouts.id"
            " AND e.step = 'entered' AND NOT EXISTS (SELECT 1 FROM campaign_payout_steps r"
            " WHERE r.payout = e.payout AND r.step = 'retracted' AND r.ref = e.ref))"
            " AND NOT EXISTS (SELECT 1 FROM campaign_payout_steps s WHERE s.payout = campaign_payouts.id"
            " AND s.step = 'sweeping' AND NOT EXISTS (SELECT 1 FROM campaign_payout_steps f"
            " WHERE f.payout = s.payout AND f.step = 'sweep_failed' AND f.ref = s.ref))"
            " ORDER BY at_ms, id",
            chain_id,
            token,
        )

    def cursor(self, feed: str) -> str:
        """How far a feed was taken; empty before the first time."""
        row = _CURSORS.find(self._sql, feed)
        return "" if row is None else row.cursor

    def put_cursor(self, feed: str, cursor: str, at_ms: int) -> None:
        """Note how far a feed was taken."""
        _CURSORS.put(self._sql, CursorRow(feed, cursor, at_ms))

    def count_by_stage(self) -> dict[Stage, int]:
        """How many campaigns stand at each stage."""
        rows = self._sql.rows("SELECT stage, count(*) FROM campaign_offers GROUP BY stage")
        return {Stage(stage): count for stage, count in rows}

    def _next(self, table: str, campaign: str) -> int:
        rows = self._sql.rows(
            f"SELECT coalesce(max(seq), 0) FROM {table} WHERE campaign = ?",  # noqa: S608 - a constant
            campaign,
        )
        return int(rows[0][0]) + 1


def altered_rows(sql: Sql) -> Iterator[str]:
    """Sentences about rows that are not what was written."""
    for table in (_OFFERS, _STEPS, _GOALS, _ESTIMATES, _PAYOUTS, _PAYOUT_STEPS, _CURSORS):
        yield from table.altered(sql)
