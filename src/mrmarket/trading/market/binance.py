"""Binance's market data frames, spot and futures, to market events.

Source: Binance API documentation, "WebSocket Streams" (spot) and "WebSocket Market Streams"
(USD-M and COIN-M futures): combined and raw streams of `depthUpdate`, `trade` and `bookTicker`,
and the REST answer of `depth`.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from mrmarket.core.instrument import Instrument
from mrmarket.trading.market.errors import BadFrameError, OffGridTextError
from mrmarket.trading.market.event import EventKind, Level, MarketEvent
from mrmarket.trading.market.grid import StepReader

_NS_PER_MS: Final = 1_000_000
_HEAD: Final = 160
"""The event's name stands within this many bytes; further in, it would be searched in vain."""

_Count = Annotated[int, msgspec.Meta(ge=0, le=2**62)]
_Millis = Annotated[int, msgspec.Meta(ge=0, le=9 * 10**12)]
_Pairs = list[tuple[str, str]]
_ABSENT: Final = msgspec.Raw()


class _Depth(msgspec.Struct):
    s: str
    U: _Count
    u: _Count
    b: _Pairs
    a: _Pairs
    E: _Millis = 0
    T: _Millis = 0
    pu: _Count = 0


class _Trade(msgspec.Struct):
    s: str
    t: _Count
    p: str
    q: str
    m: bool
    T: _Millis = 0


class _Top(msgspec.Struct):
    s: str
    u: _Count
    b: str
    B: str
    a: str
    A: str
    T: _Millis = 0


class _Snapshot(msgspec.Struct, rename={"last_id": "lastUpdateId"}):
    last_id: _Count
    bids: _Pairs
    asks: _Pairs
    symbol: str = ""
    T: _Millis = 0


class _DepthFrame(msgspec.Struct):
    data: _Depth


class _TradeFrame(msgspec.Struct):
    data: _Trade


class _TopFrame(msgspec.Struct):
    data: _Top


class _SnapshotFrame(msgspec.Struct):
    data: _Snapshot


class _Envelope(msgspec.Struct):
    """What the slow path needs to know of any frame."""

    data: msgspec.Raw = _ABSENT
    e: str = ""
    B: msgspec.Raw = _ABSENT
    u: msgspec.Raw = _ABSENT
    last_id: msgspec.Raw = msgspec.field(default=_ABSENT, name="lastUpdateId")


