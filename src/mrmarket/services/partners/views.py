"""From what campaigns have written down to what the API says of them. Pure, but for reading the tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from mrmarket.campaigns.board import BoardCard, CampaignPage, PayoutTrace, board, campaign_page, outcomes
from mrmarket.campaigns.entity import Stage
from mrmarket.campaigns.repository import CampaignRepository
from mrmarket.campaigns.rows import PayoutRow, PayoutStep, PayoutStepRow
from mrmarket.campaigns.sweeps import PlannedSweep, open_sweeps
from mrmarket.campaigns.terms import ExecutionGoal, Progress
from mrmarket.core.decimals import format_decimal, format_units
from mrmarket.services.api import partner_schema as schema
from mrmarket.services.money.mapping import signed
from mrmarket.services.partners.vault_reading import VaultBook
from mrmarket.store.sql import Sql

LastProgress = Callable[[str, int], Progress | None]
"""What was last heard of a campaign's cycle; None where nothing was."""

_JOINED: Final = frozenset({Stage.JOINED, Stage.ACTIVE, Stage.ENDED, Stage.PAID_OUT})
_MOST_PAYOUTS: Final = 500


def nobody_said(_campaign: str, _cycle: int) -> Progress | None:
    """Where nobody counts volume."""
    return None


def board_view(sql: Sql, at_ms: int, progress: LastProgress = nobody_said) -> schema.CampaignBoard:
    """Every stage in the order of a campaign's life."""
    return schema.CampaignBoard(
        at_ms=at_ms,
        columns=[
            schema.CampaignColumn(
                stage=column.stage.value, cards=[card_view(card, progress) for card in column.cards]
            )
            for column in board(sql, at_ms)
        ],
    )


def page_view(
    sql: Sql, campaign: str, at_ms: int, progress: LastProgress = nobody_said
) -> schema.CampaignPageView:
    """One campaign for anybody. Raises `UnknownOfferError`."""
    page = campaign_page(sql, campaign, at_ms)
    return schema.CampaignPageView(
        at_ms=at_ms,
        card=card_view(page.card, progress),
        cycles=_cycles(sql, page),
        payouts=[_payout(page, trace) for trace in page.payouts[-_MOST_PAYOUTS:]],
    )


def owner_notes(sql: Sql, campaign: str, at_ms: int, wish: schema.Wish) -> schema.OwnerNotes:
    """What the owner sees besides. Raises `UnknownOfferError`."""
    page = campaign_page(sql, campaign, at_ms)
    known, goal = page.card.campaign, page.card.goal
    cycle = page.card.cycle
    estimates = [] if cycle is None else CampaignRepository(sql).estimates(campaign, cycle)
    last = estimates[-1] if estimates else None
    return schema.OwnerNotes(
        wallet=known.wallet,
        account=known.account,
        joined_ms=known.joined_ms or None,
        reason=known.reason,
        wish=wish,
        cost=last.cost if last is not None else None,
        value=(last.reward_value or None) if last is not None else None,
        price_source=last.price_source if last is not None else "",
        cost_ceiling=None if goal is None else format_decimal(goal.cost_ceiling),
        goal_reason="" if goal is None else goal.reason,
        events=[
            schema.CampaignEvent(
                at_ms=step.at_ms, event=step.event, stage=step.stage.value, reason=step.reason
            )
            for step in page.steps
        ],
    )


def card_view(card: BoardCard, progress: LastProgress = nobody_said) -> schema.CampaignCard:
    """One campaign for anybody."""
    campaign, goal, cycle = card.campaign, card.goal, card.cycle
    offer, decimals = campaign.offer, campaign.offer.token.decimals
    heard = None if cycle is None else progress(offer.id, cycle)
    running = goal is not None and goal.cycle == cycle
    return schema.CampaignCard(
        id=offer.id,
        partner=offer.partner,
        stage=campaign.stage.value,
        joined=campaign.stage in _JOINED,
        exchange=offer.exchange,
        market=offer.market,
        measure=offer.measure.value,
        start_ms=offer.start_ms,
        end_ms=offer.end_ms,
        cycles=offer.cycles,
        cycle=cycle,
        cycle_end_ms=None if cycle is None else offer.cycle(cycle).end_ms,
        token=offer.token.symbol,
        chain_id=offer.token.chain_id,
        fund=format_units(offer.fund_units, decimals),
        paid=format_units(card.paid_units, decimals),
        expected=None if card.expected_units is None else format_units(card.expected_units, decimals),
        target=format_decimal(offer.target),
        goal=_volume(goal) if running else None,
        volume=None if heard is None else format_decimal(heard.volume),
        pause=goal.pause.value if goal is not None and running else "",
        parked=card.parked,
    )


