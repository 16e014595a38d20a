"""Checks that every order passes before it is written down, whatever the strategy thinks.

Pure, in exact arithmetic. Thin on purpose: risk states and breakers build on it.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from mrmarket.core.instrument import Instrument
from mrmarket.core.side import Side
from mrmarket.trading.execution.targets import Quote
from mrmarket.trading.venue.port import OrderKind


@dataclass(frozen=True, slots=True)
class RiskLimits:
    """What an order must not exceed. Fractions are of 1."""

    price_band: Decimal = Decimal("0.1")
    """Distance from the mid."""
    max_notional: Decimal | None = None
    """Quote value of one order; None is no limit."""
    max_inventory_share: Decimal = Decimal("0.95")
    """Share of the account's worth in base, as it would be with every open buy filled."""


@dataclass(slots=True)
class Holdings:
    """What may be spent, in quote and base; reserved amounts are already taken off."""

    base_free: Decimal
    quote_free: Decimal
    base_total: Decimal
    quote_total: Decimal
    base_pending: Decimal = Decimal(0)
    """Base that open buys would add."""


@dataclass(frozen=True, slots=True)
class MarketTop:
    """Best bid and ask in ticks."""

    bid_ticks: int
    ask_ticks: int

    @property
    def double_mid_ticks(self) -> int:
        """Twice the mid."""
        return self.bid_ticks + self.ask_ticks


class PreTradeCheck:
    """The rules of one instrument."""

    def __init__(self, instrument: Instrument, limits: RiskLimits) -> None:
        self._instrument = instrument
        self._limits = limits

    def refusal(self, quote: Quote, kind: OrderKind, top: MarketTop, holdings: Holdings) -> str | None:
        """Why an order must not be sent, or None; what it takes is then reserved in `holdings`."""
        reason = self._form(quote) or self._price(quote, kind, top) or self._money(quote, top, holdings)
        if reason is None:
            size = self._instrument.size(quote.size_lots)
            if quote.side is Side.BUY:
                holdings.quote_free -= self._instrument.notional(quote.price_ticks, quote.size_lots)
                holdings.base_pending += size
            else:
                holdings.base_free -= size
        return reason

    def _form(self, quote: Quote) -> str | None:
        instrument = self._instrument
        if quote.price_ticks <= 0:
            return "its price is not positive"
        if not instrument.min_lots <= quote.size_lots <= instrument.max_lots:
            return f"its size is outside what {instrument.venue} takes"
        notional = instrument.notional(quote.price_ticks, quote.size_lots)
        if notional < instrument.min_notional:
            return f"it is worth less than {instrument.min_notional} {instrument.quote}"
        if self._limits.max_notional is not None and notional > self._limits.max_notional:
            return f"it is worth more than {self._limits.max_notional} {instrument.quote}"
        return None

    def _price(self, quote: Quote, kind: OrderKind, top: MarketTop) -> str | None:
        double = top.double_mid_ticks
        if abs(2 * quote.price_ticks - double) > double * self._limits.price_band:
            return f"its price is further than {self._limits.price_band} from the mid"
        if kind is OrderKind.POST_ONLY:
            if quote.side is Side.BUY and quote.price_ticks >= top.ask_ticks:
                return "it would take although it is post-only"
            if quote.side is Side.SELL and quote.price_ticks <= top.bid_ticks:
                return "it would take although it is post-only"
        return None

    def _money(self, quote: Quote, top: MarketTop, holdings: Holdings) -> str | None:
        instrument = self._instrument
        size = instrument.size(quote.size_lots)
        if quote.side is Side.SELL:
            return f"not enough {instrument.base} is free" if size > holdings.base_free else None
        notional = instrument.notional(quote.price_ticks, quote.size_lots)
        if notional > holdings.quote_free:
            return f"not enough {instrument.quote} is free"
        mid = top.double_mid_ticks * instrument.tick_size / 2
        base_after = holdings.base_total + holdings.base_pending + size
        worth = holdings.quote_total + holdings.base_total * mid
        if base_after * mid > worth * self._limits.max_inventory_share:
            return f"{instrument.base} would be more than {self._limits.max_inventory_share} of the account"
        return None
