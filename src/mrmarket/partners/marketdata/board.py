"""The last prices, for those who cannot wait for a network: renewed beside them, judged when read."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from mrmarket.core.clock import NS_PER_MS, Clock
from mrmarket.partners.marketdata.errors import PriceError, PriceMissingError, PriceStaleError
from mrmarket.partners.marketdata.price import EXACT, Price, PriceProvider

Pair = tuple[str, str]


class PriceBoard:
    """Prices of a list of pairs. `refresh` is called now and then; `last` never waits."""

    def __init__(self, source: PriceProvider, pairs: Sequence[Pair], clock: Clock, stale_ms: int) -> None:
        self._source = source
        self._pairs = tuple(dict.fromkeys(pairs))
        self._clock = clock
        self._stale_ms = stale_ms
        self._last: dict[Pair, Price] = {}
        self._refusals: dict[Pair, PriceError] = {}

    async def refresh(self) -> Mapping[Pair, PriceError]:
        """Ask for every pair; what was refused, by pair. A pair that is refused keeps its last price."""
        await asyncio.gather(*(self._renew(pair) for pair in self._pairs))
        return dict(self._refusals)

    def last(self, base: str, quote: str) -> Price:
        """The last price of a pair, if it can still be relied on.

        Raises:
            PriceStaleError: it is too old, or of the future.
            PriceError: the reason why there never was one.
        """
        pair = (base, quote)
        price = self._last.get(pair)
        if price is None:
            if (refusal := self._refusals.get(pair)) is not None:
                raise refusal
            raise PriceMissingError(base, quote, self._source.name, "was not asked for it")
        off_ms = self._clock.now_ns() // NS_PER_MS - price.at_ms
        if not -self._stale_ms <= off_ms <= self._stale_ms:
            raise PriceStaleError(base, quote, price.provider, off_ms, self._stale_ms)
        return price

    async def _renew(self, pair: Pair) -> None:
        try:
            self._last[pair] = await self._source.price(*pair)
        except PriceError as error:
            self._refusals[pair] = error
        else:
            self._refusals.pop(pair, None)


@dataclass(frozen=True, slots=True)
class Token:
    """A contract's token, as prices know it."""

    code: str
    decimals: int


class TokenPrices:
    """What base units of a chain's token are worth: `mrmarket.campaigns.ports.Prices` over a board."""

    def __init__(self, board: PriceBoard, tokens: Mapping[tuple[int, str], Token]) -> None:
        """`tokens` by chain id and address of the contract."""
        self._board = board
        self._tokens = {(chain_id, token.lower()): known for (chain_id, token), known in tokens.items()}

    def value(self, token: str, chain_id: int, units: int, quote: str) -> Decimal | None:
        """Exact to 60 significant digits; None for a token that is not configured, or without a price."""
        found = self.priced(token, chain_id, quote)
        if found is None:
            return None
        known, price = found
        return EXACT.multiply(EXACT.scaleb(Decimal(units), -known.decimals), price.value)

    def priced(self, token: str, chain_id: int, quote: str) -> tuple[Token, Price] | None:
        """The token and the price that `value` goes by, to be kept beside it; None where there is none."""
        known = self._tokens.get((chain_id, token.lower()))
        if known is None:
            return None
        try:
            return known, self._board.last(known.code, quote)
        except PriceError:
            return None  # the board's refusals say why
