"""Latency of intents and reports, and throughput of facts, beside what the disk alone does.

python benchmarks/bench_trading_store.py [--store postgresql://…] [--json]
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from mrmarket.core.events import MarkObserved
from mrmarket.core.side import Side
from mrmarket.services.store_address import StoreAddress
from mrmarket.store.order_journal import OrderIntent
from mrmarket.store.trading_port import TradingLog

STREAM = f"bench/{os.getpid()}"


def measured(work: Callable[[int], object], times: int) -> dict[str, float]:
    """Microseconds a call at the median and the 99th percentile, and calls a second."""
    took = []
    for number in range(times):
        begun = time.perf_counter()
        work(number)
        took.append(time.perf_counter() - begun)
    total, took = sum(took), sorted(took)
    p50, p99 = took[times // 2], took[int(times * 0.99)]
    return {"p50_us": round(p50 * 1e6), "p99_us": round(p99 * 1e6), "per_s": round(times / total)}


def intent(name: str) -> OrderIntent:
    """An order about to be sent."""
    return OrderIntent(
        stream=STREAM,
        client_order_id=f"{STREAM}-{name}",
        symbol="BTC/USDT",
        slot="bid-1",
        side=Side.BUY,
        kind="post_only",
        price_ticks=6_000_000,
        size_lots=5,
        created_ns=1,
    )


def mark(at_ns: int) -> MarkObserved:
    """A fact."""
    return MarkObserved(venue="v", at_ns=at_ns, symbol="BTC/USDT", base="BTC", quote="USDT", bid="1", ask="2")


def bench(log: TradingLog, folder: Path) -> dict[str, dict[str, float]]:
    """Every figure of one store."""
    with (folder / "fsync").open("wb") as file:

        def sync(_: int) -> None:
            file.write(bytes(4_096))
            file.flush()
            os.fdatasync(file.fileno())

        found = {"fdatasync of 4 KiB": measured(sync, 300)}
    log.acquire_lease(STREAM, "bench", 3_600 * 10**9, time.time_ns())
    found["one intent"] = measured(lambda n: log.record_intent(intent(f"a{n}")), 2_000)
    found["ten intents"] = measured(
        lambda n: log.record_intents([intent(f"b{n}-{k}") for k in range(10)]), 500
    )
    found["one report"] = measured(
        lambda n: log.record_report(f"{STREAM}-a{n}", state="acked", at_ns=2), 2_000
    )
    found["one fact, durable"] = measured(lambda n: log.append_facts(STREAM, [mark(n)]), 300)
    batch = [mark(number) for number in range(100)]
    found["100 facts, durable"] = measured(lambda _: log.append_facts(STREAM, batch), 100)
    return found


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", default=os.environ.get("MRMARKET_STORE", ""))
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        log = StoreAddress(Path(folder), options.store).open_trading()
        try:
            found = bench(log, Path(folder))
        finally:
            log.close()
    if options.json:
        print(json.dumps(found))
        return
    for name, row in found.items():
        print(f"{name:20} p50 {row['p50_us']:>6} us  p99 {row['p99_us']:>6} us  {row['per_s']:>6} /s")


if __name__ == "__main__":
    main()
