"""When a pool's net asset value is one to deal at.

A deposit or withdrawal is dealt at the first price that was observed after it could no longer be timed: a
mark of every asset that the pool holds, newer than the request and not stale. Nobody, whichever side of the
deal, knows that price when asking.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from mrmarket.money.ledger.draft import Draft
from mrmarket.money.pool.appraisal import Appraisal
from mrmarket.money.pool.plan import PoolPlan
from mrmarket.money.pool.repository import PoolRepository

MARK_MAX_AGE_MS: Final = 60_000
"""An older price is stale."""


def stale_codes(now: Appraisal, at_ms: int, after_ms: int, brought: Iterable[str] = ()) -> list[str]:
    """Codes that are held, or brought, and whose price is older than `after_ms` or stale at `at_ms`.

    What never had a price is not among them: see `Appraisal.unpriced`. A price from the future is as bad as
    an old one.
    """
    codes = {code for code, units in now.holdings.items() if units} | set(brought)
    return sorted(
        code
        for code in codes
        if code in now.sources
        and not (
            after_ms < now.sources[code].at_ms
            and at_ms - MARK_MAX_AGE_MS <= now.sources[code].at_ms <= at_ms + MARK_MAX_AGE_MS
        )
    )


def waiting_for(
    draft: Draft,
    plan: PoolPlan,
    now: Appraisal,
    after_ms: int,
    brought: Iterable[str] = (),
) -> str | None:
    """What keeps a pool from dealing at a price observed after `after_ms`; None if nothing does."""
    stale = stale_codes(now, draft.at_ms, after_ms, brought)
    if stale:
        return f"waits for the next price of {', '.join(stale)}"
    if plan.stream is not None:
        # Also where nothing of it is held: trades from before a price are in the ledger when the price is.
        newest = max(now.sources, key=lambda code: now.sources[code].at_ms, default=None)
        if newest is not None and stale_codes(now, draft.at_ms, after_ms, [newest]):
            return f"waits for the next price of {newest}"
        parked = PoolRepository(draft.sql).parked(plan.stream)
        # A shortage resolves itself with the next trades; what cannot be read or contradicts never does.
        if any(fill.code == "insufficient_funds" for fill in parked):
            return "waits for trades that are not in the ledger yet"
    return None
