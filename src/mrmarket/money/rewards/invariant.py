"""The equation that every unit of reward money must satisfy, always and in every asset."""

from __future__ import annotations

import msgspec

from mrmarket.money.rewards.allocator import chunk_key
from mrmarket.money.rewards.receipts import rewards_account
from mrmarket.money.rewards.repository import RewardRepository
from mrmarket.money.rewards.rows import Payer, Reduction
from mrmarket.store.sql import Sql


class RewardBalance(msgspec.Struct, kw_only=True):
    """Where a pool's reward money of one asset is, in units.

    `received + reserve = credited + fees + network + dust + unallocated + in_transit + retracted`
    """

    pool: str
    asset: str
    received: int = 0
    reserve: int = 0
    """Put in by the owner's reserve where users keep more than their due; less what it got back."""
    credited: int = 0
    """Posted to users."""
    fees: int = 0
    network: int = 0
    dust: int = 0
    unallocated: int = 0
    in_transit: int = 0
    """What the ledger says is still in the pool's reward account."""
    retracted: int = 0
    """Taken back by its source before it was allocated."""
    recorded: int = 0
    """Of what is in transit: recorded for users and not yet posted."""
    charged: int = 0
    """Retracted or spent after it was allocated: the owner's reserve pays it, outside this equation."""
    shortage: int = 0
    """Of that, what the reserve has not paid."""

    @property
    def difference(self) -> int:
        """0 where every unit is accounted for."""
        parts = (self.credited, self.fees, self.network, self.dust, self.unallocated, self.retracted)
        return self.received + self.reserve - sum(parts) - self.in_transit

    @property
    def ok(self) -> bool:
        """Whether the equation holds and the reward account covers what is recorded for users."""
        return self.difference == 0 and 0 <= self.recorded <= self.in_transit


def reward_balances(sql: Sql) -> list[RewardBalance]:
    """The equation for each pool and asset that ever had a reward."""
    repository = RewardRepository(sql)
    pools = {campaign.id: campaign.pool for campaign in repository.campaigns()}
    found: dict[tuple[str, str], RewardBalance] = {}

    def balance(campaign: str, asset: str) -> RewardBalance:
        pool = pools[campaign]
        return found.setdefault((pool, asset), RewardBalance(pool=pool, asset=asset))

    for entry in repository.all_entries():
        balance(entry.campaign, entry.asset).received += entry.units
    for reduction in repository.all_reductions():
        place = balance(reduction.campaign, reduction.asset)
        if reduction.payer is not Payer.REWARDS:
            place.charged += reduction.units
        elif reduction.kind is Reduction.NETWORK:
            place.network += reduction.units
        else:
            place.retracted += reduction.units
    for reduction in repository.unpaid_reductions():
        balance(reduction.campaign, reduction.asset).shortage += reduction.units
    for run in repository.all_runs():
        place = balance(run.campaign, run.asset)
        place.reserve += run.reserve_units
        place.credited += run.credited_units
        place.fees += run.fee_units
        place.dust += run.dust_units
        place.unallocated += run.unallocated_units
    for run in repository.open_runs():
        waiting = sum(
            units
            for chunk in range(run.chunks)
            if repository.group_at(chunk_key(run.id, chunk)) is None
            for _, units in repository.chunk(run.id, chunk)
        )
        place = balance(run.campaign, run.asset)
        place.credited -= waiting
        place.recorded += waiting
    for (pool, asset), place in found.items():
        rows = sql.rows(
            "SELECT units FROM balances WHERE account = ? AND asset = ?", rewards_account(pool).id, asset
        )
        place.in_transit = sum(int(row[0]) for row in rows)
    return [found[key] for key in sorted(found)]
