"""What campaigns ask of the world: partners' offers, taking part, progress, payouts, and the engine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Protocol

import msgspec

from mrmarket.campaigns.entity import Campaign
from mrmarket.campaigns.offer import Offer
from mrmarket.campaigns.terms import ExecutionGoal, Progress


class OfferState(StrEnum):
    """What the partner says of a campaign itself."""

    OPEN = "open"
    CANCELLING = "cancelling"
    """Its launcher asked for the end; work counts up to then."""
    CANCELLED = "cancelled"
    COMPLETED = "completed"


@dataclass(frozen=True, slots=True)
class OfferSeen:
    """One offer in a list, and the partner's word on it."""

    offer: Offer
    state: OfferState


@dataclass(frozen=True, slots=True)
class OfferRefused:
    """Something in a partner's list that cannot be taken as an offer; shown, never swallowed."""

    ref: str
    """The partner's name for it."""
    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class OfferList:
    """What a partner offers at the moment."""

    seen: Sequence[OfferSeen]
    refused: Sequence[OfferRefused] = ()


class Offers(Protocol):
    """Where campaigns are found."""

    async def list(self) -> OfferList:
        """All that are open, and all that we know of. Raises `PartnerUnclearError`."""
        ...


class JoinState(StrEnum):
    """What the partner says of our taking part."""

    JOINED = "joined"
    CAN_JOIN = "can_join"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class JoinStatus:
    """Whether we are in."""

    state: JoinState
    joined_ms: int = 0
    reason: str = ""


class Participation(Protocol):
    """How to take part."""

    async def status(self, offer: Offer) -> JoinStatus:
        """Whether we are in; asking changes nothing. Raises `PartnerUnclearError`."""
        ...

    async def join(self, offer: Offer) -> None:
        """Ask to take part.

        Raises:
            JoinRefusedError: the partner said no; we are not in.
            PartnerUnclearError: it may have happened; ask `status` before anything else.
        """
        ...


@dataclass(frozen=True, slots=True)
class JoinVerdict:
    """Whether to take part, and why, in words that are kept."""

    join: bool
    code: str
    """Stable: `join`, or what stood in the way."""
    reason: str


class JoinPolicy(Protocol):
    """Which offers are worth it. Pure: everything it goes by is given."""

    def judge(self, offer: Offer, others: Sequence[Campaign], at_ms: int) -> JoinVerdict:
        """Decide on an offer; `others` are the campaigns that we take part in, or may do."""
        ...


class ProgressReport(Protocol):
    """How a campaign goes on."""

    async def progress(self, campaign: Campaign, cycle: int) -> Progress | None:
        """Of a running cycle; None where nobody can say. Raises `PartnerUnclearError`."""
        ...


class PayoutSeen(msgspec.Struct, frozen=True):
    """A chain's word on one reward payment to the wallet. `(chain_id, tx, log)` is its name."""

    chain_id: int
    tx: str
    """Transaction hash, lower case."""
    log: int
    """Index in its block, as in the receipt."""
    campaign: str
    """Ours, known by the escrow that sent it."""
    cycle: int
    token: str
    """Address of the token's contract, lower case."""
    units: int
    batch: str
    """The partner's name for the batch; empty where it has none."""
    block_ms: int
    is_final: bool
    """Whether it is as deep in the chain as is asked for."""


class PayoutPage(msgspec.Struct, frozen=True):
    """The next payouts of a feed, and those that never happened after all."""

    final: Sequence[PayoutSeen]
    retracted: Sequence[PayoutSeen]
    next_cursor: str
    """Kept in the transaction that takes the page; opaque."""


class PayoutFeed(Protocol):
    """Where payouts are seen: a chain's watcher."""

    @property
    def name(self) -> str:
        """Of the feed, such as `chain:137`; its cursor is kept under it."""
        ...

    async def payouts(self, cursor: str, limit: int) -> PayoutPage:
        """Payouts after a cursor, each as often as it is asked for. Raises `PartnerUnclearError`."""
        ...


class SweepState(StrEnum):
    """How far a transfer out of the vault has come."""

    SENT = "sent"
    """Signed and stored, so that it happens once or not at all."""
    SETTLED = "settled"
    """Arrived where users are paid from."""
    FAILED = "failed"
    """It will never happen; the money is in the vault."""


class Sweep(msgspec.Struct, frozen=True):
    """One transfer of rewards out of the vault. `key` is what it was asked for under."""

    key: str
    state: SweepState
    tx: str
    arrival: str
    """Name of the payment where it arrived; empty before."""
    cost_units: int
    """What was taken off on the way, in base units of the token."""
    at_ms: int


class RewardVault(Protocol):
    """Where payouts arrive, and from where they go on to users' rail, once per key."""

    async def sweep(self, key: str, chain_id: int, token: str, units: int) -> Sweep:
        """Send so many base units on; the same key is the same transfer. Raises `PartnerUnclearError`."""
        ...

    async def find(self, key: str) -> Sweep | None:
        """What became of a transfer; None where it was never asked for. Raises `PartnerUnclearError`."""
        ...


class ExecutionGoals(Protocol):
    """The engine's side: what campaigns want traded."""

    async def put(self, goal: ExecutionGoal) -> None:
        """Set the goal of its key; the same goal again is harmless. Raises `PartnerUnclearError`."""
        ...


class Prices(Protocol):
    """What a reward is worth."""

    def value(self, token: str, chain_id: int, units: int, quote: str) -> Decimal | None:
        """Of so many base units of a token, in a quote asset; None where no price can be relied on."""
        ...