def _volume(goal: ExecutionGoal | None) -> str | None:
    return None if goal is None or goal.volume <= 0 else format_decimal(goal.volume)


def _cycles(sql: Sql, page: CampaignPage) -> list[schema.CycleView]:
    """Cycles of which anything is known, oldest first."""
    offer = page.card.campaign.offer
    decimals = offer.token.decimals
    goals: Mapping[int, ExecutionGoal] = {goal.cycle: goal for goal in page.goals}
    paid = {one.cycle: one for one in outcomes(sql, offer.id)}
    found: list[schema.CycleView] = []
    for number in sorted(goals.keys() | paid.keys()):
        span, goal, outcome = offer.cycle(number), goals.get(number), paid.get(number)
        expected = None if outcome is None else outcome.expected
        # A cycle that was not paid for yet is behind its estimate by all of it, which tells nobody anything.
        settled = outcome is not None and (bool(outcome.paid_units) or page.card.campaign.stage.is_final)
        difference = outcome.difference_units if outcome is not None and settled else None
        found.append(
            schema.CycleView(
                cycle=number,
                start_ms=span.start_ms,
                end_ms=span.end_ms,
                goal=_volume(goal),
                pause="" if goal is None else goal.pause.value,
                expected=None if expected is None else format_units(expected.expected_units, decimals),
                paid=format_units(0 if outcome is None else outcome.paid_units, decimals),
                difference=None if difference is None else signed(difference, decimals),
            )
        )
    return found


def _payout(page: CampaignPage, trace: PayoutTrace) -> schema.CampaignPayout:
    payout = trace.payout
    entered = [step for step in trace.steps if step.step is PayoutStep.ENTERED]
    return schema.CampaignPayout(
        id=payout.id,
        chain_id=payout.chain_id,
        tx=payout.tx,
        cycle=payout.cycle,
        amount=format_units(payout.units, page.card.campaign.offer.token.decimals),
        state=trace.state,  # type: ignore[arg-type] # the board's words are these
        at_ms=payout.block_ms,
        entry=entered[-1].ref if entered else "",
    )


def sweeps_view(sql: Sql, vault: VaultBook | None = None) -> schema.SweepsView:
    """What a transfer would move now, and what is under way."""
    repository = CampaignRepository(sql)
    tokens = sorted({(payout.chain_id, payout.token) for payout in repository.all_payouts()})
    plans = [plan for chain_id, token in tokens if (plan := waiting(repository, chain_id, token)) is not None]
    return schema.SweepsView(plans=plans, under_way=[_open(sql, one, vault) for one in open_sweeps(sql)])


def waiting(repository: CampaignRepository, chain_id: int, token: str) -> schema.SweepPlan | None:
    """What waits in the vault of a token; None where nothing does."""
    payouts = repository.unswept(chain_id, token)
    if not payouts:
        return None
    units = sum(payout.units - _kept(repository.payout_steps(payout.id)) for payout in payouts)
    symbol, decimals = token_of(repository, payouts[0])
    return schema.SweepPlan(
        chain_id=chain_id,
        token=token,
        code=symbol,
        amount=format_units(units, decimals),
        payouts=len(payouts),
    )


def token_of(repository: CampaignRepository, payout: PayoutRow) -> tuple[str, int]:
    """Symbol and decimals of what a payout is in; its address and 0 where the campaign is unknown."""
    campaign = repository.find(payout.campaign)
    if campaign is None:
        return payout.token, 0
    return campaign.offer.token.symbol, campaign.offer.token.decimals


def _kept(steps: Sequence[PayoutStepRow]) -> int:
    """Units of a payout that the ledger's asset has no digits for; they never leave the vault."""
    gone = {step.ref for step in steps if step.step is PayoutStep.RETRACTED}
    return sum(step.units for step in steps if step.step is PayoutStep.REMAINDER and step.ref not in gone)


def _open(sql: Sql, sweep: PlannedSweep, vault: VaultBook | None) -> schema.OpenSweep:
    repository = CampaignRepository(sql)
    first = repository.payout(sweep.payouts[0])
    symbol, decimals = (sweep.token, 0) if first is None else token_of(repository, first)
    payment = None if vault is None else vault.payment(sweep.key)
    return schema.OpenSweep(
        key=sweep.key,
        chain_id=sweep.chain_id,
        code=symbol,
        amount=format_units(sweep.units, decimals),
        payouts=len(sweep.payouts),
        state="" if payment is None else payment.state.value,
        tx="" if payment is None else payment.tx_hash,
    )


def coins(wei: int) -> str:
    """Wei as whole coins."""
    return format_units(wei, 18)
