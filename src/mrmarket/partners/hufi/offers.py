"""HuFi behind the ports of `campaigns`: its campaigns as offers, taking part, and how a cycle goes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from http import HTTPStatus
from types import MappingProxyType
from typing import Final

from mrmarket.campaigns.entity import Campaign
from mrmarket.campaigns.errors import JoinRefusedError, PartnerUnclearError
from mrmarket.campaigns.offer import Measure, Offer, RewardToken, campaign_id
from mrmarket.campaigns.ports import (
    JoinState,
    JoinStatus,
    OfferList,
    OfferRefused,
    OfferSeen,
    OfferState,
)
from mrmarket.campaigns.terms import Progress
from mrmarket.core.errors import InvalidInputError
from mrmarket.money.rewards.campaign import DAY_MS
from mrmarket.partners.hufi.errors import HufiError, HufiRefusedError, ManifestError
from mrmarket.partners.hufi.estimate import CostModel, Price, expect, standings_of
from mrmarket.partners.hufi.launcher import LauncherClient
from mrmarket.partners.hufi.manifest import CampaignType, Manifest, check_manifest, read_date
from mrmarket.partners.hufi.messages import CampaignDetail, CampaignItem, JoinWord
from mrmarket.partners.hufi.recording_oracle import RecordingOracleClient
from mrmarket.partners.hufi.score import SCALE, Standing, net_fund

PARTNER: Final = "hufi"

_MEASURES: Final[Mapping[CampaignType, Measure]] = MappingProxyType(
    {
        CampaignType.MARKET_MAKING: Measure.VOLUME,
        CampaignType.COMPETITIVE_MARKET_MAKING: Measure.RANKED_VOLUME,
        CampaignType.THRESHOLD_MARKET_MAKING: Measure.THRESHOLD_VOLUME,
        CampaignType.HOLDING: Measure.BALANCE,
        CampaignType.THRESHOLD: Measure.THRESHOLD_BALANCE,
    }
)
_STATES: Final[Mapping[str, OfferState]] = MappingProxyType(
    {
        "active": OfferState.OPEN,
        "to_cancel": OfferState.CANCELLING,
        "cancelled": OfferState.CANCELLED,
        "completed": OfferState.COMPLETED,
    }
)


class HufiOffers:
    """`Offers` over the launcher. Terms never change, so each campaign's fees are asked for once."""

    def __init__(self, launcher: LauncherClient, chains: Sequence[int], cycle_ms: int = DAY_MS) -> None:
        self._launcher = launcher
        self._chains = tuple(chains)
        self._cycle_ms = cycle_ms
        self._known: dict[tuple[int, str], Offer] = {}

    async def list(self) -> OfferList:
        """Everything on the chains that are asked for. Raises `PartnerUnclearError`."""
        seen: list[OfferSeen] = []
        refused: list[OfferRefused] = []
        for chain_id in self._chains:
            try:
                items = [item async for item in self._launcher.campaigns(chain_id)]
                for item in items:
                    found = await self._take(item)
                    if isinstance(found, OfferSeen):
                        seen.append(found)
                    else:
                        refused.append(found)
            except HufiError as error:
                raise PartnerUnclearError(f"campaigns of chain {chain_id}", str(error)) from error
        return OfferList(seen, refused)

    async def _take(self, item: CampaignItem) -> OfferSeen | OfferRefused:
        ref = f"{item.chain_id}-{item.address.lower()}"
        state = _STATES.get(item.status)
        if state is None:
            return OfferRefused(ref, "status", f"its status {item.status[:40]!r} is none that we know")
        try:
            offer = self._known.get((item.chain_id, item.address.lower()))
            if offer is None:
                detail = await self._launcher.campaign(item.chain_id, item.address)
                offer = offer_of(item, detail, self._cycle_ms)
                self._known[item.chain_id, item.address.lower()] = offer
        except (ManifestError, InvalidInputError) as strange:
            return OfferRefused(ref, strange.code, str(strange))
        return OfferSeen(offer, state)


def offer_of(item: CampaignItem, detail: CampaignDetail, cycle_ms: int = DAY_MS) -> Offer:
    """A listed campaign as an offer; `detail` says what the oracles take.

    Raises:
        ManifestError, InvalidInputError: by what does not fit.
    """
    fields = {
        **item.details,
        "type": item.type,
        "exchange": item.exchange_name,
        "pair": item.symbol,
        "symbol": item.symbol,
        "start_date": item.start_date,
        "end_date": item.end_date,
    }
    manifest = check_manifest(fields)
    if not (item.fund_amount.isascii() and item.fund_amount.isdigit()):
        raise InvalidInputError("fund_amount", item.fund_amount, "base units, as digits")
    fees = (
        detail.exchange_oracle_fee_percent,
        detail.recording_oracle_fee_percent,
        detail.reputation_oracle_fee_percent,
    )
    token = RewardToken(
        item.chain_id, item.fund_token.lower(), item.fund_token_symbol, item.fund_token_decimals
    )
    return offer_of_manifest(manifest, item.address, token, net_fund(int(item.fund_amount), fees), cycle_ms)


