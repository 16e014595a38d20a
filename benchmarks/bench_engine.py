"""From a book event to the order in the HTTP client's hands, and how many orders a second that makes.

The engine runs as in production: the ccxt adapter on real sockets, the trading store on disk, pure
market making. The simulated venue it talks to is a process of its own with its market playing.

`pulses`: the book is taken away, which cancels every quote, and given back: one book event that causes
one order on each side, from the event's hand-over by the venue to the signed order's hand-over to the
HTTP client. `market`: quoting on the venue's own feed; there an order mostly follows the end of the
one before, and that is what `follow_up` times, from the cancel's answer on.

    python benchmarks/bench_engine.py [--pulses 300] [--seconds 20] [--speed 20] [--tape FILE] [--json]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp

from mrmarket.core.clock import ScaledClock, SystemClock
from mrmarket.services.loop import fast_loop
from mrmarket.store.trading_store import TradingStore
from mrmarket.trading.execution.differ import plan
from mrmarket.trading.market.event import EventKind, MarketEvent
from mrmarket.trading.strategy.parameters import Parameters
from mrmarket.trading.strategy.port import MarketView
from mrmarket.trading.strategy.pure_market_making import PureMarketMaking
from mrmarket.trading.strategy.run import StrategyRun
from mrmarket.trading.venue.ccxt_adapter.config import CcxtVenueConfig, VenueUrls
from mrmarket.trading.venue.ccxt_adapter.venue import CcxtVenue

_HIGH = {"request_weight_1m": 10**9, "orders_10s": 10**9, "orders_1d": 10**9}


def serve(speed: float, tape: str) -> None:
    """Run a venue in this process until standard input ends."""
    from mrmarket.trading.venue.front.config import VenueConfig
    from mrmarket.trading.venue.front.process import run_venue
    from mrmarket.trading.venue.front.weights import Limits

    tapes = [tape] if tape else []
    run_venue(VenueConfig(tapes=tapes, speed=speed, limits=Limits(**_HIGH), exit_with_parent=True))


class PulsedVenue(CcxtVenue):
    """The real adapter, with a book that comes and goes as the benchmark says."""

    def __init__(self, config: CcxtVenueConfig, wall: SystemClock) -> None:
        super().__init__(config, wall)
        self.pulses: asyncio.Queue[MarketEvent] = asyncio.Queue()

    async def market_events(self, symbol: str) -> AsyncGenerator[MarketEvent, None]:  # noqa: ARG002
        """What the benchmark puts in."""
        while True:
            yield await self.pulses.get()


def account(where: dict[str, Any]) -> CcxtVenueConfig:
    """How to reach the venue."""
    return CcxtVenueConfig(
        exchange="binance",
        name="bench",
        symbols=(where["symbols"][0],),
        api_key=where["api_key"],
        secret=where["api_secret"],
        urls=VenueUrls(rest=where["rest"], ws=where["ws"], ws_api=where["ws_api"]),
    )


def book(middle: int, *, last_id: int) -> MarketEvent:
    """A snapshot with 20 levels a side, one tick apart."""
    return MarketEvent(
        kind=EventKind.SNAPSHOT,
        exchange_ns=0,
        local_ns=0,
        last_id=last_id,
        bids=[(middle - each, 50_000) for each in range(1, 21)],
        asks=[(middle + each, 50_000) for each in range(1, 21)],
    )


async def pulse(where: dict[str, Any], chosen: argparse.Namespace, directory: Path) -> dict[str, Any]:
    """Take the book away and give it back, again and again."""
    wall = SystemClock()
    venue = PulsedVenue(account(where), wall)
    await venue.open()
    store = TradingStore.open(directory / "pulses.db")
    symbol = where["symbols"][0]
    wide = Decimal("0.05")  # far from the venue's own market, whose fills would be something else to time
    parameters = Parameters(pair=symbol, bid_spread=wide, ask_spread=wide, number_of_layers=1)
    strategy = PureMarketMaking(parameters)
    run = StrategyRun(venue, strategy, store, instance="bench", stream="pulses", wall=wall)
    empty = MarketEvent(kind=EventKind.SNAPSHOT, exchange_ns=0, local_ns=0)
    middle = await _best_bid_ticks(where)
    try:
        await run.start()
        for number in range(chosen.pulses):
            venue.pulses.put_nowait(book(middle + number % 7, last_id=number + 1))
            await _until(lambda: sum(order.is_resting for order in run.live_orders) == 2)
            venue.pulses.put_nowait(empty)
            await _until(lambda: not run.live_orders)
        view_of = MarketView(
            run.instrument,
            0,
            (middle - 1, 50_000),
            (middle + 1, 50_000),
            run.account.base_total,
            Decimal(10**6),
        )
        targets = strategy.quotes(view_of)
        decision_us = _repeat(lambda: strategy.quotes(view_of))
        differ_us = _repeat(lambda: plan(targets, (), strategy.rules, 0))
        p50, p99 = run.book_latency_us
        await run.stop()
    finally:
        await venue.close()
        store.close()
    return {
        "orders": 2 * chosen.pulses,
        "book_to_handed_us_p50": p50,
        "book_to_handed_us_p99": p99,
        "decision_us": decision_us,
        "differ_us": differ_us,
    }


async def _best_bid_ticks(where: dict[str, Any]) -> int:
    url = f"{where['rest']}/api/v3/ticker/bookTicker?symbol={where['symbols'][0].replace('/', '')}"
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return int(Decimal((await answer.json())["bidPrice"]) * 100)


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - looking on must not take part in what is timed
            await asyncio.sleep(0.002)


def _repeat(call: Callable[[], object], times: int = 2_000) -> float:
    begun = time.perf_counter()
    for _ in range(times):
        call()
    return round((time.perf_counter() - begun) / times * 1e6, 1)


async def trade(where: dict[str, Any], chosen: argparse.Namespace, directory: Path) -> dict[str, Any]:
    """Let the engine quote on the venue's own feed for a while."""
    wall = SystemClock()
    venue = CcxtVenue(account(where), wall)
    await venue.open()
    store = TradingStore.open(directory / "trading.db")
    spread = Decimal(str(chosen.spread))
    run = StrategyRun(
        venue,
        PureMarketMaking(
            Parameters(
                pair=where["symbols"][0],
                bid_spread=spread,
                ask_spread=spread,
                order_refresh_time=chosen.refresh,
                number_of_layers=chosen.layers,
            )
        ),
        store,
        instance="bench",
        stream="bench",
        wall=wall,
        world=ScaledClock(wall, chosen.speed),
    )
    try:
        await run.start()
        begun, busy = time.perf_counter(), time.process_time()
        await asyncio.sleep(chosen.seconds)
        elapsed, busy = time.perf_counter() - begun, time.process_time() - busy
        report = await run.stop()
    finally:
        await venue.close()
        store.close()
    p50, p99 = run.follow_up_us
    mid = run.mid or Decimal(0)
    return {
        "book_events": run.watch.tracker.events,
        "orders_placed": run.totals.orders_placed,
        "orders_cancelled": run.totals.orders_cancelled,
        "orders_per_s": round(run.totals.orders_placed / elapsed, 1),
        "fills": run.totals.fills,
        "maker_fills": run.totals.maker_fills,
        "pnl_quote": f"{run.totals.pnl_quote(mid):.2f}",
        "fees_quote": f"{run.totals.fees_quote(mid):.2f}",
        "spread_captured_bps": run.totals.spread_captured_bps,
        "quote_uptime": run.uptime.share,
        "follow_up_us_p50": p50,
        "follow_up_us_p99": p99,
        "cpu_share": round(busy / elapsed, 3),
        "refusals": run.refusals,
        "clean_stop": report.clean,
    }


