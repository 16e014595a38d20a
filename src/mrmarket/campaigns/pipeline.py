"""From a payout on a chain to the reward ledger: each step under its natural key, safe to repeat.

    payout (chain, tx, log) -> reward entry -> transfer out of the vault -> allocation -> credit -> receipt

The first three are this room's; the others are `money.rewards`. A payment that fits nothing is parked with
the reason. One that the chain takes back is retracted; if it comes again it is a further entry.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from mrmarket.campaigns.errors import PayoutConflictError
from mrmarket.campaigns.offer import Offer
from mrmarket.campaigns.ports import PayoutPage, PayoutSeen
from mrmarket.campaigns.repository import CampaignRepository
from mrmarket.campaigns.rows import PayoutRow, PayoutStep, PayoutStepRow
from mrmarket.core.crash import reach
from mrmarket.core.errors import InvalidInputError
from mrmarket.core.money import MAX_UNITS, Asset
from mrmarket.money.ledger.draft import Draft
from mrmarket.money.payouts.payout import derived_id
from mrmarket.money.rewards.afar import origin_account
from mrmarket.money.rewards.campaign import Campaign as RewardCampaign
from mrmarket.money.rewards.receipts import Receipt, receive, register, retract
from mrmarket.money.rewards.repository import RewardRepository

CRASH_POINTS: Final = (
    "campaigns.page_read",
    "campaigns.payout_entered",
    "campaigns.page_taken",
    "campaigns.sweep_planned",
    "campaigns.sweep_sent",
    "campaigns.sweep_settled",
    "campaigns.asked",
    "campaigns.joined",
    "campaigns.goal_told",
)
"""Points between effects, for the crash tests."""


@dataclass(frozen=True, slots=True)
class PayoutTerms:
    """How payouts of campaigns become rewards of a pool."""

    pool: str
    fee_bps: int
    """What the instance's owner keeps."""
    asset_of: Callable[[int, str], Asset | None]
    """Ledger asset of a token by chain and address; None for one that nobody registered."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What one page of payouts came to."""

    entered: int
    parked: int
    retracted: int


def reward_campaign(offer: Offer, terms: PayoutTerms) -> RewardCampaign:
    """The terms by which a campaign's rewards are divided."""
    return RewardCampaign(
        offer.id, terms.pool, offer.start_ms, offer.end_ms, offer.cycle_ms, fee_bps=terms.fee_bps
    )


def keep_reward_campaign(draft: Draft, offer: Offer, terms: PayoutTerms) -> None:
    """Register the terms of division, once: the fee of that moment holds, whatever the owner asks later."""
    if RewardRepository(draft.sql).campaign(offer.id) is None:
        register(draft, reward_campaign(offer, terms))


def take_page(draft: Draft, feed: str, before: str, page: PayoutPage, terms: PayoutTerms) -> Taken:
    """Take a page and the cursor behind it, in one transaction. A page that was read twice is harmless.

    Raises:
        PayoutConflictError: if a payout came with other content than before.
    """
    repository = CampaignRepository(draft.sql)
    if repository.cursor(feed) != before:
        return Taken(0, 0, 0)  # somebody else took it
    entered = [_take(draft, payout, terms) for payout in page.final]
    retracted = [_retract(draft, payout) for payout in page.retracted]
    repository.put_cursor(feed, page.next_cursor, draft.at_ms)
    reach("campaigns.page_taken")
    return Taken(entered.count(PayoutStep.ENTERED), entered.count(PayoutStep.PARKED), retracted.count(True))


def payout_id(chain_id: int, tx: str, log: int) -> str:
    """UUIDv5 of a payout's name in the world."""
    return derived_id("campaign-payout", str(chain_id), tx.lower(), str(log))


def source_of(payout: PayoutRow) -> str:
    """Where the reward ledger says that a payout was seen."""
    return f"chain:{payout.chain_id}"


def ref_of(payout: PayoutRow, generation: int) -> str:
    """The payout's name there; after a retraction it is another one."""
    again = f"#{generation}" if generation else ""
    return f"{payout.tx}:{payout.log}{again}"


def generation_of(steps: Sequence[PayoutStepRow]) -> int:
    """How often a payout was taken back."""
    return sum(1 for step in steps if step.step is PayoutStep.RETRACTED)


def is_entered(steps: Sequence[PayoutStepRow]) -> bool:
    """Whether it stands in the reward ledger and was not taken back."""
    gone = {step.ref for step in steps if step.step is PayoutStep.RETRACTED}
    return any(step.step is PayoutStep.ENTERED and step.ref not in gone for step in steps)


def is_parked(steps: Sequence[PayoutStepRow]) -> bool:
    """Whether it waits for somebody to look."""
    now = str(generation_of(steps))
    return not is_entered(steps) and any(step.step is PayoutStep.PARKED and step.ref == now for step in steps)


def retry_parked(draft: Draft, terms: PayoutTerms) -> int:
    """Enter parked payouts that fit by now, such as after a token was registered; how many."""
    repository = CampaignRepository(draft.sql)
    entered = 0
    for payout in repository.all_payouts():
        steps = repository.payout_steps(payout.id)
        if is_parked(steps) and not _misfit(repository, payout, terms):
            _enter(draft, payout, generation_of(steps), terms)
            entered += 1
    return entered


