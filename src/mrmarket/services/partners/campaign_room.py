"""Campaigns as the instance lives with them: rounds in their time, and transfers once a cycle."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import structlog

from mrmarket.campaigns.errors import CampaignError
from mrmarket.campaigns.pipeline import PayoutTerms, retry_parked
from mrmarket.campaigns.ports import PayoutFeed, RewardVault
from mrmarket.campaigns.service import CampaignRounds, Doors, Houserules, Round
from mrmarket.campaigns.sweeps import plan_sweep, ready_days, sweep_job
from mrmarket.core.errors import MrMarketError
from mrmarket.money.payouts.calls import perform
from mrmarket.money.rewards.campaign import Span
from mrmarket.money.rewards.errors import RewardsError
from mrmarket.money.rewards.jobs import JobRunner
from mrmarket.partners.hufi.offers import HufiOffers, HufiParticipation
from mrmarket.services.engine.database_line import DatabaseLine
from mrmarket.services.money.offices import Offices
from mrmarket.services.outage import through_outages
from mrmarket.services.partners.goals import EngineGoals
from mrmarket.services.partners.heard import HeardProgress
from mrmarket.services.partners.hufi_room import (
    AskRights,
    KeyKeeper,
    NotedOffers,
    assumed_cost,
    rule_book,
)
from mrmarket.services.partners.opening import HufiDoors
from mrmarket.services.partners.own_trades import OwnTradeReader
from mrmarket.services.partners.price_room import PriceRoom
from mrmarket.services.partners.progress import CampaignProgress, streams_of
from mrmarket.services.partners.section import MIXIN
from mrmarket.services.partners.setting import PartnerSetting, world_ms
from mrmarket.services.partners.troubles import Troubles
from mrmarket.services.partners.wishes import OwnerWishes, WishedGoals, WishedPolicy
from mrmarket.store.operations import OperationsStore
from mrmarket.store.trading_port import TradingLog

_ANSWER_S: Final = 10.0
_WINDOWS: Final = 100
_ROUND: Final = "campaigns: "
"""How the parts of a round begin among troubles."""
_DAY: Final = "rewards of "
"""How days begin there that could not be given to users."""

_log: Final[Any] = structlog.get_logger("mrmarket.partners")


@dataclass(frozen=True, slots=True)
class InstanceRooms:
    """What of the instance partners work with."""

    offices: Offices
    log: TradingLog
    operations: OperationsStore
    venue: str
    """Where the instance trades."""
    pool: str
    """Whose depositors are rewarded, where the configuration names no other."""
    quote: str
    """What rewards are valued in."""
    owner: str
    """The instance's own name; its next life has the same."""
    rights: AskRights


