"""Which prices an instance uses, and the providers put together from that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

import msgspec

from mrmarket.core.clock import Clock
from mrmarket.core.errors import InvalidInputError
from mrmarket.partners.marketdata.coingecko import CoinGecko, CoinGeckoSettings
from mrmarket.partners.marketdata.coingecko_line import LineSettings, Plan
from mrmarket.partners.marketdata.consensus import Consensus, Limits
from mrmarket.partners.marketdata.price import PriceProvider


class PriceSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Providers and limits. Without coins CoinGecko is not asked, and the venues alone tell prices."""

    coins: dict[str, str] = {}
    """CoinGecko's id by our code, such as `HMT = "human-protocol"`."""
    coingecko_plan: Plan = Plan.KEYLESS
    coingecko_key_env: str = "MRMARKET_COINGECKO_KEY"
    """Name of the variable with the key of the plan demo or pro."""
    coingecko_url: str = ""
    """Another root than the plan's."""
    calls_a_minute: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 5
    stale_s: Annotated[int, msgspec.Meta(ge=1, le=86_400)] = 300
    """Older prices do not count."""
    apart_bps: Annotated[int, msgspec.Meta(ge=0, le=10_000)] = 200
    """Providers may be so far apart, in hundredths of a percent."""
    at_least: Annotated[int, msgspec.Meta(ge=1, le=10)] = 1
    """Providers that must have a price."""


class PriceDesk:
    """The providers of an instance as one; close it at the end."""

    def __init__(self, prices: Consensus, coingecko: CoinGecko | None) -> None:
        self.prices = prices
        self._coingecko = coingecko

    async def close(self) -> None:
        """Hang up."""
        if self._coingecko is not None:
            await self._coingecko.close()


def open_desk(
    settings: PriceSettings, environ: Mapping[str, str], clock: Clock, venues: Sequence[PriceProvider] = ()
) -> PriceDesk:
    """Put the configured providers together; nothing is asked yet.

    Args:
        settings: of the configuration.
        environ: the process's environment.
        clock: wall time, since providers live in it.
        venues: mids of our own.

    Raises:
        InvalidInputError: a plan without its key, or more providers wanted than there are.
    """
    coingecko = _coingecko(settings, environ, clock) if settings.coins else None
    providers = [*venues, *([coingecko] if coingecko else [])]
    if settings.at_least > max(1, len(providers)):
        raise InvalidInputError(
            "at_least", settings.at_least, f"at most {len(providers)}, as many providers as there are"
        )
    limits = Limits(
        stale_ms=settings.stale_s * 1_000, apart_ppm=settings.apart_bps * 100, at_least=settings.at_least
    )
    return PriceDesk(Consensus(providers, clock, limits), coingecko)


def _coingecko(settings: PriceSettings, environ: Mapping[str, str], clock: Clock) -> CoinGecko:
    keyed = settings.coingecko_plan is not Plan.KEYLESS
    line = LineSettings(
        plan=settings.coingecko_plan,
        key=environ.get(settings.coingecko_key_env, "") if keyed else "",
        url=settings.coingecko_url,
        calls_a_minute=settings.calls_a_minute,
    )
    return CoinGecko(CoinGeckoSettings(ids=settings.coins, line=line), clock)
