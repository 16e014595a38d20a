"""Checks that every order passes before it is written down, whatever the strategy thinks.

Pure, in exact arithmetic. The last of them is the risk state: it binds here also where a strategy,
or a bug in the code before, asks for more.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from decimal import Decimal

from mrmarket.core.instrument import Instrument
from mrmarket.core.side import Side
from mrmarket.trading.execution.risk.budget import Budget
from mrmarket.trading.execution.risk.state import RiskState
from mrmarket.trading.execution.targets import Quote
from mrmarket.trading.venue.port import OrderKind


@dataclass(frozen=True, slots=True)
class RiskLimits:
    """What an order must not exceed. Fractions are of 1; None is no limit."""

    price_band: Decimal = Decimal("0.1")
    """Distance from the mid."""
    fair_band: Decimal = Decimal("0.1")
    """Distance from our last own fair value: a book that jumps is not believed at once."""
    max_notional: Decimal | None = None
    """Quote value of one order."""
    max_run_notional: Decimal | None = None
    """Quote value of all open orders of the run together."""
    max_inventory_share: Decimal = Decimal("0.95")
    """Share of the account's worth in base, as it would be with every open buy filled."""
    max_position_base: Decimal | None = None
    """Base held, as it would be with every open buy filled."""
    max_open_orders: int = 200
    max_depth_multiple: Decimal = Decimal(20)
    """Size of one order as a multiple of what others show in the book's first levels."""
    cancel_reserve: float = 0.05
    """Share of the rate budget below which nothing is placed: cancels need it."""


@dataclass(slots=True)
class Holdings:
    """What may be spent, in quote and base; reserved amounts are already taken off."""

    base_free: Decimal
    quote_free: Decimal
    base_total: Decimal
    quote_total: Decimal
    base_pending: Decimal = Decimal(0)
    """Base that open buys would add."""
    open_orders: int = 0
    """Orders of the run that stand or might."""
    open_notional: Decimal = Decimal(0)
    """What they are worth in quote."""


@dataclass(frozen=True, slots=True)
class MarketTop:
    """Best bid and ask in ticks."""

    bid_ticks: int
    ask_ticks: int

    @property
    def double_mid_ticks(self) -> int:
        """Twice the mid."""
        return self.bid_ticks + self.ask_ticks


@dataclass(slots=True)
class OrderContext:
    """What else the check knows of the moment. The gate and the governor keep it."""

    state: RiskState = RiskState.ACTIVE
    room: tuple[Side, int] | None = None
    """In REDUCE: the side that brings the position nearer to its target, and the lots left for it."""
    fair_double_ticks: int | None = None
    """Twice our last own fair value; None before the first."""
    depth_lots: int | None = None
    """What others show in the first levels of both sides; None where it is not known."""
    budget_share: float = 1.0
    """What is left of the requests that cancels need, 0 to 1."""
    budget: Budget | None = None
    """How much the run may have in play; None where nobody divides the capital."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an order is held back."""

    code: str
    """Stable; counted."""
    text: str

    def __str__(self) -> str:
        return self.text


