"""Binance spot: `<pair>@depth@100ms` and `<pair>@trade`; the book's start is asked for by REST.

Source: Binance spot API documentation, "How to manage a local order book correctly".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from mrmarket.core.instrument import Instrument
from mrmarket.trading.market.binance import FrameParser
from mrmarket.trading.market.errors import BadFrameError
from mrmarket.trading.market.event import MarketEvent
from mrmarket.trading.venue.ccxt_adapter.feeds.reader import SnapshotSource

_LEVELS: Final = 1000
"""Weight 50; each update names only what changed, so levels beyond this are never learnt."""
_HEAD: Final = 120


class BinanceFrames:
    """Reads the raw frames of one pair."""

    def __init__(self, instrument: Instrument, market_id: str) -> None:
        # Old orders rest with sizes finer than today's lot.
        self._parser = FrameParser(instrument, market_id, round_sizes=True)
        self._market_id = market_id
        self._mark = f'"s":"{market_id}"'.encode()

    @property
    def snapshots(self) -> SnapshotSource:
        """The REST book."""
        return self

    def read(self, frame: bytes, local_ns: int) -> Sequence[MarketEvent] | None:
        """`depthUpdate` and `trade` of this pair."""
        head = frame[:_HEAD]
        if self._mark not in head or not (b'"depthUpdate"' in head or b'"trade"' in head):
            return None
        if not head.startswith(b'{"stream":'):
            # The parser is quickest with the envelope of a combined stream.
            frame = b'{"stream":"","data":' + frame + b"}"
        event = self._parser.parse(frame, local_ns)
        return (event,) if event is not None else ()

    async def fetch_snapshot(self, client: Any) -> Mapping[str, Any]:
        """`GET /api/v3/depth`, unparsed."""
        answer: Mapping[str, Any] = await client.publicGetDepth({"symbol": self._market_id, "limit": _LEVELS})
        return answer

    def snapshot(self, answer: Mapping[str, Any], local_ns: int) -> MarketEvent:
        """The event of a `depth` answer."""
        frame = msgspec.json.encode(answer)
        event = self._parser.parse(frame, local_ns)
        if event is None:
            raise BadFrameError("no book of this pair", frame)
        return event
