"""Computing the allocations of a day again, from what they were computed from."""

from __future__ import annotations

from dataclasses import dataclass

from mrmarket.money.rewards.inputs import Sources, campaign_of, draw_up
from mrmarket.money.rewards.plan import hash_of_rows
from mrmarket.money.rewards.repository import RewardRepository
from mrmarket.money.rewards.rows import AllocationRow, RunRow
from mrmarket.store.sql import Sql


@dataclass(frozen=True, slots=True)
class Difference:
    """A row that is not what the inputs give."""

    account: str
    stored: AllocationRow | None
    computed: AllocationRow | None


@dataclass(frozen=True, slots=True)
class Replay:
    """A run, computed again."""

    run: RunRow
    input_hash: bytes
    """Of the inputs as they are now."""
    differences: tuple[Difference, ...]
    reasons: tuple[str, ...]
    """What does not hold; empty where all does."""

    @property
    def ok(self) -> bool:
        """Whether everything came out as it was recorded."""
        return not self.reasons


def replay_day(sql: Sql, sources: Sources, campaign: str, day: int) -> list[Replay]:
    """Every run of a campaign's day, in order, by asset. Writes nothing.

    Raises:
        UnknownCampaignError, UnknownDayError: if there is no such day.
    """
    campaign_of(sql, campaign).window(day)
    repository = RewardRepository(sql)
    return [
        replay_run(sql, sources, run)
        for asset in repository.assets(campaign, day)
        for run in repository.runs(campaign, day, asset)
    ]


def replay_run(sql: Sql, sources: Sources, run: RunRow) -> Replay:
    """One run. Its multipliers and exclusions are taken from the run, everything else from the books."""
    stored = RewardRepository(sql).rows(run.id)
    draught = draw_up(sql, sources, (run.campaign, run.day, run.asset), past=run)
    if draught is None:
        return Replay(run, b"", (), ("its entries are gone",))
    reasons: list[str] = []
    if hash_of_rows(stored) != run.rows_hash:
        reasons.append("its rows are not those that were recorded")
    if draught.id != run.id:
        reasons.append("its id does not follow from its entries")
    if draught.input_hash != run.input_hash:
        reasons.append("its inputs are not what they were")
    differences = _differences(stored, list(draught.plan.rows))
    if differences:
        reasons.append(f"{len(differences)} of its rows do not follow from its inputs")
    return Replay(run, draught.input_hash, differences, tuple(reasons))


def _differences(stored: list[AllocationRow], computed: list[AllocationRow]) -> tuple[Difference, ...]:
    if stored == computed:
        return ()
    before = {row.account: row for row in stored}
    after = {row.account: row for row in computed}
    return tuple(
        Difference(account, before.get(account), after.get(account))
        for account in sorted(before.keys() | after.keys())
        if before.get(account) != after.get(account)
    )
