"""Markets written down as Binance would send them."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from mrmarket.core.instrument import Instrument
from mrmarket.trading.market.event import EventKind, Level, MarketEvent
from mrmarket.trading.market.generator import DEFAULT_INSTRUMENT, DEFAULT_PARAMETERS, MarketGenerator

START_NS = 1_723_161_600_000_000_000

LineWriter = Callable[[str, Iterable[bytes]], Path]


@pytest.fixture(scope="session")
def market() -> list[MarketEvent]:
    """The first 3,000 events of a generated market."""
    return list(islice(MarketGenerator(DEFAULT_PARAMETERS, DEFAULT_INSTRUMENT, 5, START_NS).events(), 3000))


@pytest.fixture(scope="session")
def raw_lines(market: list[MarketEvent]) -> list[bytes]:
    """The same market as raw spot frames; as on the real tape the snapshot comes after some updates."""
    frames = [line_of(event, DEFAULT_INSTRUMENT) for event in market]
    late = next(i for i, event in enumerate(market) if event.kind is EventKind.DEPTH) + 1
    return [*frames[1:late], frames[0], *frames[late:]]


@pytest.fixture
def write_lines(tmp_path: Path) -> LineWriter:
    """Write lines to a file, packed if its name ends in `.gz`."""

    def write(name: str, lines: Iterable[bytes]) -> Path:
        path = tmp_path / name
        content = b"".join(line + b"\n" for line in lines)
        path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
        return path

    return write


def frame_of(event: MarketEvent, instrument: Instrument) -> dict[str, Any]:
    """An event as Binance spot would word it."""

    def texts(levels: list[Level]) -> list[list[str]]:
        return [[f"{instrument.price(p):.8f}", f"{instrument.size(q):.8f}"] for p, q in levels]

    symbol, at_ms = instrument.venue_symbol, event.exchange_ns // 1_000_000
    stream = symbol.lower()
    if event.kind is EventKind.SNAPSHOT:
        return {"lastUpdateId": event.last_id, "bids": texts(event.bids), "asks": texts(event.asks)}
    if event.kind is EventKind.DEPTH:
        data = {"e": "depthUpdate", "E": at_ms, "s": symbol, "U": event.first_id, "u": event.last_id}
        return {
            "stream": f"{stream}@depth@100ms",
            "data": data | {"b": texts(event.bids), "a": texts(event.asks)},
        }
    if event.kind is EventKind.TRADE:
        ((price, size),) = texts([(event.price_ticks, event.size_lots)])
        data = {"e": "trade", "E": at_ms, "s": symbol, "t": event.last_id, "p": price, "q": size, "T": at_ms}
        return {"stream": f"{stream}@trade", "data": data | {"m": not event.taker_buys, "M": True}}
    ((bid, bid_size),), ((ask, ask_size),) = texts(event.bids), texts(event.asks)
    data = {"u": event.last_id, "s": symbol, "b": bid, "B": bid_size, "a": ask, "A": ask_size}
    return {"stream": f"{stream}@bookTicker", "data": data}


def line_of(event: MarketEvent, instrument: Instrument) -> bytes:
    """One line of a raw tape."""
    frame = json.dumps(frame_of(event, instrument), separators=(",", ":"))
    return b"%d %b" % (event.local_ns, frame.encode())
