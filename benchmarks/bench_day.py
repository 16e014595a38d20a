"""A day of a hundred thousand users: allocated, credited, and every reward written to the outbox.

    .venv/bin/python benchmarks/bench_day.py [--json] [--users N] [--dir DIR]

Everybody asked for payouts, so the day ends with one queued payout a user, its units held in the ledger. It
goes the whole way that a running instance goes: an allocation run with its rows and digests, credits in
groups, then a distributor's round, all on SQLite with its usual syncs. Before it is
believed, the rewards' and payouts' audits run and the units are counted.

The yardstick, measured in the same run on the same disk, is what SQLite alone takes to insert as many rows of
the same size in the same number of transactions.
"""

from __future__ import annotations

import argparse
import json
import platform
import sqlite3
import sys
import tempfile
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from mrmarket.core.clock import NS_PER_MS, ManualClock
from mrmarket.core.money import Asset
from mrmarket.money.ledger.account import Account, AccountKind
from mrmarket.money.ledger.draft import Draft
from mrmarket.money.ledger.group import Group
from mrmarket.money.ledger.ledger import Ledger
from mrmarket.money.ledger.sqlite_store import SqliteStore
from mrmarket.money.ledger.writer import LedgerWriter
from mrmarket.money.payouts.audit import faults as payout_faults
from mrmarket.money.payouts.outbox import Outbox
from mrmarket.money.payouts.repository import PayoutRepository
from mrmarket.money.rewards.allocator import Allocator
from mrmarket.money.rewards.attribution import LpShare
from mrmarket.money.rewards.audit import faults as reward_faults
from mrmarket.money.rewards.campaign import DAY_MS, Campaign
from mrmarket.money.rewards.distribution import Distributor
from mrmarket.money.rewards.inputs import Sources
from mrmarket.money.rewards.integral import ShareChange, Step
from mrmarket.money.rewards.receipts import Receipt, receive, register
from mrmarket.money.rewards.rows import Preference
from mrmarket.store.sql import Sql, SqliteReader

START_MS: Final = 1_700_000_000_000
REWARD: Final = 50_000 * 10**18 + 7
ASSET: Final = Asset("bench", "HMT", 18)
CAMPAIGN: Final = Campaign("bench", "main", START_MS, START_MS + DAY_MS)
WORLD: Final = Account.of(AccountKind.EXTERNAL, "bench")
LIMIT_S: Final = 20.0
ROWS_A_USER: Final = 12
"""Rows that one user's day leaves: allocation, credit, balance, hold, payout, delivery, and their indexes."""


class Listed:
    """A share history that is in memory: an opening balance, and a change for every fifth user."""

    def __init__(self, users: int) -> None:
        self._steps: list[ShareChange] = [
            Step(START_MS, account(number), (number * 7_919 % 10**6 + 1) * 10**18, 10 + number % 3, 10)
            for number in range(users)
        ]
        self._steps += [
            Step(START_MS + number * DAY_MS // users + 1, account(number), 10**18 + number, 10, 10)
            for number in range(0, users, 5)
        ]

    def changes(self, sql: Sql, pool: str, start_ms: int, end_ms: int) -> Iterable[ShareChange]:  # noqa: ARG002 - the port's shape
        """Everything."""
        return self._steps


class Bystander:
    """Somebody else who writes all the time, and how long it had to wait for its turn."""

    def __init__(self, writer: LedgerWriter) -> None:
        self.longest_s = 0.0
        self._writer = writer
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._write)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def _write(self) -> None:
        while not self._ended.wait(0.05):
            begun = time.perf_counter()
            self._writer.perform(lambda draft: draft.at_ms).result()
            self.longest_s = max(self.longest_s, time.perf_counter() - begun)


def account(number: int) -> str:
    """A user's account."""
    return f"user:{number:07d}"


