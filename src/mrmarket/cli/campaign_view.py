"""Campaigns as the command line shows them: plain fields for --json, and rows for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from mrmarket.core.decimals import format_decimal, format_units
from mrmarket.core.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mrmarket.campaigns.board import BoardCard, CampaignPage, CycleOutcome, PayoutTrace
    from mrmarket.campaigns.entity import Campaign
    from mrmarket.campaigns.offer import Offer
    from mrmarket.campaigns.repository import CampaignRepository
    from mrmarket.campaigns.terms import ExecutionGoal

LEAST_LETTERS: Final = 4
"""Of a name's beginning, so that it says which campaign is meant."""
_SHORT: Final = 10
LIST_HEADINGS: Final = ("campaign", "stage", "market", "cycle", "paid", "why")


def campaign_named(repository: CampaignRepository, text: str) -> Campaign:
    """A campaign by its id, its escrow's address, or the beginning of either.

    Raises:
        UnknownOfferError: if there is none.
        InvalidInputError: if that is the beginning of several.
    """
    exact = repository.find(text)
    if exact is not None:
        return exact
    wanted = text.lower()
    found = [one for one in repository.campaigns() if wanted in {one.id.lower(), one.offer.address}]
    if not found and len(wanted.removeprefix("0x")) >= LEAST_LETTERS:
        found = [
            one
            for one in repository.campaigns()
            if one.id.lower().startswith(wanted) or one.offer.address.startswith(wanted)
        ]
    if len(found) > 1:
        raise InvalidInputError("campaign", text, f"more of its name: it begins that of {len(found)}")
    return found[0] if found else repository.campaign(text)


def card_fields(card: BoardCard) -> dict[str, Any]:
    """One campaign; amounts of rewards in whole tokens, as decimal strings."""
    campaign, offer = card.campaign, card.campaign.offer
    return {
        "id": campaign.id,
        "stage": campaign.stage.value,
        "reason": campaign.reason,
        "exchange": offer.exchange,
        "market": offer.market,
        "measure": offer.measure.value,
        "account": campaign.account,
        "token": {
            "symbol": offer.token.symbol,
            "chain_id": offer.token.chain_id,
            "address": offer.token.address,
        },
        "fund": _tokens(offer, offer.fund_units),
        "target": format_decimal(offer.target),
        "start_ms": offer.start_ms,
        "end_ms": offer.end_ms,
        "joined_ms": campaign.joined_ms or None,
        "cycle": card.cycle,
        "cycles": offer.cycles,
        "goal": None if card.goal is None else goal_fields(card.goal),
        "expected": None if card.expected_units is None else _tokens(offer, card.expected_units),
        "paid": _tokens(offer, card.paid_units),
        "parked": card.parked,
    }


def short_names(cards: Sequence[BoardCard]) -> dict[str, str]:
    """The beginning of each escrow's address that says which campaign is meant, by the campaign's id."""
    addresses = [card.campaign.offer.address for card in cards]
    digits = _SHORT
    while digits < max(map(len, addresses), default=0) and len({one[:digits] for one in addresses}) < len(
        set(addresses)
    ):
        digits += 1
    return {card.campaign.id: card.campaign.offer.address[:digits] for card in cards}


def card_row(card: BoardCard, name: str) -> list[str]:
    """One campaign in a list, under `LIST_HEADINGS`; `name` is how it is called there."""
    campaign, offer = card.campaign, card.campaign.offer
    cycle = f"{offer.cycles} in all" if card.cycle is None else f"{card.cycle + 1} of {offer.cycles}"
    goal = card.goal
    return [
        name,
        campaign.stage.value.replace("_", " "),
        f"{offer.market} {offer.exchange}",
        cycle,
        f"{_tokens(offer, card.paid_units)} {offer.token.symbol}",
        campaign.reason or ("" if goal is None or card.cycle is None else goal.reason),
    ]


def goal_fields(goal: ExecutionGoal) -> dict[str, Any]:
    """What the engine was asked for in a cycle; money in the quote asset."""
    return {
        "cycle": goal.cycle,
        "start_ms": goal.start_ms,
        "end_ms": goal.end_ms,
        "volume": format_decimal(goal.volume),
        "min_spread_bps": goal.min_spread_bps,
        "max_spread_bps": goal.max_spread_bps,
        "max_inventory": format_decimal(goal.max_inventory),
        "cost_ceiling": format_decimal(goal.cost_ceiling),
        "pause": goal.pause.value,
        "reason": goal.reason,
    }


def page_fields(page: CampaignPage, outcomes: list[CycleOutcome]) -> dict[str, Any]:
    """A campaign with its history; nothing is left out."""
    offer = page.card.campaign.offer
    return {
        **card_fields(page.card),
        "steps": [
            {"event": step.event, "stage": step.stage.value, "reason": step.reason, "at_ms": step.at_ms}
            for step in page.steps
        ],
        "goals": [goal_fields(goal) for goal in page.goals],
        "outcomes": [_outcome_fields(offer, outcome) for outcome in outcomes],
        "payouts": [_payout_fields(offer, trace) for trace in page.payouts],
    }


def outcome_row(offer: Offer, outcome: CycleOutcome) -> list[str]:
    """Expected against paid, for people."""
    fields = _outcome_fields(offer, outcome)
    cost = "" if fields["cost"] is None else str(fields["cost"])
    return [
        str(outcome.cycle + 1),
        *(fields[name] or "" for name in ("expected", "paid", "difference", "reward_value")),
        cost,
        fields["price_source"] or "",
    ]


def payout_row(offer: Offer, trace: PayoutTrace) -> list[str]:
    """A payout and how far it has come, for people."""
    payout = trace.payout
    why = (
        next((step.why for step in reversed(trace.steps) if step.why), "") if trace.state == "parked" else ""
    )
    return [str(payout.cycle + 1), _tokens(offer, payout.units), trace.state, payout.tx, why]


def _outcome_fields(offer: Offer, outcome: CycleOutcome) -> dict[str, Any]:
    expected, difference = outcome.expected, outcome.difference_units
    return {
        "cycle": outcome.cycle,
        "expected": None if expected is None else _tokens(offer, expected.expected_units),
        "paid": _tokens(offer, outcome.paid_units),
        "difference": None if difference is None else _tokens(offer, difference),
        "reward_value": None if expected is None else expected.reward_value or None,
        "cost": None if expected is None else expected.cost,
        "price_source": None if expected is None else expected.price_source or None,
    }


def _payout_fields(offer: Offer, trace: PayoutTrace) -> dict[str, Any]:
    payout = trace.payout
    return {
        "id": payout.id,
        "cycle": payout.cycle,
        "tx": payout.tx,
        "log": payout.log,
        "amount": _tokens(offer, payout.units),
        "batch": payout.batch,
        "state": trace.state,
        "steps": [
            {"step": step.step.value, "ref": step.ref, "why": step.why, "at_ms": step.at_ms}
            for step in trace.steps
        ],
    }


def _tokens(offer: Offer, units: int) -> str:
    return format_units(units, offer.token.decimals)
