"""Durable postings, verification, facts and intents, next to what the disk alone can do.

    .venv/bin/python benchmarks/bench_ledger.py [--json] [--seconds S] [--dir DIR]

Every figure is taken on the same disk in one run, between two measurements of the plain rate of
`write + fdatasync`, so that ratios mean something on any machine. Awaited postings are groups of one
transfer, awaited by each caller before its next. In bulk, 4,000 transfers share a commit: as so many
groups of one, or as groups of a hundred, which is what an allocation posts. Every user is touched by
every batch, every entry is indexed by account, and the groups are made before the clock starts.
PostgreSQL is started for the measurement where the tests' server is installed. Intents are recorded
while another thread appends facts as fast as the disk lets it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from mrmarket.core.clock import SystemClock
from mrmarket.core.errors import MrMarketError
from mrmarket.core.events import Filled, MarkObserved
from mrmarket.core.money import Asset
from mrmarket.core.side import Side
from mrmarket.money.ledger.account import Account, AccountKind
from mrmarket.money.ledger.group import Group, Posted, Transfer, TransferKind
from mrmarket.money.ledger.ledger import Ledger
from mrmarket.money.ledger.port import LedgerStore
from mrmarket.money.ledger.sqlite_store import SqliteStore
from mrmarket.money.ledger.verification import verify_ledger
from mrmarket.money.ledger.writer import LedgerWriter
from mrmarket.money.pool.plan import PoolPlan
from mrmarket.money.pool.treasury import Treasury
from mrmarket.store.order_journal import OrderIntent
from mrmarket.store.sqlite import sync_file
from mrmarket.store.trading_store import TradingStore

USD: Final = Asset("bench", "USD", 18)
WORLD: Final = Account.of(AccountKind.EXTERNAL, "world")
USERS: Final = 1_000
STREAM: Final = "bench"
BULK: Final = 200_000
DRAIN: Final = 4_000
NAMES: Final = tuple(f"user:u{number}" for number in range(USERS))


class Row(msgspec.Struct, frozen=True):
    """One measured figure."""

    name: str
    value: float
    unit: str


def sync_times(folder: Path, seconds: float) -> list[float]:
    """How long each `write + fdatasync` of one page takes, in µs."""
    times: list[float] = []
    descriptor = os.open(folder / "plain", os.O_CREAT | os.O_RDWR)
    end = time.perf_counter() + seconds
    try:
        while (start := time.perf_counter()) < end:
            os.pwrite(descriptor, b"x" * 4096, len(times) % 256 * 4096)
            sync_file(descriptor)
            times.append((time.perf_counter() - start) * 1e6)
    finally:
        os.close(descriptor)
    return times


def percentile(times: list[float], share: float) -> float:
    """The value below which that share lies."""
    ordered = sorted(times)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def transfer(number: int) -> Transfer:
    """From the world to one of the users."""
    return Transfer(WORLD.id, NAMES[number % USERS], USD.id, 10**18 + number, TransferKind.DEPOSIT)


def posting(key: str, number: int) -> Group:
    """One transfer under a key."""
    return Group(key, (transfer(number),))


def with_users(store: LedgerStore) -> Ledger:
    """A ledger with its users."""
    ledger = Ledger(store, SystemClock())
    users = (Account.of(AccountKind.USER, f"u{number}") for number in range(USERS))
    ledger.drain([Group("open", assets=(USD,), accounts=(WORLD, *users))])
    return ledger


def open_books(path: Path) -> Ledger:
    """A ledger in a file."""
    return with_users(SqliteStore.open(path, "bench"))


def awaited(path: Path, callers: int, seconds: float) -> tuple[float, list[float]]:
    """Postings a second by so many callers at once, and the µs each waited."""
    writer = LedgerWriter(open_books(path))
    waits: list[float] = []

    async def call(caller: int, end: float) -> int:
        done = 0
        while (start := time.perf_counter()) < end:
            await writer.post(posting(f"{caller}/{done}", caller + done))
            waits.append((time.perf_counter() - start) * 1e6)
            done += 1
        return done

    async def run() -> float:
        start = time.perf_counter()
        done = await asyncio.gather(*(call(caller, start + seconds) for caller in range(callers)))
        return sum(done) / (time.perf_counter() - start)

    rate = asyncio.run(run())
    writer.close()
    return rate, waits


def bulk(ledger: Ledger, transfers: int, size: int) -> float:
    """Transfers a second, in groups of a size."""
    groups = [
        Group(f"b{first}", tuple(transfer(number) for number in range(first, first + size)))
        for first in range(0, transfers, size)
    ]
    drain = DRAIN // size
    start = time.perf_counter()
    for first in range(0, len(groups), drain):
        outcomes = ledger.drain(groups[first : first + drain])
        assert all(isinstance(outcome.value, Posted) for outcome in outcomes)
    rate = transfers / (time.perf_counter() - start)
    ledger.close()
    return rate


def on_postgres(transfers: int) -> list[Row]:
    """The same on PostgreSQL; nothing where no server can be started."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
    try:
        from mrmarket.money.ledger.postgres_store import PostgresStore
        from postgres_server import started

        server = started()
    except (ImportError, OSError, MrMarketError) as error:
        print(f"without PostgreSQL: {error}", file=sys.stderr)
        return []
    rows = []
    for size in (1, 100):
        with server.database() as address:
            rate = bulk(with_users(PostgresStore.open(address, "bench")), transfers, size)
        rows.append(Row(f"PostgreSQL: transfers in bulk, groups of {size}", rate, "/s"))
    return rows


