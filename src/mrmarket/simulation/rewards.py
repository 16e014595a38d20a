"""The rewards' part of the business core in the simulation: the real watcher, vault and campaign rounds.

Lives in the process that holds the books. What ends it ends that process; what a node or a partner leaves
unclear is tried again.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from mrmarket.campaigns.errors import PartnerUnclearError
from mrmarket.campaigns.pipeline import PayoutTerms
from mrmarket.campaigns.service import CampaignRounds, Doors, Houserules
from mrmarket.campaigns.sweeps import ready_days, sweep_job
from mrmarket.campaigns.terms import Limits
from mrmarket.core.clock import NS_PER_MS, Clock
from mrmarket.core.money import Asset
from mrmarket.money.ledger.draft import Draft
from mrmarket.money.payouts.port import SendState
from mrmarket.money.rewards.errors import RewardsError
from mrmarket.money.rewards.jobs import JobRunner
from mrmarket.money.rewards.rows import Preference
from mrmarket.partners.chains.errors import ChainError, ChainUnreachableError, DeepReorganisationError
from mrmarket.partners.chains.human.payout import Parked, ParkedTransfer, Payout
from mrmarket.partners.chains.human.payout_receiver import PayoutReceiver
from mrmarket.partners.chains.observations import Observations
from mrmarket.partners.chains.reward_feed import RewardFeed
from mrmarket.partners.chains.reward_vault import Arrival, ChainRewardVault
from mrmarket.partners.chains.settings import ChainSettings, SpendingLimit, TokenSettings, VaultSettings
from mrmarket.partners.chains.transfer import Transfer
from mrmarket.partners.chains.vault import Vault
from mrmarket.partners.chains.watcher import Watcher
from mrmarket.services.money.offices import Offices
from mrmarket.simulation.chain import CHAIN_ID, DEPOSIT, TOKEN, TOKEN_DECIMALS, VAULT, ModelSigner
from mrmarket.simulation.chain_line import CHAIN_NAME, ModelChainBook, NodeLine
from mrmarket.simulation.disk import Disk
from mrmarket.simulation.loop import EPOCH_NS
from mrmarket.simulation.network import Network
from mrmarket.simulation.partner import CYCLE_S, REWARD, Partner, PartnerLine
from mrmarket.simulation.people import Person
from mrmarket.simulation.plan import CampaignPlan
from mrmarket.simulation.process import Process

_START_MS: Final = EPOCH_NS // NS_PER_MS
_ACCEPT_S: Final = 45.0
"""So long a person takes to look at a deep reorganisation."""
_SCALE: Final = 10 ** (TOKEN_DECIMALS - REWARD.decimals)


class ResultsReceiver(PayoutReceiver):
    """Assigns transfers by what the modelled oracle says of their transactions."""

    def __init__(self, line: PartnerLine, partner: Partner) -> None:
        self._line = line
        self._escrows_known = {offer.address: offer.id for offer in partner.offers.values()}

    async def receive(self, transfers: Sequence[Transfer]) -> list[Payout | ParkedTransfer]:
        """What each transfer is, in the order given."""
        found: list[Payout | ParkedTransfer] = []
        for transfer in transfers:
            campaign = self._escrows_known.get(transfer.sender)
            if campaign is None:
                found.append(ParkedTransfer(transfer, Parked.UNKNOWN_SENDER))
                continue
            try:
                batch = await self._line.batch(transfer.key.tx_hash)
            except PartnerUnclearError as error:
                raise ChainUnreachableError(CHAIN_NAME, "results") from error
            if batch is None:
                found.append(ParkedTransfer(transfer, Parked.UNKNOWN_CYCLE, campaign))
                continue
            found.append(
                Payout(transfer, campaign, transfer.sender, transfer.key.tx_hash, 0, batch.cycle, "", "")
            )
        return found


class RailArrivals:
    """What the rail at the other end has credited; implements `Arrivals` and `Destinations`."""

    def __init__(self, partner: Partner, line: PartnerLine) -> None:
        self._partner = partner
        self._line = line

    async def find(self, chain_id: int, tx_hash: str, token: str) -> Arrival | None:  # noqa: ARG002 - there is one of each
        """The payment that a transaction became."""

        def effect() -> Arrival | None:
            known = self._partner.rail.transfers.get(f"deposit:{tx_hash}")
            if known is None or known.state is not SendState.CONFIRMED:
                return None
            return Arrival(known.id, known.units * _SCALE, known.at_ms)

        return await self._line.ask("arrival", effect)

    async def address(self, chain_id: int, token: str) -> str:  # noqa: ARG002 - there is one
        """Where it takes tokens in."""
        return DEPOSIT


@dataclass(frozen=True, slots=True)
class RewardWorld:
    """What rewards need that outlives a process."""

    plan: CampaignPlan
    partner: Partner
    database: sqlite3.Connection
    people: Sequence[Person]


class RewardCore:
    """One life of the rewards' part."""

    def __init__(
        self,
        world: RewardWorld,
        network: Network,
        process: Process,
        disk: Disk,
        clock: Clock,
        offices: Offices,
    ) -> None:
        self._world = world
        self._network = network
        self._offices = offices
        self._clock = clock
        chain = chain_settings(world.plan)
        book = ModelChainBook(world.database, disk)
        node = NodeLine(world.partner.chain, network, process)
        line = PartnerLine(world.partner, network, process)
        self._observations = Observations(book)
        self._watcher = Watcher(chain, node, self._observations, [VAULT], clock)
        self._vault = Vault(chain, _vault_settings(), node, ModelSigner(), book, clock, repr(process))
        arrivals = RailArrivals(world.partner, line)
        feed = RewardFeed(chain, node, self._observations, ResultsReceiver(line, world.partner))
        doors = Doors(
            offers=line,
            participation=line,
            policy=line,
            progress=line,
            goals=line,
            feeds=[feed],
            vault=ChainRewardVault(book, {CHAIN_ID: self._vault}, arrivals, arrivals),
        )
        rules = Houserules(
            VAULT, {"sim1": "main"}, Limits(), PayoutTerms("main", 250, _asset_of), world.partner.rail.name
        )
        treasury = offices.treasury
        self._rounds = CampaignRounds(treasury.writer, treasury.reader, clock, doors, rules)
        sweep = sweep_job(treasury.writer, [(CHAIN_ID, TOKEN)], _START_MS, CYCLE_S * 1_000)
        self._jobs = JobRunner(treasury.writer, clock, [sweep])
        self._is_open = False
        self._halted_s: float | None = None

    async def keep(self, every_s: float) -> None:
        """One round after the other."""
        await asyncio.to_thread(self._set_wishes)
        while True:
            await self._watch()
            await self._pay()
            await asyncio.to_thread(self._jobs.step)
            await self._rounds.step()
            await asyncio.to_thread(self._allocate)
            await asyncio.sleep(every_s)

    async def _watch(self) -> None:
        try:
            while not (await self._watcher.step()).is_caught_up:
                pass
        except DeepReorganisationError:
            await self._look_at_it()
        except ChainError as error:
            if not error.retryable:
                raise

    async def _look_at_it(self) -> None:
        """A person looks for a while, makes good what is gone, and lets it go on."""
        now_s = self._network.loop.time()
        if self._halted_s is None:
            self._halted_s = now_s
        if now_s - self._halted_s < _ACCEPT_S:
            return
        try:
            gone = await self._watcher.accept("owner")
        except ChainError:
            return  # looked at again in the next round
        self._halted_s = None
        units = sum(record.transfer.units for record in gone if record.was_final)
        if units:
            self._network.later(0.0, self._world.partner.make_good, units)

    async def _pay(self) -> None:
        try:
            if not self._is_open:
                await self._vault.open()
                self._is_open = True
            await self._vault.step()
        except ChainError as error:
            if not error.retryable:
                raise

    def _allocate(self) -> None:
        with self._offices.treasury.reader.snapshot() as sql:
            days = ready_days(sql)
        for campaign, day, _ in days:
            try:
                self._offices.allocator.allocate(campaign, day)
            except RewardsError:
                continue  # told in its own time; the others are not kept waiting

    def _set_wishes(self) -> None:
        """Everybody wants rewards paid out to their wallet on the other rail."""
        for person in self._world.people:
            wish = Preference(f"user:{person.name}", REWARD.id, person.wallet, "", 1, 0)
            self._offices.treasury.writer.perform(partial(self._prefer, wish)).result()

    def _prefer(self, wish: Preference, draft: Draft) -> None:
        self._offices.distributor.prefer(draft, wish)


def chain_settings(plan: CampaignPlan) -> ChainSettings:
    """The chain as it is configured."""
    return ChainSettings(
        name=CHAIN_NAME,
        chain_id=CHAIN_ID,
        urls=["http://node"],
        confirmations=plan.confirmations,
        batch_blocks=8,
        remembered_blocks=64,
        start_block=1,
        tokens=[TokenSettings(code=REWARD.code, address=TOKEN, decimals=TOKEN_DECIMALS)],
    )


def _vault_settings() -> VaultSettings:
    return VaultSettings(
        destinations=[DEPOSIT],
        limits=[SpendingLimit(token=TOKEN, units=10**18)],
        rebroadcast_s=50,
        stuck_s=200,
    )


def _asset_of(chain_id: int, token: str) -> Asset | None:
    return REWARD if (chain_id, token) == (CHAIN_ID, TOKEN) else None