class CampaignRoom:
    """Implements `Sweeper`, too. Keeps nothing that a next life would need: that is in the books."""

    def __init__(
        self,
        setting: PartnerSetting,
        rooms: InstanceRooms,
        hufi: HufiDoors,
        prices: PriceRoom,
        feeds: Sequence[PayoutFeed],
        vault: RewardVault,
        wallet: str,
        troubles: Troubles,
    ) -> None:
        """Nothing is asked yet. Raises PartnerSetupError where the owner's wishes cannot be read."""
        self.wishes = OwnerWishes(setting.folder)
        self.last: Round | None = None
        self._setting = setting
        self._writer = rooms.offices.treasury.writer
        self._reader = rooms.offices.treasury.reader
        self._allocator = rooms.offices.allocator
        self._troubles = troubles
        self._nudge = asyncio.Event()
        self._keys = KeyKeeper(setting, hufi, rooms.rights, troubles)
        partners, section = setting.partners, setting.partners.campaigns
        venues = {exchange.name: rooms.venue for exchange in section.exchanges}
        self.heard = HeardProgress(
            CampaignProgress(
                hufi.oracle,
                OwnTradeReader(rooms.log, setting.world_ns),
                streams_of(rooms.operations, venues),
                assumed_cost(section),
                prices.price,
            )
        )
        line = DatabaseLine(setting.wall, _ANSWER_S)
        goals = EngineGoals(rooms.operations, line, setting.world, venues)
        chains = [chain.chain_id for chain in partners.campaign_chains()]
        doors = Doors(
            offers=NotedOffers(HufiOffers(hufi.launcher, chains, setting.cycle_ms), troubles),
            participation=HufiParticipation(hufi.oracle),
            policy=WishedPolicy(rule_book(partners, wallet, prices), self.wishes.standing),
            progress=self.heard,
            goals=WishedGoals(goals, self.wishes.standing),
            feeds=feeds,
            vault=vault,
        )
        self._terms = PayoutTerms(section.pool or rooms.pool, section.fee_bps, partners.asset_of)
        rules = Houserules(
            wallet=wallet,
            account_of={exchange.name: exchange.account for exchange in section.exchanges},
            limits=section.limits.limits(),
            payouts=self._terms,
            rail=MIXIN,
        )
        self._rounds = CampaignRounds(self._writer, self._reader, setting.world, doors, rules)
        self._tokens = [
            (chain.chain_id, token.address) for chain in partners.chains for token in chain.tokens
        ]
        with self._reader.snapshot() as sql:
            first = sql.rows("SELECT at_ms FROM groups WHERE seq = 1")
        # Windows are counted from when the books began, whenever this process was started.
        began_ms = int(first[0][0]) if first else world_ms(setting)
        start_ms = began_ms - began_ms % setting.cycle_ms
        job = sweep_job(self._writer, self._tokens, start_ms, setting.cycle_ms)
        self._sweeps = JobRunner(self._writer, setting.world, [job])

    async def keep(self) -> None:
        """One round after the other until cancelled."""
        every_s = self._setting.partners.campaigns.every_s
        await through_outages("parked payouts", self.reconsider)
        while True:
            await through_outages("a round of campaigns", self.step)
            self._nudge.clear()
            try:
                async with asyncio.timeout(every_s):
                    await self._nudge.wait()
            except TimeoutError:
                continue

    async def step(self) -> Round:
        """One round: plan the transfers of cycles that are over, then everything that campaigns need.

        Raises:
            LedgerStoppedError, StoreError: if the books cannot be read or written.
        """
        await self._keys.step()
        await asyncio.to_thread(self._plan_sweeps)
        done = self.last = await self._rounds.step()
        await asyncio.to_thread(self._allocate)
        self._tell(_ROUND, {_ROUND + error.code: error for error in done.unclear})
        return done

    async def reconsider(self) -> int:
        """Enter what was parked and fits by now, such as after its token was configured; how many."""
        try:
            entered = await perform(self._writer, partial(retry_parked, terms=self._terms))
        except (CampaignError, RewardsError) as error:
            # They stay parked, which is shown; the rounds do not wait for that.
            self._troubles.note("parked payouts", error)
            return 0
        if entered:
            _log.info("partner.parked_entered", count=entered)
        return entered

    async def sweep_now(self, by: str) -> None:
        """Plan and begin the transfer of everything that waits in the vaults."""
        now_ms = world_ms(self._setting)
        window = Span(now_ms, now_ms + 1)
        for chain_id, token in self._tokens:
            await perform(self._writer, partial(plan_sweep, chain_id=chain_id, token=token, window=window))
        _log.info("partner.sweep_asked", by=by)
        self._nudge.set()

    def _allocate(self) -> None:
        """Give users what has arrived where they are paid from. A day in trouble holds up no other."""
        with self._reader.snapshot() as sql:
            ready = dict.fromkeys((campaign, day) for campaign, day, _ in ready_days(sql))
        said: dict[str, RewardsError] = {}
        for campaign, day in ready:
            try:
                self._allocator.allocate(campaign, day)
            except RewardsError as error:
                said[f"{_DAY}{campaign}, day {day}"] = error
        self._tell(_DAY, said)

    def _tell(self, kind: str, said: Mapping[str, MrMarketError]) -> None:
        """These parts of a kind do not work, and no others."""
        for part, error in said.items():
            self._troubles.note(part, error)
        for part in self._troubles.standing():
            if part.startswith(kind) and part not in said:
                self._troubles.over(part)

    def _plan_sweeps(self) -> None:
        while self._sweeps.step(_WINDOWS) == _WINDOWS:
            continue  # after a downtime, one window after the other
