"""What time brings to money: one bounded round after the other, each safe to stop and to repeat."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

import structlog

from mrmarket.campaigns.repository import CampaignRepository
from mrmarket.core.clock import NS_PER_MS, NS_PER_S
from mrmarket.core.errors import MrMarketError
from mrmarket.money.payouts.move import Move
from mrmarket.money.rewards.campaign import Campaign
from mrmarket.money.rewards.errors import RewardsError
from mrmarket.money.rewards.jobs import Job, JobRunner, Window
from mrmarket.money.rewards.repository import RewardRepository
from mrmarket.services.money.offices import Offices
from mrmarket.services.money.watch import SolvencyWatch
from mrmarket.services.outage import through_outages

_ROUND_S: Final = 0.5
_ALLOCATE_EVERY: Final = 4
"""Rounds between two looks for rewards that came in after their day."""
_LOOK_EVERY: Final = 6
"""Rounds between two looks at what is held and what is owed."""
_ANSWER_S: Final = 4.0
_LEFT_ALONE_NS: Final = 12 * NS_PER_S
"""Before a rail that did not answer is asked again what it holds."""

_log = structlog.get_logger("mrmarket.money")


@dataclass(frozen=True, slots=True)
class Rhythm:
    """How often recurring work is due."""

    seal_ms: int
    fees_ms: int


class Rounds:
    """Moves every deposit, withdrawal, payment, reward, fee and seal along."""

    def __init__(self, offices: Offices, rhythm: Rhythm, watch: SolvencyWatch) -> None:
        self._offices = offices
        self._rhythm = rhythm
        self._watch = watch
        self._began_ms = self._beginning()
        self._round = 0
        self._silent: dict[str, int] = {}
        self._trouble = ""

    async def keep(self) -> None:
        """One round after the other until cancelled; a failure of the books stops it and is raised.

        A database may restart: then the round is done again.
        """
        while True:
            await through_outages("a round of money", self.step)
            await asyncio.sleep(_ROUND_S)

    async def step(self) -> None:
        """One round. To be called when what has happened at the venue is settled."""
        offices, now_ms = self._offices, self._now_ms()
        if offices.world.rails:
            await offices.incoming.step(now_ms)
        await asyncio.to_thread(offices.treasury.desk.advance)
        await self._move_money(now_ms)
        if offices.world.rails:
            await offices.deliverer.step(self._now_ms())
        await asyncio.to_thread(self._recurring)
        if self._round % _LOOK_EVERY == 0:
            await self.look()
        self._round += 1

    async def _move_money(self, now_ms: int) -> None:
        offices = self._offices
        if not offices.world.venues:
            return
        for wanted in await asyncio.to_thread(offices.treasury.desk.wanted_moves):
            # What is on its way counts, so that a move that was planned is not wanted a second time.
            cause = f"{wanted.pool}:{offices.new_id()}"
            move = Move(
                cause, wanted.account, wanted.direction, wanted.rail_asset, wanted.venue_asset, wanted.units
            )
            await offices.moves.start(move)
        await offices.moves.step(now_ms)

    def _recurring(self) -> None:
        offices = self._offices
        JobRunner(offices.treasury.writer, offices.clock, self._jobs()).step()
        if self._round % _ALLOCATE_EVERY == 0:
            self._allocate_due()
        if offices.world.rails:
            offices.distributor.step()

    def _allocate_due(self) -> None:
        """What came in after its day. A campaign in trouble stops neither the others nor the instance."""
        try:
            self._offices.allocator.allocate_due(without=self._swept())
        except RewardsError as error:
            # The window of its day says so too; here it is told whenever it is something else.
            if str(error) != self._trouble:
                _log.warning("rewards wait", reason=str(error), code=error.code)
            self._trouble = str(error)
        else:
            self._trouble = ""

    def _jobs(self) -> list[Job]:
        offices = self._offices
        swept = self._swept()
        with offices.treasury.reader.snapshot() as sql:
            campaigns = RewardRepository(sql).campaigns()
        jobs = [self._reward_job(campaign) for campaign in campaigns if campaign.id not in swept]
        start_ms = self._began_ms - self._began_ms % self._rhythm.seal_ms
        jobs.append(Job("seal", "ledger", start_ms, self._rhythm.seal_ms, self._seal))
        for plan in offices.treasury.plans:
            fees_ms = self._rhythm.fees_ms
            fees_start = self._began_ms - self._began_ms % fees_ms
            jobs.append(Job("fees", plan.name, fees_start, fees_ms, self._charge))
        return jobs

    def _swept(self) -> set[str]:
        """Campaigns whose rewards come by way of a vault: given away when they have arrived, not before."""
        with self._offices.treasury.reader.snapshot() as sql:
            return CampaignRepository(sql).ids()

    def _reward_job(self, campaign: Campaign) -> Job:
        def allocate(window: Window) -> None:
            day = (window.start_ms - campaign.start_ms) // campaign.cycle_ms
            self._offices.allocator.allocate(campaign.id, day)

        return Job(
            "rewards", campaign.id, campaign.start_ms, campaign.cycle_ms, allocate, end_ms=campaign.end_ms
        )

    def _charge(self, window: Window) -> None:
        self._offices.treasury.desk.accrue_fees(window.scope)

    def _seal(self, window: Window) -> None:
        if window.end_ms + self._rhythm.seal_ms <= self._now_ms():
            return  # after a downtime the newest window seals what there is; a seal cannot be backdated
        self._watch.seal()

    async def look(self) -> None:
        """Ask the rails what they hold, and compare."""
        offices = self._offices
        seen: dict[str, dict[str, int]] = {}
        for name, rail in offices.world.rails.items():
            if self._silent.get(name, 0) > offices.clock.monotonic_ns():
                continue
            try:
                async with asyncio.timeout(_ANSWER_S):
                    seen[name] = await rail.balances()
            except TimeoutError:
                self._is_silent(name, f"no answer within {_ANSWER_S:g} s")
                continue
            except MrMarketError as error:
                self._is_silent(name, str(error))
                continue
            self._silent.pop(name, None)
            await asyncio.to_thread(offices.treasury.observe, name, seen[name], offices.clock.now_ns())
        if seen:
            # What arrived before the rail said what it holds must be known when the two are compared.
            await offices.incoming.step(self._now_ms())
        await asyncio.to_thread(self._watch.look, seen)

    def _is_silent(self, rail: str, reason: str) -> None:
        """Told once; the other rails are not kept waiting for it in every look."""
        if rail not in self._silent:
            _log.warning("a payment rail does not say what it holds", rail=rail, reason=reason)
        self._silent[rail] = self._offices.clock.monotonic_ns() + _LEFT_ALONE_NS

    def _beginning(self) -> int:
        """When the books began: windows are counted from there, whenever this process was started."""
        with self._offices.treasury.reader.snapshot() as sql:
            first = sql.rows("SELECT at_ms FROM groups WHERE seq = 1")
        return int(first[0][0]) if first else self._now_ms()

    def _now_ms(self) -> int:
        return self._offices.clock.now_ns() // NS_PER_MS
