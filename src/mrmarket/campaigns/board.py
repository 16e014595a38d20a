"""Campaigns as people look at them: by stage, with the goal of the running cycle and what was paid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mrmarket.campaigns.entity import Campaign, Stage
from mrmarket.campaigns.pipeline import is_entered, is_parked
from mrmarket.campaigns.repository import CampaignRepository
from mrmarket.campaigns.rows import EstimateRow, PayoutRow, PayoutStep, PayoutStepRow, StepRow
from mrmarket.campaigns.terms import ExecutionGoal
from mrmarket.store.sql import Sql


@dataclass(frozen=True, slots=True)
class BoardCard:
    """One campaign. Units are base units of its token."""

    campaign: Campaign
    cycle: int | None
    """That runs now."""
    goal: ExecutionGoal | None
    """Of that cycle, or the last one that there was."""
    paid_units: int
    """That a chain has made final, and not taken back."""
    parked: int
    """Payouts that somebody has to look at."""
    expected_units: int | None
    """Of the running cycle, by the newest estimate."""


@dataclass(frozen=True, slots=True)
class BoardColumn:
    """Campaigns at one stage."""

    stage: Stage
    cards: Sequence[BoardCard]


@dataclass(frozen=True, slots=True)
class PayoutTrace:
    """A payout with everything that became of it."""

    payout: PayoutRow
    steps: Sequence[PayoutStepRow]
    state: str
    """`parked`, `entered`, `sweeping`, `arrived` or `retracted`."""


@dataclass(frozen=True, slots=True)
class CampaignPage:
    """One campaign with its history."""

    card: BoardCard
    steps: Sequence[StepRow]
    goals: Sequence[ExecutionGoal]
    payouts: Sequence[PayoutTrace]


@dataclass(frozen=True, slots=True)
class CycleOutcome:
    """What we expected of a cycle, and what it paid. Units are base units of the token."""

    cycle: int
    expected: EstimateRow | None
    paid_units: int
    difference_units: int | None
    """Paid beyond what was expected last; None without an estimate."""


def board(sql: Sql, at_ms: int) -> list[BoardColumn]:
    """Every stage in the order of a campaign's life, empty ones too."""
    repository = CampaignRepository(sql)
    cards = [_card(repository, campaign, at_ms) for campaign in repository.campaigns()]
    return [BoardColumn(stage, [card for card in cards if card.campaign.stage is stage]) for stage in Stage]


def campaign_page(sql: Sql, campaign: str, at_ms: int) -> CampaignPage:
    """One campaign. Raises `UnknownOfferError`."""
    repository = CampaignRepository(sql)
    card = _card(repository, repository.campaign(campaign), at_ms)
    payouts = [_trace(repository, payout) for payout in repository.payouts(campaign)]
    return CampaignPage(card, repository.steps(campaign), repository.goals(campaign), payouts)


def outcomes(sql: Sql, campaign: str) -> list[CycleOutcome]:
    """Expected against paid, by cycle. Raises `UnknownOfferError`."""
    repository = CampaignRepository(sql)
    found: list[CycleOutcome] = []
    for cycle in range(repository.campaign(campaign).offer.cycles):
        estimates = repository.estimates(campaign, cycle)
        paid = sum(_paid(repository, payout) for payout in repository.payouts(campaign, cycle))
        last = estimates[-1] if estimates else None
        if last is None and not paid:
            continue
        difference = None if last is None else paid - last.expected_units
        found.append(CycleOutcome(cycle, last, paid, difference))
    return found


def trace_of_entry(sql: Sql, entry: str) -> PayoutTrace | None:
    """The payout behind a reward entry, for the first steps of a reward's way; None for other rewards."""
    repository = CampaignRepository(sql)
    for step in repository.steps_of_ref(PayoutStep.ENTERED, entry):
        payout = repository.payout(step.payout)
        if payout is not None:
            return _trace(repository, payout)
    return None


def _card(repository: CampaignRepository, campaign: Campaign, at_ms: int) -> BoardCard:
    cycle = campaign.offer.cycle_at(at_ms)
    goals = repository.goals(campaign.id)
    goal = next((one for one in goals if one.cycle == cycle), goals[-1] if goals else None)
    payouts = repository.payouts(campaign.id)
    estimates = [] if cycle is None else repository.estimates(campaign.id, cycle)
    return BoardCard(
        campaign=campaign,
        cycle=cycle,
        goal=goal,
        paid_units=sum(_paid(repository, payout) for payout in payouts),
        parked=sum(1 for payout in payouts if is_parked(repository.payout_steps(payout.id))),
        expected_units=estimates[-1].expected_units if estimates else None,
    )


def _paid(repository: CampaignRepository, payout: PayoutRow) -> int:
    return payout.units if is_entered(repository.payout_steps(payout.id)) else 0


def _trace(repository: CampaignRepository, payout: PayoutRow) -> PayoutTrace:
    steps = repository.payout_steps(payout.id)
    kinds = {step.step for step in steps}
    if is_parked(steps):
        state = PayoutStep.PARKED
    elif not is_entered(steps):
        state = PayoutStep.RETRACTED
    elif PayoutStep.ARRIVED in kinds:
        state = PayoutStep.ARRIVED
    elif any(step.step is PayoutStep.SWEEPING and not _failed(steps, step.ref) for step in steps):
        state = PayoutStep.SWEEPING
    else:
        state = PayoutStep.ENTERED
    return PayoutTrace(payout, steps, state.value)


def _failed(steps: Sequence[PayoutStepRow], key: str) -> bool:
    return any(step.step is PayoutStep.SWEEP_FAILED and step.ref == key for step in steps)
