"""Tables of `money.db`, a module a room."""

from __future__ import annotations

from mrmarket.store.schema.money import campaigns, ledger, payouts, pool, rewards, seals
from mrmarket.store.schema.money.metadata import MONEY

__all__ = ["MONEY", "campaigns", "ledger", "payouts", "pool", "rewards", "seals"]
