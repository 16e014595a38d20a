"""A modelled partner: campaigns to be joined, and an oracle that pays each cycle on the chain.

Assumptions, all in one place:

- A campaign is open until its end, takes part whoever asks, and refuses whoever asks again.
- A cycle is paid in one transaction of one to three transfers, some time after its end; some are paid later,
  and some are paid again. What was paid counts, however odd.
- Which cycle a transaction is for is known when it is sent, or a while later.
- The rail at the other end credits what comes to its address once it is deeper than any reorganisation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from random import Random
from typing import Final, TypeVar

from mrmarket.campaigns.entity import Campaign
from mrmarket.campaigns.errors import JoinRefusedError, PartnerUnclearError
from mrmarket.campaigns.offer import Measure, Offer, RewardToken, campaign_id
from mrmarket.campaigns.ports import (
    JoinState,
    JoinStatus,
    JoinVerdict,
    OfferList,
    OfferSeen,
    OfferState,
)
from mrmarket.campaigns.terms import ExecutionGoal, Progress
from mrmarket.core.clock import NS_PER_MS
from mrmarket.core.money import Asset
from mrmarket.simulation.chain import CHAIN_ID, DEPOSIT, ESCROW, TOKEN, TOKEN_DECIMALS, VAULT, Chain, Move
from mrmarket.simulation.loop import EPOCH_NS
from mrmarket.simulation.network import Network, NoAnswerError, ServerFaultError, SlowDownError
from mrmarket.simulation.plan import CampaignPlan
from mrmarket.simulation.process import Process
from mrmarket.simulation.rail import Rail
from mrmarket.simulation.weather import FaultKind

T = TypeVar("T")

PARTNER: Final = "partner"
REWARD: Final = Asset("mixin", "HMT", 8)
CYCLE_S: Final = 300
CYCLES: Final = 6
DEEPEST: Final = 4
"""A reorganisation goes so many blocks below what is called final, at most."""

_BEGIN_S: Final = (30.0, 400.0)
_PAID_AFTER_S: Final = (15.0, 90.0)
_PAID_LATE_S: Final = (200.0, 450.0)
_PAID_AGAIN_S: Final = (10.0, 250.0)
_RESULTS_LATE_S: Final = (30.0, 300.0)
_UNITS: Final = (10**7, 10**12)
_TIMEOUT_S: Final = 6.0
_STRANGER: Final = "0x" + "5" * 40
_FORGOTTEN: Final = 0.2


@dataclass(frozen=True, slots=True)
class Batch:
    """What one transaction pays for."""

    campaign: str
    cycle: int
    known_s: float
    """From when on somebody can tell."""


@dataclass(slots=True)
class Partner:
    """The partner, its oracle, the chain under them, and the rail that tokens go on to."""

    plan: CampaignPlan
    chain: Chain
    rail: Rail
    network: Network
    rng: Random
    offers: dict[str, Offer] = field(default_factory=dict)
    joined_ms: dict[str, int] = field(default_factory=dict)
    batches: dict[str, Batch] = field(default_factory=dict)
    goals: dict[str, ExecutionGoal] = field(default_factory=dict)
    waiting: int = 0
    """Payments that the oracle has still to make."""
    bridged: int = 0
    """Height up to which the rail has looked at the chain."""

    def __post_init__(self) -> None:
        for number in range(self.plan.campaigns):
            offer = self._offer(number)
            self.offers[offer.id] = offer

    @property
    def deep(self) -> int:
        """How many blocks the rail waits for."""
        return self.plan.confirmations + DEEPEST + 2

    def begin(self) -> None:
        """Let blocks come and cycles be paid."""
        self.network.later(self.plan.block_s, self._mine)
        for offer in self.offers.values():
            for cycle in range(offer.cycles):
                self._plan_payment(offer, cycle)

    def reorganise(self, draw: float) -> None:
        """Replace the newest blocks."""
        depth = 1 + int(draw * (self.plan.confirmations + DEEPEST))
        self.chain.reorganise(depth, self._now_s(), _FORGOTTEN)

    def make_good(self, units: int) -> None:
        """The owner pays into the vault what a deep reorganisation took out of it."""
        self.chain.pay(Move(_STRANGER, VAULT, units))

    def in_flight(self) -> bool:
        """Whether something of the chain has not come to its end yet."""
        if self.waiting or self.chain.pool:
            return True
        deepest = self.chain.height - self.deep
        return self.bridged < deepest or any(
            move.recipient == DEPOSIT and number > self.bridged
            for number in range(max(0, deepest), self.chain.height + 1)
            for made, succeeded, _ in self.chain.blocks[number].entries
            if succeeded
            for move in made.moves
        )

    def _mine(self) -> None:
        self.chain.mine(self._now_s())
        self._bridge()
        self.network.later(self.rng.uniform(0.7, 1.3) * self.plan.block_s, self._mine)

    def _bridge(self) -> None:
        """The rail credits what is deep enough, once."""
        for number in range(self.bridged + 1, self.chain.height - self.deep + 1):
            for made, succeeded, _ in self.chain.blocks[number].entries:
                units = sum(move.units for move in made.moves if move.recipient == DEPOSIT)
                if succeeded and units:
                    scale = 10 ** (TOKEN_DECIMALS - REWARD.decimals)
                    self.rail.deposit(f"deposit:{made.hash}", units // scale)
            self.bridged = number

    def _plan_payment(self, offer: Offer, cycle: int) -> None:
        weather = self.network.weather
        ends_s = offer.cycle(cycle).end_ms / 1_000 - EPOCH_NS / 1e9
        span_s = _PAID_LATE_S if weather.strikes(FaultKind.PAYOUT_LATE) else _PAID_AFTER_S
        times = [ends_s + self.rng.uniform(*span_s)]
        if weather.strikes(FaultKind.PAYOUT_TWICE):
            times.append(times[0] + self.rng.uniform(*_PAID_AGAIN_S))
        for at_s in times:
            self.waiting += 1
            self.network.later(at_s, self._pay, offer, cycle)

    def _pay(self, offer: Offer, cycle: int) -> None:
        self.waiting -= 1
        if offer.id not in self.joined_ms:
            return  # nothing was earned
        moves = [
            Move(offer.address, VAULT, self.rng.randint(*_UNITS))
            for _ in range(self.rng.choice((1, 1, 2, 3)))
        ]
        tx_hash = self.chain.pay(*moves)
        late_s = 0.0
        if self.network.weather.strikes(FaultKind.RESULTS_LATE):
            late_s = self.rng.uniform(*_RESULTS_LATE_S)
        self.batches[tx_hash] = Batch(offer.id, cycle, self.network.loop.time() + late_s)

    def _offer(self, number: int) -> Offer:
        address = ESCROW[:-1] + f"{number:x}"
        start_ms = EPOCH_NS // NS_PER_MS + int(self.rng.uniform(*_BEGIN_S) * 1_000)
        return Offer(
            id=campaign_id("sim", CHAIN_ID, address),
            partner="sim",
            chain_id=CHAIN_ID,
            address=address,
            measure=Measure.VOLUME,
            exchange="sim1",
            market="BTC/USDT",
            start_ms=start_ms,
            end_ms=start_ms + CYCLES * CYCLE_S * 1_000,
            token=RewardToken(CHAIN_ID, TOKEN, REWARD.code, TOKEN_DECIMALS),
            fund_units=10**14,
            target=Decimal(1_000),
            cycle_ms=CYCLE_S * 1_000,
        )

    def _now_s(self) -> int:
        return int(EPOCH_NS / 1e9 + self.network.loop.time())


class PartnerLine:
    """What one process has of the partner; implements five ports of campaigns."""

    def __init__(self, partner: Partner, network: Network, process: Process) -> None:
        self._partner = partner
        self._network = network
        self._process = process

    async def list(self) -> OfferList:
        """Everything, as long as it is open."""

        def effect() -> OfferList:
            now_ms = (EPOCH_NS + self._network.loop.now_ns()) // NS_PER_MS
            return OfferList(
                [
                    OfferSeen(offer, OfferState.OPEN if now_ms < offer.end_ms else OfferState.COMPLETED)
                    for offer in self._partner.offers.values()
                ]
            )

        return await self.ask("list", effect)

    async def status(self, offer: Offer) -> JoinStatus:
        """Whether we are in."""

        def effect() -> JoinStatus:
            joined_ms = self._partner.joined_ms.get(offer.id)
            return (
                JoinStatus(JoinState.CAN_JOIN)
                if joined_ms is None
                else JoinStatus(JoinState.JOINED, joined_ms)
            )

        return await self.ask("status", effect)

    async def join(self, offer: Offer) -> None:
        """Take part."""

        def effect() -> None:
            if offer.id in self._partner.joined_ms:
                raise JoinRefusedError(offer.id, "already joined")
            now_ms = (EPOCH_NS + self._network.loop.now_ns()) // NS_PER_MS
            self._partner.joined_ms[offer.id] = now_ms

        await self.ask("join", effect)

    def judge(self, offer: Offer, others: Sequence[Campaign], at_ms: int) -> JoinVerdict:  # noqa: ARG002 - all are wanted
        """Every campaign is worth it."""
        return JoinVerdict(True, "join", "every campaign is wanted")

    async def progress(self, campaign: Campaign, cycle: int) -> Progress | None:  # noqa: ARG002 - it is never known
        """Nobody can say."""
        return None

    async def put(self, goal: ExecutionGoal) -> None:
        """The engine's side."""
        self._partner.goals[goal.key] = goal

    async def batch(self, tx_hash: str) -> Batch | None:
        """What a transaction pays for; None while nobody can tell."""

        def effect() -> Batch | None:
            known = self._partner.batches.get(tx_hash)
            return known if known is not None and known.known_s <= self._network.loop.time() else None

        return await self.ask("results", effect)

    async def ask(self, request: str, effect: Callable[[], T]) -> T:
        """One request. Raises `PartnerUnclearError`: what was asked may have happened."""
        try:
            return await self._network.ask(self._process, PARTNER, effect, timeout_s=_TIMEOUT_S)
        except (NoAnswerError, ServerFaultError, SlowDownError) as error:
            raise PartnerUnclearError(request, "nobody answers") from error
