"""What the exchange adapter costs: a frame to an event, an order to the HTTP client, a signature, a token.

`order handed` is the time from `CcxtVenue.place` to the hand-over of the signed request to ccxt's HTTP
client, on Binance's dialect against a server that answers at once; `frame to order` begins earlier, when
the adapter first sees the frame that the order answers to, and goes through queue, book and `place`.
`orders signed` is processor time from an order to the bytes of its request, beside ccxt's own unified way
to the very same point.

    python benchmarks/bench_adapter.py [--orders 2000] [--json]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from aiohttp import web

from mrmarket.core.clock import SystemClock
from mrmarket.core.instrument import Instrument
from mrmarket.core.side import Side
from mrmarket.trading.market.event import MarketEvent
from mrmarket.trading.venue.book_tracker import BookTracker
from mrmarket.trading.venue.ccxt_adapter import CcxtVenue, CcxtVenueConfig, VenueUrls
from mrmarket.trading.venue.ccxt_adapter.client import Taps, connect
from mrmarket.trading.venue.ccxt_adapter.dialects.binance import BinanceDialect
from mrmarket.trading.venue.ccxt_adapter.dialects.binance_orders import OrderTemplates
from mrmarket.trading.venue.ccxt_adapter.feeds.binance import BinanceFrames
from mrmarket.trading.venue.ccxt_adapter.feeds.reader import BookGate
from mrmarket.trading.venue.port import NewOrder, OrderKind
from mrmarket.trading.venue.rate_budget import RateBudget, RateLimit, RequestKind, TokenBucket

PAIR = "BTC/USDT"
UNLIMITED = [RateLimit("weight:60", 10**12, 60), RateLimit("orders:10", 10**12, 10)]
Figures = dict[str, float]


class MonotonicClock(SystemClock):
    """Stamps market events with monotonic time, so that they compare with the hand-over's."""

    def now_ns(self) -> int:
        """Monotonic nanoseconds."""
        return self.monotonic_ns()


def market(symbol: str) -> dict[str, Any]:
    """An entry of `exchangeInfo`."""
    return {
        "symbol": symbol,
        "status": "TRADING",
        "baseAsset": symbol[:3],
        "quoteAsset": "USDT",
        "baseAssetPrecision": 8,
        "quoteAssetPrecision": 8,
        "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET"],
        "isSpotTradingAllowed": True,
        "permissionSets": [["SPOT"]],
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "1000000", "tickSize": "0.01"},
            {"filterType": "LOT_SIZE", "minQty": "0.00001", "maxQty": "9000", "stepSize": "0.00001"},
        ],
    }


def depth_frame(number: int) -> str:
    """An update of four levels."""
    level = 61_000 - number % 50
    return json.dumps(
        {
            "e": "depthUpdate",
            "E": 1_700_000_000_000,
            "s": "BTCUSDT",
            "U": number,
            "u": number,
            "b": [[f"{level}.10000000", f"{1 + number % 7}.00000000"], ["60000.00000000", "0.00000000"]],
            "a": [[f"{level + 200}.20000000", "0.50000000"], ["62000.00000000", "0.10000000"]],
        },
        separators=(",", ":"),
    )


