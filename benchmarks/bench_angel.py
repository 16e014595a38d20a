"""From the moment an instance is frozen to the first full sweep, and to the proof that nothing is left.

A real instance with its Angel on an exchange of its own process; each round freezes it with SIGSTOP, waits
until the Angel has closed its intervention, thaws it and waits for quotes. Times are from the signal to the
Angel's own records. Targets: sweep within threshold + 2 s, proof within threshold + recvWindow + 4 s.

    python benchmarks/bench_angel.py [--rounds 5] [--threshold 5] [--layers 10] [--json]
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

RECV_WINDOW_S = 2.0
START_S = 90.0


def command(*arguments: str) -> list[str]:
    """The `mrmarket` command."""
    return [sys.executable, "-m", "mrmarket", *arguments]


def wait_for(holds: Callable[[], object], seconds: float = START_S) -> None:
    """Poll until something holds."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise SystemExit("it did not come in time")
        time.sleep(0.05)


def records(data: Path) -> list[dict[str, Any]]:
    """The Angel's own file, oldest first."""
    path = data / "angel" / "angel.jsonl"
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_bytes().split(b"\n")[:-1]]


def one_round(data: Path, process: subprocess.Popen[bytes]) -> dict[str, float]:
    """Freeze, wait, thaw."""
    known = len(records(data))
    began_ms = time.time() * 1000
    process.send_signal(signal.SIGSTOP)
    try:
        wait_for(lambda: any(row["action"] == "closed" for row in records(data)[known:]))
    finally:
        process.send_signal(signal.SIGCONT)
    rows = records(data)[known:]

    def after_s(name: str) -> float:
        return float(min(row["at_ms"] for row in rows if row["action"] == name) - began_ms) / 1000

    return {
        "noticed": after_s("intervene"),
        "swept": after_s("proving"),
        "proven": after_s("cleared"),
        "orders": sum(row["action"] == "cancelling" for row in rows),
    }


def measure(rounds: int, threshold_s: float, layers: int) -> list[dict[str, float]]:
    """Every round of one instance."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        venue = subprocess.Popen(
            command("venue", "--port", "0", "--json", "--state", str(root / "venue")), stdout=subprocess.PIPE
        )
        assert venue.stdout is not None
        where = json.loads(venue.stdout.readline())
        config = root / "mrmarket.toml"
        config.write_text(
            f'[venue]\nexchange = "binance"\nrest_url = "{where["rest"]}"\nws_url = "{where["ws"]}"\n'
            f'ws_api_url = "{where["ws_api"]}"\n[angel]\nthreshold_s = {threshold_s}\n'
            f"[strategy]\nnumber_of_layers = {layers}\norder_amount = 0.001\n"
        )
        keys = {
            "MRMARKET_API_KEY": where["api_key"],
            "MRMARKET_API_SECRET": where["api_secret"],
            "MRMARKET_ANGEL_API_KEY": where["angel_key"],
            "MRMARKET_ANGEL_API_SECRET": where["angel_secret"],
        }
        data = root / "data"
        process = subprocess.Popen(
            command("run", "--data", str(data), "--port", "0", "--config", str(config)),
            env={**os.environ, **keys},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            wait_for(lambda: any(row["action"] == "venue_ready" for row in records(data)))
            results = []
            for _ in range(rounds):
                time.sleep(10)  # let it quote
                results.append(one_round(data, process))
            return results
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(60)
            venue.terminate()
            venue.wait(20)


def main() -> int:
    """Measure and print; 1 if a target was missed."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--threshold", type=float, default=5.0)
    options.add_argument("--layers", type=int, default=10)
    options.add_argument("--json", action="store_true")
    chosen = options.parse_args()
    results = measure(chosen.rounds, chosen.threshold, chosen.layers)
    rows = [
        {
            "name": f"frozen to {name}, {which}",
            "value": round(of([row[name] for row in results]), 3),
            "unit": "s",
        }
        for name in ("noticed", "swept", "proven")
        for which, of in (("median", median), ("worst", max))
    ]
    rows.append(
        {"name": "orders swept, median", "value": median(row["orders"] for row in results), "unit": "orders"}
    )
    swept = max(row["swept"] for row in results)
    proven = max(row["proven"] for row in results)
    met = swept <= chosen.threshold + 2 and proven <= chosen.threshold + RECV_WINDOW_S + 4
    if chosen.json:
        print(json.dumps({"rows": rows}))
    else:
        for row in rows:
            print(f"{row['name']:<30} {row['value']:>8} {row['unit']}")
        print("both targets met" if met else "a target was missed")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
