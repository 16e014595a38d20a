"""Allocating rewards: a million users at once, and a day of a hundred thousand into the ledger.

    .venv/bin/python benchmarks/bench_rewards.py [--json] [--users N] [--day-users N] [--dir DIR]

The allocation is pure: the integral of everybody's shares from a list of changes (one opening balance each,
and a change during the day for every fifth), its digest, the largest remainder, the rows and their digest.
It runs in a process of its own, so that its peak of memory is its own; the list it is given counts too. The
day goes the whole way: computed, recorded, credited in groups of a thousand, replayed and audited.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from mrmarket.core.clock import NS_PER_MS, ManualClock
from mrmarket.core.money import Asset
from mrmarket.money.ledger.account import Account, AccountKind
from mrmarket.money.ledger.draft import Draft
from mrmarket.money.ledger.group import Group
from mrmarket.money.ledger.ledger import Ledger
from mrmarket.money.ledger.sqlite_store import SqliteStore
from mrmarket.money.ledger.writer import LedgerWriter
from mrmarket.money.rewards.allocator import Allocator
from mrmarket.money.rewards.attribution import Judgement, LpShare, weigh
from mrmarket.money.rewards.audit import faults
from mrmarket.money.rewards.campaign import DAY_MS, Campaign, Span
from mrmarket.money.rewards.division import divide, salted_tie
from mrmarket.money.rewards.inputs import Sources
from mrmarket.money.rewards.integral import ShareChange, Step, integrate
from mrmarket.money.rewards.plan import Money, Terms, plan_run
from mrmarket.money.rewards.receipts import Receipt, receive, register
from mrmarket.money.rewards.replay import replay_day
from mrmarket.store.sql import Sql, SqliteReader

START_MS: Final = 1_700_000_000_000
SPAN: Final = Span(START_MS, START_MS + DAY_MS)
REWARD: Final = 50_000 * 10**18 + 7
ASSET: Final = Asset("bench", "HMT", 18)
CAMPAIGN: Final = Campaign("bench", "main", SPAN.start_ms, SPAN.end_ms)
WORLD: Final = Account.of(AccountKind.EXTERNAL, "bench")


def shares(number: int) -> int:
    """Share units of a user: up to a million whole shares, with all 18 decimals in use."""
    return (number * 7_919 % 10**6 + 1) * 10**18 + number


def changes(users: int) -> list[ShareChange]:
    """Opening balances in three lock tiers, and a change during the day for every fifth user."""
    opening = [
        Step(START_MS, f"user:{number:07d}", shares(number), 10 + number % 3, 10) for number in range(users)
    ]
    later = [
        Step(START_MS + number * DAY_MS // users + 1, f"user:{number:07d}", shares(number) // 2, 10, 10)
        for number in range(0, users, 5)
    ]
    return [*opening, *later]


class Listed:
    """A share history that is in memory."""

    def __init__(self, steps: list[ShareChange]) -> None:
        self._steps = steps

    def changes(self, sql: Sql, pool: str, start_ms: int, end_ms: int) -> Iterable[ShareChange]:  # noqa: ARG002 - the port's shape
        """Everything."""
        return self._steps


def pure(users: int) -> dict[str, float]:
    """Seconds of each part of an allocation, and this process's peak of memory in MB."""
    steps = changes(users)
    before_mb = peak_mb()
    cpu = time.process_time()
    begun = time.perf_counter()
    integrals = integrate(steps, SPAN)
    integrated = time.perf_counter()
    parts = divide(REWARD, integrals.values, salted_tie("bench", integrals.users))
    divided = time.perf_counter()
    cpu = time.process_time() - cpu
    assert sum(parts) == REWARD
    del parts
    peak_of_division_mb = peak_mb()
    started = time.perf_counter()
    weighing = weigh(integrals, Judgement())
    plan = plan_run(
        Money(REWARD, 0, 0, {}, 0, 0, 0), weighing, Terms("bench", 0, 0, "owner:fees", "unallocated:main")
    )
    planned = time.perf_counter()
    assert plan.credited == REWARD
    return {
        "integral_s": integrated - begun,
        "largest_remainder_s": divided - integrated,
        "allocation_s": divided - begun,
        "allocation_processor_s": cpu,
        "whole_run_s": (integrated - begun) + (planned - started),
        "list_of_changes_mb": before_mb,
        "allocation_peak_mb": peak_of_division_mb,
        "whole_run_peak_mb": peak_mb(),
    }


