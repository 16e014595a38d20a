"""Text of a frame to a quote decision, ours beside ccxt.pro's, in one run.

    .venv/bin/python benchmarks/bench_frames.py [--json] [--runs N] [--tape FILE]

Both are fed the same `depthUpdate` frames of the USD-M BTC/USDT recording from memory, as a socket
would hand them over, and both end each frame at the best bid and ask. Ours goes on to decide two
quotes. Every run starts with fresh objects, so nothing is remembered from the run before.
"""

from __future__ import annotations

import argparse
import gc
import gzip
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec

from mrmarket.core.instrument import Instrument
from mrmarket.trading.market.binance import FrameParser
from mrmarket.trading.market.book import OrderBook
from mrmarket.trading.market.event import EventKind, MarketEvent
from mrmarket.trading.market.tape import open_tape
from peers import peer_rates

TAPE: Final = (
    Path(__file__).resolve().parents[2]
    / "shared"
    / "data"
    / "market"
    / "binance_raw_20240808"
    / "usdm_btcusdt_20240808.gz"
)
TOLERANCE_TICKS: Final = 5
BOOKS: Final = (
    "book nautilus apply_deltas (one call a message)",
    "book ccxt.pro OrderBook storeArray",
    "book order_book(C) float",
    "book sortedcontainers int ticks",
)
"""Books of peers that are measured in an environment of their own."""


class Row(msgspec.Struct, frozen=True):
    """One measured figure."""

    name: str
    unit: str
    per_s: float
    """Median of all runs."""
    low: float
    high: float


def depth_frames(path: Path) -> list[bytes]:
    """The texts of all updates, without the local time."""
    with gzip.open(path) as file:
        return [line.split(b" ", 1)[1].strip() for line in file if b'"e":"depthUpdate"' in line]


def rate(name: str, unit: str, count: int, runs: int, once: Callable[[], object]) -> Row:
    """Run something several times, in processor time: on a shared machine others' work is not charged to it.

    Nor is the garbage of one run to the next.
    """
    rates = []
    for _ in range(runs):
        gc.collect()
        start_ns = time.process_time_ns()
        once()
        rates.append(count / (time.process_time_ns() - start_ns) * 1e9)
    return Row(name, unit, statistics.median(rates), min(rates), max(rates))


class Quoter:
    """The cheapest decision that is one: two quotes around the mid, kept until it has moved."""

    __slots__ = ("ask_ticks", "bid_ticks", "decisions", "half_spread_ticks", "mid_doubled")

    def __init__(self, half_spread_ticks: int) -> None:
        self.half_spread_ticks = half_spread_ticks
        self.mid_doubled = 0
        self.bid_ticks = self.ask_ticks = 0
        self.decisions = 0

    def decide(self, bid_ticks: int, ask_ticks: int) -> None:
        """Take the best prices; move the quotes if they are no longer within tolerance."""
        doubled = bid_ticks + ask_ticks
        if abs(doubled - self.mid_doubled) > 2 * TOLERANCE_TICKS:
            self.mid_doubled = doubled
            self.bid_ticks = doubled // 2 - self.half_spread_ticks
            self.ask_ticks = -(-doubled // 2) + self.half_spread_ticks
            self.decisions += 1


def ours_to_quote(instrument: Instrument, frames: list[bytes]) -> int:
    """Text to quotes."""
    parser, book, quoter = FrameParser(instrument), OrderBook(instrument), Quoter(60)
    book.apply(MarketEvent(kind=EventKind.SNAPSHOT, exchange_ns=0, local_ns=0))
    for frame in frames:
        event = parser.parse(frame, 0)
        if event is None:
            continue
        book.apply(event)
        bid, ask = book.best_bid, book.best_ask
        if bid is not None and ask is not None:
            quoter.decide(bid[0], ask[0])
    return quoter.decisions


def ours_book(instrument: Instrument, events: list[MarketEvent]) -> OrderBook:
    """Parsed updates to book."""
    book = OrderBook(instrument)
    book.apply(MarketEvent(kind=EventKind.SNAPSHOT, exchange_ns=0, local_ns=0))
    for event in events:
        book.apply(event)
    return book


def ccxt_to_book(exchange: Any, frames: list[bytes], limit: int | None) -> int:
    """Text to best prices through ccxt.pro's own handler; `limit` as `watch_order_book` applies it."""

    class Client:
        url = "x"

    book = exchange.order_book({}, limit or 1_000_000)
    book["symbol"] = "BTC/USDT:USDT"
    sane = 0
    for frame in frames:
        exchange.handle_order_book_message(Client, json.loads(frame)["data"], book)
        if limit is not None:
            book.limit()
        bids, asks = book["bids"], book["asks"]
        if bids and asks:
            sane += bids[0][0] < asks[0][0]
    return sane


def measure(path: Path, runs: int) -> tuple[list[Row], dict[str, float]]:
    """All rows and the ratio that counts."""
    instrument = open_tape(path).instrument
    frames = depth_frames(path)
    parser = FrameParser(instrument)
    events = [event for frame in frames if (event := parser.parse(frame, 0)) is not None]
    levels = sum(len(event.bids) + len(event.asks) for event in events)
    name = "mrmarket: text to quote decision"
    quoting = rate(name, "frames/s", len(frames), runs, lambda: ours_to_quote(instrument, frames))
    name = "mrmarket: update to book"
    applying = rate(name, "levels/s", levels, runs, lambda: ours_book(instrument, events))
    rows = [quoting, applying]
    rates = peer_rates()
    ratios = {f"update to book, to {peer}": applying.per_s / rates[peer] for peer in BOOKS if peer in rates}
    try:
        import ccxt.pro as ccxt_pro
    except ImportError as error:
        print(f"ccxt.pro is left out: {error}", file=sys.stderr)
        return rows, ratios
    exchange = ccxt_pro.binanceusdm()
    peers = {"ccxt.pro: text to best prices": None, "ccxt.pro: the same with limit 1000": 1000}
    for name, limit in peers.items():
        rows.append(rate(name, "frames/s", len(frames), runs, partial(ccxt_to_book, exchange, frames, limit)))
        ratios[name] = quoting.per_s / rows[-1].per_s
    return rows, ratios


def main() -> int:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--json", action="store_true", help="print one JSON object")
    options.add_argument("--runs", type=int, default=5)
    options.add_argument("--tape", type=Path, default=TAPE)
    chosen = options.parse_args()
    if not chosen.tape.is_file():
        print(f"skipped: no recording at {chosen.tape}", file=sys.stderr)
        return 0
    rows, ratios = measure(chosen.tape, chosen.runs)
    if chosen.json:
        result = {"benchmark": "frames", "python": platform.python_version(), "rows": rows, "ratios": ratios}
        print(msgspec.json.encode(result).decode())
        return 0
    print(f"{'':42} {'median':>12} {'lowest':>12} {'highest':>12}")
    for row in rows:
        print(f"{row.name:42} {row.per_s:12,.0f} {row.low:12,.0f} {row.high:12,.0f}  {row.unit}")
    for name, ratio in ratios.items():
        print(f"ours is {ratio:.2f} x {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
