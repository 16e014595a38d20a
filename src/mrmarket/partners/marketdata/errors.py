"""Why there is no price. Every one is a refusal: a price is never guessed."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from mrmarket.core.errors import MrMarketError


class PriceError(MrMarketError):
    """No price of this pair can be relied on."""

    code = "price"

    def __init__(self, base: str, quote: str, sentence: str) -> None:
        self.base = base
        self.quote = quote
        super().__init__(f"no price of {base} in {quote}: {sentence}")


class PriceMissingError(PriceError):
    """The provider has none."""

    code = "price_missing"

    def __init__(self, base: str, quote: str, provider: str, reason: str) -> None:
        self.provider = provider
        self.reason = reason
        super().__init__(base, quote, f"{provider} {reason}")


class PriceStaleError(PriceError):
    """There is one, of another time than it is needed for."""

    code = "price_stale"
    retryable = True

    def __init__(self, base: str, quote: str, provider: str, off_ms: int, limit_ms: int) -> None:
        self.provider = provider
        self.off_ms = off_ms
        self.limit_ms = limit_ms
        when = f"{off_ms / 1000:.0f} s old" if off_ms >= 0 else f"{-off_ms / 1000:.0f} s in the future"
        super().__init__(
            base,
            quote,
            f"that of {provider} is {when} and {limit_ms / 1000:.0f} s are allowed; wait for the next one",
        )


class PricesDisagreeError(PriceError):
    """Providers say different things."""

    code = "prices_disagree"
    retryable = True

    def __init__(
        self, base: str, quote: str, told: Sequence[tuple[str, Decimal]], apart_ppm: int, limit_ppm: int
    ) -> None:
        self.told = tuple(told)
        self.apart_ppm = apart_ppm
        self.limit_ppm = limit_ppm
        words = ", ".join(f"{provider} {value:f}" for provider, value in told)
        super().__init__(
            base,
            quote,
            f"{words} are {apart_ppm / 10_000:.2f} % apart and {limit_ppm / 10_000:.2f} % are allowed; "
            "find out who is wrong, or take one away",
        )


class TooFewPricesError(PriceError):
    """Fewer providers than are wanted have a price that counts."""

    code = "too_few_prices"

    def __init__(self, base: str, quote: str, wanted: int, refusals: Sequence[PriceError]) -> None:
        self.wanted = wanted
        self.refusals = tuple(refusals)
        words = "; ".join(str(refusal) for refusal in refusals) or "nobody was asked"
        super().__init__(base, quote, f"{wanted} wanted, and {words}")


class NoPriceNowError(TooFewPricesError):
    """As above, and one of them may have a price later."""

    retryable = True


class PriceLimitedError(PriceError):
    """The provider's limit of calls is reached."""

    code = "price_rate_limited"
    retryable = True

    def __init__(self, base: str, quote: str, provider: str, retry_at_ms: int) -> None:
        self.provider = provider
        self.retry_at_ms = retry_at_ms
        super().__init__(
            base,
            quote,
            f"{provider} is asked too often; ask again at {retry_at_ms} ms, or buy a higher limit",
        )


class ProviderUnreachableError(PriceError):
    """The provider did not answer."""

    code = "price_provider_unreachable"
    retryable = True

    def __init__(self, base: str, quote: str, provider: str, reason: str) -> None:
        self.provider = provider
        self.reason = reason
        super().__init__(base, quote, f"{provider} did not answer ({reason}); it is asked again")


class ProviderRefusedError(PriceError):
    """The provider does not accept our key or plan."""

    code = "price_provider_refused"

    def __init__(self, base: str, quote: str, provider: str, status: int, number: int) -> None:
        self.provider = provider
        self.status = status
        self.number = number
        super().__init__(
            base,
            quote,
            f"{provider} refused us (status {status}, error {number or 'untold'}); check the key and that it "
            "belongs to the configured plan",
        )


class ProviderAnswerError(PriceError):
    """The provider's answer is not what its documents promise."""

    code = "price_provider_answer"

    def __init__(self, base: str, quote: str, provider: str, reason: str) -> None:
        self.provider = provider
        self.reason = reason
        super().__init__(
            base, quote, f"{provider}'s answer cannot be used ({reason}); its API may have changed"
        )
