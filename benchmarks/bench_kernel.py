"""Order actions and rows of history a second through the simulated exchange and its kernel.

    .venv/bin/python benchmarks/bench_kernel.py [--json] [--runs N] [--tape FILE]

Actions: a tape plays through `SimulatedExchange` while one client cancels and replaces two quotes at
every fifth event; no HTTP. The time includes history, publications and draining them.
Rows: one changed level or trade each, through `session.play`, with and without a quoter whose
requests (cancel and replace both sides at every tenth best quote, 5 ms late) are scheduled before.
Without the recording the committed generated tape is played.
"""

from __future__ import annotations

import argparse
import gc
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

import msgspec

from mrmarket.core.side import Side
from mrmarket.trading.market.event import EventKind, MarketEvent
from mrmarket.trading.market.tape import Tape, open_tape
from mrmarket.trading.venue.port import NewOrder, OrderKind
from mrmarket.trading.venue.simulated.book_arrays import new_market
from mrmarket.trading.venue.simulated.compiled import CompilerMissingError, Kernel, load_kernel
from mrmarket.trading.venue.simulated.exchange import SimulatedExchange
from mrmarket.trading.venue.simulated.kernel import LIMIT, POST_ONLY
from mrmarket.trading.venue.simulated.records import ExchangeRefusedError
from mrmarket.trading.venue.simulated.session import (
    CANCEL,
    PLACE,
    Requests,
    Rows,
    new_reports,
    new_requests,
    to_rows,
)

ROOT: Final = Path(__file__).resolve().parents[1]
RECORDED: Final = (
    ROOT.parent / "shared" / "data" / "market" / "binance_raw_20240808" / "usdm_btcusdt_20240808.gz"
)
GENERATED: Final = ROOT / "tests" / "tapes" / "generated.tape.gz"
LATENCY_NS: Final = 5_000_000
COMPILED_REPEATS: Final = 20
"""The compiled kernel plays the tape so often that a run is long enough to measure."""


class Row(msgspec.Struct, frozen=True):
    """One measured figure."""

    name: str
    unit: str
    per_s: float
    """Median of all runs."""
    low: float
    high: float


def exchange_actions(tape: Tape, events: list[MarketEvent], *, compiled: bool) -> float:
    """Order actions a second while the tape plays."""
    symbol = tape.instrument.symbol
    exchange = SimulatedExchange(compiled=compiled)
    exchange.add_market(tape.instrument)
    exchange.add_account("maker", {tape.instrument.base: 10**12, tape.instrument.quote: 10**17})
    actions = 0
    began = time.perf_counter()
    for number, event in enumerate(events):
        exchange.on_market(symbol, event, event.exchange_ns)
        if number % 5 == 0:
            actions += len(exchange.cancel_all("maker", symbol, event.exchange_ns))
            bid, ask = exchange.top(symbol)
            for side, level in ((Side.BUY, bid), (Side.SELL, ask)):
                if level is None:
                    continue
                order = NewOrder(
                    symbol=symbol,
                    client_order_id=f"{side}{number}",
                    side=side,
                    kind=OrderKind.POST_ONLY,
                    price_ticks=level[0],
                    size_lots=1_000,
                )
                try:
                    exchange.place("maker", order, event.exchange_ns)
                except ExchangeRefusedError:
                    continue
                actions += 1
        exchange.drain()
    return actions / (time.perf_counter() - began)


def quoter(kernel: Kernel, events: list[MarketEvent]) -> Requests:
    """Everything the quoter sends over the tape, scheduled before it is played."""
    tops = [event for event in events if event.kind is EventKind.TOP][::10]
    requests = new_requests(kernel.column, capacity=4 * len(tops) + 4)
    live: list[tuple[bool, int, int]] = []
    order_id = 0
    for top in tops:
        due_ns = top.exchange_ns + LATENCY_NS
        for buys, price, number in live:
            kernel.schedule(requests, due_ns, CANCEL, LIMIT, buys, price, 0, number)
        live.clear()
        for buys, levels in ((True, top.bids), (False, top.asks)):
            order_id += 1
            kernel.schedule(requests, due_ns, PLACE, POST_ONLY, buys, levels[0][0], 100, order_id)
            live.append((buys, levels[0][0], order_id))
    return requests


def kernel_rows(
    kernel: Kernel, rows: Rows, requests: Requests | None, *, repeats: int
) -> Callable[[], float]:
    """A run that measures rows a second; requests are executed anew in every repeat."""
    count = len(rows.code)

    def run() -> float:
        market = new_market(kernel.column)
        reports = new_reports(market, kernel.column)
        queue = requests if requests is not None else new_requests(kernel.column)
        spent = 0.0
        for _ in range(repeats):
            queue.span[0] = 0
            row = 0
            began = time.perf_counter()
            while row < count:
                row = kernel.play(market, rows, row, count, queue, reports, LATENCY_NS)
                reports.rows[0] = 0
            spent += time.perf_counter() - began
        return repeats * count / spent

    return run


def measure(name: str, unit: str, run: Callable[[], float], runs: int) -> Row:
    """The median of some runs after one that is not counted."""
    run()
    figures = []
    for _ in range(runs):
        gc.collect()
        figures.append(run())
    return Row(name, unit, statistics.median(figures), min(figures), max(figures))


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    parser.add_argument("--runs", type=int, default=3, help="runs of each figure (default 3)")
    parser.add_argument("--tape", type=Path, default=RECORDED if RECORDED.is_file() else GENERATED)
    arguments = parser.parse_args()
    tape = open_tape(arguments.tape)
    events = list(tape.events())
    table = []
    for compiled in (False, True):
        label = "compiled" if compiled else "uncompiled"
        try:
            kernel = load_kernel(compiled=compiled)
        except CompilerMissingError as error:
            print(error, file=sys.stderr)
            break
        repeats = COMPILED_REPEATS if compiled else 1
        actions = partial(exchange_actions, tape, events, compiled=compiled)
        table.append(measure(f"exchange, {label}", "order actions/s", actions, arguments.runs))
        rows = to_rows(events, kernel.column, tops=False)
        alone = kernel_rows(kernel, rows, None, repeats=repeats)
        table.append(measure(f"kernel, {label}, history alone", "rows/s", alone, arguments.runs))
        quoted = kernel_rows(kernel, rows, quoter(kernel, events), repeats=repeats)
        table.append(measure(f"kernel, {label}, two quotes", "rows/s", quoted, arguments.runs))
    if arguments.json:
        python = platform.python_version()
        result = {"tape": arguments.tape.name, "events": len(events), "python": python, "rows": table}
        print(json.dumps(msgspec.to_builtins(result)))
        return 0
    print(f"{arguments.tape.name}: {len(events)} events, Python {platform.python_version()}")
    print(f"{'what':<40} {'unit':<16} {'median':>12} {'low':>12} {'high':>12}")
    for row in table:
        print(f"{row.name:<40} {row.unit:<16} {row.per_s:>12,.0f} {row.low:>12,.0f} {row.high:>12,.0f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
