"""What a strategy on two venues is told and what it answers: pairs of orders, or quotes that are hedged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from mrmarket.core.errors import MrMarketError
from mrmarket.core.instrument import Instrument
from mrmarket.trading.execution.differ import RefreshRules
from mrmarket.trading.execution.leg_pair import PairPlan
from mrmarket.trading.execution.legs import LegRules
from mrmarket.trading.execution.targets import TargetQuotes, Term
from mrmarket.trading.market.event import Level


class WashTradeRefusedError(MrMarketError):
    """Both sides of a trade would be ours on one market."""

    code = "wash_trade_refused"

    def __init__(self, market: str) -> None:
        self.market = market
        super().__init__(
            f"both sides would trade on {market}: crossing one's own accounts is wash trading;"
            " name two different exchanges"
        )


@dataclass(frozen=True, slots=True)
class VenueBook:
    """One venue at one moment. Our own orders are left out of its levels."""

    market: str
    """The exchange, whatever account on it: two books of one market are refused."""
    instrument: Instrument
    bids: Sequence[Level]
    """Ticks and lots, descending."""
    asks: Sequence[Level]
    """Ascending."""
    age_ns: int
    """Since the book was last heard of."""
    base_free: Decimal
    quote_free: Decimal
    unfit: str = ""
    """Why nothing may be sent there now; empty if something may."""


@dataclass(frozen=True, slots=True)
class CrossView:
    """Two venues at one moment."""

    now_ns: int
    """Monotonic, of the strategy's clock."""
    books: tuple[VenueBook, VenueBook]
    sigma: float | None = None
    """Relative standard deviation of the mid for one second; None until enough was seen."""

    def __post_init__(self) -> None:
        if self.books[0].market == self.books[1].market:
            raise WashTradeRefusedError(self.books[0].market)


@dataclass(frozen=True, slots=True)
class Opportunity:
    """A pair of orders that pays."""

    plan: PairPlan
    buy_at: int
    """Which of the two venues buys: 0 or 1."""
    notional: Decimal
    """Quote paid, before fees."""
    profit: Decimal
    """Quote, after all fees."""
    edge: Decimal
    """Profit as a fraction of the notional."""
    expected: Decimal
    """Profit less what a missed second order would cost, times how often that happens."""
    terms: tuple[Term, ...]
    why: str
    """One sentence for people."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What was found in one direction."""

    buy_at: int
    code: str
    """`taken`, `worse`, or why not: `no_edge`, `book_old`, `unfit`, `no_quote`, `no_base`, `lot` …"""
    why: str
    edge: Decimal | None = None
    """Gain on the first unit after all fees, as a fraction; None without a book."""


@dataclass(frozen=True, slots=True)
class CrossDecision:
    """What to do, and what was looked at."""

    opportunity: Opportunity | None
    readings: tuple[Reading, ...]
    why: str


class CrossStrategy(Protocol):
    """Decides on pairs of orders. It never sends one and never waits."""

    @property
    def name(self) -> str:
        """For people."""
        ...

    @property
    def symbol(self) -> str:
        """The pair, on both venues."""
        ...

    @property
    def leg_rules(self) -> LegRules:
        """How its pairs of orders are carried out."""
        ...

    @property
    def depth_levels(self) -> int:
        """How many levels of each side it looks at."""
        ...

    def decide(self, view: CrossView) -> CrossDecision:
        """Whether a pair of orders should be sent now."""
        ...


class CrossMaker(Protocol):
    """Quotes on the first of two venues; each fill is passed on to the second. It never sends an order."""

    @property
    def name(self) -> str:
        """For people."""
        ...

    @property
    def symbol(self) -> str:
        """The pair, on both venues."""
        ...

    @property
    def rules(self) -> RefreshRules:
        """When a live quote gives way."""
        ...

    @property
    def leg_rules(self) -> LegRules:
        """How fills are hedged."""
        ...

    @property
    def depth_levels(self) -> int:
        """How many levels of each side it looks at."""
        ...

    def quotes(self, view: CrossView) -> TargetQuotes:
        """What should stand on `view.books[0]`, each quote within what `view.books[1]` would pay for it."""
        ...
