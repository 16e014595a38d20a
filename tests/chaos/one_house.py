"""Everything in one process on SQLite, with its own Angel, on an exchange that outlives them."""

from __future__ import annotations

import os
import signal
import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from decimal import Decimal
from pathlib import Path

from chaos.blows import LENGTHS_S, Blow, Deed, Menu
from chaos.exchange import NAME, Exchange
from chaos.fleet import Undo
from chaos.history import History, LeaseSample
from chaos.labels import CRASH_LABELS
from chaos.members import Ending, Guest, Member
from e2e.running import command, wait_until
from e2e.squaring import assert_holdings
from mrmarket.angel.diary import read_journal
from mrmarket.services.angel.composition import JOURNAL
from mrmarket.services.angel.holding import is_held
from mrmarket.services.angel.plan import FOLDER
from mrmarket.store.lease_row import LeaseRow
from mrmarket.store.sqlite_operations import SqliteOperations
from mrmarket.store.trading_store import TradingStore

STREAM = "binance.BTCUSDT"
SPEED = 10.0
_DATABASES = ("trading.db", "money.db", "control.db")
_ALL = 10_000_000
_CONFIG = """
[strategy]
order_refresh_time = 0.5
order_refresh_tolerance = 0
number_of_layers = 5
bid_spread = 0.00004
ask_spread = 0.00004
[risk]
retries_per_minute = 600
fills_per_minute = 10000
[engine]
lease_s = 3.0
renew_s = 1.0
[angel]
threshold_s = 2.5
recovery = "{recovery}"
"""


class OneHouse:
    """Implements `House`: exchange, instance, Angel."""

    def __init__(self, folder: Path, *, recovery: str = "automatic", disk: Path | None = None) -> None:
        """Start it and wait until it quotes.

        Args:
            folder: an empty one.
            recovery: the Angel's.
            disk: a small disk for the databases, to be filled up; None where there is none.
        """
        self.folder = folder
        self.disk = disk
        self.exchange = Exchange(folder, ["default"], SPEED)
        wait_until(lambda: self.exchange.ready is not None)
        self.data = folder / "data"
        if disk is not None:
            self.data.symlink_to(disk)
        config = folder / "mrmarket.toml"
        config.write_text(self.exchange.section() + _CONFIG.format(recovery=recovery))
        arguments = ("--config", str(config), "--data", str(self.data), "--port", "0")
        self.instance = Member("instance", command("run", *arguments), folder, self.exchange.environment())
        self.angel = Guest("angel", lambda: is_held(self.data))
        self.members: dict[str, Member | Guest] = {
            NAME: self.exchange.member,
            "instance": self.instance,
            "angel": self.angel,
        }
        self.instance.start()

    @property
    def menu(self) -> Menu:
        """What can be done to it."""
        mortal = list(self.members)
        targets = {
            # The instance twice: it is what everything is about.
            Deed.KILL: [*mortal, "instance"],
            Deed.FREEZE: [*mortal, "instance"],
            Deed.CRASH: ["instance"],
            Deed.BREAK: [NAME],
            Deed.LOCK: _DATABASES,
            Deed.FILL: ["disk"] if self.disk is not None else [],
        }
        return Menu(targets=targets, labels={"instance": CRASH_LABELS}, lengths_s=LENGTHS_S)

    def strike(self, blow: Blow) -> Undo | None:
        """Lock a file, or fill the disk."""
        if blow.deed is Deed.LOCK:
            return self._lock(self.data / blow.target)
        assert self.disk is not None
        return _fill(self.disk)

    def leases(self) -> list[LeaseRow]:
        """The leases now."""
        store = TradingStore.open(self.data / "trading.db")
        try:
            return store.leases()
        finally:
            store.close()

    def operations(self) -> SqliteOperations:
        """What the roles tell each other."""
        return SqliteOperations.open(self.data / "control.db")

    def trouble(self) -> list[str]:
        """What is wrong, in words."""
        if not self.instance.is_up:
            return ["the instance is down"]
        if not self.angel.pid:
            return ["there is no Angel"]
        (lease,) = self.leases()
        operations = self.operations()
        try:
            reports = {report.run: report for report in operations.reports()}
            restrictions = operations.restrictions()
            beats = {beat.role: beat for beat in operations.beats()}
        finally:
            operations.close()
        found = [f"{row.scope} may only {row.state}: {row.cause} {row.detail}" for row in restrictions]
        report = reports.get(STREAM)
        if report is None or report.state != "running" or report.fence != lease.fence:
            state = None if report is None else (report.state, report.fence, report.view.get("look"))
            found.append(f"the run is {state} under fence {lease.fence}")
        angel = beats.get("angel")
        stage = None if angel is None else angel.detail.get("stage")
        if stage != "watching":
            found.append(f"the Angel is {stage}")
        return found + self._orphans(lease.fence)

    def stop(self) -> None:
        """Ctrl-C; the Angel leaves after it."""
        status = self.instance.interrupt()
        assert status == 0, f"status {status}: {self.instance.last_words()}"
        wait_until(lambda: not self.angel.pid)

    def history(self, leases: Sequence[LeaseSample], endings: Sequence[Ending]) -> History:
        """What was written down."""
        store = TradingStore.open(self.data / "trading.db")
        try:
            assert store.verify_log().ok, "the event log's chain is broken"
            facts = {stream: store.read_facts(stream, 0, _ALL) for stream in store.streams()}
            journal = store.orders(STREAM, limit=_ALL)
        finally:
            store.close()
        return History(
            instance=(self.data / "instance.id").read_text(),
            runs=[STREAM],
            accounts=[self.exchange.record("default", "binance")],
            facts=facts,
            journal=journal,
            leases=leases,
            actions=read_journal(self.data / FOLDER / JOURNAL, _ALL)[::-1],
            endings=endings,
        )

    def books(self) -> list[str]:
        """What is wrong with ledger and holdings."""
        balances = self.exchange.desk("default").balances()
        owed = {asset: _sum(amounts) for asset, amounts in balances.items()}
        try:
            assert_holdings(self.data, owed)
        except AssertionError as wrong:
            return [f"books: {wrong}"]
        return []

    def end(self) -> None:
        """Leave nothing behind."""
        for member in self.members.values():
            member.thaw()
        self.instance.end()
        if pid := self.angel.pid:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.exchange.member.end()

    def _orphans(self, fence: int) -> list[str]:
        fences = self.exchange.fences("default")
        if not fences:
            return ["nothing is quoted"]
        return [] if fences == {fence} else [f"orders of fences {fences} stand; {fence} is in force"]

    @staticmethod
    def _lock(path: Path) -> Undo:
        connection = sqlite3.connect(path, timeout=1, isolation_level=None)
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            connection.close()  # somebody frozen has it already
            return lambda: None
        return connection.close


def _fill(disk: Path) -> Undo:
    """Take every byte that is left."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
    return lambda: filler.unlink(missing_ok=True)


def _sum(amounts: tuple[str, str]) -> Decimal:
    free, locked = amounts
    return Decimal(free) + Decimal(locked)
