"""What a strategy wants in the market: quotes that explain themselves, never orders."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from mrmarket.core.decimals import format_decimal
from mrmarket.core.side import Side


@dataclass(frozen=True, slots=True)
class Term:
    """One step in how a quote got its price or size."""

    name: str
    amount: Decimal | str
    """Kept as it is: most terms are never looked at, and writing numbers takes longer than adding them."""
    unit: str = ""
    """`quote`, `base`, `fraction`, `bps` or empty."""

    @property
    def value(self) -> str:
        """Plain decimal text, or a word."""
        return self.amount if isinstance(self.amount, str) else format_decimal(self.amount)


@dataclass(frozen=True, slots=True)
class Quote:
    """One order that should stand in the market, in ints of the instrument's grid."""

    slot: str
    """The place in the strategy's lattice, such as `b1`; at most one live order a slot."""
    side: Side
    price_ticks: int
    size_lots: int
    terms: tuple[Term, ...] = ()
    why: str = ""
    """One sentence for people."""
    worst_ticks: int | None = None
    """A live order of this slot beyond this price (above for a buy, below for a sell) goes at once,
    whatever its refresh time says."""
    sticky: bool = False
    """A live order of this slot is not refreshed before its greatest age (a hanging order)."""


@dataclass(frozen=True, slots=True)
class TargetQuotes:
    """Every quote that is wanted now; a live order in no wanted slot is cancelled."""

    quotes: tuple[Quote, ...] = ()
    reason: str = ""
    """Why there are none, or why some are missing."""
    hold: bool = False
    """Keep what lives, place nothing new, refresh nothing (the pause after a fill)."""


NO_QUOTES = TargetQuotes(reason="nothing was decided yet")
