"""OKX: the channels `books` (400 levels, 100 ms) and `trades`.

Source: OKX API v5 documentation, "WS / Order book channel" (`seqId`, `prevSeqId`) and "WS / Trades
channel".
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

_HEAD: Final = 120
_Rows = list[tuple[str, str, str, str]]


class _Book(msgspec.Struct, rename="camel"):
    asks: _Rows
    bids: _Rows
    ts: str
    seq_id: int = 0
    prev_seq_id: int = 0


class _BookFrame(msgspec.Struct):
    data: list[_Book]
    action: str = ""


class _Trade(msgspec.Struct, rename="camel"):
    trade_id: str
    px: str
    sz: str
    side: str
    ts: str


class _TradeFrame(msgspec.Struct):
    data: list[_Trade]


class OkxFrames:
    """Reads the raw frames of one pair."""

    snapshots: Final = None

    def __init__(self, instrument: Instrument, market_id: str) -> None:
        self._mark = f'"instId":"{market_id}"'.encode()
        self._ticks = StepReader(instrument.tick_size)
        self._lots = StepReader(instrument.lot_size, rounding=True)  # old orders have finer sizes
        self._book = msgspec.json.Decoder(_BookFrame)
        self._trade = msgspec.json.Decoder(_TradeFrame)

    def read(self, frame: bytes, local_ns: int) -> Sequence[MarketEvent] | None:
        """`books` and `trades` of this pair."""
        head = frame[:_HEAD]
        if b'"data":' not in frame or self._mark not in head:
            return None
        try:
            if b'"channel":"books' in head:
                parsed = self._book.decode(frame)
                return [self._depth(book, parsed.action, local_ns) for book in parsed.data]
            if b'"channel":"trades"' in head:
                return [self._public_trade(trade, local_ns) for trade in self._trade.decode(frame).data]
        except (
            msgspec.MsgspecError,
            UnicodeDecodeError,
            OffGridTextError,
            ValueError,
            RecursionError,
        ) as error:
            raise BadFrameError(str(error), frame) from error
        return None

    def _depth(self, book: _Book, action: str, local_ns: int) -> MarketEvent:
        update = action == "update"
        if update and book.seq_id < book.prev_seq_id:
            # After maintenance ids start anew; the update connects, but later ones would look old.
            raise ValueError("the sequence was reset")
        return MarketEvent(
            kind=EventKind.DEPTH if update else EventKind.SNAPSHOT,
            exchange_ns=int(book.ts) * NS_PER_MS,
            local_ns=local_ns,
            last_id=book.seq_id,
            prev_id=max(book.prev_seq_id, 0),
            bids=self._levels(book.bids),
            asks=self._levels(book.asks),
        )

    def _levels(self, rows: _Rows) -> list[Level]:
        ticks, lots = self._ticks, self._lots
        return [(ticks[price], lots[size]) for price, size, _, _ in rows]

    def _public_trade(self, trade: _Trade, local_ns: int) -> MarketEvent:
        return MarketEvent(
            kind=EventKind.TRADE,
            exchange_ns=int(trade.ts) * NS_PER_MS,
            local_ns=local_ns,
            last_id=int(trade.trade_id),
            price_ticks=self._ticks[trade.px],
            size_lots=self._lots[trade.sz],
            taker_buys=trade.side == "buy",
        )
