"""From `kill -9` to trading again with a thousand open orders, real processes and sockets.

An engine (ccxt adapter, trading store on disk, one run) puts a ladder of orders into a simulated venue, a
process of its own, and is killed. Its successor reads the journal and the fold of the event log, finds its
orders by one list, and places one order more: the time until the venue has acknowledged that one is what
counts, from the kill on, with the start of Python and of ccxt in it.

    python benchmarks/bench_recovery.py [--orders 1000] [--facts 200000] [--rounds 3] [--json]
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
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from mrmarket.core.clock import SystemClock
from mrmarket.core.events import MarkObserved
from mrmarket.core.side import Side
from mrmarket.services.loop import fast_loop
from mrmarket.store.trading_store import TradingStore
from mrmarket.trading.execution.desk import OwnFill
from mrmarket.trading.execution.differ import RefreshRules
from mrmarket.trading.execution.order import Order
from mrmarket.trading.execution.risk.pretrade import RiskLimits
from mrmarket.trading.execution.targets import Quote, TargetQuotes
from mrmarket.trading.strategy.past import read_history
from mrmarket.trading.strategy.port import MarketView
from mrmarket.trading.strategy.run import StrategyRun
from mrmarket.trading.venue.ccxt_adapter.config import CcxtVenueConfig, VenueUrls
from mrmarket.trading.venue.ccxt_adapter.venue import CcxtVenue
from mrmarket.trading.venue.port import OrderKind

_HOUR_NS = 3_600_000_000_000
_HIGH = 10**9
_STREAM = "bench"


class Ladder:
    """So many orders a side far from the touch, which never move; the extra one is nearer."""

    name = "ladder"
    rules = RefreshRules(refresh_ns=_HOUR_NS, max_age_ns=_HOUR_NS)
    order_kind = OrderKind.POST_ONLY
    inventory_target = Decimal("0.5")

    def __init__(self, symbol: str, orders: int, *, extra: bool = False) -> None:
        self.symbol = symbol
        self.orders = orders
        self.extra = extra
        self._middle = 0

    def quotes(self, view: MarketView) -> TargetQuotes:
        """Every order of the ladder, where the first price has put it."""
        middle = self._middle = self._middle or (view.bid[0] + view.ask[0]) // 2
        step = middle // 50_000
        quotes = [
            Quote(f"{side.value[0]}{each}", side, middle - side.sign * (middle // 50 + step * each), 100)
            for each in range(1, self.orders // 2 + 1)
            for side in Side
        ]
        if self.extra:
            quotes.append(Quote("x1", Side.BUY, middle - middle // 60, 100))
        return TargetQuotes(tuple(quotes))

    def on_fill(self, own: OwnFill, now_ns: int, live: Sequence[Order]) -> None:
        """Nothing is remembered."""

    def on_past_fill(self, side: Side, price_ticks: int, size_lots: int) -> None:
        """Nothing is remembered."""

    def restore_past(self, last_fill_ticks: int | None, held_lots: int, held_cost_grains: int) -> None:
        """Nothing is remembered."""


async def serve(limits: dict[str, int], latency: dict[str, Any] | None = None) -> None:
    """Run a venue with room for everything in this process until standard input ends."""
    from mrmarket.trading.venue.front.config import VenueConfig
    from mrmarket.trading.venue.front.latency import LatencyConfig
    from mrmarket.trading.venue.front.process import announcement
    from mrmarket.trading.venue.front.server import VenueServer
    from mrmarket.trading.venue.front.weights import Limits

    wealth = {"BTC": "1000", "USDT": "100000000"}
    config = VenueConfig(
        accounts={"default": wealth}, limits=Limits(**limits), latency=LatencyConfig(**(latency or {}))
    )
    server = VenueServer(config)
    for listing in server.gateway.exchange.listings.values():
        listing.filters = replace(listing.filters, max_num_orders=10_000)
    await server.start()
    print(json.dumps(announcement(server)), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await server.stop()


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


async def engine(where: dict[str, Any], database: Path, orders: int, *, extra: bool) -> None:
    """One life: recover, quote, say when all stands, go on until killed."""
    begun = time.perf_counter()
    wall = SystemClock()
    store = TradingStore.open(database)
    history = read_history(store, _STREAM)
    read_s = time.perf_counter() - begun
    venue = CcxtVenue(account(where), wall)
    await venue.open()
    opened_s = time.perf_counter() - begun
    strategy = Ladder(where["symbols"][0], orders, extra=extra)
    run = StrategyRun(
        venue,
        strategy,
        store,
        instance="bench",
        stream=_STREAM,
        wall=wall,
        history=history,
        limits=RiskLimits(max_open_orders=10 * orders),
    )
    await run.start()
    running_s = time.perf_counter() - begun
    wanted = 2 * (orders // 2) + extra
    while sum(order.is_resting for order in run.live_orders) < wanted:  # noqa: ASYNC110 - looking on only
        await asyncio.sleep(0.005)
    recovery = run.recovery
    said = {
        "read_s": read_s,
        "opened_s": opened_s,
        "running_s": running_s,
        "trading_s": time.perf_counter() - begun,
        "adopted": recovery.adopted if recovery else 0,
        "facts_read": len(history.facts),
    }
    print(json.dumps(said), flush=True)
    await asyncio.Event().wait()


def fill_log(database: Path, facts: int) -> None:
    """A long past: prices of many days."""
    store = TradingStore.open(database)
    for first in range(0, facts, 5_000):
        store.append_facts(
            _STREAM,
            [
                MarkObserved(
                    venue="bench",
                    at_ns=1 + number,
                    symbol="BTC/USDT",
                    base="BTC",
                    quote="USDT",
                    bid="60000",
                    ask="60001",
                )
                for number in range(first, min(first + 5_000, facts))
            ],
        )
    store.close()


def live(where: dict[str, Any], database: Path, orders: int, *, extra: bool) -> tuple[Any, dict[str, Any]]:
    """Start a life and wait for its word."""
    command = [sys.executable, __file__, "--engine", json.dumps(where), "--database", str(database)]
    command += ["--orders", str(orders), *(["--extra"] if extra else [])]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, json.loads(process.stdout.readline())


def one_round(where: dict[str, Any], folder: Path, chosen: argparse.Namespace) -> dict[str, Any]:
    """Live, be killed, live again."""
    database = folder / "trading.db"
    fill_log(database, chosen.facts)
    first, _ = live(where, database, chosen.orders, extra=False)
    first.kill()
    killed = time.perf_counter()
    first.wait()
    second, said = live(where, database, chosen.orders, extra=True)
    said["kill_to_trading_s"] = time.perf_counter() - killed
    second.kill()
    second.wait()
    return said


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, default=1_000)
    parser.add_argument("--facts", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--engine", default="", help=argparse.SUPPRESS)
    parser.add_argument("--database", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--extra", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    with asyncio.Runner(loop_factory=fast_loop()) as runner:
        if chosen.serve:
            runner.run(serve({"request_weight_1m": _HIGH, "orders_10s": _HIGH, "orders_1d": _HIGH}))
            return
        if chosen.engine:
            where = json.loads(chosen.engine)
            runner.run(engine(where, chosen.database, chosen.orders, extra=chosen.extra))
            return
    rounds = []
    for _ in range(chosen.rounds):
        with (
            tempfile.TemporaryDirectory() as folder,
            subprocess.Popen(
                [sys.executable, __file__, "--serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
            ) as venue,
        ):
            assert venue.stdout is not None
            assert venue.stdin is not None
            where = json.loads(venue.stdout.readline())
            rounds.append(one_round(where, Path(folder), chosen))
            venue.stdin.close()
    result = {
        "open_orders": chosen.orders,
        "facts_in_the_log": chosen.facts,
        "adopted": min(each["adopted"] for each in rounds),
        "facts_read": max(each["facts_read"] for each in rounds),
        **{
            f"{name}_ms": round(1_000 * statistics.median(each[f"{name}_s"] for each in rounds))
            for name in ("read", "opened", "running", "trading", "kill_to_trading")
        },
        "kill_to_trading_worst_ms": round(1_000 * max(each["kill_to_trading_s"] for each in rounds)),
    }
    if chosen.json:
        print(json.dumps({"recovery": result}))
        return
    for name, value in result.items():
        print(f"{name:>26}  {value:>10,}")


if __name__ == "__main__":
    main()