def day(users: int, folder: Path) -> dict[str, float]:
    """Seconds of each part of a day."""
    path = folder / "money.db"
    clock = ManualClock((CAMPAIGN.end_ms + 1) * NS_PER_MS)
    writer = LedgerWriter(Ledger(SqliteStore.open(path, "bench"), clock))
    reader = SqliteReader.open(path)
    allocator = Allocator(writer, reader, Sources((LpShare(Listed(users)),)))
    distributor = Distributor(writer, Outbox(), lambda _: "bench")

    def arrive(draft: Draft) -> None:
        draft.post(Group("open", assets=(ASSET,), accounts=(WORLD,)))
        register(draft, CAMPAIGN)
        receive(draft, Receipt("bench", "1", CAMPAIGN.id, 0, ASSET.id, REWARD, START_MS), WORLD)
        for number in range(users):
            distributor.prefer(draft, Preference(account(number), ASSET.id, f"0x{number:040x}", "", 1, 0))

    writer.perform(arrive).result()
    begun, processor_begun = time.perf_counter(), time.process_time()
    (run,) = allocator.allocate(CAMPAIGN.id, 0)
    credited = time.perf_counter()
    with Bystander(writer) as other:
        done = distributor.step()
    queued, processor_s = time.perf_counter(), time.process_time() - processor_begun
    assert (len(done.deliveries), done.refused) == (users, ())
    with reader.snapshot() as sql:
        payouts = list(PayoutRepository(sql).every())
        assert [*reward_faults(sql), *payout_faults(sql)] == []
    audited = time.perf_counter()
    writer.close()
    reader.close()
    assert run.credited_units == REWARD
    assert sum(row.units for row in payouts) == REWARD
    assert len(payouts) == users
    return {
        "whole_s": queued - begun,
        "whole_processor_s": processor_s,
        "allocated_and_credited_s": credited - begun,
        "written_to_the_outbox_s": queued - credited,
        "payouts_per_s": users / (queued - credited),
        "another_writer_waits_at_most_s": other.longest_s,
        "audited_s": audited - queued,
        "file_mb": path.stat().st_size / 2**20,
    }


def yardstick(users: int, folder: Path) -> float:
    """Seconds in which SQLite alone inserts as many rows of 200 bytes by a text key, 1,000 users a commit."""
    with sqlite3.connect(folder / "yardstick.db", isolation_level=None) as base:
        base.execute("PRAGMA journal_mode = WAL")
        base.execute("PRAGMA synchronous = FULL")
        base.execute("CREATE TABLE t (id TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID")
        begun = time.perf_counter()
        for start in range(0, users, 1_000):
            base.execute("BEGIN IMMEDIATE")
            base.executemany(
                "INSERT INTO t VALUES (?, ?)",
                [
                    (f"{number * 7_919 % users:07d}:{part}", "x" * 200)
                    for number in range(start, min(users, start + 1_000))
                    for part in range(ROWS_A_USER)
                ],
            )
            base.execute("COMMIT")
        return time.perf_counter() - begun


def main() -> int:
    """Measure and print; 1 if the day takes longer than it may."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    parser.add_argument("--users", type=int, default=100_000)
    parser.add_argument("--dir", type=Path, help="a folder on the disk to measure (default: the system's)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.dir) as folder:
        bare_s = yardstick(arguments.users, Path(folder))
        found = day(arguments.users, Path(folder))
    of = f"a day of {arguments.users:,} users"
    rows = []
    for key, value in [*found.items(), ("yardstick_rows_inserted_s", bare_s)]:
        words, _, unit = key.rpartition("_")
        words, unit = (words.removesuffix("_per"), "/s") if words.endswith("_per") else (words, unit)
        rows.append(
            {
                "name": f"{of}, {words.replace('_', ' ')}",
                "value": value,
                "unit": "MB" if unit == "mb" else unit,
            }
        )
    ratios = {"bare inserts of as many rows / the day": bare_s / found["whole_s"]}
    if arguments.json:
        print(json.dumps({"python": platform.python_version(), "rows": rows, "ratios": ratios}))
    else:
        for row in rows:
            print(f"{row['name']:<64} {row['value']:>12,.2f} {row['unit']}")
        for name, ratio in ratios.items():
            print(f"{name:<64} {ratio:>12,.2f} ×")
    print(f"limit {LIMIT_S:.0f} s for 100,000 users: took {found['whole_s']:.1f} s", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
