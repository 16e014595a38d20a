"""What a strategy wants in the market: quotes that explain themselves, never orders."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

import msgspec

from mrmarket.core.decimals import format_decimal
from mrmarket.core.side import Side


class Term(msgspec.Struct, frozen=True):
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


Told = tuple[tuple[Term, ...], str]
"""The terms of a quote, and one sentence for people."""


class Quote:
    """One order that should stand in the market, in ints of the instrument's grid. Never changed.

    Two quotes are equal when they want the same, however either came about.
    """

    __slots__ = (
        "_explain",
        "_terms",
        "_why",
        "price_ticks",
        "side",
        "size_lots",
        "slot",
        "sticky",
        "worst_ticks",
    )

    def __init__(
        self,
        slot: str,
        side: Side,
        price_ticks: int,
        size_lots: int,
        terms: tuple[Term, ...] = (),
        why: str = "",
        worst_ticks: int | None = None,
        sticky: bool = False,
        *,
        explain: Callable[[], Told] | None = None,
    ) -> None:
        """Put it together.

        Args:
            slot: the place in the strategy's lattice, such as `b1`; at most one live order a slot.
            side: buy or sell.
            price_ticks: its price.
            size_lots: its size.
            terms: how it came about.
            why: one sentence for people.
            worst_ticks: a live order of this slot beyond this price (above for a buy, below for a sell)
                goes at once, whatever its refresh time says.
            sticky: a live order of this slot is not refreshed before its greatest age (a hanging order).
            explain: tells `terms` and `why` when somebody first looks: nobody looks at most quotes.
        """
        self.slot: Final = slot
        self.side: Final = side
        self.price_ticks: Final = price_ticks
        self.size_lots: Final = size_lots
        self.worst_ticks: Final = worst_ticks
        self.sticky: Final = sticky
        self._terms = terms
        self._why = why
        self._explain = explain

    @property
    def terms(self) -> tuple[Term, ...]:
        """How it came about, step by step."""
        self._tell()
        return self._terms

    @property
    def why(self) -> str:
        """One sentence for people."""
        self._tell()
        return self._why

    def resized(self, size_lots: int) -> Quote:
        """The same in another size."""
        return Quote(
            self.slot,
            self.side,
            self.price_ticks,
            size_lots,
            self._terms,
            self._why,
            self.worst_ticks,
            self.sticky,
            explain=self._explain,
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Quote):
            return NotImplemented
        return self._wish() == other._wish()

    def __hash__(self) -> int:
        return hash(self._wish())

    def __repr__(self) -> str:
        return f"Quote({self.slot!r}, {self.side.value}, {self.size_lots} lots at {self.price_ticks} ticks)"

    def _wish(self) -> tuple[object, ...]:
        return self.slot, self.side, self.price_ticks, self.size_lots, self.worst_ticks, self.sticky

    def _tell(self) -> None:
        explain, self._explain = self._explain, None
        if explain is not None:
            self._terms, self._why = explain()


@dataclass(frozen=True, slots=True)
class TargetQuotes:
    """Every quote that is wanted now; a live order in no wanted slot is cancelled."""

    quotes: tuple[Quote, ...] = ()
    reason: str = ""
    """Why there are none, or why some are missing."""
    hold: bool = False
    """Keep what lives, place nothing new, refresh nothing (the pause after a fill)."""


NO_QUOTES = TargetQuotes(reason="nothing was decided yet")
