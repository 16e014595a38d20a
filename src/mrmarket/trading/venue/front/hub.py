"""Who listens to which market stream, and what each is told when the market moves.

Source: https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams
"""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

from mrmarket.core.clock import NS_PER_MS, NS_PER_S
from mrmarket.trading.venue.front.candles import close_of
from mrmarket.trading.venue.front.gateway import Gateway
from mrmarket.trading.venue.front.prints import Prints, aggregate_row
from mrmarket.trading.venue.front.streams import Stream, Topic
from mrmarket.trading.venue.simulated.records import (
    DepthPublished,
    Publication,
    PublicTrade,
    TopPublished,
    TradePublished,
)

Json = dict[str, Any]


class Subscriber(Protocol):
    """A connection that wants market streams."""

    def send(self, stream: Stream, data: bytes) -> None:
        """Take one message; must not block."""
        ...


class _Batch:
    """Depth changes since the last message of one stream."""

    __slots__ = ("asks", "bids", "first_id", "last_id")

    def __init__(self) -> None:
        self.first_id = 0
        self.last_id = 0
        self.bids: dict[int, int] = {}
        self.asks: dict[int, int] = {}

    def add(self, change: DepthPublished) -> None:
        self.first_id = self.first_id or change.first_id
        self.last_id = change.last_id
        self.bids.update(change.bids)
        self.asks.update(change.asks)


