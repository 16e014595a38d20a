"""The quoted venue of a maker on two venues: the matching kernel with our resting orders and their queue."""

from __future__ import annotations

from typing import Final, NamedTuple

from mrmarket.core.instrument import Instrument
from mrmarket.core.side import Side
from mrmarket.trading.market.event import EventKind, Level, MarketEvent
from mrmarket.trading.venue.simulated import kernel as steps
from mrmarket.trading.venue.simulated.book_arrays import FILL, LEVEL_CAPACITY, QueueModel, new_market
from mrmarket.trading.venue.simulated.compiled import load_kernel
from mrmarket.trading.venue.simulated.listing import Listing

_OURS: Final = 1
"""Our account's number."""
_POLLED_LEVELS: Final = 256
"""Levels of a side that are kept of a polled book: its table is emptied at every poll."""


class Rested(NamedTuple):
    """A part of a resting order that was filled, at the order's own price."""

    number: int
    lots: int


class _Resting(NamedTuple):
    side: Side
    price_ticks: int
    lots: int


class RestingQuotes:
    """What stands at the exchange, whatever the strategy has heard of it. The kernel runs uncompiled.

    A polled book shows no trades. Under the risk-averse model nothing stands for them; under the others what
    the best level of a poll has lost by the next one counts as traded there, or with us where we are better.
    """

    def __init__(
        self, instrument: Instrument, model: QueueModel, exponent_milli: int, *, polled: bool = False
    ) -> None:
        """An empty market."""
        kernel = load_kernel()
        self._listing = Listing(instrument, kernel, model)
        self._listing.market = new_market(
            kernel.column,
            model=model,
            exponent_milli=exponent_milli,
            level_capacity=_POLLED_LEVELS if polled else LEVEL_CAPACITY,
        )
        self._standing: dict[int, _Resting] = {}
        self._guesses = polled and model is not QueueModel.RISK_AVERSE
        self._top: dict[Side, Level] = {}

    @property
    def on_both_sides(self) -> bool:
        """Whether a buy and a sell of ours stand."""
        return len({each.side for each in self._standing.values()}) == len(Side)

    def apply(self, event: MarketEvent) -> list[Rested]:
        """Let history happen; what it filled of ours."""
        if not self._listing.open and event.kind is not EventKind.SNAPSHOT:
            return []
        if self._guesses:
            self._guess(event)
        self._listing.apply(event)
        found = []
        for kind, number, _, _, lots, _ in self._listing.take_fills():
            order = self._standing.get(number)
            if kind != FILL or order is None:
                continue
            self._standing.pop(number)
            if lots < order.lots:
                self._standing[number] = order._replace(lots=order.lots - lots)
            found.append(Rested(number, lots))
        return found

    def _guess(self, event: MarketEvent) -> None:
        """Print what the last poll's best levels have lost."""
        for side, levels in ((Side.BUY, event.bids), (Side.SELL, event.asks)):
            before = self._top.get(side)
            if before is not None:
                price, size = before
                lost = size - sum(lots for at, lots in levels if at == price)
                ours = [
                    each.price_ticks
                    for each in self._standing.values()
                    if each.side is side and (each.price_ticks - price) * side.sign >= 0
                ]
                if lost > 0 and self._listing.open:
                    at = max(ours, key=lambda each: each * side.sign, default=price)
                    self._listing.kernel.print_trade(self._listing.market, side is Side.SELL, at, lost)
            if levels:
                self._top[side] = levels[0]

    def place(self, number: int, side: Side, price_ticks: int, lots: int) -> bool:
        """A post-only order arrives; False where it would have taken, or nothing can rest yet."""
        if not self._listing.open:
            return False
        buys = side is Side.BUY
        outcome = self._listing.kernel.submit(
            self._listing.market, steps.POST_ONLY, buys, price_ticks, lots, _OURS, 0, number
        )
        if outcome != steps.RESTING:
            return False
        self._standing[number] = _Resting(side, price_ticks, lots)
        return True

    def withdraw(self, number: int) -> bool:
        """A cancel arrives; False where the order has left the book by then."""
        order = self._standing.pop(number, None)
        if order is None:
            return False
        buys = order.side is Side.BUY
        self._listing.kernel.withdraw(self._listing.market, buys, order.price_ticks, number)
        return True
