"""HuFi as the instance lives with it: its doors, and the key that it looks at our trades with."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from mrmarket.campaigns.offer import Offer
from mrmarket.campaigns.ports import OfferList, Offers
from mrmarket.core.errors import MrMarketError
from mrmarket.partners.hufi.estimate import CostModel
from mrmarket.partners.hufi.joining import JoinRuleBook, JoinRules
from mrmarket.partners.hufi.manifest import DEXES
from mrmarket.partners.hufi.registration import ExchangeKey, KeyRegistration
from mrmarket.services.partners.errors import StrangeOfferError
from mrmarket.services.partners.estimation import estimate
from mrmarket.services.partners.opening import HufiDoors
from mrmarket.services.partners.price_room import PriceRoom
from mrmarket.services.partners.section import CampaignExchange, CampaignsSection, Partners
from mrmarket.services.partners.setting import PartnerSetting
from mrmarket.services.partners.troubles import Troubles
from mrmarket.trading.venue.port import KeyPermissions

AskRights = Callable[[ExchangeKey], Awaitable[KeyPermissions]]
"""What an exchange itself says that a key may do. Raises a VenueError."""

HUFI: Final = "hufi"
"""Its name among troubles."""
_OFFER: Final = f"{HUFI} offer "


@dataclass(frozen=True, slots=True)
class ToldReach:
    """A key's rights in the words of the registration."""

    can_withdraw: bool | None
    can_trade: bool | None


class KeyKeeper:
    """Sees to it that HuFi can look at each of our accounts, once in the life of a process."""

    def __init__(
        self, setting: PartnerSetting, doors: HufiDoors, rights: AskRights, troubles: Troubles
    ) -> None:
        self._setting = setting
        self._oracle = doors.oracle
        self._registration = KeyRegistration(doors.oracle, doors.drift)
        self._rights = rights
        self._troubles = troubles
        self._done: set[str] = set()

    async def step(self) -> None:
        """Register what is not registered; trouble is noted, and tried again in the next round."""
        for exchange in self._setting.partners.campaigns.exchanges:
            if exchange.name in self._done or exchange.name in DEXES:
                continue
            part = f"{HUFI} key {exchange.name}"
            try:
                await self._ensure(exchange)
            except MrMarketError as error:
                self._troubles.note(part, error)
            else:
                self._done.add(exchange.name)
                self._troubles.over(part)

    async def _ensure(self, exchange: CampaignExchange) -> None:
        environ = self._setting.environ
        key = ExchangeKey(
            exchange.name,
            environ.get(exchange.read_key_env, ""),
            environ.get(exchange.read_secret_env, ""),
            environ.get(exchange.extra_env, "") if exchange.extra_env else "",
        )
        held = {item.exchange_name: item.api_key for item in await self._oracle.keys()}
        if not key.api_key or held.get(exchange.name) == key.api_key:
            await self._registration.check(exchange.name)
            return
        told = await self._rights(key)
        await self._registration.register(key, ToldReach(told.withdraw, told.trade))


class NotedOffers:
    """`Offers` of which those that cannot be taken are shown."""

    def __init__(self, offers: Offers, troubles: Troubles) -> None:
        self._offers = offers
        self._troubles = troubles

    async def list(self) -> OfferList:
        """What the partner offers. Raises `PartnerUnclearError`."""
        found = await self._offers.list()
        strange = {f"{_OFFER}{one.ref}": one for one in found.refused}
        for part, one in strange.items():
            self._troubles.note(part, StrangeOfferError(one.ref, one.code, one.reason))
        for part in self._troubles.standing():
            if part.startswith(_OFFER) and part not in strange:
                self._troubles.over(part)
        return found


def assumed_cost(section: CampaignsSection) -> CostModel:
    """What volume costs before our own trades show it; quotes are made as maker only."""
    return CostModel(
        maker_fee_ppm=section.maker_fee_ppm,
        taker_fee_ppm=section.taker_fee_ppm,
        maker_share_ppm=1_000_000,
        spread_cost_ppm=section.spread_cost_ppm,
    )


def rule_book(partners: Partners, wallet: str, prices: PriceRoom) -> JoinRuleBook:
    """The owner's rules, and what an offer should bring by them."""
    section = partners.campaigns
    rules = JoinRules(
        enabled=section.enabled and section.auto_join,
        exchanges=frozenset(exchange.name for exchange in section.exchanges),
        measures=section.wanted_measures(),
        tokens=partners.wanted_tokens(),
        min_net_value=section.min_net_value,
        wallet=wallet,
        accounts={exchange.name: exchange.account for exchange in section.exchanges},
        max_joined=section.max_joined,
        min_left_ms=section.min_left_s * 1_000,
    )
    assumed = assumed_cost(section)
    limits = section.limits.limits()

    def appraise(offer: Offer, at_ms: int) -> Decimal | None:
        """Over every cycle that is left, as if nobody else took part: more come later, or nobody."""
        running = offer.cycle_at(max(at_ms, offer.start_ms))
        if running is None:
            return Decimal(0)
        expected = estimate(offer, wallet, (), assumed, prices.price(offer), limits=limits)
        net = expected.expectation.net
        return None if net is None else net * (offer.cycles - running)

    return JoinRuleBook(rules, appraise)
