"""Rows of the campaign tables; the columns are the fields, in order."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from mrmarket.campaigns.entity import Campaign, Stage
from mrmarket.campaigns.offer import Offer
from mrmarket.campaigns.terms import Pause


class OfferRow(msgspec.Struct, frozen=True):
    """A campaign as it stands."""

    id: str
    partner: str
    chain_id: int
    address: str
    stage: Stage
    wallet: str
    account: str
    terms: str
    """The offer as JSON."""
    joined_ms: int
    reason: str
    changed_ms: int


class StepRow(msgspec.Struct, frozen=True):
    """Something that happened to a campaign."""

    campaign: str
    seq: int
    event: str
    stage: Stage
    reason: str
    at_ms: int


class GoalRow(msgspec.Struct, frozen=True):
    """What the engine is asked for in a cycle."""

    campaign: str
    cycle: int
    pause: Pause
    goal: str
    """As JSON."""
    told: bool
    """Whether the engine has it."""
    changed_ms: int


class EstimateRow(msgspec.Struct, frozen=True):
    """What we expected of a cycle, at some moment."""

    campaign: str
    cycle: int
    seq: int
    expected_units: int
    """Of the reward, in base units of its token."""
    reward_value: str
    """In the quote asset; empty where nobody knew a price."""
    cost: str
    """Of the volume, in the quote asset."""
    price_source: str
    at_ms: int


class PayoutRow(msgspec.Struct, frozen=True):
    """A reward payment that a chain has made final."""

    id: str
    chain_id: int
    tx: str
    log: int
    campaign: str
    cycle: int
    token: str
    units: int
    batch: str
    block_ms: int
    at_ms: int
    """When it was taken."""


class PayoutStep(StrEnum):
    """What became of a payout."""

    PARKED = "parked"
    """It fits no campaign, cycle or token of ours; somebody has to look."""
    ENTERED = "entered"
    """It stands in the reward ledger; `ref` is the entry, `units` are the ledger asset's."""
    REMAINDER = "remainder"
    """What the ledger asset has no digits for; it stays in the vault. In the token's units."""
    SWEEPING = "sweeping"
    """It belongs to a transfer out of the vault; `ref` is the transfer's key, in the token's units."""
    ARRIVED = "arrived"
    """That transfer arrived where users are paid from; `ref` is the transfer's key."""
    SWEEP_FAILED = "sweep_failed"
    """That transfer will never happen; another one is tried."""
    COST = "cost"
    """Taken out of it for the way; `ref` is the transfer's key."""
    RETRACTED = "retracted"
    """The chain took it back; `ref` is the entry."""


class PayoutStepRow(msgspec.Struct, frozen=True):
    """One step of a payout."""

    payout: str
    step: PayoutStep
    ref: str
    units: int
    why: str
    at_ms: int


class CursorRow(msgspec.Struct, frozen=True):
    """How far a feed was taken."""

    feed: str
    cursor: str
    changed_ms: int


def row_of(campaign: Campaign) -> OfferRow:
    """A campaign as it is kept."""
    offer = campaign.offer
    return OfferRow(
        id=offer.id,
        partner=offer.partner,
        chain_id=offer.chain_id,
        address=offer.address,
        stage=campaign.stage,
        wallet=campaign.wallet,
        account=campaign.account,
        terms=msgspec.json.encode(offer).decode(),
        joined_ms=campaign.joined_ms,
        reason=campaign.reason,
        changed_ms=campaign.changed_ms,
    )


def campaign_of(row: OfferRow) -> Campaign:
    """A campaign as it was kept."""
    offer = msgspec.json.decode(row.terms, type=Offer)
    return Campaign(offer, row.stage, row.wallet, row.account, row.joined_ms, row.reason, row.changed_ms)