class FrameParser:
    """Parses the frames of one pair; frames of other pairs and other kinds give None.

    Prices and sizes become whole ticks and lots exactly; text off the grid is refused.
    """

    __slots__ = (
        "_depth",
        "_depth_frame",
        "_envelope",
        "_lots",
        "_snapshot",
        "_snapshot_frame",
        "_ticks",
        "_top",
        "_top_frame",
        "_trade",
        "_trade_frame",
        "_venue_symbol",
        "instrument",
    )

    def __init__(self, instrument: Instrument, venue_symbol: str = "", *, round_sizes: bool = False) -> None:
        """Prepare the decoders.

        Args:
            instrument: the grid.
            venue_symbol: the pair's name in the frames where it is not `instrument.venue_symbol`.
            round_sizes: take sizes between two lots as the lower one (never 0) instead of refusing.
        """
        self.instrument = instrument
        self._venue_symbol = venue_symbol or instrument.venue_symbol
        self._ticks = StepReader(instrument.tick_size)
        self._lots = StepReader(instrument.lot_size, rounding=round_sizes)
        self._depth = msgspec.json.Decoder(_Depth)
        self._depth_frame = msgspec.json.Decoder(_DepthFrame)
        self._trade = msgspec.json.Decoder(_Trade)
        self._trade_frame = msgspec.json.Decoder(_TradeFrame)
        self._top = msgspec.json.Decoder(_Top)
        self._top_frame = msgspec.json.Decoder(_TopFrame)
        self._snapshot = msgspec.json.Decoder(_Snapshot)
        self._snapshot_frame = msgspec.json.Decoder(_SnapshotFrame)
        self._envelope = msgspec.json.Decoder(_Envelope)

    @property
    def rounded_sizes(self) -> int:
        """How many different sizes were rounded so far."""
        return self._lots.rounded

    def parse(self, line_json: bytes, local_ns: int) -> MarketEvent | None:
        """Turn one frame into an event, or None if it is not market data of this pair.

        `exchange_ns` is the matching engine's time (`T`) where the frame has it, else the sending
        time (`E`), else 0.

        Raises:
            BadFrameError: not JSON, or not as documented, or off the instrument's grid.
        """
        head = line_json[:_HEAD]
        try:
            if head.startswith(b'{"stream":'):
                if b'"e":"depthUpdate"' in head:
                    return self._from_depth(self._depth_frame.decode(line_json).data, local_ns)
                if b"@bookTicker" in head:
                    return self._from_top(self._top_frame.decode(line_json).data, local_ns)
                if b'"e":"trade"' in head:
                    return self._from_trade(self._trade_frame.decode(line_json).data, local_ns)
                if b'"lastUpdateId"' in head:
                    return self._from_snapshot(self._snapshot_frame.decode(line_json).data, local_ns)
            return self._parse_bare(line_json, local_ns)
        except (msgspec.MsgspecError, UnicodeDecodeError, OffGridTextError, RecursionError) as error:
            raise BadFrameError(str(error), line_json) from error

    def _parse_bare(self, frame: bytes, local_ns: int) -> MarketEvent | None:
        envelope = self._envelope.decode(frame)
        if envelope.data != _ABSENT:
            frame = bytes(envelope.data)
            envelope = self._envelope.decode(frame)
        if envelope.e == "depthUpdate":
            return self._from_depth(self._depth.decode(frame), local_ns)
        if envelope.e == "trade":
            return self._from_trade(self._trade.decode(frame), local_ns)
        if envelope.e == "bookTicker" or (not envelope.e and envelope.B != _ABSENT != envelope.u):
            return self._from_top(self._top.decode(frame), local_ns)
        if envelope.last_id != _ABSENT:
            return self._from_snapshot(self._snapshot.decode(frame), local_ns)
        return None

    def _from_depth(self, depth: _Depth, local_ns: int) -> MarketEvent | None:
        if depth.s != self._venue_symbol:
            return None
        ticks, lots = self._ticks, self._lots
        return MarketEvent(
            kind=EventKind.DEPTH,
            exchange_ns=(depth.T or depth.E) * _NS_PER_MS,
            local_ns=local_ns,
            first_id=depth.U,
            last_id=depth.u,
            prev_id=depth.pu,
            bids=[(ticks[price], lots[size]) for price, size in depth.b],
            asks=[(ticks[price], lots[size]) for price, size in depth.a],
        )

    def _from_snapshot(self, book: _Snapshot, local_ns: int) -> MarketEvent | None:
        if book.symbol and book.symbol != self._venue_symbol:
            return None
        ticks, lots = self._ticks, self._lots
        return MarketEvent(
            kind=EventKind.SNAPSHOT,
            exchange_ns=book.T * _NS_PER_MS,
            local_ns=local_ns,
            last_id=book.last_id,
            bids=[(ticks[price], lots[size]) for price, size in book.bids],
            asks=[(ticks[price], lots[size]) for price, size in book.asks],
        )

    def _from_top(self, top: _Top, local_ns: int) -> MarketEvent | None:
        if top.s != self._venue_symbol:
            return None
        bid, ask = self._level(top.b, top.B), self._level(top.a, top.A)
        return MarketEvent(
            kind=EventKind.TOP,
            exchange_ns=top.T * _NS_PER_MS,
            local_ns=local_ns,
            last_id=top.u,
            bids=[bid] if bid[1] else [],
            asks=[ask] if ask[1] else [],
        )

    def _from_trade(self, trade: _Trade, local_ns: int) -> MarketEvent | None:
        if trade.s != self._venue_symbol:
            return None
        price, size = self._level(trade.p, trade.q)
        if not price or not size:
            # Futures send price 0 for what the insurance fund takes over: no trade of the book.
            return None
        return MarketEvent(
            kind=EventKind.TRADE,
            exchange_ns=trade.T * _NS_PER_MS,
            local_ns=local_ns,
            last_id=trade.t,
            price_ticks=price,
            size_lots=size,
            taker_buys=not trade.m,
        )

    def _level(self, price: str, size: str) -> Level:
        return self._ticks[price], self._lots[size]
