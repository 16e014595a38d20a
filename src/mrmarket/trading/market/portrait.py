"""A market in figures: what the generator is calibrated to and judged by. Floats: a model's view."""

from __future__ import annotations

import itertools
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from math import sqrt
from typing import Final

import msgspec

from mrmarket.core.instrument import Instrument
from mrmarket.trading.market.book import OrderBook
from mrmarket.trading.market.event import EventKind, Level, MarketEvent

_GRID_NS: Final = 100_000_000
_MS_NS: Final = 1_000_000
_FRAMES_PER_SAMPLE: Final = 10
_MAX_LEVELS: Final = 1000

QUANTILES: Final = (0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
DEPTH_TICKS: Final = (0, 1, 3, 10, 30, 100, 300, 1000, 3000, 10_000)
LAGS_S: Final = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)


class Portrait(msgspec.Struct, frozen=True, kw_only=True):
    """Statistics of one market over a stretch of time. Quantiles are those of `QUANTILES`."""

    seconds: float
    events_per_s: dict[str, float]
    spread_mean_ticks: float
    """Weighted by time, as all statistics of the best prices."""
    spread_shares: list[tuple[int, float]]
    """(up to so many ticks, share of time), for 1, 2, 5, 10, 50, 100, 500 ticks."""
    touch_lots: list[float]
    """Quantiles of the size at a best price."""
    touch_mean_lots: float
    touch_gap_ticks: list[float]
    """Quantiles of the distance from the best to the second level."""
    depth_lots: list[float]
    """Mean size within each distance of `DEPTH_TICKS` from the best price, of both sides."""
    level_lots: list[float]
    """Quantiles of the size of levels behind the best."""
    orders_per_s: float
    """Market orders: prints of one side in one millisecond."""
    order_gap_ms: list[float]
    order_lots: list[float]
    same_side_share: float
    single_print_share: float
    sweep_share: float
    """Orders that print at more than one price."""
    sweep_ticks: list[float]
    mid_moves_per_s: float
    volatility_ticks: list[float]
    """Standard deviation of mid moves over each lag of `LAGS_S`, in ticks per square root of a second."""


class Order(msgspec.Struct):
    """A market order, put together from its prints."""

    at_ns: int
    taker_buys: bool
    lots: int
    prints: int
    first_ticks: int
    last_ticks: int

    @property
    def sweep_ticks(self) -> int:
        """Distance between its first and last price."""
        return abs(self.last_ticks - self.first_ticks)


