"""How often a second the rate budget grants a request: one place, one cancel, one read, limits as Binance's.

python benchmarks/bench_throttle.py [--calls 300000] [--json]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time

from mrmarket.core.clock import SystemClock
from mrmarket.trading.venue.rate_budget import RateBudget, RateLimit, RequestKind, TokenBucket

_AMPLE = 10**12


def budget() -> RateBudget:
    """One weight limit and two order limits, far from spent."""
    limits = [
        RateLimit("weight:60", _AMPLE, 60),
        RateLimit("orders:10", _AMPLE, 10),
        RateLimit("orders:86400", _AMPLE, 86_400),
    ]
    return RateBudget("bench", SystemClock(), limits)


def per_second(calls: int, begun: float) -> float:
    """Calls a second since then."""
    return calls / (time.perf_counter() - begun)


async def measure(calls: int) -> dict[str, float]:
    """Each kind by itself, at once and through the awaitable."""
    rows = {}
    for kind in RequestKind:
        chosen = budget()
        begun = time.perf_counter()
        for _ in range(calls):
            chosen.try_acquire(kind)
        rows[f"try_acquire_{kind.value}_per_s"] = per_second(calls, begun)
        begun = time.perf_counter()
        for _ in range(calls):
            await chosen.acquire(kind, "bench")
        rows[f"acquire_{kind.value}_per_s"] = per_second(calls, begun)
    bucket = TokenBucket(_AMPLE, 60, SystemClock())
    begun = time.perf_counter()
    for _ in range(calls):
        bucket.try_take(1.0)
    rows["bucket_per_s"] = per_second(calls, begun)
    return rows


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=300_000)
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    chosen = parser.parse_args()
    rows = asyncio.run(measure(chosen.calls))
    if chosen.json:
        print(json.dumps({"throttle": rows}))
        return
    for name, value in rows.items():
        print(f"{name:>28}  {value:>12,.0f}")


if __name__ == "__main__":
    main()