class Hub:
    """Renders a message once and hands it to everyone who asked for it.

    A world that runs `speed` times as fast speaks `speed` times as often, so that `@100ms` is a
    tenth of a second of tape time.
    """

    def __init__(self, gateway: Gateway, speed: float) -> None:
        self._gateway = gateway
        self._speed = max(1.0, speed)
        self._subscribers: dict[Stream, dict[Subscriber, None]] = {}
        self._by_topic: dict[tuple[Topic, str], list[Stream]] = {}
        self._due_ns: dict[Stream, int] = {}
        self._batches: dict[Stream, _Batch] = {}
        self._dirty: set[Stream] = set()
        for prints in gateway.prints.values():
            # What happened before anybody could listen is nobody's news.
            prints.take_fresh()
        gateway.listen(self.publish)

    def subscribe(self, subscriber: Subscriber, stream: Stream) -> None:
        """Start telling a connection of a stream; twice is once."""
        if stream not in self._subscribers:
            self._subscribers[stream] = {}
            self._by_topic.setdefault((stream.topic, stream.symbol), []).append(stream)
            if stream.period_ns:
                self._due_ns[stream] = 0
        self._subscribers[stream][subscriber] = None

    def unsubscribe(self, subscriber: Subscriber, stream: Stream) -> None:
        """Stop telling a connection of a stream."""
        listening = self._subscribers.get(stream)
        if listening is None:
            return
        listening.pop(subscriber, None)
        if not listening:
            del self._subscribers[stream]
            self._by_topic[stream.topic, stream.symbol].remove(stream)
            self._due_ns.pop(stream, None)
            self._batches.pop(stream, None)
            self._dirty.discard(stream)

    def next_due_ns(self) -> int | None:
        """When `tick` has something to do next, None without timed streams."""
        return min(self._due_ns.values(), default=None)

    def publish(self, published: list[Publication], now_ns: int) -> None:
        """Tell what happened at once, and gather what is told by period."""
        touched: dict[str, Prints] = {}
        for change in published:
            if isinstance(change, DepthPublished):
                self._gather(change)
            elif isinstance(change, TopPublished):
                self._tell_top(change)
            elif isinstance(change, TradePublished):
                prints = self._gateway.prints[change.symbol]
                touched[change.symbol] = prints
                self._tell_trade(prints, change.trade, now_ns)
        for prints in touched.values():
            self._tell_aggregates(prints, now_ns)
        if touched:
            self._mark(touched.values())

    def tick(self, now_ns: int) -> None:
        """Send what is due."""
        for stream, due_ns in list(self._due_ns.items()):
            if due_ns > now_ns:
                continue
            period_ns = max(NS_PER_MS, int(stream.period_ns / self._speed))
            self._due_ns[stream] = now_ns - now_ns % period_ns + period_ns
            body = self._timed_body(stream, now_ns)
            if body is not None:
                self._send(stream, body)

    def _gather(self, change: DepthPublished) -> None:
        name = self._gateway.grid_of(change.symbol).name
        for stream in self._by_topic.get((Topic.DEPTH, name), ()):
            batch = self._batches.get(stream)
            if batch is None:
                batch = self._batches[stream] = _Batch()
            batch.add(change)
        self._dirty.update(self._by_topic.get((Topic.PARTIAL, name), ()))

    def _mark(self, touched: Any) -> None:
        for prints in touched:
            for topic in (Topic.KLINE, Topic.TICKER, Topic.MINI_TICKER):
                self._dirty.update(self._by_topic.get((topic, prints.grid.name), ()))
        for topic in (Topic.ALL_TICKERS, Topic.ALL_MINI_TICKERS):
            self._dirty.update(self._by_topic.get((topic, ""), ()))

    def _tell_top(self, change: TopPublished) -> None:
        grid = self._gateway.grid_of(change.symbol)
        streams = self._by_topic.get((Topic.BOOK_TICKER, grid.name))
        if not streams:
            return
        bid, ask = change.bid or (0, 0), change.ask or (0, 0)
        body = {
            "u": change.last_id,
            "s": grid.name,
            "b": grid.price(bid[0]),
            "B": grid.size(bid[1]),
            "a": grid.price(ask[0]),
            "A": grid.size(ask[1]),
        }
        for stream in streams:
            self._send(stream, body)

    def _tell_trade(self, prints: Prints, trade: PublicTrade, now_ns: int) -> None:
        grid = prints.grid
        streams = self._by_topic.get((Topic.TRADE, grid.name))
        if not streams:
            return
        body = {
            "e": "trade",
            "E": now_ns // NS_PER_MS,
            "s": grid.name,
            "t": trade.trade_id,
            "p": grid.price(trade.price_ticks),
            "q": grid.size(trade.size_lots),
            "T": trade.at_ns // NS_PER_MS,
            "m": not trade.taker_buys,
            "M": True,
        }
        for stream in streams:
            self._send(stream, body)

    def _tell_aggregates(self, prints: Prints, now_ns: int) -> None:
        fresh = prints.take_fresh()
        for stream in self._by_topic.get((Topic.AGGREGATE, prints.grid.name), ()):
            for aggregate in fresh:
                head = {"e": "aggTrade", "E": now_ns // NS_PER_MS, "s": prints.grid.name}
                self._send(stream, head | aggregate_row(prints.grid, aggregate))

    def _timed_body(self, stream: Stream, now_ns: int) -> Any:
        if stream.topic is Topic.DEPTH:
            return self._depth_body(stream, now_ns)
        if stream.topic is Topic.KLINE:
            return self._kline_body(stream, now_ns)
        if stream not in self._dirty:
            return None
        self._dirty.discard(stream)
        if stream.topic is Topic.PARTIAL:
            grid = self._gateway.grids[stream.symbol]
            last_id, bids, asks = self._gateway.exchange.depth(grid.instrument.symbol, stream.levels)
            return {"lastUpdateId": last_id, "bids": grid.levels(bids), "asks": grid.levels(asks)}
        mini = stream.topic in (Topic.MINI_TICKER, Topic.ALL_MINI_TICKERS)
        names = [stream.symbol] if stream.symbol else list(self._gateway.grids)
        bodies = [self._ticker_body(name, now_ns, mini=mini) for name in names]
        return bodies[0] if stream.symbol else bodies

    def _depth_body(self, stream: Stream, now_ns: int) -> Json | None:
        batch = self._batches.pop(stream, None)
        if batch is None:
            return None
        grid = self._gateway.grids[stream.symbol]
        return {
            "e": "depthUpdate",
            "E": now_ns // NS_PER_MS,
            "s": grid.name,
            "U": batch.first_id,
            "u": batch.last_id,
            "b": grid.levels(list(batch.bids.items())),
            "a": grid.levels(list(batch.asks.items())),
        }

    def _kline_body(self, stream: Stream, now_ns: int) -> Json | None:
        prints = self._gateway.prints[self._gateway.grids[stream.symbol].instrument.symbol]
        grid, now_s = prints.grid, now_ns // NS_PER_S
        candle = prints.candles.current(stream.interval, now_s)
        if candle is None:
            return None
        close_s = close_of(stream.interval, candle.open_s)
        return {
            "e": "kline",
            "E": now_ns // NS_PER_MS,
            "s": grid.name,
            "k": {
                "t": candle.open_s * 1000,
                "T": close_s * 1000 - 1,
                "s": grid.name,
                "i": stream.interval,
                "f": candle.first_id,
                "L": candle.last_id,
                "o": grid.price(candle.open),
                "c": grid.price(candle.close),
                "h": grid.price(candle.high),
                "l": grid.price(candle.low),
                "v": grid.size(candle.lots),
                "n": candle.count,
                "x": close_s <= now_s,
                "q": grid.quote(candle.grains),
                "V": grid.size(candle.buy_lots),
                "Q": grid.quote(candle.buy_grains),
                "B": "0",
            },
        }

    def _ticker_body(self, name: str, now_ns: int, *, mini: bool) -> Json:
        prints = self._gateway.prints[self._gateway.grids[name].instrument.symbol]
        day = prints.day(now_ns)
        body = {
            "e": "24hrMiniTicker" if mini else "24hrTicker",
            "E": now_ns // NS_PER_MS,
            "s": name,
            "c": day["lastPrice"],
            "o": day["openPrice"],
            "h": day["highPrice"],
            "l": day["lowPrice"],
            "v": day["volume"],
            "q": day["quoteVolume"],
        }
        if not mini:
            body |= {short: day[long] for short, long in _TICKER_FIELDS}
        return body

    def _send(self, stream: Stream, body: Any) -> None:
        data = msgspec.json.encode(body)
        for subscriber in tuple(self._subscribers[stream]):
            subscriber.send(stream, data)


_TICKER_FIELDS = (
    ("p", "priceChange"),
    ("P", "priceChangePercent"),
    ("w", "weightedAvgPrice"),
    ("x", "prevClosePrice"),
    ("Q", "lastQty"),
    ("b", "bidPrice"),
    ("B", "bidQty"),
    ("a", "askPrice"),
    ("A", "askQty"),
    ("O", "openTime"),
    ("C", "closeTime"),
    ("F", "firstId"),
    ("L", "lastId"),
    ("n", "count"),
)
