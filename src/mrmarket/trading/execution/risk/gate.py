"""The gate between a strategy's wishes and the orders: what the risk state leaves of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal

from mrmarket.core.instrument import Instrument
from mrmarket.core.side import Side
from mrmarket.trading.execution.order import Order
from mrmarket.trading.execution.risk.budget import Budget
from mrmarket.trading.execution.risk.pretrade import MarketTop, OrderContext
from mrmarket.trading.execution.risk.state import RiskState
from mrmarket.trading.execution.targets import Quote, TargetQuotes

GapLots = Callable[[MarketTop], int]
"""Base position less its target, in lots."""


def on_target(_top: MarketTop) -> int:
    """A position of which nothing is known: nothing brings it nearer."""
    return 0


class RiskGate:
    """Stands in the executor's path: every wish goes through it, and the pre-trade check asks it again."""

    def __init__(
        self,
        instrument: Instrument,
        state: Callable[[], RiskState],
        *,
        gap_lots: GapLots = on_target,
        why: Callable[[], str] = str,
        base_total: Callable[[], Decimal] = Decimal,
    ) -> None:
        """Without more said it is a gate that knows no position: in REDUCE it lets nothing through.

        Args:
            instrument: the pair.
            state: what the run may do now.
            gap_lots: how far the position is from its target.
            why: the strictest reason, for people.
            base_total: base held, for the budget.
        """
        self.context = OrderContext()
        """What the pre-trade check looks at."""
        self._instrument = instrument
        self._state = state
        self._gap_lots = gap_lots
        self._why = why
        self._base_total = base_total

    @property
    def state(self) -> RiskState:
        """What the run may do now."""
        return self._state()

    def allowed(
        self, targets: TargetQuotes, live: Sequence[Order], short: Sequence[Order], top: MarketTop | None
    ) -> TargetQuotes:
        """What may be wanted of these targets; a live order in no slot of the result is cancelled.

        Args:
            targets: what the strategy wants.
            live: orders that are not proven closed, oldest first.
            short: closed orders whose last fills are still on their way.
            top: best prices of others; without them nothing may be placed.
        """
        state = self._state()
        self.context.state, self.context.room = state, None
        if state is RiskState.ACTIVE:
            budget = self.context.budget
            if budget is None or budget.quote is None or top is None:
                return targets
            return self._within(budget, targets, live, top)
        if state is RiskState.REDUCE and top is not None:
            return self._reduced(targets, live, short, top)
        return TargetQuotes(reason=self._why() or state.word)

    def _within(
        self, budget: Budget, targets: TargetQuotes, live: Sequence[Order], top: MarketTop
    ) -> TargetQuotes:
        """Live buys that the budget does not cover any more are left out, the newest first.

        New ones are the pre-trade check's affair: it refuses with the reason.
        """
        instrument = self._instrument
        mid, base = top.double_mid_ticks * instrument.tick_size / 2, self._base_total()
        gone: set[str] = set()
        for order in live:
            if order.side is Side.BUY:
                more = base + instrument.size(order.remaining_lots)
                if budget.is_passed(more, mid):
                    gone.add(order.slot)
                else:
                    base = more
        if not gone:
            return targets
        kept = tuple(quote for quote in targets.quotes if quote.slot not in gone)
        return TargetQuotes(kept, reason=f"its part of the capital: {budget}", hold=targets.hold)

    def _reduced(
        self, targets: TargetQuotes, live: Sequence[Order], short: Sequence[Order], top: MarketTop
    ) -> TargetQuotes:
        gap = self._gap_lots(top)
        side = Side.SELL if gap > 0 else Side.BUY
        # Whatever may still be filled on this side counts, so that no sequence of fills passes the target.
        room = abs(gap) - sum(order.missing_lots for order in short if order.side is side)
        wanted = {quote.slot: quote for quote in targets.quotes if quote.side is side}
        kept: dict[str, Quote] = {}
        for order in live:
            if order.side is not side:
                continue
            quote = wanted.pop(order.slot, None)
            might_fill = order.remaining_lots + order.missing_lots
            if quote is not None and might_fill <= room:
                kept[order.slot] = quote.resized(min(quote.size_lots, max(room, 1)))
            room -= might_fill
        self.context.room = (side, max(room, 0))
        for quote in wanted.values():
            lots = min(quote.size_lots, room)
            if lots < self._instrument.min_lots or self._is_dust(quote, lots):
                continue
            kept[quote.slot] = quote.resized(lots)
            room -= lots
        # In the strategy's order: what it names first is placed first.
        quotes = tuple(kept[quote.slot] for quote in targets.quotes if quote.slot in kept)
        return TargetQuotes(quotes, reason=self._why() or "reduce", hold=targets.hold)

    def _is_dust(self, quote: Quote, lots: int) -> bool:
        return self._instrument.notional(quote.price_ticks, lots) < self._instrument.min_notional
