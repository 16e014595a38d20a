"""One pair on the exchange: its kernel market, its conversions, and what the public sees of it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final

from mrmarket.core.errors import InvalidInputError
from mrmarket.core.instrument import Instrument
from mrmarket.core.side import Side
from mrmarket.trading.market.event import EventKind, Level, MarketEvent
from mrmarket.trading.venue.simulated.book_arrays import BookSide, Levels, QueueModel, new_market
from mrmarket.trading.venue.simulated.compiled import Kernel
from mrmarket.trading.venue.simulated.filters import Filters
from mrmarket.trading.venue.simulated.records import (
    UNITS_PER_WHOLE,
    DepthPublished,
    Publication,
    PublicTrade,
    TopPublished,
    TradePublished,
)

PRINTS_KEPT: Final = 5_000
"""Public trades remembered for a pair."""

FillRow = tuple[int, int, int, int, int, bool]
"""(kind, maker, taker, price ticks, lots, taker buys) of `book_arrays.Fills`."""


class Listing:
    """A pair and everything about it that no account owns."""

    def __init__(self, instrument: Instrument, kernel: Kernel, queue_model: QueueModel) -> None:
        self.instrument = instrument
        self.filters = Filters.of(instrument)
        self.kernel = kernel
        self.market = new_market(kernel.column, model=queue_model)
        self.open = False
        """Whether a first snapshot of history was seen."""
        self.last_id = 0
        """`u` of the last published depth."""
        self.last_trade_id = 0
        self.prints: deque[PublicTrade] = deque(maxlen=PRINTS_KEPT)
        self._history_id = 0
        self._top: tuple[Level | None, Level | None] = (None, None)
        lot_units = instrument.lot_size * UNITS_PER_WHOLE
        if lot_units != int(lot_units):
            raise InvalidInputError(
                f"{instrument.symbol} lot_size", str(instrument.lot_size), "a multiple of 0.00000001"
            )
        self._lot_units = int(lot_units)
        self._grain_units, self._grain_parts = (instrument.grain * UNITS_PER_WHOLE).as_integer_ratio()
        self._fees = {
            True: instrument.maker_fee.as_integer_ratio(),
            False: instrument.taker_fee.as_integer_ratio(),
        }

    def base_units(self, lots: int) -> int:
        """Units of base in a size."""
        return lots * self._lot_units

    def quote_units(self, grains: int) -> int:
        """Units of quote that change hands for price ticks times lots; a part of a unit is dropped."""
        return grains * self._grain_units // self._grain_parts

    def reserve_units(self, grains: int) -> int:
        """Units of quote that surely suffice for price ticks times lots."""
        return -(-grains * self._grain_units // self._grain_parts)

    def commission(self, units: int, *, maker: bool) -> int:
        """Fee on received units, rounded up in the venue's favour."""
        numerator, denominator = self._fees[maker]
        return -(-units * numerator // denominator)

    def lots_for_quote(self, side: Side, quote_units: int) -> int:
        """The most lots a taker can trade for at most `quote_units`, walking the visible book."""
        buys = side is Side.BUY
        budget = quote_units * self._grain_parts // self._grain_units
        lots = 0
        for price, size in self.levels(buys=not buys):
            got = min(size, budget // price)
            lots += got
            budget -= got * price
            if got < size:
                break
        return lots

    def side(self, *, buys: bool) -> BookSide:
        """The kernel's side."""
        return self.market.bids if buys else self.market.asks

    def has_room(self, *, buys: bool) -> bool:
        """Whether one more order can rest on a side."""
        side = self.side(buys=buys)
        return side.queue.held[0] < len(side.queue.key)

    def reference_ticks(self) -> int:
        """The last price, or the middle of the book before the first trade; 0 if there is neither."""
        if self.prints:
            return self.prints[-1].price_ticks
        bid, ask = self._top
        known = [level[0] for level in (bid, ask) if level]
        return sum(known) // len(known) if known else 0

    def levels(self, *, buys: bool) -> Iterable[Level]:
        """Visible levels of a side, best first."""
        side = self.side(buys=buys)
        sign = 1 if buys else -1
        history, order = _best_first(side.levels), int(side.queue.held[0]) - 1
        level = next(history, None)
        while level is not None or order >= 0:
            keys = [] if level is None else [level[0]]
            if order >= 0:
                keys.append(side.queue.key[order])
            key = max(keys)
            lots = 0
            if level is not None and level[0] == key:
                lots = level[1]
                level = next(history, None)
            while order >= 0 and side.queue.key[order] == key:
                lots += side.queue.open[order]
                order -= 1
            if lots > 0:
                yield int(key) * sign, int(lots)

    def depth(self, limit: int) -> tuple[int, list[Level], list[Level]]:
        """`(last update id, bids, asks)`, best first."""
        bids = list(islice(self.levels(buys=True), limit))
        return self.last_id, bids, list(islice(self.levels(buys=False), limit))

    def take_fills(self) -> list[FillRow]:
        """The rows of the last kernel call as plain ints; the kernel's buffer is emptied."""
        fills = self.market.fills
        rows = [
            (
                int(fills.kind[row]),
                int(fills.maker[row]),
                int(fills.taker[row]),
                int(fills.price_ticks[row]),
                int(fills.lots[row]),
                bool(fills.taker_buys[row]),
            )
            for row in range(fills.rows[0])
        ]
        fills.rows[0] = 0
        return rows

    def apply(self, event: MarketEvent) -> tuple[set[int], set[int]]:
        """Let history act on the kernel's market; fills wait in `take_fills`.

        Returns the bid and ask prices whose levels may have changed.
        """
        kernel, market = self.kernel, self.market
        if event.kind is EventKind.TRADE:
            kernel.print_trade(market, event.taker_buys, event.price_ticks, event.size_lots)
            return set(), set()
        if event.kind is EventKind.TOP:
            return self._apply_top(event)
        snapshot = event.kind is EventKind.SNAPSHOT
        before = self._visible() if snapshot else None
        if snapshot:
            kernel.clear_levels(market)
        self._history_id = event.last_id
        settings = market.settings
        # Worst first, so that a snapshot appends to the columns.
        for price, lots in reversed(event.bids):
            kernel.set_level(market.bids, price, lots, settings)
        for price, lots in reversed(event.asks):
            kernel.set_level(market.asks, -price, lots, settings)
        if before is not None:
            kernel.end_snapshot(market)
            self.open = True
        kernel.cross(market)
        if before is None:
            return {price for price, _ in event.bids}, {price for price, _ in event.asks}
        bids, asks = (_changes(old, new) for old, new in zip(before, self._visible(), strict=True))
        return bids, asks

    def _apply_top(self, event: MarketEvent) -> tuple[set[int], set[int]]:
        if 0 < event.last_id <= self._history_id:
            return set(), set()
        bids = self._set_top(self.market.bids, 1, event.bids)
        asks = self._set_top(self.market.asks, -1, event.asks)
        self.kernel.cross(self.market)
        return bids, asks

    def _set_top(self, side: BookSide, sign: int, levels: list[Level]) -> set[int]:
        """Move one side's best; returns the prices that changed."""
        if not levels:
            return set()
        price, lots = levels[0]
        key = sign * price
        changed = {price}
        for better, size in _best_first(side.levels, eaten=False):
            if better <= key:
                if (better, size) == (key, lots) and len(changed) == 1:
                    return set()
                break
            changed.add(int(better) * sign)
        self.kernel.set_top(side.levels, key, lots)
        return changed

    def _visible(self) -> tuple[dict[int, int], dict[int, int]]:
        return dict(self.levels(buys=True)), dict(self.levels(buys=False))

    def add_print(self, price_ticks: int, lots: int, now_ns: int, *, taker_buys: bool) -> TradePublished:
        """Number a trade and put it on the public tape."""
        self.last_trade_id += 1
        trade = PublicTrade(
            trade_id=self.last_trade_id,
            price_ticks=price_ticks,
            size_lots=lots,
            taker_buys=taker_buys,
            at_ns=now_ns,
        )
        self.prints.append(trade)
        return TradePublished(symbol=self.instrument.symbol, trade=trade)

    def publish(self, bids: Iterable[int], asks: Iterable[int], now_ns: int) -> list[Publication]:
        """What changed for the public: the levels at these prices, and the top if it moved."""
        visible, market = self.kernel.visible, self.market
        bid_levels = [(price, int(visible(market.bids, price))) for price in bids]
        ask_levels = [(price, int(visible(market.asks, -price))) for price in asks]
        changes = len(bid_levels) + len(ask_levels)
        if changes == 0:
            return []
        first_id = self.last_id + 1
        self.last_id += changes
        symbol = self.instrument.symbol
        published: list[Publication] = [
            DepthPublished(
                symbol=symbol,
                first_id=first_id,
                last_id=self.last_id,
                bids=bid_levels,
                asks=ask_levels,
                at_ns=now_ns,
            )
        ]
        top = (next(iter(self.levels(buys=True)), None), next(iter(self.levels(buys=False)), None))
        if top != self._top:
            self._top = top
            published.append(
                TopPublished(symbol=symbol, last_id=self.last_id, bid=top[0], ask=top[1], at_ns=now_ns)
            )
        return published


def _best_first(levels: Levels, *, eaten: bool = True) -> Iterator[tuple[int, int]]:
    """(key, lots) of history's levels, best first; what clients took is left out unless told otherwise."""
    near, keys, sizes = levels.key, levels.slot_key, levels.lots
    mask = len(keys) - 1
    for row in range(int(levels.held[0]) - 1, -1, -1):
        key = near[row]
        slot = key & mask
        while keys[slot] != key:
            slot = (slot + 1) & mask
        if sizes[slot] > 0:
            yield key, sizes[slot] - (levels.eaten[slot] if eaten else 0)
    if levels.held[2]:
        low = near[0]
        far = [slot for slot, key in enumerate(keys) if key and key < low and sizes[slot] > 0]
        for slot in sorted(far, key=keys.__getitem__, reverse=True):
            yield keys[slot], sizes[slot] - (levels.eaten[slot] if eaten else 0)


def _changes(before: dict[int, int], after: dict[int, int]) -> set[int]:
    return {price for price in before.keys() | after.keys() if before.get(price) != after.get(price)}
