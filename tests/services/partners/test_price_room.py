"""Prices of reward tokens, kept ready."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from campaigns.campaign_stage import offer
from mrmarket.campaigns.offer import RewardToken
from mrmarket.core.clock import NS_PER_S, ManualClock
from mrmarket.partners.chains.settings import ChainSettings, TokenSettings
from mrmarket.partners.hufi.estimate import Price as TokenPrice
from mrmarket.partners.marketdata.consensus import Consensus
from mrmarket.partners.marketdata.errors import PriceMissingError
from mrmarket.partners.marketdata.price import Price
from mrmarket.partners.marketdata.settings import PriceDesk
from mrmarket.services.partners.price_room import PriceRoom, symbol_of
from mrmarket.services.partners.troubles import Troubles
from services.partners.partner_samples import CHAIN, TOKEN, setting

OFFER = replace(offer(), chain_id=CHAIN, token=RewardToken(CHAIN, TOKEN, "HMT", 18))


@dataclass
class Teller:
    """Tells one price, or none."""

    clock: ManualClock
    value: Decimal | None = Decimal("0.05")
    asked: list[tuple[str, str]] = field(default_factory=list)
    name: str = "teller"

    async def price(self, base: str, quote: str, at_ms: int | None = None) -> Price:
        """Port `PriceProvider`."""
        self.asked.append((base, quote))
        if self.value is None:
            raise PriceMissingError(base, quote, self.name, "has none")
        return Price(base, quote, self.value, self.name, self.clock.now_ns() // 10**6, 0)


def room(folder: Path, teller: Teller, troubles: Troubles, chains: Sequence[ChainSettings] = ()) -> PriceRoom:
    """Over a teller."""
    changes: dict[str, Any] = {"chains": list(chains)} if chains else {}
    desk = PriceDesk(Consensus([teller], teller.clock), None)
    return PriceRoom(setting(folder, clock=teller.clock, **changes), desk, "USDT", troubles)


async def test_a_price_is_told_with_its_source_until_it_is_stale(tmp_path: Path) -> None:
    """Nobody waits for a network, and nobody believes what is old."""
    clock = ManualClock()
    teller, troubles = Teller(clock), Troubles(clock)
    prices = room(tmp_path, teller, troubles)
    assert prices.price(OFFER) is None
    await prices.refresh()
    assert prices.price(OFFER) == TokenPrice(Decimal("0.05"), "teller")
    assert prices.price(offer()) is None
    teller.value = None
    await prices.refresh()
    assert "has none" in troubles.of("price HMT")
    assert prices.price(OFFER) is not None
    clock.advance(301 * NS_PER_S)
    assert prices.price(OFFER) is None
    teller.value = Decimal(2)
    await prices.refresh()
    assert troubles.standing() == {}
    await prices.close()


async def test_a_token_is_its_asset_on_whatever_chain(tmp_path: Path) -> None:
    """USDT on Polygon is worth a USDT, and nobody is asked for that."""
    assert symbol_of("USDT-POLYGON") == "USDT"
    chain = ChainSettings(
        name="fake",
        chain_id=CHAIN,
        urls=["http://127.0.0.1:1"],
        tokens=[TokenSettings(code="USDT-POLYGON", address=TOKEN, decimals=18)],
    )
    clock = ManualClock()
    teller = Teller(clock, None)
    prices = room(tmp_path, teller, Troubles(clock), [chain])
    keeping = asyncio.create_task(prices.keep())
    while prices.price(OFFER) is None:  # noqa: ASYNC110 - a board tells nobody that it was renewed
        await asyncio.sleep(0)
    keeping.cancel()
    assert prices.price(OFFER) == TokenPrice(Decimal(1), "par")
    assert teller.asked == []
