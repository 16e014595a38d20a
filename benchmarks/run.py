"""Runs every benchmark, prints one table, and writes `latest.json` and the table in `docs/benchmarks.md`.

    .venv/bin/python benchmarks/run.py [--only NAME …] [--no-write] [--peers PYTHON]

Peers and yardsticks are measured in the same run, so a ratio holds on any machine. A benchmark that
needs what is not there (a recording, a compiler) says so and is left out; so are the peers that live
in an environment of their own, unless its interpreter is named (or stands in MRMARKET_PEERS_PYTHON).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from peers import RESULTS

HERE = Path(__file__).resolve().parent
DOCUMENT = HERE.parent / "docs" / "benchmarks.md"
PEERS = HERE.parents[1] / "shared" / "bench" / "peers" / "run"
WITH_PEERS = frozenset({"backtest", "frames"})
"""Benchmarks that compare with peers in their own environment."""
START, END = "<!-- measured -->", "<!-- end of measured -->"


def main() -> int:
    """Measure, print, write; 1 if a benchmark failed."""
    scripts = {path.stem.removeprefix("bench_"): path for path in sorted(HERE.glob("bench_*.py"))}
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--only", nargs="+", choices=sorted(scripts), default=sorted(scripts))
    options.add_argument("--no-write", action="store_true", help="leave latest.json and the docs as they are")
    options.add_argument(
        "--peers",
        type=Path,
        default=os.environ.get("MRMARKET_PEERS_PYTHON"),
        help="interpreter of the peers' environment (default: MRMARKET_PEERS_PYTHON)",
    )
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        return run(chosen, Path(folder))


def run(chosen: argparse.Namespace, folder: Path) -> int:
    """Measure the peers, then ours; `folder` holds what the peers leave."""
    surroundings = {**os.environ, RESULTS: ""}
    if WITH_PEERS.intersection(chosen.only):
        surroundings[RESULTS] = measure_peers(chosen.peers, folder)
    scripts = {path.stem.removeprefix("bench_"): path for path in HERE.glob("bench_*.py")}
    ratios: dict[str, float] = {}
    limits: dict[str, dict[str, Any]] = {}
    failed = False
    for name in chosen.only:
        print(f"measuring {name} …", file=sys.stderr, flush=True)
        begun = time.perf_counter()
        done = subprocess.run(
            [sys.executable, str(scripts[name]), "--json"],
            stdout=subprocess.PIPE,
            text=True,
            check=False,
            env=surroundings,
        )
        if done.returncode != 0:
            print(f"{name} failed with status {done.returncode}", file=sys.stderr)
            failed = True
            continue
        if not done.stdout.strip():
            continue
        result = json.loads(done.stdout.splitlines()[-1])
        ratios |= {f"{name}: {key}": round(value, 2) for key, value in result.pop("ratios", {}).items()}
        for figure, value, unit in figures(result):
            limits[f"{name}: {figure}"] = {"value": value, "unit": unit}
        print(f"  {time.perf_counter() - begun:.0f} s", file=sys.stderr)
    table = markdown(ratios, limits)
    print(table)
    if not chosen.no_write and not failed:
        write(chosen.only, ratios, limits)
    return int(failed)


def measure_peers(python: Path | None, folder: Path) -> str:
    """Let the peers measure themselves; the file with their lines, empty where they are not there."""
    if python is None or not python.is_file() or not PEERS.is_file():
        missing = python if PEERS.is_file() else PEERS
        print(f"the peers are left out: {missing or 'no --peers PYTHON'} is not there", file=sys.stderr)
        return ""
    print("measuring the peers …", file=sys.stderr, flush=True)
    begun = time.perf_counter()
    done = subprocess.run(
        [str(PEERS), str(python.absolute())],
        stdout=subprocess.DEVNULL,
        env={**os.environ, "PEERS_OUT": str(folder)},
        check=False,
    )
    results = folder / "results.jsonl"
    if done.returncode != 0 or not results.is_file():
        print(f"the peers are left out: they ended with status {done.returncode}", file=sys.stderr)
        return ""
    print(f"  {time.perf_counter() - begun:.0f} s", file=sys.stderr)
    return str(results)


def figures(result: dict[str, Any]) -> Iterator[tuple[str, float, str]]:
    """Every figure of a script's answer: its `rows`, or the numbers of its nested tables."""
    for row in result.get("rows", []):
        yield row["name"], significant(row.get("per_s", row.get("value"))), row["unit"]
    for key, value in result.items():
        if isinstance(value, dict):
            yield from nested(key.replace("_", " "), value)


def nested(path: str, table: dict[str, Any]) -> Iterator[tuple[str, float, str]]:
    """Numbers of a table of tables, named by their path; the unit is the end of the name."""
    for key, value in table.items():
        if isinstance(value, dict):
            yield from nested(f"{path}, {key}", value)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            words = key.replace("_per_s", " a second").replace("_", " ")
            unit = next((unit for unit in ("us", "ms", "ns", "mb") if unit in words.split()), "")
            yield f"{path}, {words}", significant(value), unit.replace("us", "µs").replace("mb", "MB")


def significant(value: float) -> float:
    """Three digits are all that a shared machine repeats."""
    rounded = float(f"{value:.3g}")
    return int(rounded) if rounded.is_integer() else rounded


def markdown(ratios: dict[str, float], limits: dict[str, dict[str, Any]]) -> str:
    """The measured tables."""
    lines = ["| ours against a yardstick of the same run | ratio |", "|---|---:|"]
    lines += [f"| {name} | {ratio:g} × |" for name, ratio in ratios.items()]
    lines += ["", "| figure | value | unit |", "|---|---:|---|"]
    lines += [f"| {name} | {row['value']:,} | {row['unit']} |" for name, row in limits.items()]
    return "\n".join(lines)


def write(names: list[str], ratios: dict[str, float], limits: dict[str, dict[str, Any]]) -> None:
    """Keep the figures with what they were measured on; those of benchmarks that did not run stay."""
    commit = subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=HERE, text=True).strip()  # noqa: S607 - the developer's own git
    about = {
        "commit": commit,
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
    }
    before = json.loads((HERE / "latest.json").read_text(encoding="utf-8"))

    def merged(kind: str, found: dict[str, Any]) -> dict[str, Any]:
        kept = {name: value for name, value in before[kind].items() if name.split(":")[0] not in names}
        return dict(sorted({**kept, **found}.items()))

    ratios, limits = merged("ratios", ratios), merged("limits", limits)
    commits = {name: when for name, when in before.get("runs", {}).items() if name not in names}
    commits |= dict.fromkeys(names, f"{about['date']} {commit[:12]}")
    latest: dict[str, Any] = {
        **about,
        "runs": dict(sorted(commits.items())),
        "ratios": ratios,
        "limits": limits,
    }
    table = markdown(ratios, limits)
    (HERE / "latest.json").write_text(json.dumps(latest, indent=2, ensure_ascii=False) + "\n")
    text = DOCUMENT.read_text(encoding="utf-8")
    head, tail = text.split(START)[0], text.split(END)[1]
    runs = ", ".join(f"{name} {when.split()[1]}" for name, when in latest["runs"].items())
    stamp = f"Measured on {about['machine']}; newest on {about['date']}. At commits: {runs or commit[:12]}."
    DOCUMENT.write_text(f"{head}{START}\n\n{stamp}\n\n{table}\n\n{END}{tail}", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
