"""The demo's campaign: somebody outside pays a reward for every cycle, as a campaign's contract would."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from functools import partial
from typing import Final

import structlog

from mrmarket.core.clock import NS_PER_MS
from mrmarket.core.decimals import format_units
from mrmarket.core.errors import MrMarketError
from mrmarket.money.ledger.draft import Draft
from mrmarket.money.rewards.campaign import Campaign
from mrmarket.money.rewards.claims import reward_memo
from mrmarket.money.rewards.receipts import register
from mrmarket.money.rewards.repository import RewardRepository
from mrmarket.services.money.offices import Offices
from mrmarket.services.outage import through_outages

SPONSOR: Final = "0x5b0a5b0a5b0a5b0a5b0a5b0a5b0a5b0a5b0a5b0a"
"""Wallet on the simulated rail that pays the demo's rewards."""

_DAYS: Final = 365 * 86_400_000
_EVERY_S: Final = 1.0

_log = structlog.get_logger("mrmarket.demo")


class Sponsor:
    """Pays over the rail, once per cycle while the instance runs. A missed cycle stays unpaid."""

    def __init__(self, offices: Offices, pool: str, code: str, amount: Decimal, cycle_ms: int) -> None:
        self._offices = offices
        self._pool = pool
        self._code = code
        self._amount = amount
        self._cycle_ms = cycle_ms
        self._paid: tuple[str, int] | None = None

    async def keep(self) -> None:
        """Pay cycle after cycle until cancelled."""
        campaign = await through_outages("the campaign", partial(asyncio.to_thread, self._campaign))
        while True:
            await self._pay(campaign)
            await asyncio.sleep(_EVERY_S)

    def _campaign(self) -> Campaign:
        """The campaign that runs, or a new one."""
        offices = self._offices
        now_ms = offices.clock.now_ns() // NS_PER_MS
        with offices.treasury.reader.snapshot() as sql:
            for known in RewardRepository(sql).campaigns():
                fits = (known.pool, known.cycle_ms) == (self._pool, self._cycle_ms)
                if known.id.startswith("demo-") and fits and known.day_at(now_ms) is not None:
                    return known
        campaign = Campaign(
            f"demo-{now_ms // 1_000}", self._pool, now_ms, now_ms + _DAYS, cycle_ms=self._cycle_ms
        )

        def work(draft: Draft) -> Campaign:
            return register(draft, campaign)

        return offices.treasury.writer.perform(work).result()

    async def _pay(self, campaign: Campaign) -> None:
        offices, wallets = self._offices, self._offices.world.wallets
        running = campaign.day_at(offices.clock.now_ns() // NS_PER_MS)
        if wallets is None or running is None or running == 0 or self._paid == (campaign.id, running - 1):
            return
        day = running - 1
        key = f"{campaign.id}-{day}"
        rail = next(iter(offices.world.rails.values()))
        amount = format_units(int(self._amount * 10**8), 8)
        try:
            treasury = await rail.instructions("", "")
            await wallets.fund(SPONSOR, f"fund-{key}", self._code, amount)
            await wallets.pay(
                SPONSOR, f"pay-{key}", treasury.address, self._code, amount, reward_memo(campaign.id, day)
            )
        except MrMarketError as error:
            if not error.retryable:
                # The faucet's daily limit, most likely: this cycle stays unpaid, the next one is tried.
                _log.warning("the demo's sponsor could not pay", reason=str(error))
                self._paid = (campaign.id, day)
            return
        self._paid = (campaign.id, day)
