"""From a book gone stale to the last cancel sent, with 200 open orders and the exchange's own limits.

The engine runs as in production: the ccxt adapter on real sockets, the trading store on disk. The venue is a
process of its own with Binance's request limits and 5 ms of latency. The book is taken away by a sequence
gap; timed are the hand-over of the last cancel to the HTTP client and the moment from which none of the
orders is open any more by the venue's own answers, once with one request for all and once with a cancel for
each.

    python benchmarks/bench_stale_book.py [--orders 200] [--rounds 5] [--json]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp

from bench_recovery import Ladder, account, serve
from mrmarket.core.clock import SystemClock
from mrmarket.services.loop import fast_loop
from mrmarket.store.trading_store import TradingStore
from mrmarket.trading.execution.risk.limits import BreakerLimits
from mrmarket.trading.execution.risk.pretrade import RiskLimits
from mrmarket.trading.market.event import EventKind, MarketEvent
from mrmarket.trading.strategy.run import StrategyRun
from mrmarket.trading.venue.ccxt_adapter.config import CcxtVenueConfig
from mrmarket.trading.venue.ccxt_adapter.venue import CcxtVenue
from mrmarket.trading.venue.port import Capability

_LIMITS = {"request_weight_1m": 6_000, "orders_10s": 10**9, "orders_1d": 10**9}
_LATENCY = {"entry_ms": 5.0, "response_ms": 5.0}


class WatchedVenue(CcxtVenue):
    """The real adapter, with a book that the benchmark holds and a clock at the door of its HTTP client."""

    def __init__(self, config: CcxtVenueConfig, wall: SystemClock, *, sweeps: bool) -> None:
        super().__init__(config, wall)
        self.feed: asyncio.Queue[MarketEvent] = asyncio.Queue()
        self.sweeps = sweeps
        self.cancels_at: list[float] = []

    async def open(self) -> None:
        """Open, and stand at the door."""
        await super().open()
        fetch = self._exchange.fetch

        async def watched(url: str, method: str = "GET", headers: Any = None, body: Any = None) -> Any:
            if method == "DELETE":
                self.cancels_at.append(time.perf_counter())
            return await fetch(url, method, headers, body)

        self._exchange.fetch = watched

    @property
    def capabilities(self) -> frozenset[Capability]:
        """With or without one request for all."""
        return super().capabilities - (frozenset() if self.sweeps else {Capability.CANCEL_ALL})

    async def market_events(self, symbol: str) -> AsyncGenerator[MarketEvent, None]:  # noqa: ARG002
        """What the benchmark puts in."""
        while True:
            yield await self.feed.get()


def event(kind: EventKind, middle: int, first_id: int, last_id: int) -> MarketEvent:
    """A book with one level a side, or an update of it."""
    return MarketEvent(
        kind=kind,
        exchange_ns=0,
        local_ns=0,
        first_id=first_id,
        last_id=last_id,
        bids=[(middle - 1, 50_000)],
        asks=[(middle + 1, 50_000)],
    )


async def one_round(where: dict[str, Any], folder: Path, orders: int, *, sweeps: bool) -> dict[str, float]:
    """Quote, lose the book, count."""
    wall = SystemClock()
    venue = WatchedVenue(account(where), wall, sweeps=sweeps)
    await venue.open()
    store = TradingStore.open(folder / f"stale-{sweeps}-{wall.now_ns()}.db")
    run = StrategyRun(
        venue,
        Ladder(where["symbols"][0], orders),
        store,
        instance="bench",
        stream="stale",
        wall=wall,
        limits=RiskLimits(max_open_orders=10 * orders),
        breakers=BreakerLimits(),
    )
    middle = await _middle(where)
    try:
        await run.start()
        venue.feed.put_nowait(event(EventKind.SNAPSHOT, middle, 0, 100))
        async with asyncio.timeout(60):
            while sum(order.is_resting for order in run.live_orders) < 2 * (orders // 2):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.5)
        gap = time.perf_counter()
        venue.feed.put_nowait(event(EventKind.DEPTH, middle, 200, 201))
        async with asyncio.timeout(30):
            while run.live_orders:  # noqa: ASYNC110 - looking on must not take part in what is timed
                await asyncio.sleep(0.001)
        gone = time.perf_counter()
        sent = [at for at in venue.cancels_at if at >= gap]
        used = venue.budget.levels()["weight:60"]
        await run.stop()
    finally:
        await venue.close()
        store.close()
    return {
        "first_sent_ms": 1_000 * (sent[0] - gap),
        "last_sent_ms": 1_000 * (sent[-1] - gap),
        "all_gone_ms": 1_000 * (gone - gap),
        "requests": len(sent),
        "budget_left": used,
    }


async def _middle(where: dict[str, Any]) -> int:
    url = f"{where['rest']}/api/v3/ticker/bookTicker?symbol={where['symbols'][0].replace('/', '')}"
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return int(Decimal((await answer.json())["bidPrice"]) * 100)


async def measure(where: dict[str, Any], folder: Path, chosen: argparse.Namespace) -> dict[str, Any]:
    """Both ways, some rounds each."""
    found: dict[str, Any] = {}
    for name, sweeps in (("one_request_for_all", True), ("one_cancel_each", False)):
        rounds = [await one_round(where, folder, chosen.orders, sweeps=sweeps) for _ in range(chosen.rounds)]
        found[name] = {
            "requests": max(each["requests"] for each in rounds),
            "first_sent_ms": round(statistics.median(each["first_sent_ms"] for each in rounds), 1),
            "last_sent_ms": round(statistics.median(each["last_sent_ms"] for each in rounds), 1),
            "last_sent_worst_ms": round(max(each["last_sent_ms"] for each in rounds), 1),
            "all_gone_ms": round(statistics.median(each["all_gone_ms"] for each in rounds), 1),
            "budget_left_share": round(min(each["budget_left"] for each in rounds), 2),
        }
    return found


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    with asyncio.Runner(loop_factory=fast_loop()) as runner:
        if chosen.serve:
            runner.run(serve(_LIMITS, _LATENCY))
            return
        with (
            tempfile.TemporaryDirectory() as folder,
            subprocess.Popen(
                [sys.executable, __file__, "--serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
            ) as venue,
        ):
            assert venue.stdout is not None
            assert venue.stdin is not None
            where = json.loads(venue.stdout.readline())
            found = runner.run(measure(where, Path(folder), chosen))
            venue.stdin.close()
    if chosen.json:
        print(json.dumps({"stale_book": found}))
        return
    for name, row in found.items():
        print(name, *(f"{key} {value:,}" for key, value in row.items()), sep="\n    ")


if __name__ == "__main__":
    main()
