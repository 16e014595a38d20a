"""Where allocations of rewards get their inputs in this instance."""

from __future__ import annotations

from mrmarket.money.pool.history import ShareHistory
from mrmarket.money.rewards.attribution import LpShare
from mrmarket.money.rewards.inputs import Sources


def reward_sources() -> Sources:
    """Time-weighted shares out of the pools' history; nobody is multiplied or excluded."""
    return Sources(attributions=(LpShare(ShareHistory()),))
