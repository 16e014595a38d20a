"""Bybit: the topics `orderbook.<levels>.<pair>` and `publicTrade.<pair>`.

Source: Bybit API v5 documentation, "Orderbook" (`u` counts up by one; a snapshot may come at any
time) and "Trade".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from mrmarket.core.clock import NS_PER_MS
from mrmarket.core.instrument import Instrument
from mrmarket.trading.market.errors import BadFrameError, OffGridTextError
from mrmarket.trading.market.event import EventKind, Level, MarketEvent
from mrmarket.trading.market.grid import StepReader

_HEAD: Final = 64
_Rows = list[tuple[str, str]]


class _Book(msgspec.Struct):
    b: _Rows
    a: _Rows
    u: int


class _BookFrame(msgspec.Struct):
    type: str
    ts: int
    data: _Book
    cts: int = 0


class _Trade(msgspec.Struct):
    T: int
    S: str
    v: str
    p: str
    i: str


class _TradeFrame(msgspec.Struct):
    data: list[_Trade]


class BybitFrames:
    """Reads the raw frames of one pair."""

    snapshots: Final = None

    def __init__(self, instrument: Instrument, market_id: str) -> None:
        self._book_mark = f'.{market_id}"'.encode()
        self._trade_mark = f'"publicTrade.{market_id}"'.encode()
        self._ticks = StepReader(instrument.tick_size)
        self._lots = StepReader(instrument.lot_size, rounding=True)  # old orders have finer sizes
        self._book = msgspec.json.Decoder(_BookFrame)
        self._trade = msgspec.json.Decoder(_TradeFrame)

    def read(self, frame: bytes, local_ns: int) -> Sequence[MarketEvent] | None:
        """`orderbook` and `publicTrade` of this pair."""
        head = frame[:_HEAD]
        try:
            if b'"orderbook.' in head and self._book_mark in head:
                return [self._depth(self._book.decode(frame), local_ns)]
            if self._trade_mark in head:
                return [self._public_trade(trade, local_ns) for trade in self._trade.decode(frame).data]
        except (msgspec.MsgspecError, UnicodeDecodeError, OffGridTextError, RecursionError) as error:
            raise BadFrameError(str(error), frame) from error
        return None

    def _depth(self, frame: _BookFrame, local_ns: int) -> MarketEvent:
        book = frame.data
        update = frame.type == "delta"
        return MarketEvent(
            kind=EventKind.DEPTH if update else EventKind.SNAPSHOT,
            exchange_ns=(frame.cts or frame.ts) * NS_PER_MS,
            local_ns=local_ns,
            first_id=book.u if update else 0,
            last_id=book.u,
            bids=self._levels(book.b),
            asks=self._levels(book.a),
        )

    def _levels(self, rows: _Rows) -> list[Level]:
        ticks, lots = self._ticks, self._lots
        return [(ticks[price], lots[size]) for price, size in rows]

    def _public_trade(self, trade: _Trade, local_ns: int) -> MarketEvent:
        return MarketEvent(
            kind=EventKind.TRADE,
            exchange_ns=trade.T * NS_PER_MS,
            local_ns=local_ns,
            last_id=int(trade.i) if trade.i.isdigit() else 0,
            price_ticks=self._ticks[trade.p],
            size_lots=self._lots[trade.v],
            taker_buys=trade.S == "Buy",
        )