def ledger_units(units: int, decimals: int, asset: Asset) -> tuple[int, int]:
    """Units of the ledger asset that a token's units are, and what of the token it has no digits for."""
    shift = decimals - asset.decimals
    if shift <= 0:
        return units * int(10**-shift), 0
    return divmod(units, int(10**shift))


def _take(draft: Draft, seen: PayoutSeen, terms: PayoutTerms) -> PayoutStep | None:
    """Write a payout down and enter it; None where that was done before."""
    if not seen.is_final:
        raise InvalidInputError("payout", seen.tx, "a payout that is final")
    repository = CampaignRepository(draft.sql)
    name = payout_id(seen.chain_id, seen.tx, seen.log)
    payout = repository.payout(name)
    if payout is None:
        payout = _row(seen, name, draft.at_ms)
        repository.add_payout(payout)
    elif not _is_same(payout, seen):
        raise PayoutConflictError(name, "it came with other content than before")
    steps = repository.payout_steps(name)
    if is_entered(steps) or is_parked(steps):
        return None
    generation = generation_of(steps)
    why = _misfit(repository, payout, terms)
    if why:
        repository.add_step(
            PayoutStepRow(payout.id, PayoutStep.PARKED, str(generation), payout.units, why, draft.at_ms)
        )
        return PayoutStep.PARKED
    _enter(draft, payout, generation, terms)
    return PayoutStep.ENTERED


def _enter(draft: Draft, payout: PayoutRow, generation: int, terms: PayoutTerms) -> None:
    """Post a payout that fits."""
    repository = CampaignRepository(draft.sql)
    offer = repository.campaign(payout.campaign).offer
    asset = terms.asset_of(payout.chain_id, payout.token)
    assert asset is not None  # noqa: S101 - it fits
    units, remainder = ledger_units(payout.units, offer.token.decimals, asset)
    keep_reward_campaign(draft, offer, terms)
    receipt = Receipt(
        source_of(payout),
        ref_of(payout, generation),
        offer.id,
        payout.cycle,
        asset.id,
        units,
        payout.block_ms,
    )
    entry = receive(draft, receipt, origin_account(payout.chain_id))
    repository.add_step(
        PayoutStepRow(payout.id, PayoutStep.ENTERED, entry.id, units, payout.batch, draft.at_ms)
    )
    if remainder:
        why = f"{asset.id} has {asset.decimals} digits"
        repository.add_step(
            PayoutStepRow(payout.id, PayoutStep.REMAINDER, entry.id, remainder, why, draft.at_ms)
        )
    reach("campaigns.payout_entered")


def _retract(draft: Draft, seen: PayoutSeen) -> bool:
    """The chain took a payout back; whether that changes anything here."""
    repository = CampaignRepository(draft.sql)
    payout = repository.payout(payout_id(seen.chain_id, seen.tx, seen.log))
    steps = [] if payout is None else repository.payout_steps(payout.id)
    if payout is None or not (is_entered(steps) or is_parked(steps)):
        return False
    generation = generation_of(steps)
    if is_entered(steps):
        reduction = retract(draft, source_of(payout), ref_of(payout, generation))
        ref, units, why = reduction.entry, reduction.units, f"paid by {reduction.payer.value}"
    else:
        ref, units, why = f"parked {generation}", payout.units, "it was parked"
    repository.add_step(PayoutStepRow(payout.id, PayoutStep.RETRACTED, ref, units, why, draft.at_ms))
    return True


def _misfit(repository: CampaignRepository, payout: PayoutRow, terms: PayoutTerms) -> str:
    """Why a payout cannot be entered; empty where it can."""
    campaign = repository.find(payout.campaign)
    if campaign is None:
        return f"there is no campaign {payout.campaign!r} here"
    offer = campaign.offer
    token = f"{payout.chain_id}:{payout.token}"
    asset = terms.asset_of(payout.chain_id, payout.token)
    if (payout.chain_id, payout.token) != (offer.token.chain_id, offer.token.address):
        why = f"{token} is not what {offer.id} pays in"
    elif payout.cycle >= offer.cycles:
        why = f"{offer.id} has {offer.cycles} cycles, and this is for cycle {payout.cycle}"
    elif asset is None:
        why = f"nobody has registered the token {token}"
    elif not 0 < ledger_units(payout.units, offer.token.decimals, asset)[0] < MAX_UNITS:
        why = f"it comes to no amount of {asset.id}"
    else:
        why = ""
    return why


def _row(seen: PayoutSeen, name: str, at_ms: int) -> PayoutRow:
    return PayoutRow(
        id=name,
        chain_id=seen.chain_id,
        tx=seen.tx.lower(),
        log=seen.log,
        campaign=seen.campaign,
        cycle=seen.cycle,
        token=seen.token.lower(),
        units=seen.units,
        batch=seen.batch,
        block_ms=seen.block_ms,
        at_ms=at_ms,
    )


def _is_same(payout: PayoutRow, seen: PayoutSeen) -> bool:
    told = (seen.campaign, seen.cycle, seen.token.lower(), seen.units)
    return told == (payout.campaign, payout.cycle, payout.token, payout.units)