def verified(path: Path) -> float:
    """Entries checked a second."""
    start = time.perf_counter()
    check = verify_ledger(path)
    assert check.ok, check.reason
    return check.entries / (time.perf_counter() - start)


def mark(at_ns: int) -> MarkObserved:
    """A fact without natural key."""
    return MarkObserved(
        venue="sim", at_ns=at_ns, symbol="BTC/USDT", base="BTC", quote="USDT", bid="59999.99", ask="60000.01"
    )


def fill(number: int) -> Filled:
    """A fact with one."""
    return Filled(
        venue="sim",
        at_ns=number,
        symbol="BTC/USDT",
        base="BTC",
        quote="USDT",
        trade_id=str(number),
        client_order_id="mm",
        venue_order_id="7",
        side=Side.BUY if number % 2 else Side.SELL,
        price="60000",
        size="0.001",
        quote_size="60",
        fee="0.06",
        fee_asset="USDT",
        maker=True,
    )


def appended(store: TradingStore, size: int, seconds: float) -> float:
    """Facts a second in durable batches of a size."""
    done = 0
    start = time.perf_counter()
    while time.perf_counter() - start < seconds:
        store.append_facts(STREAM, [mark(done + number) for number in range(size)])
        done += size
    return done / (time.perf_counter() - start)


def intent_times(store: TradingStore, label: str, count: int) -> list[float]:
    """µs that `record_intent` takes, at most 2,000 a second."""
    times: list[float] = []
    for number in range(count):
        intent = OrderIntent(
            stream=STREAM,
            client_order_id=f"{label}{number}",
            symbol="BTC/USDT",
            slot="bid-1",
            side=Side.BUY,
            kind="post_only",
            price_ticks=6_000_000,
            size_lots=100,
            created_ns=number,
        )
        start = time.perf_counter()
        store.record_intent(intent)
        times.append((time.perf_counter() - start) * 1e6)
        time.sleep(0.0005)
    return times


def beside_facts(store: TradingStore, work: Callable[[], list[float]]) -> list[float]:
    """Carry out work while another thread appends facts and waits for the disk."""
    stop = threading.Event()

    def append() -> None:
        while not stop.is_set():
            store.append_facts(STREAM, [mark(0), mark(1), mark(2)])

    thread = threading.Thread(target=append)
    thread.start()
    try:
        return work()
    finally:
        stop.set()
        thread.join()


