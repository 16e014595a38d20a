"""Triangular arbitrage: prices the triangles of the pair that changed, and sizes the best of them exactly."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Final

from mrmarket.core.clock import NS_PER_S
from mrmarket.core.decimals import format_decimal
from mrmarket.core.instrument import Instrument
from mrmarket.trading.execution.targets import Term
from mrmarket.trading.strategy.multileg.amounts import decimal_of
from mrmarket.trading.strategy.multileg.budget import leg_rules
from mrmarket.trading.strategy.triangular.cycles import Cycle, CycleIndex, Top
from mrmarket.trading.strategy.triangular.parameters import TriangularParameters
from mrmarket.trading.strategy.triangular.port import (
    NoTriangleError,
    PairBook,
    TriangleDecision,
    TriangleView,
)
from mrmarket.trading.strategy.triangular.sizing import NoTriangle, SideBook, Triangle, size

_LEVELS: Final = 50
_WORDS: Final = {
    "empty_book": "a book is empty",
    "no_edge": "no edge after three fees",
    "no_balance": "nothing of the home asset is free",
    "lot": "less than the least size of a pair",
    "min_notional": "less than the least notional of a pair",
    "rounding": "rounding to lots eats the gain",
}


class TriangularArbitrage:
    """Sends an asset around three pairs of one venue when more comes back than went out, after fees."""

    def __init__(self, parameters: TriangularParameters) -> None:
        self.parameters = parameters
        self.depth_levels = _LEVELS
        self.leg_rules = leg_rules(parameters)
        self._margin = Fraction(parameters.min_profit)
        self._share = Fraction(parameters.depth_share)
        self._most = None if parameters.max_notional is None else Fraction(parameters.max_notional)
        self.oldest_book_ns = round(parameters.max_book_age * NS_PER_S)
        """Time says no more than that books are too old."""
        self._instruments: dict[str, Instrument] = {}
        self._index = CycleIndex(())
        self._tops: dict[str, Top] = {}
        self._products: dict[Cycle, Fraction | None] = {}

    @property
    def name(self) -> str:
        """For people."""
        return "triangular_arbitrage"

    @property
    def symbols(self) -> tuple[str, ...]:
        """The pairs it trades."""
        return self.parameters.symbols

    @property
    def home(self) -> str:
        """The asset that each round begins and ends with."""
        return self.parameters.home_asset

    def decide(self, view: TriangleView) -> TriangleDecision:
        """The best triangle that gains, if one does and its books are young.

        Raises:
            NoTriangleError: the pairs of the view close none.
        """
        self._price(view)
        found = sorted(
            ((product, cycle) for cycle, product in self._products.items() if product is not None),
            key=lambda each: each[0],
            reverse=True,
        )
        if not found:
            return TriangleDecision(None, "empty_book", _WORDS["empty_book"], None)
        best = found[0][0]
        refused: tuple[str, str] | None = None
        for product, cycle in found:
            if product <= 1 + self._margin:
                break
            answer = self._look(view, cycle, product)
            if isinstance(answer, TriangleDecision):
                return answer
            refused = refused or answer
        code, why = refused or ("no_edge", f"{_WORDS['no_edge']} ({_bps(best)} bp)")
        return TriangleDecision(None, code, why, best)

    def _price(self, view: TriangleView) -> None:
        """Products of the triangles that a changed pair is in; all of them at first."""
        changed = view.changed
        instruments = {symbol: book.instrument for symbol, book in view.books.items()}
        if instruments != self._instruments:
            self._instruments = instruments
            self._index = CycleIndex(instruments.values(), [self.home])
            if not self._index.cycles:
                raise NoTriangleError(tuple(instruments), self.home)
            self._products, changed = {}, frozenset(instruments)
        for symbol in changed:
            book = view.books[symbol]
            if book.bids and book.asks:
                self._tops[symbol] = (book.bids[0][0], book.asks[0][0])
            else:
                self._tops.pop(symbol, None)
        for cycle in {cycle for symbol in changed for cycle in self._index.touching(symbol)}:
            self._products[cycle] = self._index.product(cycle, self._tops)

    def _look(
        self, view: TriangleView, cycle: Cycle, product: Fraction
    ) -> TriangleDecision | tuple[str, str]:
        books = {step.symbol: view.books[step.symbol] for step in cycle.steps}
        for symbol, book in books.items():
            if book.unfit:
                return "unfit", f"{symbol}: {book.unfit}"
            if book.age_ns > self.oldest_book_ns:
                return (
                    "book_old",
                    f"book too old: {symbol} was last heard of {book.age_ns / NS_PER_S:.1f} s ago",
                )
        held = view.home_free if self._most is None else min(view.home_free, self._most)
        sized = size(cycle, _sides(books), held, margin=self._margin, depth_share=self._share)
        if isinstance(sized, NoTriangle):
            return sized.code, f"{_WORDS[sized.code]} ({_bps(product)} bp)"
        return self._taken(sized, product)

    def _taken(self, found: Triangle, product: Fraction) -> TriangleDecision:
        home = found.cycle.home
        spent, profit = format_decimal(round(decimal_of(found.spent), 8)), decimal_of(found.profit)
        path = " → ".join(f"{leg.side.value} {leg.symbol}" for leg in found.legs)
        terms = (
            Term("edge", decimal_of(product - 1), "fraction"),
            Term("spent", decimal_of(found.spent), home),
            Term("profit", profit, home),
        )
        why = f"{path}: {spent} {home} come back with {profit:.8f} more ({_bps(product)} bp at the touch)"
        return TriangleDecision(found, "taken", why, product, terms)


def _sides(books: Mapping[str, PairBook]) -> dict[str, SideBook]:
    return {symbol: SideBook(book.instrument, book.bids, book.asks) for symbol, book in books.items()}


def _bps(product: Fraction) -> str:
    return f"{float(product - 1) * 10_000:.1f}"
