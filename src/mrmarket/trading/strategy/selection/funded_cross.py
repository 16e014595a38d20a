"""A strategy on two venues that sees no more money than it may have in play."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from mrmarket.trading.execution.differ import RefreshRules
from mrmarket.trading.execution.legs import LegRules
from mrmarket.trading.execution.risk.budget import Budget
from mrmarket.trading.execution.targets import TargetQuotes
from mrmarket.trading.strategy.cross_port import (
    CrossDecision,
    CrossMaker,
    CrossStrategy,
    CrossView,
    VenueBook,
)


class FundedCross:
    """Implements `CrossStrategy` over another one.

    Its pairs are bounded where they are sized. A check of each order by itself could let one leg through and
    refuse the other; and what undoes a pair that went wrong must never be refused.
    """

    def __init__(self, inner: CrossStrategy, budget: Budget) -> None:
        """`budget` is looked at with every decision."""
        self._inner = inner
        self._budget = budget

    @property
    def name(self) -> str:
        """The other one's."""
        return self._inner.name

    @property
    def symbol(self) -> str:
        """The pair."""
        return self._inner.symbol

    @property
    def leg_rules(self) -> LegRules:
        """The other one's."""
        return self._inner.leg_rules

    @property
    def depth_levels(self) -> int:
        """The other one's."""
        return self._inner.depth_levels

    @property
    def parameters(self) -> object:
        """The other one's, where it has any."""
        return getattr(self._inner, "parameters", None)

    @property
    def oldest_book_ns(self) -> int | None:
        """The other one's word, where it has given any."""
        return getattr(self._inner, "oldest_book_ns", None)

    def decide(self, view: CrossView) -> CrossDecision:
        """What the other one decides of the money that may be in play."""
        if self._budget.quote is None:
            return self._inner.decide(view)
        one, two = (_bounded(book, self._budget.quote) for book in view.books)
        decision = self._inner.decide(replace(view, books=(one, two)))
        if (one, two) == view.books or decision.opportunity is not None:
            return decision
        return replace(decision, why=f"{decision.why}; its part of the capital is {self._budget}")


class FundedMaker:
    """Implements `CrossMaker` over another one: its quotes are bounded where they are sized, hedges never."""

    def __init__(self, inner: CrossMaker, budget: Budget) -> None:
        """`budget` is looked at with every decision."""
        self._inner = inner
        self._budget = budget

    @property
    def name(self) -> str:
        """The other one's."""
        return self._inner.name

    @property
    def symbol(self) -> str:
        """The pair."""
        return self._inner.symbol

    @property
    def rules(self) -> RefreshRules:
        """The other one's."""
        return self._inner.rules

    @property
    def leg_rules(self) -> LegRules:
        """The other one's."""
        return self._inner.leg_rules

    @property
    def depth_levels(self) -> int:
        """The other one's."""
        return self._inner.depth_levels

    @property
    def parameters(self) -> object:
        """The other one's, where it has any."""
        return getattr(self._inner, "parameters", None)

    @property
    def oldest_book_ns(self) -> int | None:
        """The other one's word, where it has given any."""
        return getattr(self._inner, "oldest_book_ns", None)

    def quotes(self, view: CrossView) -> TargetQuotes:
        """What the other one quotes with the money that may be in play."""
        quote = self._budget.quote
        if quote is None:
            return self._inner.quotes(view)
        one, two = (_bounded(book, quote) for book in view.books)
        targets = self._inner.quotes(replace(view, books=(one, two)))
        if (one, two) == view.books or not targets.reason:
            return targets
        why = f"{targets.reason}; its part of the capital is {self._budget}"
        return TargetQuotes(targets.quotes, why, targets.hold)


def _bounded(book: VenueBook, quote: Decimal) -> VenueBook:
    """The same with at most so much quote free, and base worth as much."""
    base = book.base_free
    if book.bids:
        best = book.instrument.price(book.bids[0][0])
        base = min(base, quote / best) if best else base
    if base == book.base_free and quote >= book.quote_free:
        return book
    return replace(book, base_free=base, quote_free=min(book.quote_free, quote))