class Sitting:
    """Watches a market, event by event, and then draws its portrait."""

    def __init__(self, instrument: Instrument) -> None:
        self._book = OrderBook(instrument)
        self._first_ns = 0
        self._last_ns = 0
        self._counts = dict.fromkeys(EventKind, 0)
        self._spread_ns: dict[int, int] = {}
        self._top: tuple[int, Level, Level] | None = None
        self.orders: list[Order] = []
        self.touch_lots: list[tuple[int, int]] = []
        """(lots, nanoseconds it stood)."""
        self.mids: list[float] = []
        """On a grid of 100 ms, in ticks."""
        self.moves = 0
        self.books: list[tuple[list[tuple[int, int]], list[tuple[int, int]]]] = []
        """(bids, asks), sampled once in ten depth frames."""

    def watch(self, events: Iterable[MarketEvent]) -> None:
        """Take in a stretch of a market whose exchange times do not decrease."""
        for event in events:
            now_ns = event.exchange_ns
            self._first_ns = self._first_ns or now_ns
            self._last_ns = now_ns
            self._counts[event.kind] += 1
            if event.kind is EventKind.TRADE:
                self._trade(event)
            elif event.kind is EventKind.TOP:
                self._best(event)
            else:
                self._book.apply(event)
                if self._counts[EventKind.DEPTH] % _FRAMES_PER_SAMPLE == 0:
                    self.books.append((self._book.bids(_MAX_LEVELS), self._book.asks(_MAX_LEVELS)))

    def _trade(self, event: MarketEvent) -> None:
        last = self.orders[-1] if self.orders else None
        if (
            last is not None
            and last.at_ns // _MS_NS == event.exchange_ns // _MS_NS
            and last.taker_buys == event.taker_buys
        ):
            last.lots += event.size_lots
            last.prints += 1
            last.last_ticks = event.price_ticks
        else:
            price = event.price_ticks
            self.orders.append(Order(event.exchange_ns, event.taker_buys, event.size_lots, 1, price, price))

    def _best(self, event: MarketEvent) -> None:
        if not event.bids or not event.asks:
            return
        bid, ask = event.bids[0][0], event.asks[0][0]
        now_ns = event.exchange_ns
        if self._top is not None:
            since_ns, (old_bid, old_bid_lots), (old_ask, old_ask_lots) = self._top
            stood_ns = now_ns - since_ns
            spread, doubled = old_ask - old_bid, old_bid + old_ask
            self._spread_ns[spread] = self._spread_ns.get(spread, 0) + stood_ns
            self.touch_lots += [(old_bid_lots, stood_ns), (old_ask_lots, stood_ns)]
            self.moves += doubled != bid + ask
            while self._first_ns + len(self.mids) * _GRID_NS <= now_ns:
                self.mids.append(doubled / 2)
        self._top = (now_ns, event.bids[0], event.asks[0])

    def portrait(self) -> Portrait:
        """Sum up. Needs at least a few seconds of a market with trades, tops and books."""
        seconds = (self._last_ns - self._first_ns) / 1e9
        total_ns = sum(self._spread_ns.values())
        orders = self.orders
        sweeps = [order.sweep_ticks for order in orders if order.sweep_ticks]
        plain = [order for order in orders if not order.sweep_ticks]
        gaps = [(after.at_ns - order.at_ns) / _MS_NS for order, after in itertools.pairwise(orders)]
        same = sum(a.taker_buys == b.taker_buys for a, b in itertools.pairwise(orders))
        sides = [side for pair in self.books for side in pair]
        return Portrait(
            seconds=seconds,
            events_per_s={kind.name.lower(): count / seconds for kind, count in self._counts.items()},
            spread_mean_ticks=sum(ticks * ns for ticks, ns in self._spread_ns.items()) / total_ns,
            spread_shares=[
                (upto, sum(ns for ticks, ns in self._spread_ns.items() if ticks <= upto) / total_ns)
                for upto in (1, 2, 5, 10, 50, 100, 500)
            ],
            touch_lots=_weighted_quantiles(self.touch_lots),
            touch_mean_lots=sum(lots * ns for lots, ns in self.touch_lots) / (2 * total_ns),
            touch_gap_ticks=quantiles([abs(side[0][0] - side[1][0]) for side in sides]),
            depth_lots=_depth_within(sides),
            level_lots=quantiles([lots for side in sides for _, lots in side[1:400]]),
            orders_per_s=len(orders) / seconds,
            order_gap_ms=quantiles(gaps),
            order_lots=quantiles([order.lots for order in orders]),
            same_side_share=same / (len(orders) - 1),
            single_print_share=sum(order.prints == 1 for order in plain) / len(plain),
            sweep_share=len(sweeps) / len(orders),
            sweep_ticks=quantiles(sweeps),
            mid_moves_per_s=self.moves / seconds,
            volatility_ticks=[_volatility(self.mids, lag_s) for lag_s in LAGS_S],
        )


def quantiles(values: Sequence[float]) -> list[float]:
    """The `QUANTILES` of some values by nearest rank; zeros where there are none."""
    if not values:
        return [0.0] * len(QUANTILES)
    ordered = sorted(values)
    return [float(ordered[min(int(share * len(ordered)), len(ordered) - 1)]) for share in QUANTILES]


def _weighted_quantiles(values: list[tuple[int, int]]) -> list[float]:
    ordered = sorted(values)
    running = 0
    sums = [running := running + weight for _, weight in ordered]
    return [float(ordered[min(bisect_left(sums, share * running), len(sums) - 1)][0]) for share in QUANTILES]


def _depth_within(sides: list[list[tuple[int, int]]]) -> list[float]:
    totals = [0] * len(DEPTH_TICKS)
    for side in sides:
        best = side[0][0]
        distances = [abs(price - best) for price, _ in side]
        running = 0
        sums = [0, *(running := running + lots for _, lots in side)]
        for index, ticks in enumerate(DEPTH_TICKS):
            totals[index] += sums[bisect_left(distances, ticks + 1)]
    return [total / len(sides) for total in totals]


def _volatility(mids: list[float], lag_s: float) -> float:
    step = round(lag_s * 1e9) // _GRID_NS
    moves = [after - before for before, after in zip(mids, mids[step:], strict=False)]
    if not moves:
        return 0.0
    return sqrt(sum(move * move for move in moves) / len(moves) / lag_s)
