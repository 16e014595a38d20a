"""Prices of CoinGecko: averages over many exchanges.

Now: `GET /simple/price` for all configured coins in one call, kept as long as CoinGecko itself keeps them.
Then: `GET /coins/{id}/market_chart/range`, the last quote before the time. Source: docs.coingecko.com.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

import msgspec

from mrmarket.core.clock import NS_PER_MS, Clock
from mrmarket.core.errors import InvalidInputError
from mrmarket.partners.marketdata.coingecko_line import NAME, CoinGeckoLine, LineSettings, Question
from mrmarket.partners.marketdata.errors import PriceError, PriceMissingError, ProviderAnswerError
from mrmarket.partners.marketdata.price import Price, across, par

FRESH_MS: Final = 60_000
"""CoinGecko renews its answers once a minute (20 s for paid plans); to ask more often tells nothing new."""
_REACH_MS: Final = 2 * 3_600_000
"""How far before a past time its price may lie: hourly quotes, and one that is missing."""
_MOST_IDS: Final = 515
"""Of one call."""
_LATEST_MS: Final = 4_102_444_800_000
"""The year 2100: a later time is in another unit."""
_REMEMBERED: Final = 4_096
"""Past prices that are kept; they do not change."""

Coin = dict[str, Decimal | None]


@dataclass(frozen=True, slots=True)
class CoinGeckoSettings:
    """Which coins, and how to ask for them."""

    ids: Mapping[str, str]
    """CoinGecko's id by our code: codes are not unique there, so an id is never guessed from one."""
    currencies: Mapping[str, str] = field(default_factory=lambda: {"USD": "usd"})
    """CoinGecko's currency by our code. What else is a quote is a coin, and goes by way of the first."""
    line: LineSettings = field(default_factory=LineSettings)
    fresh_ms: int = FRESH_MS
    confidence_ppm: int = 5_000
    """What to believe of an average that does not tell how far its parts are apart."""

    def __post_init__(self) -> None:
        if not self.currencies or not 0 < len(self.ids) <= _MOST_IDS:
            raise InvalidInputError("coingecko", len(self.ids), f"1 to {_MOST_IDS} coins and a currency")


class _Chart(msgspec.Struct, frozen=True):
    prices: list[tuple[Decimal, Decimal]]


@dataclass(frozen=True, slots=True)
class _Sheet:
    """All coins of one answer."""

    coins: dict[str, Coin]
    asked_ms: int


class CoinGecko:
    """A price provider. Used on one event loop; close it at the end."""

    name = NAME

    def __init__(self, settings: CoinGeckoSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._line = CoinGeckoLine(settings.line, clock)
        self._sheet: _Sheet | None = None
        self._asking = asyncio.Lock()
        self._past: OrderedDict[tuple[str, str, int], Price] = OrderedDict()

    async def close(self) -> None:
        """Hang up."""
        await self._line.close()

    async def price(self, base: str, quote: str, at_ms: int | None = None) -> Price:
        """As the port says; a quote that is no currency is priced by way of the first currency."""
        question = Question(base, quote)
        if quote in self._settings.currencies:
            return await self._in_currency(question, base, quote, at_ms)
        between = next(iter(self._settings.currencies))
        ours = await self._in_currency(question, base, between, at_ms)
        return across(ours, await self._in_currency(question, quote, between, at_ms), self.name)

    async def _in_currency(self, question: Question, code: str, currency: str, at_ms: int | None) -> Price:
        if code == currency:
            return par(code, self._clock.now_ns() // NS_PER_MS if at_ms is None else at_ms)
        coin = self._settings.ids.get(code)
        if coin is None:
            raise self._missing(question, f"has no id configured for {code}; add it")
        if at_ms is None:
            return self._read(question, code, currency, (await self._renewed(question)).coins.get(coin))
        key = (code, currency, at_ms)
        if key not in self._past:
            self._past[key] = await self._back_then(question, code, currency, at_ms)
            if len(self._past) > _REMEMBERED:
                self._past.popitem(last=False)
        self._past.move_to_end(key)
        return self._past[key]

    async def _renewed(self, question: Question) -> _Sheet:
        """The sheet, asked for anew where it is old; who asks at the same time shares one call.

        Where nobody answers, the old sheet: its prices carry their time, and who uses them has a limit.
        """
        async with self._asking:
            now_ms = self._clock.now_ns() // NS_PER_MS
            held = self._sheet
            if held is not None and 0 <= now_ms - held.asked_ms < self._settings.fresh_ms:
                return held
            query = {
                "ids": ",".join(sorted(self._settings.ids.values())),
                "vs_currencies": ",".join(sorted(self._settings.currencies.values())),
                "include_last_updated_at": "true",
                "precision": "full",
            }
            try:
                coins = await self._line.ask(question, "/simple/price", query, dict[str, Coin])
            except PriceError as error:
                if held is None or not error.retryable:
                    raise
                return held
            self._sheet = _Sheet(coins, now_ms)
            return self._sheet

    def _read(self, question: Question, code: str, currency: str, coin: Coin | None) -> Price:
        if coin is None:
            raise self._missing(question, f"does not know the coin of {code}; correct its id")
        value, updated = coin.get(self._settings.currencies[currency]), coin.get("last_updated_at")
        if value is None:
            raise self._missing(question, f"has no price of {code} in {currency}")
        if updated is None:
            raise self._answer(question, f"{code} has no last_updated_at")
        return self._told(question, code, currency, value, updated * 1_000)

    async def _back_then(self, question: Question, code: str, currency: str, at_ms: int) -> Price:
        query = {
            "vs_currency": self._settings.currencies[currency],
            "from": str((at_ms - _REACH_MS) // 1_000),
            "to": str(-(-at_ms // 1_000)),
            "precision": "full",
        }
        path = f"/coins/{self._settings.ids[code]}/market_chart/range"
        chart = await self._line.ask(question, path, query, _Chart)
        earlier = [pair for pair in chart.prices if at_ms - _REACH_MS <= pair[0] <= at_ms]
        if not earlier:
            raise self._missing(question, f"has no price of {code} within two hours before that time")
        time_ms, value = max(earlier)
        return self._told(question, code, currency, value, time_ms)

    def _told(self, question: Question, code: str, currency: str, value: Decimal, time_ms: Decimal) -> Price:
        if not 0 < time_ms < _LATEST_MS:
            raise self._answer(question, f"{code} has the time {time_ms}")
        try:
            return Price(code, currency, value, self.name, int(time_ms), self._settings.confidence_ppm)
        except InvalidInputError as error:
            raise self._answer(question, str(error)) from None

    def _missing(self, question: Question, reason: str) -> PriceMissingError:
        return PriceMissingError(question.base, question.quote, self.name, reason)

    def _answer(self, question: Question, reason: str) -> ProviderAnswerError:
        return ProviderAnswerError(question.base, question.quote, self.name, reason)