def offer_of_manifest(
    manifest: Manifest, address: str, token: RewardToken, fund_units: int, cycle_ms: int = DAY_MS
) -> Offer:
    """A manifest as an offer; `fund_units` is net. Raises `InvalidInputError`."""
    return Offer(
        id=campaign_id(PARTNER, token.chain_id, address),
        partner=PARTNER,
        chain_id=token.chain_id,
        address=address.lower(),
        measure=_MEASURES[manifest.type],
        exchange=manifest.exchange,
        market=manifest.market,
        start_ms=manifest.start_ms,
        end_ms=manifest.end_ms,
        token=token,
        fund_units=fund_units,
        target=manifest.target,
        max_participants=manifest.max_participants,
        prizes=manifest.prizes,
        cycle_ms=cycle_ms,
    )


class HufiParticipation:
    """`Participation` over the recording oracle."""

    def __init__(self, oracle: RecordingOracleClient) -> None:
        self._oracle = oracle

    async def status(self, offer: Offer) -> JoinStatus:
        """Whether we are in. Raises `PartnerUnclearError`."""
        try:
            told = await self._oracle.join_status(offer.chain_id, offer.address)
            joined_ms = read_date(told.joined_at, "joined_at") if told.joined_at else 0
        except (HufiError, ManifestError) as error:
            raise PartnerUnclearError(f"taking part in {offer.id}", str(error)) from error
        match told.status:
            case JoinWord.ALREADY_JOINED:
                return JoinStatus(JoinState.JOINED, joined_ms)
            case JoinWord.CAN_JOIN:
                return JoinStatus(JoinState.CAN_JOIN)
            case _:
                return JoinStatus(JoinState.CLOSED, reason=told.reason or told.status)

    async def join(self, offer: Offer) -> None:
        """Ask to take part. Raises `JoinRefusedError`, `PartnerUnclearError`."""
        try:
            await self._oracle.join(offer.chain_id, offer.address)
        except HufiRefusedError as refused:
            if refused.status == HTTPStatus.UNPROCESSABLE_ENTITY:
                raise JoinRefusedError(offer.id, refused.message or "no reason given") from refused
            raise PartnerUnclearError(f"joining {offer.id}", str(refused)) from refused
        except HufiError as error:
            raise PartnerUnclearError(f"joining {offer.id}", str(error)) from error


class HufiProgress:
    """`ProgressReport` over the leaderboard, our measured cost, and a price."""

    def __init__(
        self,
        oracle: RecordingOracleClient,
        cost: Callable[[Campaign, int], tuple[Decimal, CostModel]],
        price: Callable[[Offer], Price | None],
    ) -> None:
        """`cost(campaign, cycle)`: what the cycle has cost so far, and what a unit of volume costs."""
        self._oracle = oracle
        self._cost = cost
        self._price = price

    async def progress(self, campaign: Campaign, cycle: int) -> Progress | None:
        """Of the running cycle; None once the leaderboard is closed. Raises `PartnerUnclearError`."""
        offer = campaign.offer
        try:
            board = await self._oracle.leaderboard(offer.chain_id, offer.address)
        except HufiError as error:
            raise PartnerUnclearError(f"the standing of {offer.id}", str(error)) from error
        if board is None:
            return None
        everybody = standings_of(offer, board.data)
        mine = next(
            (one for one in everybody if one.address == campaign.wallet), Standing(campaign.wallet, 0, 0)
        )
        others = [one for one in everybody if one.address != campaign.wallet]
        spent, model = self._cost(campaign, cycle)
        missing = _missing(offer, mine, others)
        price = self._price(offer)
        expected = expect(offer, mine, others, missing, model, price)
        return Progress(
            volume=Decimal(mine.result_units) / SCALE,
            total_volume=Decimal(mine.result_units + sum(one.result_units for one in others)) / SCALE,
            cost=spent,
            expected_reward_value=expected.value,
            expected_cost=model.of(missing),
            expected_units=expected.units,
            price_source="" if price is None else price.source,
        )


def _missing(offer: Offer, mine: Standing, others: Sequence[Standing]) -> Decimal:
    """Volume that we would still make in the cycle."""
    made = mine.result_units
    if offer.measure is Measure.VOLUME:
        made += sum(one.result_units for one in others)
    return max(Decimal(0), offer.target - Decimal(made) / SCALE)
