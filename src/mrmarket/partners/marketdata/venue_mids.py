"""Prices of our own venues: the middle of the best bid and ask that our order books hold."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import ceil
from typing import Protocol

from mrmarket.partners.marketdata.errors import PriceMissingError, ProviderAnswerError
from mrmarket.partners.marketdata.price import EXACT, PPM, Price
from mrmarket.trading.market.book import OrderBook


@dataclass(frozen=True, slots=True)
class Top:
    """Best bid and ask of a pair, in quote per base, and when they were seen."""

    bid: Decimal
    ask: Decimal
    at_ms: int


class Tops(Protocol):
    """Who watches order books."""

    def top(self, base: str, quote: str) -> Top | None:
        """The last one seen; None where the pair is not watched or its book cannot be relied on."""
        ...


class BookTops:
    """The tops of order books, as they are shown to it."""

    def __init__(self) -> None:
        self._tops: dict[tuple[str, str], Top] = {}

    def note(self, book: OrderBook, at_ms: int) -> None:
        """Look at a book after an event; one that is not synced, crossed or one-sided is forgotten."""
        pair = (book.instrument.base, book.instrument.quote)
        bid, ask = book.best_bid, book.best_ask
        if bid is None or ask is None or not book.synced or book.crossed:
            self._tops.pop(pair, None)
            return
        self._tops[pair] = Top(book.instrument.price(bid[0]), book.instrument.price(ask[0]), at_ms)

    def top(self, base: str, quote: str) -> Top | None:
        """As the port says."""
        return self._tops.get((base, quote))


class VenueMids:
    """A price provider; its confidence is half the spread, rounded up."""

    def __init__(self, venue: str, tops: Tops) -> None:
        self._name = f"venue:{venue}"
        self._tops = tops

    @property
    def name(self) -> str:
        """As it stands in a price."""
        return self._name

    async def price(self, base: str, quote: str, at_ms: int | None = None) -> Price:
        """As the port says; the past is not kept."""
        if at_ms is not None:
            raise PriceMissingError(base, quote, self.name, "keeps no past prices")
        top = self._tops.top(base, quote)
        if top is None:
            raise PriceMissingError(base, quote, self.name, "has no book of that pair that can be relied on")
        if not 0 < top.bid <= top.ask:
            raise ProviderAnswerError(
                base, quote, self.name, f"its book is crossed, {top.bid} over {top.ask}"
            )
        mid = EXACT.divide(EXACT.add(top.bid, top.ask), Decimal(2))
        bid, ask = Fraction(top.bid), Fraction(top.ask)
        return Price(base, quote, mid, self.name, top.at_ms, ceil((ask - bid) / (ask + bid) * PPM))