class Answers:
    """A Binance that always says yes."""

    def __init__(self) -> None:
        self.sockets: list[web.WebSocketResponse] = []
        self.subscribed = asyncio.Event()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """REST and streams."""
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._stream(request)
        path = request.path.rpartition("/")[2]
        bodies: dict[str, dict[str, Any]] = {
            "exchangeInfo": {"rateLimits": [], "symbols": [market("BTCUSDT")]},
            "time": {"serverTime": time.time_ns() // 1_000_000},
            "account": {"balances": []},
            "depth": {"lastUpdateId": 1, "bids": [["61000.00", "1"]], "asks": [["61300.00", "1"]]},
            "order": {"symbol": "BTCUSDT", "orderId": 1, "status": "NEW", "price": "1", "origQty": "1"},
        }
        return web.json_response(bodies[path])

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.sockets.append(socket)
        count = 0
        async for _ in socket:
            count += 1
            if count == 2:
                self.subscribed.set()
        return socket


def percentiles(name: str, micros: list[float]) -> Figures:
    """Median and 99th percentile in µs."""
    cuts = statistics.quantiles(micros, n=100)
    return {f"{name}_p50_us": round(cuts[49], 1), f"{name}_p99_us": round(cuts[98], 1)}


async def orders(count: int) -> Figures:
    """Latency of an order up to the HTTP client."""
    answers = Answers()
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", answers.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    handed: list[int] = []
    clock = MonotonicClock()
    venue = CcxtVenue(
        CcxtVenueConfig(
            symbols=(PAIR,),
            api_key="k" * 64,
            secret="s" * 64,
            urls=VenueUrls(rest=f"http://127.0.0.1:{port}", ws=f"ws://127.0.0.1:{port}/ws"),
        ),
        clock,
        on_handed=lambda _, at_ns: handed.append(at_ns),
    )
    await venue.open()
    venue.budget.set_limits(UNLIMITED)

    async def place(number: int) -> None:
        await venue.place(
            NewOrder(
                symbol=PAIR,
                client_order_id=f"bench-{number}",
                side=Side.BUY,
                kind=OrderKind.POST_ONLY,
                price_ticks=6_100_000 + number,
                size_lots=150,
            )
        )

    direct: list[float] = []
    for number in range(count + 200):
        began_ns = time.monotonic_ns()
        await place(number)
        direct.append((handed[-1] - began_ns) / 1000)

    events = venue.market_events(PAIR)
    tracker = BookTracker(venue.instrument(PAIR), clock)
    first = asyncio.ensure_future(anext(events))
    await answers.subscribed.wait()
    await answers.sockets[0].send_str(depth_frame(2))
    tracker.apply(await first)
    from_frame: list[float] = []
    for number in range(3, count // 2):
        await answers.sockets[0].send_str(depth_frame(number))
        event: MarketEvent = await anext(events)
        while event.last_id < number:
            event = await anext(events)
        tracker.apply(event)
        await place(number)
        from_frame.append((handed[-1] - event.local_ns) / 1000)
    await events.aclose()
    await venue.close()
    await runner.cleanup()
    return percentiles("order_handed", direct[200:]) | percentiles("frame_to_order", from_frame[50:])


def signing(count: int = 20_000, runs: int = 5) -> tuple[Figures, Figures]:
    """Orders to signed requests a second of processor time, and the ratio to ccxt's unified call."""
    import ccxt.async_support

    config = CcxtVenueConfig(symbols=(PAIR,), api_key="k" * 64, secret="s" * 64)
    templates = OrderTemplates.of(connect(config, BinanceDialect(), Taps(SystemClock())))
    assert templates is not None
    instrument = Instrument("binance", PAIR, "BTC", "USDT", Decimal("0.01"), Decimal("0.00001"))
    peer = ccxt.async_support.binance({"apiKey": "k" * 64, "secret": "s" * 64})
    peer.options["crossMarginPairsData"] = peer.options["isolatedMarginPairsData"] = []
    peer.set_markets([peer.parse_market(market("BTCUSDT"))])

    def ours() -> None:
        for number in range(count):
            order = NewOrder(
                symbol=PAIR,
                client_order_id=f"bench-{number}",
                side=Side.BUY,
                kind=OrderKind.POST_ONLY,
                price_ticks=6_100_000 + number,
                size_lots=150,
            )
            templates.sign("BTCUSDT", order, instrument)

    def ccxts() -> None:
        for number in range(count):
            request = peer.create_order_request(
                PAIR,
                "limit",
                "buy",
                0.0015,
                (6_100_000 + number) / 100,
                {"postOnly": True, "newClientOrderId": f"bench-{number}"},
            )
            peer.sign("order", "private", "POST", request)

    rates = [[count / process_time(each) for each in (ccxts, ours)] for _ in range(runs)]
    theirs, own = (max(column) for column in zip(*rates, strict=True))
    figures = {"orders_signed_per_s": round(own), "orders_signed_by_ccxt_per_s": round(theirs)}
    return figures, {"ccxt: order to signed request": own / theirs}


def process_time(function: Callable[[], object]) -> float:
    """Seconds of this process's processor time."""
    began = time.process_time()
    function()
    return time.process_time() - began


def rate(function: Callable[[], object], seconds: float = 1.0) -> float:
    """Calls a second."""
    calls, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        for _ in range(1000):
            function()
        calls += 1000
    return round(calls / (time.perf_counter() - began))


def throttle() -> Figures:
    """Acquisitions a second of one bucket, and of a budget of two."""
    clock = SystemClock()
    bucket = TokenBucket(10**12, 60, clock)
    budget = RateBudget("bench", clock, UNLIMITED)
    return {
        "token_bucket_per_s": rate(lambda: bucket.try_take(1.0)),
        "rate_budget_per_s": rate(lambda: budget.try_acquire(RequestKind.PLACE)),
    }


def frames() -> Figures:
    """Raw frames read and put in sequence a second, on one core."""
    instrument = Instrument(
        venue="binance",
        symbol=PAIR,
        base="BTC",
        quote="USDT",
        tick_size=Decimal("0.01"),
        lot_size=Decimal("0.00001"),
    )
    reader, gate = BinanceFrames(instrument, "BTCUSDT"), BookGate(PAIR, snapshot_by_request=True)
    book = {"lastUpdateId": 1, "bids": [["61000.00", "1"]], "asks": [["61300.00", "1"]]}
    gate.start(reader.snapshot(book, 0))
    texts = [depth_frame(number).encode() for number in range(2, 20_002)]
    began = time.perf_counter()
    passed = 0
    for text in texts:
        for event in reader.read(text, 0) or ():
            passed += len(gate.admit(event))
    took = time.perf_counter() - began
    assert passed == len(texts)
    return {"frames_read_per_s": round(len(texts) / took)}


def main() -> None:
    """Measure, print a table, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, default=2000)
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    chosen = parser.parse_args()
    signed, ratios = signing()
    figures = asyncio.run(orders(chosen.orders)) | throttle() | frames() | signed
    if chosen.json:
        print(json.dumps({"adapter": figures, "ratios": ratios}))
        return
    targets = {
        "order_handed_p50_us": "<= 300",
        "order_handed_p99_us": "<= 2000",
        "frame_to_order_p50_us": "<= 300",
        "frame_to_order_p99_us": "<= 2000",
        "token_bucket_per_s": ">= 500000",
        "rate_budget_per_s": ">= 500000",
        "orders_signed_per_s": ">= 60000",
    }
    for name, value in figures.items():
        print(f"{name:<30}{value:>14,.1f}   {targets.get(name, '')}")
    for name, ratio in ratios.items():
        print(f"ours is {ratio:.2f} x {name}")


if __name__ == "__main__":
    main()
