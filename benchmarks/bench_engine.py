"""From a book event to the order in the HTTP client's hands, and how many orders a second that makes.

The engine runs as in production: the ccxt adapter on real sockets, the trading store on disk, pure
market making. The simulated venue it talks to is a process of its own with its market playing. What
is timed begins when the frame of the event that caused a decision reached the adapter, and ends when
the signed order goes to the HTTP client; the second leg of a replacement begins with the cancel's answer.

    python benchmarks/bench_engine.py [--seconds 20] [--speed 20] [--refresh 5] [--json FILE]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

from mrmarket.core.clock import ScaledClock, SystemClock
from mrmarket.core.side import Side
from mrmarket.services.loop import fast_loop
from mrmarket.store.trading_store import TradingStore
from mrmarket.trading.execution.differ import plan
from mrmarket.trading.strategy.observer import FillRecord, Unobserved
from mrmarket.trading.strategy.parameters import Parameters
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


class Watch(Unobserved):
    """Collects where fills happened."""

    def __init__(self) -> None:
        self.fills: list[FillRecord] = []

    def on_fill(self, record: FillRecord) -> None:
        """Keep it."""
        self.fills.append(record)


async def trade(where: dict[str, Any], chosen: argparse.Namespace, directory: Path) -> dict[str, Any]:
    """Let the engine quote for a while; returns what was measured."""
    wall = SystemClock()
    symbol = where["symbols"][0]
    venue = CcxtVenue(
        CcxtVenueConfig(
            exchange="binance",
            name="bench",
            symbols=(symbol,),
            api_key=where["api_key"],
            secret=where["api_secret"],
            urls=VenueUrls(rest=where["rest"], ws=where["ws"], ws_api=where["ws_api"]),
        ),
        wall,
    )
    await venue.open()
    store = TradingStore.open(directory / "trading.db")
    spread = Decimal(str(chosen.spread))
    run = StrategyRun(
        venue,
        PureMarketMaking(
            Parameters(
                pair=symbol,
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
        observer=Watch(),
    )
    try:
        await run.start()
        begun, busy = time.perf_counter(), time.process_time()
        await asyncio.sleep(chosen.seconds)
        elapsed, busy = time.perf_counter() - begun, time.process_time() - busy
        sides = {order.side for order in run.live_orders}
        view = run.watch.view(run.account)
        assert view is not None
        assert sides <= set(Side)
        begun = time.perf_counter()
        for _ in range(2_000):
            targets = run.strategy.quotes(view)
        quotes_us = (time.perf_counter() - begun) * 500
        begun = time.perf_counter()
        for _ in range(2_000):
            plan(targets, run._table.live(), run.strategy.rules, 0)  # noqa: SLF001 - the engine's own table
        plan_us = (time.perf_counter() - begun) * 500
        report = await run.stop()
    finally:
        await venue.close()
        store.close()
    p50, p99 = run.latency_us
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
        "handed_us_p50": p50,
        "handed_us_p99": p99,
        "decision_us": round(quotes_us, 1),
        "differ_us": round(plan_us, 1),
        "cpu_share": round(busy / elapsed, 3),
        "refusals": run.refusals,
        "clean_stop": report.clean,
    }


def main() -> None:
    """Measure, print a table, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--speed", type=float, default=20.0)
    parser.add_argument("--refresh", type=float, default=5.0)
    parser.add_argument("--layers", type=int, default=1)
    parser.add_argument("--spread", type=float, default=0.0002)
    parser.add_argument("--tape", default="")
    parser.add_argument("--json", type=Path)
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
                row = runner.run(trade(where, chosen, Path(directory)))
        finally:
            venue.send_signal(signal.SIGTERM)
    for name, value in row.items():
        print(f"{name:<22}{value}")
    if chosen.json:
        chosen.json.write_text(json.dumps({"cpus": os.cpu_count(), "engine": row}, indent=2) + "\n")


if __name__ == "__main__":
    main()
