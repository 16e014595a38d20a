"""Loyalty at scale: 10 M events of 100 k providers over 210 days, from a file to everybody's reward.

    .venv/bin/python benchmarks/bench_loyalty.py [--json] [--events N] [--providers N] [--days N] [--dir DIR]

The run has a process of its own, so that its peak of memory is its own. The yardstick of the same run is the
plain Python reference on a sample of the providers, which the columns must equal to the unit.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import resource
import subprocess
import sys
import tempfile
import time
from array import array
from pathlib import Path
from typing import Any, Final

SEED: Final = 20240909
DAY_MS: Final = 86_400_000
START_MS: Final = 1_725_840_000_000
SAMPLE: Final = 200
TOKENS: Final = ("wrapped-bitcoin", "tbtc", "ethereum")


def make(path: Path, events: int, providers: int, days: int) -> None:
    """Three pools of two tokens; one provider in five is in two pools; six events of ten add."""
    import polars as pl

    from mrmarket.money.loyalty.event import Pool, Token
    from mrmarket.money.loyalty.table import EventTable, write_parquet

    rng = random.Random(SEED)  # noqa: S311 - repeatable data

    def column(name: str) -> pl.Series:
        words = array("Q")
        words.frombytes(rng.randbytes(8 * events))
        return pl.Series(name, words, dtype=pl.UInt64)

    wbtc, tbtc, eth = (
        Token(symbol, decimals, price_id)
        for symbol, decimals, price_id in zip(("WBTC", "tBTC", "ETH"), (8, 18, 18), TOKENS, strict=True)
    )
    pairs = [(wbtc, tbtc), (tbtc, eth), (wbtc, tbtc)]
    pools = tuple(Pool(f"0x{place:040x}", tokens) for place, tokens in enumerate(pairs))
    pid = pl.col("who") % providers
    second = (pid % 5 == 0) & (pl.col("place") % 2 == 0)
    drawn = pl.DataFrame([column("who"), column("when"), column("place"), column("sign")]).select(
        pid=pid.cast(pl.UInt32),
        pool=pl.when(second).then((pid + 1) % 3).otherwise(pid % 3).cast(pl.UInt32),
        time_ms=(pl.col("when") % (days * DAY_MS // 1000)).cast(pl.Int64) * 1000 + START_MS,
        sign=pl.when(pl.col("sign") % 10 < 6).then(1).otherwise(-1).cast(pl.Int128),
        small=(pl.col("sign") // 10 % 10**7).cast(pl.Int128),
        large=(pl.col("place") // 2 % 10**17).cast(pl.Int128),
    )
    frame = drawn.select(
        "pid",
        "pool",
        "time_ms",
        units0=pl.col("sign") * pl.when(pl.col("pool") == 1).then(pl.col("large")).otherwise(pl.col("small")),
        units1=pl.col("sign") * pl.col("large"),
    )
    names = sorted(f"0x{rng.getrandbits(160):040x}" for _ in range(providers))
    write_parquet(EventTable(frame, names, pools), path)


def prices(listed: int) -> dict[str, list[int]]:
    """A random walk for each token, in 10^-12 USD."""
    rng = random.Random(SEED)  # noqa: S311 - repeatable data
    found: dict[str, list[int]] = {}
    for name, begin in zip(TOKENS, (60_000, 60_000, 2_500), strict=True):
        price = begin * 10**12
        found[name] = [price := price * rng.randrange(970, 1031) // 1000 for _ in range(listed)]
    return found


def measure(path: Path, days: int) -> dict[str, Any]:
    """Read, weigh and share; then the same by the reference for a sample."""
    from mrmarket.money.loyalty import columns, history
    from mrmarket.money.loyalty.model import MODELS
    from mrmarket.money.loyalty.outcome import share_exactly
    from mrmarket.money.loyalty.programme import Programme
    from mrmarket.money.loyalty.table import read_parquet

    programme = Programme(START_MS, START_MS + days * DAY_MS, 50_000 * 10**8)
    daily = prices(len(programme.listed_days_ms))
    start, busy = time.perf_counter(), time.process_time()
    table = read_parquet(path)
    read_s = time.perf_counter() - start
    standings = list(columns.standings(table, programme, daily))
    weighed_s = time.perf_counter() - start
    rewards = share_exactly(MODELS["twal"], standings, programme)
    whole_s, busy_s = time.perf_counter() - start, time.process_time() - busy
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    assert sum(reward.units for reward in rewards) == programme.total_units
    sample = sample_events(table, SAMPLE)
    start = time.perf_counter()
    wanted = list(history.standings(sample, programme, daily))
    reference_s = time.perf_counter() - start
    for mine, theirs in zip(wanted, standings, strict=False):
        assert (mine.provider, mine.integrals, mine.runs, mine.balances) == (
            theirs.provider,
            theirs.integrals,
            theirs.runs,
            theirs.balances,
        )
    return {
        "read_s": read_s,
        "weighed_s": weighed_s - read_s,
        "shared_s": whole_s - weighed_s,
        "whole_s": whole_s,
        "busy_s": busy_s,
        "peak_mb": peak_mb,
        "providers_per_s": len(standings) / whole_s,
        "reference_providers_per_s": len(wanted) / reference_s,
    }


def sample_events(table: Any, count: int) -> list[Any]:
    """The events of the first providers, one by one."""
    import polars as pl

    from mrmarket.money.loyalty.event import LiquidityEvent

    rows = table.frame.filter(pl.col("pid") < count).select("pid", "time_ms", "pool", "units0", "units1")
    return [
        LiquidityEvent(table.providers[pid], time_ms, table.pools[pool], (units0, units1), units1 > 0, "0x")
        for pid, time_ms, pool, units0, units1 in rows.iter_rows()
    ]


def apart(step: str, path: Path, arguments: argparse.Namespace) -> str:
    """Carry a step out in a process of its own; returns what it prints."""
    sizes = [f"--{name}={getattr(arguments, name)}" for name in ("events", "providers", "days")]
    command = [sys.executable, __file__, "--step", step, "--file", str(path), *sizes]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--providers", type=int, default=100_000)
    parser.add_argument("--days", type=int, default=210)
    parser.add_argument(
        "--dir", type=Path, help="where the made file goes for a while (default: the system's)"
    )
    parser.add_argument("--step", choices=("make", "measure"), help=argparse.SUPPRESS)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.step == "make":
        make(arguments.file, arguments.events, arguments.providers, arguments.days)
        return 0
    if arguments.step == "measure":
        print(json.dumps(measure(arguments.file, arguments.days)))
        return 0
    with tempfile.TemporaryDirectory(dir=arguments.dir) as folder:
        path = Path(folder) / "events.parquet"
        apart("make", path, arguments)
        found = json.loads(apart("measure", path, arguments))
    rows = [
        {"name": "events to rewards, whole", "value": found["whole_s"], "unit": "s"},
        {"name": "the same, processor time of all threads", "value": found["busy_s"], "unit": "s"},
        {"name": "of it reading", "value": found["read_s"], "unit": "s"},
        {"name": "of it weighing", "value": found["weighed_s"], "unit": "s"},
        {"name": "of it sharing", "value": found["shared_s"], "unit": "s"},
        {"name": "peak memory", "value": found["peak_mb"], "unit": "MB"},
        {"name": "events", "value": arguments.events / found["whole_s"], "unit": "/s"},
        {"name": "providers", "value": found["providers_per_s"], "unit": "/s"},
        {"name": "providers, plain reference", "value": found["reference_providers_per_s"], "unit": "/s"},
    ]
    ratios = {"columns_to_reference": found["providers_per_s"] / found["reference_providers_per_s"]}
    if arguments.json:
        print(json.dumps({"python": platform.python_version(), "rows": rows, "ratios": ratios}))
        return 0
    for row in rows:
        print(f"{row['name']:<40} {row['value']:>12,.1f} {row['unit']}")
    for name, ratio in ratios.items():
        print(f"{name:<40} {ratio:>12.1f} ×")
    return 0


if __name__ == "__main__":
    sys.exit(main())