async def measure(where: dict[str, Any], chosen: argparse.Namespace, directory: Path) -> dict[str, Any]:
    """Both parts, one after the other, against one venue."""
    return {
        "pulses": await pulse(where, chosen, directory),
        "market": await trade(where, chosen, directory),
    }


def main() -> None:
    """Measure, print a table, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pulses", type=int, default=300)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--speed", type=float, default=20.0)
    parser.add_argument("--refresh", type=float, default=5.0)
    parser.add_argument("--layers", type=int, default=1)
    parser.add_argument("--spread", type=float, default=0.0002)
    parser.add_argument("--tape", default="")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.serve:
        serve(chosen.speed, chosen.tape)
        return
    command = [sys.executable, __file__, "--serve", "--speed", str(chosen.speed), "--tape", chosen.tape]
    with (
        tempfile.TemporaryDirectory() as directory,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as venue,
    ):
        assert venue.stdout is not None
        try:
            where = json.loads(venue.stdout.readline())
            with asyncio.Runner(loop_factory=fast_loop()) as runner:
                rows = runner.run(measure(where, chosen, Path(directory)))
        finally:
            venue.send_signal(signal.SIGTERM)
    if chosen.json:
        print(json.dumps({"engine": rows}))
        return
    for part, row in rows.items():
        for name, value in row.items():
            print(f"{part:<8}{name:<24}{value}")


if __name__ == "__main__":
    main()