def settled(folder: Path) -> float:
    """Fills a second from the event log into the ledger."""
    log = TradingStore.open(folder / "settled_trading.db")
    log.append_facts(STREAM, [fill(number) for number in range(10_000)])
    plan = PoolPlan(stream=STREAM, venue="sim", quote="USDT", founders=())
    treasury = Treasury.open(folder / "settled_money.db", log, plan, SystemClock())
    treasury.deposit("bench", {"USDT": "1000000"}, "seed")
    start = time.perf_counter()
    treasury.settle()
    rate = 10_000 / (time.perf_counter() - start)
    treasury.close()
    log.close()
    return rate


def measure(folder: Path, seconds: float) -> tuple[list[Row], dict[str, float]]:
    """Everything, in one run."""
    before = sync_times(folder, seconds / 2)
    one, one_waits = awaited(folder / "one.db", 1, seconds)
    many, many_waits = awaited(folder / "many.db", 64, seconds)
    single = bulk(open_books(folder / "single.db"), BULK, 1)
    grouped = bulk(open_books(folder / "grouped.db"), BULK, 100)
    checked = verified(folder / "single.db")
    checked_groups = verified(folder / "grouped.db")
    elsewhere = on_postgres(BULK // 2)
    store = TradingStore.open(folder / "trading.db")
    alone_facts = appended(store, 1, seconds)
    batched = appended(store, 100, seconds)
    alone = intent_times(store, "a", 2_000)
    beside = beside_facts(store, lambda: intent_times(store, "b", 2_000))
    store.close()
    fills = settled(folder)
    syncs = before + sync_times(folder, seconds / 2)
    plain = 1e6 / statistics.fmean(syncs)
    rows = [
        Row("write + fdatasync", plain, "/s"),
        Row("write + fdatasync, p99", percentile(syncs, 0.99), "µs"),
        Row("awaited postings, 1 caller", one, "/s"),
        Row("awaited postings, 1 caller, p99", percentile(one_waits, 0.99), "µs"),
        Row("awaited postings, 64 callers", many, "/s"),
        Row("awaited postings, 64 callers, p99", percentile(many_waits, 0.99), "µs"),
        Row("transfers in bulk, groups of 1", single, "/s"),
        Row("transfers in bulk, groups of 100", grouped, "/s"),
        Row("entries verified, groups of 1", checked, "/s"),
        Row("entries verified, groups of 100", checked_groups, "/s"),
        *elsewhere,
        Row("fills settled", fills, "/s"),
        Row("facts appended one by one", alone_facts, "/s"),
        Row("facts appended by 100", batched, "/s"),
        Row("record_intent, p50", percentile(alone, 0.5), "µs"),
        Row("record_intent, p99", percentile(alone, 0.99), "µs"),
        Row("record_intent beside facts, p50", percentile(beside, 0.5), "µs"),
        Row("record_intent beside facts, p99", percentile(beside, 0.99), "µs"),
    ]
    ratios = {
        "awaited_1_to_fdatasync": one / plain,
        "awaited_64_to_fdatasync": many / plain,
        "bulk_1_to_fdatasync": single / plain,
        "bulk_100_to_fdatasync": grouped / plain,
        "awaited_1_p99_to_fdatasync_p99": percentile(one_waits, 0.99) / percentile(syncs, 0.99),
    }
    return rows, ratios


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    parser.add_argument("--seconds", type=float, default=3.0, help="of each rate (default 3)")
    parser.add_argument("--dir", type=Path, help="a folder on the disk to measure (default: the system's)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.dir) as folder:
        rows, ratios = measure(Path(folder), arguments.seconds)
    if arguments.json:
        result = {"python": platform.python_version(), "rows": rows, "ratios": ratios}
        print(json.dumps(msgspec.to_builtins(result)))
        return 0
    for row in rows:
        print(f"{row.name:<46} {row.value:>12,.0f} {row.unit}")
    for name, ratio in ratios.items():
        print(f"{name:<46} {ratio:>12.2f} ×")
    return 0


if __name__ == "__main__":
    sys.exit(main())
