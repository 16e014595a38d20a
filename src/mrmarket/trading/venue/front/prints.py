"""The public tape of one pair as clients ask for it: prints, aggregated prints, candles, day figures."""

from __future__ import annotations

from collections import deque
from typing import Any, Final

import msgspec

from mrmarket.core.clock import NS_PER_MS, NS_PER_S
from mrmarket.trading.venue.front.candles import DAY_S, MINUTE_S, Candle, CandleStore, close_of
from mrmarket.trading.venue.front.grid import Grid
from mrmarket.trading.venue.simulated.records import PublicTrade, TopPublished

Json = dict[str, Any]

_KEPT: Final = 5_000
_BASIS: Final = 100_000
"""A percentage with three decimals, in its own units."""


class AggregateTrade(msgspec.Struct):
    """Prints at one price, instant and taker side that came in one step of the market."""

    aggregate_id: int
    price_ticks: int
    size_lots: int
    first_id: int
    last_id: int
    taker_buys: bool
    at_ns: int


class Prints:
    """Keeps the latest prints of a pair; bounded, so a venue may run for weeks."""

    def __init__(self, grid: Grid) -> None:
        self.grid = grid
        self.candles = CandleStore()
        self.trades: deque[PublicTrade] = deque(maxlen=_KEPT)
        self.aggregates: deque[AggregateTrade] = deque(maxlen=_KEPT)
        self.top: TopPublished | None = None
        self._fresh: list[AggregateTrade] = []

    def add(self, trade: PublicTrade) -> None:
        """Take in one print."""
        self.trades.append(trade)
        self.candles.add(trade)
        last = self._fresh[-1] if self._fresh else None
        if (
            last is not None
            and last.price_ticks == trade.price_ticks
            and last.at_ns == trade.at_ns
            and last.taker_buys == trade.taker_buys
        ):
            last.size_lots += trade.size_lots
            last.last_id = trade.trade_id
            return
        aggregate = AggregateTrade(
            # The first print's id names the aggregate: unique, rising, and the same after a restart.
            aggregate_id=trade.trade_id,
            price_ticks=trade.price_ticks,
            size_lots=trade.size_lots,
            first_id=trade.trade_id,
            last_id=trade.trade_id,
            taker_buys=trade.taker_buys,
            at_ns=trade.at_ns,
        )
        self.aggregates.append(aggregate)
        self._fresh.append(aggregate)

    def take_fresh(self) -> list[AggregateTrade]:
        """Aggregates since the last call; they are closed now, later prints start new ones."""
        fresh, self._fresh = self._fresh, []
        return fresh

    def book_ticker(self) -> Json:
        """`ticker/bookTicker`."""
        top, grid = self.top, self.grid
        bid = top.bid if top else None
        ask = top.ask if top else None
        return {
            "symbol": grid.name,
            "bidPrice": grid.price(bid[0] if bid else 0),
            "bidQty": grid.size(bid[1] if bid else 0),
            "askPrice": grid.price(ask[0] if ask else 0),
            "askQty": grid.size(ask[1] if ask else 0),
        }

    def price(self) -> str:
        """The last price, zero before the first print."""
        last = self.candles.last
        return self.grid.price(last.price_ticks if last else 0)

    def mean_price(self, now_ns: int, minutes: int = 5) -> str:
        """The volume-weighted price of the last minutes; the last price where nothing traded."""
        total, _ = self.candles.window(now_ns // NS_PER_S - minutes * MINUTE_S)
        return self.grid.mean_price(total.grains, total.lots) if total else self.price()

    def day(self, now_ns: int) -> Json:
        """`ticker/24hr`."""
        grid, last = self.grid, self.candles.last
        now_s = now_ns // NS_PER_S
        total, before = self.candles.window(now_s - DAY_S)
        flat = last.price_ticks if last else 0
        figures = total or Candle(open_s=now_s, open=flat, high=flat, low=flat, close=flat)
        change = figures.close - figures.open
        book = self.book_ticker()
        return {
            "symbol": grid.name,
            "priceChange": grid.price(change),
            "priceChangePercent": percent_text(change, figures.open),
            "weightedAvgPrice": grid.mean_price(figures.grains, figures.lots),
            "prevClosePrice": grid.price(before or figures.open),
            "lastPrice": grid.price(figures.close),
            "lastQty": grid.size(last.size_lots if last else 0),
            "bidPrice": book["bidPrice"],
            "bidQty": book["bidQty"],
            "askPrice": book["askPrice"],
            "askQty": book["askQty"],
            "openPrice": grid.price(figures.open),
            "highPrice": grid.price(figures.high),
            "lowPrice": grid.price(figures.low),
            "volume": grid.size(figures.lots),
            "quoteVolume": grid.quote(figures.grains),
            "openTime": now_ns // NS_PER_MS - DAY_S * 1000,
            "closeTime": now_ns // NS_PER_MS,
            "firstId": figures.first_id,
            "lastId": figures.last_id,
            "count": figures.count,
        }


def percent_text(change: int, base: int) -> str:
    """A change in per cent with three decimals, rounded towards zero."""
    if not base:
        return "0.000"
    thousandths = abs(change) * _BASIS // base
    sign = "-" if change < 0 and thousandths else ""
    return f"{sign}{thousandths // 1000}.{thousandths % 1000:03d}"


def trade_row(grid: Grid, trade: PublicTrade) -> Json:
    """One row of `trades`."""
    return {
        "id": trade.trade_id,
        "price": grid.price(trade.price_ticks),
        "qty": grid.size(trade.size_lots),
        "quoteQty": grid.quote(trade.price_ticks * trade.size_lots),
        "time": trade.at_ns // NS_PER_MS,
        "isBuyerMaker": not trade.taker_buys,
        "isBestMatch": True,
    }


def aggregate_row(grid: Grid, trade: AggregateTrade) -> Json:
    """One row of `aggTrades`, also the body of the `aggTrade` stream."""
    return {
        "a": trade.aggregate_id,
        "p": grid.price(trade.price_ticks),
        "q": grid.size(trade.size_lots),
        "f": trade.first_id,
        "l": trade.last_id,
        "T": trade.at_ns // NS_PER_MS,
        "m": not trade.taker_buys,
        "M": True,
    }


def candle_row(grid: Grid, interval: str, candle: Candle) -> list[int | str]:
    """One row of `klines`."""
    return [
        candle.open_s * 1000,
        grid.price(candle.open),
        grid.price(candle.high),
        grid.price(candle.low),
        grid.price(candle.close),
        grid.size(candle.lots),
        close_of(interval, candle.open_s) * 1000 - 1,
        grid.quote(candle.grains),
        candle.count,
        grid.size(candle.buy_lots),
        grid.quote(candle.buy_grains),
        "0",
    ]
