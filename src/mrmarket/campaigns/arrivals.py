"""What a vault sent on comes out at the other end: the rail's payment that is a sweep's arrival.

The reward is in the books since its payout was final. Its arrival on the rail only says where the money is
now, so it is posted against the chain's account, and nobody is credited by it.
"""

from __future__ import annotations

from typing import Final

from mrmarket.campaigns.repository import CampaignRepository
from mrmarket.money.ledger.draft import Draft
from mrmarket.money.ledger.group import Group, Transfer, TransferKind
from mrmarket.money.payouts.outbox import post
from mrmarket.money.payouts.payment import Claim, Claimer, Payment, Verdict, Wait
from mrmarket.money.rewards.afar import origin_account
from mrmarket.money.rewards.receipts import unopened

ARRIVAL: Final = "campaign_arrival"
"""Kind of the claim; its `ref` is the sweep's key."""


def arrival_claimer(rail: str) -> Claimer:
    """Takes the payments of a rail that are arrivals of sweeps; put it before every other claimer.

    A payment from a chain names no sender. While a sweep of its asset is under way such a payment waits: it
    may be the arrival, of which the vault has not heard yet.
    """

    def claim(draft: Draft, payment: Payment) -> Verdict:
        if payment.rail != rail or payment.sender:
            return None
        repository = CampaignRepository(draft.sql)
        sweep = repository.arrived_by(payment.id)
        if sweep is None:
            is_awaited = repository.is_awaited(payment.asset)
            return Wait("a sweep of its asset is under way and may be it") if is_awaited else None
        key, chain_id = sweep
        origin = origin_account(chain_id)
        moved = Transfer(payment.suspense, origin.id, payment.asset, payment.units, TransferKind.CUSTODY_MOVE)
        group = Group(
            f"{ARRIVAL}:{payment.name}", (moved,), accounts=unopened(draft, origin), memo=f"arrival of {key}"
        )
        post(draft, f"arrival {payment.name}", group)
        return Claim(ARRIVAL, key)

    return claim