def day(users: int, folder: Path) -> dict[str, float]:
    """Seconds that a day takes with the ledger in SQLite."""
    path = folder / "money.db"
    clock = ManualClock((SPAN.end_ms + 1) * NS_PER_MS)
    writer = LedgerWriter(Ledger(SqliteStore.open(path, "bench"), clock))
    reader = SqliteReader.open(path)
    sources = Sources((LpShare(Listed(changes(users))),))
    allocator = Allocator(writer, reader, sources)

    def arrive(draft: Draft) -> None:
        draft.post(Group("open", assets=(ASSET,), accounts=(WORLD,)))
        register(draft, CAMPAIGN)
        receive(draft, Receipt("bench", "1", CAMPAIGN.id, 0, ASSET.id, REWARD, START_MS), WORLD)

    writer.perform(arrive).result()
    begun = time.perf_counter()
    (run,) = allocator.allocate(CAMPAIGN.id, 0)
    credited = time.perf_counter()
    with reader.snapshot() as sql:
        (replay,) = replay_day(sql, sources, CAMPAIGN.id, 0)
        replayed = time.perf_counter()
        found = list(faults(sql))
    audited = time.perf_counter()
    writer.close()
    reader.close()
    assert replay.ok
    assert found == []
    assert run.credited_units == REWARD
    return {
        "allocated_and_credited_s": credited - begun,
        "credits_per_s": run.rows / (credited - begun),
        "replayed_s": replayed - credited,
        "audited_s": audited - replayed,
        "file_mb": path.stat().st_size / 2**20,
    }


def peak_mb() -> float:
    """Largest resident set of this process so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def apart(part: str, users: int, folder: Path) -> dict[str, float]:
    """One part in a process of its own."""
    done = subprocess.run(
        [sys.executable, __file__, "--part", part, "--users", str(users), "--dir", str(folder)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    result: dict[str, float] = json.loads(done.stdout)
    return result


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    parser.add_argument(
        "--users", type=int, default=1_000_000, help="of the pure allocation (default a million)"
    )
    parser.add_argument(
        "--day-users", type=int, default=100_000, help="of the day in SQLite (default 100000)"
    )
    parser.add_argument("--dir", type=Path, help="a folder on the disk to measure (default: the system's)")
    parser.add_argument("--part", choices=("pure", "day"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.part is not None:
        result = pure(arguments.users) if arguments.part == "pure" else day(arguments.users, arguments.dir)
        print(json.dumps(result))
        return 0
    with tempfile.TemporaryDirectory(dir=arguments.dir) as folder:
        rows = [
            *named(f"{arguments.users:,} users", apart("pure", arguments.users, Path(folder))),
            *named(
                f"a day of {arguments.day_users:,} users in SQLite",
                apart("day", arguments.day_users, Path(folder)),
            ),
        ]
    if arguments.json:
        print(json.dumps({"python": platform.python_version(), "rows": rows}))
        return 0
    for row in rows:
        print(f"{row['name']:<64} {row['value']:>12,.2f} {row['unit']}")
    return 0


def named(of: str, table: dict[str, float]) -> Iterator[dict[str, Any]]:
    """A part's figures as rows; the end of a key is the unit."""
    for key, value in table.items():
        words, _, unit = key.rpartition("_")
        words, unit = (words.removesuffix("_per"), "/s") if words.endswith("_per") else (words, unit)
        unit = "MB" if unit == "mb" else unit
        yield {"name": f"{of}, {words.replace('_', ' ')}", "value": value, "unit": unit}


if __name__ == "__main__":
    sys.exit(main())
