"""Whether a campaign is worth its volume: what a cycle should bring, beside what making it costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

from mrmarket.campaigns.offer import Offer
from mrmarket.campaigns.orchestrator import wanted_volume
from mrmarket.campaigns.terms import Limits, Progress
from mrmarket.partners.hufi.estimate import (
    CostModel,
    Expectation,
    Price,
    expect,
    standings_of,
)
from mrmarket.partners.hufi.messages import LeaderboardRow
from mrmarket.partners.hufi.score import SCALE, Standing

_NOTHING: Final = Decimal(0)


@dataclass(frozen=True, slots=True)
class CampaignEstimate:
    """A cycle of a campaign, if its volume is made. Money is in the quote asset."""

    offer: Offer
    volume: Decimal
    """Of ours in the cycle that it is for, what is made already included; or our balance, if that counts."""
    made: Decimal
    """Of that, made already: as the partner counts it, or as we do where its count is behind."""
    others: int
    """Participants beside us whose standings are known."""
    others_volume: Decimal
    cost: CostModel
    price: Price | None
    expectation: Expectation

    @property
    def verdict(self) -> str:
        """In one sentence whether it pays."""
        net = self.expectation.net
        if not self.offer.measure.is_traded:
            return "it counts balances: nothing is traded for it, and what holding costs is not estimated"
        if net is None:
            return "nobody knows what the reward is worth: name a price, or configure [prices]"
        if self.expectation.units == 0:
            return "it would bring nothing: the volume stays below what it takes"
        return "it pays" if net > 0 else "it does not pay: making the volume costs more than it brings"


def estimate(
    offer: Offer,
    wallet: str,
    rows: Sequence[LeaderboardRow],
    cost: CostModel,
    price: Price | None,
    *,
    limits: Limits,
    own_volume: Decimal = _NOTHING,
    volume: Decimal | None = None,
) -> CampaignEstimate:
    """What a cycle should bring us. Pure.

    Args:
        offer: the campaign's terms.
        wallet: ours; lower case.
        rows: the partner's standing of the running cycle; empty where none is known.
        cost: what volume costs, by our own trades or assumed.
        price: of one whole reward token in the quote asset; None where nobody knows.
        limits: the owner's.
        own_volume: what we have traded in the cycle by our own count.
        volume: ours in the cycle, in the quote asset; left out, what the orchestrator would aim at.
    """
    standings = standings_of(offer, rows)
    others = [one for one in standings if one.address != wallet]
    mine = next((one for one in standings if one.address == wallet), Standing(wallet, 0, 0))
    counted = Decimal(mine.result_units) / SCALE
    made = max(counted, own_volume)
    beside = sum((Decimal(one.result_units) for one in others), _NOTHING) / SCALE
    if volume is None:
        progress = Progress(made, made + beside, _NOTHING, None, _NOTHING)
        volume = wanted_volume(offer, limits, progress) if offer.measure.is_traded else made
    more = max(_NOTHING, max(volume, made) - counted)
    expectation = expect(offer, mine, others, more, cost, price)
    if not offer.measure.is_traded:
        expectation = replace(expectation, cost=_NOTHING)  # a balance is held, not made
    return CampaignEstimate(
        offer=offer,
        volume=max(volume, made),
        made=made,
        others=len(others),
        others_volume=beside,
        cost=cost,
        price=price,
        expectation=expectation,
    )
