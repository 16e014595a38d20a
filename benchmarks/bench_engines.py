"""Runs spread over engines: how fast they are claimed, moved, and taken over, and what one costs.

Engines are processes of their own on one PostgreSQL and one simulated exchange, started as the tests start
them. The market plays slowly and quotes stand far away: what is measured is holding runs, not trading.

    python benchmarks/bench_engines.py [--runs 200] [--accounts 20] [--engines 1 2 4] [--json]

For each number of engines: seconds from the first engine's start to all runs quoting; leases taken and
seconds until shares are fair after one engine more; seconds from SIGKILL (and SIGSTOP, where an engine is
left) of one engine to its last lease with another, and to all runs quoting; CPU of all engines per run;
the machine's load at the end, because all of this competes for its cores.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1] / "tests"
sys.path.insert(0, str(TESTS))

from e2e.engine_floor import EngineFloor  # noqa: E402 - found by the line above
from postgres_server import started  # noqa: E402 - the same

_QUIET = {
    "order_refresh_time": 120.0,
    "order_refresh_tolerance": "0.05",
    "max_order_age": 3600.0,
    "number_of_layers": 1,
    "bid_spread": "0.02",
    "ask_spread": "0.02",
    "order_amount": "0.001",
}
_LIMITS = {"request_weight_1m": 10**9, "orders_10s": 10**9, "orders_1d": 10**9}
_PATIENCE_S = 300.0
_WINDOW_S = 10.0
Figures = dict[str, float]


def cpu_s(process: int) -> float:
    """CPU seconds of a process so far."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Trial:
    """One number of engines."""

    def __init__(self, floor: EngineFloor, engines: int) -> None:
        self.floor = floor
        self.names = [f"engine{number}" for number in range(engines)]
        self.nodes: dict[str, str] = {}

    def all_quote(self) -> bool:
        """Whether every run quotes on an engine that is left."""
        return len(self.floor.quoting(set(self.nodes.values()))) == len(self.floor.runs)

    def fences(self) -> int:
        """Leases taken since the beginning, by everybody."""
        return sum(fence for _, fence in self.floor.holders().values())

    def measure(self) -> Figures:
        """Claim, count, add, kill, freeze."""
        floor, figures = self.floor, Figures()
        began = time.monotonic()
        for name in self.names:
            self.nodes[name] = floor.start(name)
        floor.until(self.all_quote, _PATIENCE_S)
        figures["claim_all_s"] = round(time.monotonic() - began, 2)
        floor.until(self.is_fair, _PATIENCE_S)
        floor.until(self.all_quote, _PATIENCE_S)
        figures["cpu_ms_per_run_s"] = self.cost()
        before = self.fences()
        began = time.monotonic()
        self.nodes["more"] = floor.start("more")
        self.names.append("more")
        floor.until(self.is_fair, _PATIENCE_S)
        floor.until(self.all_quote, _PATIENCE_S)
        figures["rebalance_s"] = round(time.monotonic() - began, 2)
        figures["rebalance_moves"] = self.fences() - before
        figures["rebalance_ideal"] = len(floor.runs) // len(self.names)
        figures |= self.strike("kill", signal.SIGKILL, self.names[0])
        if len(self.nodes) > 1:
            figures |= self.strike("freeze", signal.SIGSTOP, self.names[1])
        figures["load"] = round(os.getloadavg()[0], 1)
        return figures

    def is_fair(self) -> bool:
        """Whether shares differ by one at most."""
        loads = self.floor.loads()
        return len(loads) == len(self.nodes) and loads[-1] - loads[0] <= 1

    def cost(self) -> float:
        """CPU milliseconds a second and run, over a quiet while."""
        processes = [self.floor.engines[name].pid for name in self.names]
        used = -sum(map(cpu_s, processes))
        time.sleep(_WINDOW_S)
        used += sum(map(cpu_s, processes))
        return round(used / _WINDOW_S / len(self.floor.runs) * 1000, 2)

    def strike(self, word: str, number: signal.Signals, name: str) -> Figures:
        """Take an engine away; how long its runs are gone."""
        floor = self.floor
        gone = self.nodes.pop(name)
        orphans = sum(node == gone for node, _ in floor.holders().values())
        began = time.monotonic()
        floor.signal(name, number)
        floor.until(lambda: gone not in floor.nodes(), _PATIENCE_S)
        held_s = time.monotonic() - began
        floor.until(self.all_quote, _PATIENCE_S)
        return {
            f"{word}_runs": orphans,
            f"{word}_held_s": round(held_s, 2),
            f"{word}_quoting_s": round(time.monotonic() - began, 2),
        }


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--runs", type=int, default=200)
    options.add_argument("--accounts", type=int, default=20)
    options.add_argument("--engines", type=int, nargs="+", default=[1, 2, 4])
    options.add_argument("--json", action="store_true")
    chosen = options.parse_args()
    accounts = [f"a{number}" for number in range(chosen.accounts)]
    per_account = -(-chosen.runs // chosen.accounts)
    result: dict[str, Figures] = {}
    for engines in chosen.engines:
        with tempfile.TemporaryDirectory() as folder, started().database() as address:
            floor = EngineFloor(
                Path(folder),
                address,
                accounts,
                speed=0.2,
                per_account=per_account,
                parameters=_QUIET,
                limits=_LIMITS,
                settings="[engine]\nhand_over_at_once = 16\n",
            )
            try:
                result[f"{engines} engines"] = figures = Trial(floor, engines).measure()
            finally:
                floor.end()
        if not chosen.json:
            print(f"{engines} engines, {len(floor.runs)} runs: {figures}", flush=True)
    if chosen.json:
        print(json.dumps({"engines": result}))


if __name__ == "__main__":
    main()
