"""How a campaign's cycle goes: the partner's leaderboard beside what our own event log shows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

from mrmarket.campaigns.entity import Campaign
from mrmarket.campaigns.errors import PartnerUnclearError
from mrmarket.campaigns.offer import Offer
from mrmarket.campaigns.terms import Progress
from mrmarket.partners.hufi.estimate import CostModel, Price, measured_cost
from mrmarket.partners.hufi.offers import HufiProgress
from mrmarket.partners.hufi.recording_oracle import RecordingOracleClient
from mrmarket.services.engine.section import MAIN_ACCOUNT
from mrmarket.services.partners.own_trades import OwnTradeReader, TimedTrade, spent_on, volume_of
from mrmarket.store.errors import StoreError
from mrmarket.store.operations import OperationsStore

LEAST_TRADES: Final = 20
"""Fewer say nothing of what volume costs; then what is assumed counts."""
_CYCLES_BACK: Final = 7
"""Over so many cycles the cost of volume is measured."""


@dataclass(frozen=True, slots=True)
class OwnCycle:
    """What our own log says of a cycle. Money is in the quote asset."""

    volume: Decimal
    spent: Decimal
    """Fees and measured spread cost; negative where it earned."""
    model: CostModel
    """What further volume costs, by our trades of the last cycles."""


def own_cycle(
    offer: Offer, joined_ms: int, cycle: int, trades: Sequence[TimedTrade], assumed: CostModel
) -> OwnCycle:
    """Sum up our trades: those of the cycle, after we joined, and all of them for the model."""
    span = offer.cycle(cycle)
    start_ms = max(span.start_ms, joined_ms)
    mine = [each for each in trades if start_ms <= each.at_ms < span.end_ms]
    return OwnCycle(volume_of(mine), spent_on(mine), cost_by(trades, assumed))


def cost_by(trades: Sequence[TimedTrade], assumed: CostModel) -> CostModel:
    """What volume costs by our own trades; what is assumed where they are too few."""
    if len(trades) < LEAST_TRADES:
        return assumed
    return measured_cost([each.trade for each in trades], assumed)


def streams_of(
    operations: OperationsStore, venue_of: Mapping[str, str]
) -> Callable[[Campaign], Sequence[str]]:
    """Finds the streams of the runs on a campaign's account and market. Synchronous; raises StoreErrors."""

    def find(campaign: Campaign) -> Sequence[str]:
        offer = campaign.offer
        place = (
            venue_of.get(offer.exchange, offer.exchange),
            campaign.account or MAIN_ACCOUNT,
            offer.market,
        )
        return [spec.id for spec in operations.run_specs() if (spec.venue, spec.account, spec.pair) == place]

    return find


class CampaignProgress:
    """Implements `ProgressReport`.

    Our volume is what we have traded or what the partner counts, whichever is more: its leaderboard is
    minutes old. Everybody's is the partner's, ours brought up to date.
    """

    def __init__(
        self,
        oracle: RecordingOracleClient,
        own: OwnTradeReader,
        streams: Callable[[Campaign], Sequence[str]],
        assumed: CostModel,
        price: Callable[[Offer], Price | None],
    ) -> None:
        """Put it together.

        Args:
            oracle: the partner.
            own: our trades.
            streams: which streams hold a campaign's; called in a thread (see `streams_of`).
            assumed: what volume costs until our trades show it.
            price: of a whole reward token in the market's quote asset.
        """
        self._oracle = oracle
        self._own = own
        self._streams = streams
        self._assumed = assumed
        self._price = price

    async def progress(self, campaign: Campaign, cycle: int) -> Progress | None:
        """Of the running cycle; None once the leaderboard is closed.

        Raises:
            PartnerUnclearError: the partner, or our own log, does not answer.
        """
        try:
            mine = await asyncio.to_thread(self.own_cycle, campaign, cycle)
        except StoreError as error:
            raise PartnerUnclearError(f"our trades for {campaign.id}", str(error)) from error
        partner = HufiProgress(self._oracle, lambda _campaign, _cycle: (mine.spent, mine.model), self._price)
        found = await partner.progress(campaign, cycle)
        if found is None or found.volume >= mine.volume:
            return found
        total = found.total_volume - found.volume + mine.volume
        return replace(found, volume=mine.volume, total_volume=total)

    def own_cycle(self, campaign: Campaign, cycle: int) -> OwnCycle:
        """What our own log says of a cycle; synchronous. Raises a StoreError."""
        offer = campaign.offer
        span = offer.cycle(cycle)
        since_ms = span.start_ms - _CYCLES_BACK * offer.cycle_ms
        trades = self._own.read_all(self._streams(campaign), offer.market, since_ms, span.end_ms)
        return own_cycle(offer, campaign.joined_ms, cycle, trades, self._assumed)
