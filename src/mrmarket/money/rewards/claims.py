"""Rewards that come in over a payment rail, by the memo `reward:{campaign}:{day}`."""

from __future__ import annotations

import re
from typing import Final

from mrmarket.money.ledger.draft import Draft
from mrmarket.money.payouts.payment import Claim, Decline, Payment, suspense_account
from mrmarket.money.rewards.receipts import Receipt, is_allocated, receive, reduce
from mrmarket.money.rewards.repository import RewardRepository
from mrmarket.money.rewards.rows import Reduction

_MEMO: Final = re.compile(r"reward:([A-Za-z0-9._/@-]{1,64}):([0-9]{1,9})", re.ASCII)

CLAIM: Final = "reward"
"""Kind of the claim; `reward_releaser` is registered under it."""


def reward_memo(campaign: str, day: int) -> str:
    """What a payment must say to be a reward for a campaign's day, counted from 0."""
    return f"reward:{campaign}:{day}"


def reward_claimer(draft: Draft, payment: Payment) -> Claim | Decline | None:
    """Take a payment that says it is a reward; one for no campaign or day of ours is sent back."""
    match = _MEMO.fullmatch(payment.memo)
    if match is None:
        return Decline("its memo names no campaign and day") if payment.memo.startswith("reward:") else None
    campaign = RewardRepository(draft.sql).campaign(match[1])
    day = int(match[2])
    if campaign is None or day >= campaign.days:
        return Decline(f"there is no day {day} of a campaign {match[1]!r} here")
    receipt = Receipt(
        source=_source(payment),
        ref=_ref(payment),
        campaign=campaign.id,
        day=day,
        asset=payment.asset,
        units=payment.units,
        observed_ms=payment.first_ms,
    )
    return Claim(CLAIM, receive(draft, receipt, suspense_account(payment.rail)).id)


def reward_releaser(draft: Draft, payment: Payment) -> bool:
    """The rail took a reward back: give the units to suspense again, unless users have them.

    In that case it is written down that the reward is gone, and whoever asked charges the owner's reserve.
    """
    entry = RewardRepository(draft.sql).entry(_source(payment), _ref(payment))
    if entry is None:
        return False
    spent = is_allocated(draft, entry)
    lost = sum(one.units for one in RewardRepository(draft.sql).reductions_of(entry.id))
    if not spent and lost:
        return False  # a part went for costs, so that the whole cannot be given back
    if lost < entry.units:
        left = entry.units - lost
        reduce(draft, entry, Reduction.RETRACTED, entry.ref, left, None, paid_elsewhere=True)
    return not spent


def _source(payment: Payment) -> str:
    return f"rail:{payment.rail}"


def _ref(payment: Payment) -> str:
    return payment.name.removeprefix(f"{payment.rail}:")
