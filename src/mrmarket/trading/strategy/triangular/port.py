"""What triangular arbitrage is told and what it answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from mrmarket.core.errors import MrMarketError
from mrmarket.core.instrument import Instrument
from mrmarket.trading.execution.targets import Term
from mrmarket.trading.market.event import Level
from mrmarket.trading.strategy.triangular.sizing import Triangle


class NoTriangleError(MrMarketError):
    """The pairs close no triangle through the home asset."""

    code = "no_triangle"

    def __init__(self, pairs: Sequence[str], home: str) -> None:
        self.pairs = tuple(pairs)
        self.home = home
        super().__init__(
            f"{', '.join(pairs)} close no triangle through {home}; name three pairs of three assets, such as"
            " BTC/USDT, ETH/BTC and ETH/USDT with home USDT"
        )


@dataclass(frozen=True, slots=True)
class PairBook:
    """One pair at one moment. Our own orders are left out of its levels."""

    instrument: Instrument
    bids: Sequence[Level]
    """Ticks and lots, descending."""
    asks: Sequence[Level]
    """Ascending."""
    age_ns: int
    """Since the book was last heard of."""
    unfit: str = ""
    """Why nothing may be sent there now; empty if something may."""


@dataclass(frozen=True, slots=True)
class TriangleView:
    """Every pair of the venue at one moment."""

    now_ns: int
    """Monotonic, of the strategy's clock."""
    books: Mapping[str, PairBook]
    """By symbol."""
    changed: frozenset[str]
    """Pairs whose book has changed since the last view; their triangles alone are priced anew."""
    home_free: Fraction
    """What may be spent of the home asset."""


@dataclass(frozen=True, slots=True)
class TriangleDecision:
    """What to send around, and what was looked at."""

    triangle: Triangle | None
    code: str
    """`taken`, or why not: `no_edge`, `no_balance`, `lot`, `min_notional`, `rounding`, `book_old` …"""
    why: str
    product: Fraction | None
    """What one unit becomes in the best triangle at the best prices; None without books."""
    terms: tuple[Term, ...] = ()