class PreTradeCheck:
    """The rules of one instrument."""

    def __init__(
        self, instrument: Instrument, limits: RiskLimits, context: OrderContext | None = None
    ) -> None:
        self.counts: Counter[str] = Counter()
        """How many orders were held back, by code."""
        self._instrument = instrument
        self._limits = limits
        self._context = context or OrderContext()

    def refusal(self, quote: Quote, kind: OrderKind, top: MarketTop, holdings: Holdings) -> Refusal | None:
        """Why an order must not be sent, or None; what it takes is then reserved in `holdings`."""
        refused = (
            self._state(quote)
            or self._form(quote)
            or self._price(quote, kind, top)
            or self._book(quote)
            or self._money(quote, top, holdings)
            or self._budget(quote, top, holdings)
            or self._run(quote, holdings)
        )
        if refused is not None:
            self.counts[refused.code] += 1
            return refused
        size = self._instrument.size(quote.size_lots)
        notional = self._instrument.notional(quote.price_ticks, quote.size_lots)
        if quote.side is Side.BUY:
            holdings.quote_free -= notional
            holdings.base_pending += size
        else:
            holdings.base_free -= size
        holdings.open_orders += 1
        holdings.open_notional += notional
        if self._context.room is not None:
            side, lots = self._context.room
            self._context.room = (side, lots - quote.size_lots)
        return None

    def _state(self, quote: Quote) -> Refusal | None:
        context = self._context
        if context.state is RiskState.ACTIVE:
            return None
        if context.state >= RiskState.CANCEL_ONLY:
            return Refusal("risk_state", f"nothing is placed while {context.state.word}")
        side, lots = context.room or (quote.side, 0)
        if quote.side is not side or quote.size_lots > lots:
            return Refusal(
                "risk_state", "only orders that bring the position nearer to its target are placed"
            )
        return None

    def _form(self, quote: Quote) -> Refusal | None:
        instrument, limits = self._instrument, self._limits
        if quote.price_ticks <= 0:
            return Refusal("bad_price", "its price is not positive")
        if not instrument.min_lots <= quote.size_lots <= instrument.max_lots:
            return Refusal("size_limits", f"its size is outside what {instrument.venue} takes")
        notional = instrument.notional(quote.price_ticks, quote.size_lots)
        if notional < instrument.min_notional:
            return Refusal(
                "min_notional", f"it is worth less than {instrument.min_notional} {instrument.quote}"
            )
        if limits.max_notional is not None and notional > limits.max_notional:
            return Refusal("max_notional", f"it is worth more than {limits.max_notional} {instrument.quote}")
        return None

    def _price(self, quote: Quote, kind: OrderKind, top: MarketTop) -> Refusal | None:
        double, fair = top.double_mid_ticks, self._context.fair_double_ticks
        if abs(2 * quote.price_ticks - double) > double * self._limits.price_band:
            return Refusal("price_band", f"its price is further than {self._limits.price_band} from the mid")
        if fair is not None and abs(2 * quote.price_ticks - fair) > fair * self._limits.fair_band:
            return Refusal(
                "fair_band", f"its price is further than {self._limits.fair_band} from our last fair value"
            )
        if kind is OrderKind.POST_ONLY:
            if quote.side is Side.BUY and quote.price_ticks >= top.ask_ticks:
                return Refusal("would_take", "it would take although it is post-only")
            if quote.side is Side.SELL and quote.price_ticks <= top.bid_ticks:
                return Refusal("would_take", "it would take although it is post-only")
        return None

    def _book(self, quote: Quote) -> Refusal | None:
        context, limits = self._context, self._limits
        if (
            context.depth_lots is not None
            and quote.size_lots > context.depth_lots * limits.max_depth_multiple
        ):
            return Refusal(
                "depth", f"it is larger than {limits.max_depth_multiple} times what the book shows"
            )
        if context.budget_share < limits.cancel_reserve:
            return Refusal("cancel_reserve", "the requests that are left are kept for cancels")
        return None

    def _money(self, quote: Quote, top: MarketTop, holdings: Holdings) -> Refusal | None:
        instrument, limits = self._instrument, self._limits
        size = instrument.size(quote.size_lots)
        if quote.side is Side.SELL:
            if size > holdings.base_free:
                return Refusal("no_base", f"not enough {instrument.base} is free")
            return None
        notional = instrument.notional(quote.price_ticks, quote.size_lots)
        if notional > holdings.quote_free:
            return Refusal("no_quote", f"not enough {instrument.quote} is free")
        mid = top.double_mid_ticks * instrument.tick_size / 2
        base_after = holdings.base_total + holdings.base_pending + size
        worth = holdings.quote_total + holdings.base_total * mid
        if base_after * mid > worth * limits.max_inventory_share:
            return Refusal(
                "inventory_share",
                f"{instrument.base} would be more than {limits.max_inventory_share} of the account",
            )
        if limits.max_position_base is not None and base_after > limits.max_position_base:
            return Refusal(
                "max_position", f"more than {limits.max_position_base} {instrument.base} would be held"
            )
        return None

    def _budget(self, quote: Quote, top: MarketTop, holdings: Holdings) -> Refusal | None:
        budget, instrument = self._context.budget, self._instrument
        if budget is None or quote.side is Side.SELL:
            return None
        base_after = holdings.base_total + holdings.base_pending + instrument.size(quote.size_lots)
        if budget.takes(base_after, top.double_mid_ticks * instrument.tick_size / 2):
            return None
        return Refusal("budget", f"more than its part of the capital would be in play: {budget}")

    def _run(self, quote: Quote, holdings: Holdings) -> Refusal | None:
        limits = self._limits
        if holdings.open_orders >= limits.max_open_orders:
            return Refusal("open_orders", f"{limits.max_open_orders} orders are open")
        if limits.max_run_notional is not None:
            notional = self._instrument.notional(quote.price_ticks, quote.size_lots)
            if holdings.open_notional + notional > limits.max_run_notional:
                return Refusal(
                    "run_notional",
                    f"open orders would exceed {limits.max_run_notional} {self._instrument.quote}",
                )
        return None
