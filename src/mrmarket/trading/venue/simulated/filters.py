"""What an order must keep to before it is looked at: Binance's spot filters.

Source: Binance spot API, filters.md. The reference price is the last trade (`avgPriceMins` 0).
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Self

from mrmarket.core.instrument import Instrument
from mrmarket.core.side import Side
from mrmarket.trading.venue.port import NewOrder, OrderKind
from mrmarket.trading.venue.simulated.records import ExchangeRefusedError, Refusal

MAX_PRICE_TICKS: Final = 10**9
"""Keeps price times size of any order inside 64 bits."""
MAX_NUM_ORDERS: Final = 200
"""Open orders of an account on a pair."""
MULTIPLIER_UP: Final = 5
"""PERCENT_PRICE_BY_SIDE: at most this many times the reference price, on both sides."""
MULTIPLIER_DOWN: Final = Decimal("0.2")
"""PERCENT_PRICE_BY_SIDE: at least this share of it, on both sides."""


@dataclass(frozen=True, slots=True)
class Filters:
    """The filters of one pair, as its exchangeInfo shows them."""

    instrument: Instrument
    min_price_ticks: int = 1
    max_price_ticks: int = MAX_PRICE_TICKS
    multiplier_up: int = MULTIPLIER_UP
    multiplier_down: Decimal = MULTIPLIER_DOWN
    max_num_orders: int = MAX_NUM_ORDERS

    @classmethod
    def of(cls, instrument: Instrument) -> Self:
        """The defaults, around an instrument's own limits."""
        return cls(instrument)

    def check(self, order: NewOrder, reference_ticks: int, open_orders: int) -> None:
        """Refuse an order that breaks a filter.

        Args:
            order: what was asked for.
            reference_ticks: the last price.
            open_orders: how many the account has on the pair already.

        Raises:
            ExchangeRefusedError: naming the first filter that fails.
        """
        instrument = self.instrument
        market = order.kind is OrderKind.MARKET
        if not market:
            self._check_price(order, reference_ticks)
        if not instrument.min_lots <= order.size_lots <= instrument.max_lots:
            raise ExchangeRefusedError(
                Refusal.MARKET_LOT_SIZE if market and order.size_lots > 0 else Refusal.LOT_SIZE,
                self._subject(order),
                f"give {instrument.size_text(instrument.min_lots)}"
                f" to {instrument.size_text(instrument.max_lots)} {instrument.base}",
            )
        price_ticks = reference_ticks if market else order.price_ticks
        if instrument.notional(price_ticks, order.size_lots) < instrument.min_notional:
            raise ExchangeRefusedError(
                Refusal.NOTIONAL,
                self._subject(order),
                f"give at least {instrument.min_notional} {instrument.quote}",
            )
        if open_orders >= self.max_num_orders:
            raise ExchangeRefusedError(
                Refusal.MAX_NUM_ORDERS,
                self._subject(order),
                f"{open_orders} orders are open, cancel some first",
            )

    def _check_price(self, order: NewOrder, reference_ticks: int) -> None:
        if not self.min_price_ticks <= order.price_ticks <= self.max_price_ticks:
            raise ExchangeRefusedError(
                Refusal.PRICE_FILTER,
                self._subject(order),
                f"give {self.instrument.price_text(self.min_price_ticks)}"
                f" to {self.instrument.price_text(self.max_price_ticks)}",
            )
        if not (
            reference_ticks * self.multiplier_down
            <= order.price_ticks
            <= reference_ticks * self.multiplier_up
        ):
            raise ExchangeRefusedError(
                Refusal.PERCENT_PRICE,
                self._subject(order),
                f"stay between {self.multiplier_down} and {self.multiplier_up}"
                f" times {self.instrument.price_text(reference_ticks)}",
            )

    def _subject(self, order: NewOrder) -> str:
        side = "buy" if order.side is Side.BUY else "sell"
        return (
            f"{side} {self.instrument.size_text(order.size_lots)} {order.symbol}"
            f" at {self.instrument.price_text(order.price_ticks)}"
        )
