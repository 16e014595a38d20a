"""Shares of pooled money: who comes and goes, at which price, and what that costs."""

from __future__ import annotations

from typing import Final

CRASH_POINTS: Final = ("pool.settled", "pool.expired", "pool.minted", "pool.burned", "pool.accrued")
"""Every point between two effects of this room, see `mrmarket.core.crash`.

`pool.settled`: a batch of facts is in the ledger with its cursor.
`pool.expired`: overdue intents are ended, nothing is minted.
`pool.minted`: one deposit was looked at, and minted if it could be.
`pool.burned`: one withdrawal was looked at, and burned with its payment in the outbox if it could be.
`pool.accrued`: a window of fees is charged.
"""
