"""The providers of an instance, by its settings."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from coingecko_desk import coingecko_desk
from mrmarket.core.clock import NS_PER_MS, ManualClock
from mrmarket.core.errors import InvalidInputError
from mrmarket.partners.marketdata.errors import PricesDisagreeError
from mrmarket.partners.marketdata.settings import PriceSettings, open_desk
from mrmarket.partners.marketdata.venue_mids import Top, VenueMids

NOW_MS = 1_711_356_310_000
CLOCK = ManualClock(NOW_MS * NS_PER_MS)


class OneTop:
    """A venue with one market."""

    def top(self, base: str, quote: str) -> Top | None:
        """Bitcoin in USD."""
        return Top(Decimal(67_000), Decimal(67_010), NOW_MS) if (base, quote) == ("BTC", "USD") else None


VENUE = VenueMids("sim", OneTop())


async def test_venue_and_coingecko_are_one_provider() -> None:
    """Close enough they agree; with a limit of nothing they do not."""
    async with coingecko_desk() as desk:
        text = f'{{"coins": {{"BTC": "bitcoin"}}, "coingecko_plan": "pro", "coingecko_url": "{desk.url}"}}'
        settings = msgspec.json.decode(text, type=PriceSettings)
        environ = {"MRMARKET_COINGECKO_KEY": "CG-key"}
        prices = open_desk(settings, environ, CLOCK, [VENUE])
        price = await prices.prices.price("BTC", "USD")
        strict = open_desk(msgspec.structs.replace(settings, apart_bps=0), environ, CLOCK, [VENUE])
        with pytest.raises(PricesDisagreeError):
            await strict.prices.price("BTC", "USD")
        await prices.close()
        await strict.close()
        assert {request.headers["x-cg-pro-api-key"] for request in desk.asked} == {"CG-key"}
    assert price.provider == "coingecko+venue:sim"
    assert price.value == (Decimal("67187.3358936566") + 67_005) / 2


async def test_without_coins_only_the_venue_is_asked() -> None:
    """No network, and a key in the environment is not even read."""
    desk = open_desk(PriceSettings(), {}, CLOCK, [VENUE])
    assert (await desk.prices.price("BTC", "USD")).provider == "venue:sim"
    await desk.close()


@pytest.mark.parametrize(
    "settings",
    [
        PriceSettings(at_least=2),
        msgspec.json.decode(b'{"coins": {"BTC": "bitcoin"}, "coingecko_plan": "demo"}', type=PriceSettings),
    ],
)
def test_settings_that_can_give_no_price_are_refused(settings: PriceSettings) -> None:
    """Two of one provider, and a plan whose key is not in the environment."""
    with pytest.raises(InvalidInputError):
        open_desk(settings, {}, CLOCK, [VENUE])


@pytest.mark.parametrize(
    "text", ['{"stale_s": 0}', '{"apart_bps": -1}', '{"coin": {}}', '{"coingecko_plan": "gold"}']
)
def test_unknown_settings_are_refused(text: str) -> None:
    """A word that is misspelt is no default."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(text, type=PriceSettings)
