"""Several providers as one: a price that is fresh and that they agree on, or a refusal."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil

from mrmarket.core.clock import NS_PER_MS, Clock
from mrmarket.core.errors import InvalidInputError
from mrmarket.partners.marketdata.errors import (
    NoPriceNowError,
    PriceError,
    PricesDisagreeError,
    PriceStaleError,
    TooFewPricesError,
)
from mrmarket.partners.marketdata.price import EXACT, PPM, Price, PriceProvider, par


@dataclass(frozen=True, slots=True)
class Limits:
    """What a price must keep to be relied on."""

    stale_ms: int = 300_000
    """Older ones do not count, for a past time: older than that time by so much."""
    ahead_ms: int = 60_000
    """Later ones do not count either: clocks may differ by so much. For a past time none may be later."""
    apart_ppm: int = 20_000
    """The highest may be above the lowest by so many millionths of it."""
    at_least: int = 1
    """Providers that must have one."""

    def __post_init__(self) -> None:
        if min(self.stale_ms, self.ahead_ms, self.apart_ppm, self.at_least - 1) < 0:
            raise InvalidInputError("price limits", str(self), "no negative limit, and one provider at least")


class Consensus:
    """A price provider of providers, all asked at once.

    The price is the median of those that count, and of an even number the middle of the two in the middle.
    A provider that fails or is stale does not count; one that disagrees is not outvoted:
    the price is refused.
    """

    def __init__(
        self, providers: Sequence[PriceProvider], clock: Clock, limits: Limits | None = None
    ) -> None:
        self._providers = tuple(providers)
        self._clock = clock
        self._limits = limits or Limits()

    @property
    def name(self) -> str:
        """All of them."""
        return "+".join(provider.name for provider in self._providers)

    async def price(self, base: str, quote: str, at_ms: int | None = None) -> Price:
        """As the port says.

        Raises:
            TooFewPricesError: fewer count than are wanted, with everybody's reason.
            PricesDisagreeError: they are further apart than is allowed.
        """
        if base == quote:
            return par(base, self._now_ms() if at_ms is None else at_ms)
        answers = await asyncio.gather(
            *(self._ask(provider, base, quote, at_ms) for provider in self._providers)
        )
        told = sorted((answer for answer in answers if isinstance(answer, Price)), key=lambda one: one.value)
        if len(told) < self._limits.at_least:
            refusals = [answer for answer in answers if isinstance(answer, PriceError)]
            later = any(refusal.retryable for refusal in refusals)
            kind = NoPriceNowError if later else TooFewPricesError
            raise kind(base, quote, self._limits.at_least, refusals)
        return self._agreed(base, quote, told)

    async def _ask(
        self, provider: PriceProvider, base: str, quote: str, at_ms: int | None
    ) -> Price | PriceError:
        try:
            price = await provider.price(base, quote, at_ms)
        except PriceError as error:
            return error
        # Asked again: the answer may have taken its time.
        off_ms = (self._now_ms() if at_ms is None else at_ms) - price.at_ms
        earliest = -self._limits.ahead_ms if at_ms is None else 0
        if earliest <= off_ms <= self._limits.stale_ms:
            return price
        limit_ms = self._limits.stale_ms if off_ms > 0 else -earliest
        return PriceStaleError(base, quote, price.provider, off_ms, limit_ms)

    def _agreed(self, base: str, quote: str, told: Sequence[Price]) -> Price:
        low, high = told[0].value, told[-1].value
        apart_ppm = ceil((Fraction(high) / Fraction(low) - 1) * PPM)
        if apart_ppm > self._limits.apart_ppm:
            pairs = [(price.provider, price.value) for price in told]
            raise PricesDisagreeError(base, quote, pairs, apart_ppm, self._limits.apart_ppm)
        half = len(told) // 2
        middle = told[half].value
        if len(told) % 2 == 0:
            middle = EXACT.divide(EXACT.add(told[half - 1].value, middle), 2)
        return Price(
            base,
            quote,
            middle,
            "+".join(sorted(price.provider for price in told)),
            min(price.at_ms for price in told),
            max(apart_ppm, *(price.confidence_ppm for price in told)),
        )

    def _now_ms(self) -> int:
        return self._clock.now_ns() // NS_PER_MS
