"""API, two engines and the Angel as processes on one PostgreSQL, with a run on each of three accounts."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from urllib.parse import urlencode

from psycopg import OperationalError
from psycopg.conninfo import conninfo_to_dict

from chaos.blows import LENGTHS_S, Blow, Deed, Menu
from chaos.exchange import NAME, Exchange
from chaos.fleet import Undo
from chaos.history import History, LeaseSample
from chaos.labels import ANGEL_LABELS, CRASH_LABELS
from chaos.members import Ending, Guest, Member
from e2e.running import command, wait_until
from mrmarket.core.clock import SystemClock
from mrmarket.money.pool.plan import PoolPlan
from mrmarket.money.pool.treasury import Treasury
from mrmarket.services.engine.identity import shared_identity
from mrmarket.services.store_address import StoreAddress
from mrmarket.store.lease_row import LeaseRow
from mrmarket.store.operations import OperationsStore
from mrmarket.store.trading_port import TradingLog
from postgres_server import PostgresServer

MAIN = "binance.BTCUSDT"
ACCOUNTS = {MAIN: "default", "second": "b", "third": "c"}
"""Account by run."""
ENGINES = ("north", "south")
SPEED = 10.0
_ALL = 10_000_000
_STRATEGY = """order_refresh_time = 1.0
order_refresh_tolerance = 0
number_of_layers = 3
bid_spread = 0.00004
ask_spread = 0.00004
order_amount = 0.01
"""
_CONFIG = f"""
[strategy]
{_STRATEGY}
[[runs]]
id = "second"
account = "b"
[runs.strategy]
{_STRATEGY}
[[runs]]
id = "third"
account = "c"
[runs.strategy]
{_STRATEGY}
[risk]
retries_per_minute = 600
fills_per_minute = 10000
[engine]
lease_s = 3.0
renew_s = 1.0
beat_s = 0.5
[angel]
threshold_s = 2.5
heir_patience_s = 5.0
recovery = "{{recovery}}"
"""


class ThreeHouse:
    """Implements `House` on PostgreSQL."""

    def __init__(
        self, folder: Path, server: PostgresServer, address: str, *, recovery: str = "automatic"
    ) -> None:
        """Start it.

        Args:
            folder: an empty one.
            server: to be restarted.
            address: of an empty database.
            recovery: the Angel's.
        """
        self.folder = folder
        self.url = _as_url(address)
        self._server = server
        self._address = address
        self._lost_power = False
        self.exchange = Exchange(folder, list(ACCOUNTS.values()), SPEED)
        wait_until(lambda: self.exchange.ready is not None)
        config = folder / "mrmarket.toml"
        config.write_text(self.exchange.section() + _CONFIG.format(recovery=recovery))
        environment = self.exchange.environment() | {"MRMARKET_STORE": self.url}

        def member(name: str, *arguments: str) -> Member:
            where = ("--config", str(config), "--data", str(folder / f"{name}-data"))
            return Member(name, command(*arguments, *where), folder, environment)

        self.angel = member("angel", "angel", "run")
        self.api = member("api", "run", "--role", "api", "--port", "0")
        self.engines = [member(name, "run", "--role", "engine") for name in ENGINES]
        self.members: dict[str, Member | Guest] = {
            each.name: each for each in (self.exchange.member, self.api, *self.engines, self.angel)
        }
        for each in (self.api, *self.engines, self.angel):
            each.start()

    @property
    def menu(self) -> Menu:
        """What can be done to it."""
        mortal = [*self.members, *ENGINES]
        targets = {
            Deed.KILL: mortal,
            Deed.FREEZE: mortal,
            Deed.CRASH: [*ENGINES, *ENGINES, "angel"],
            Deed.BREAK: [NAME],
            Deed.CUT: ["database"],
            Deed.RESTART: ["database"],
        }
        labels = dict.fromkeys(ENGINES, CRASH_LABELS) | {"angel": ANGEL_LABELS}
        return Menu(targets=targets, labels=labels, lengths_s=LENGTHS_S)

    def strike(self, blow: Blow) -> Undo | None:
        """Cut the connections, or take the server's power away."""
        if blow.deed is Deed.RESTART:
            self._lost_power = True
            self._server.restart()
        else:
            try:
                self._server.end_connections(self._address)
            except OperationalError:
                return None  # it is just coming up
        return None

    def leases(self) -> list[LeaseRow]:
        """The leases now."""
        store = self._trading()
        try:
            return [row for row in store.leases() if row.name in ACCOUNTS]
        finally:
            store.close()

    def operations(self) -> OperationsStore:
        """What the roles tell each other."""
        return StoreAddress(self.folder, self.url).open_operations()

    def trouble(self) -> list[str]:
        """What is wrong, in words."""
        found = [
            f"{name} is down"
            for name, member in self.members.items()
            if isinstance(member, Member) and not member.is_up
        ]
        leases = {row.name: row for row in self.leases()}
        operations = self.operations()
        try:
            reports = {report.run: report for report in operations.reports()}
            restrictions = operations.restrictions()
            beats = operations.beats()
        finally:
            operations.close()
        found += [f"{row.scope} may only {row.state}: {row.cause} {row.detail}" for row in restrictions]
        stages = [beat.detail.get("stage") for beat in beats if beat.role == "angel"]
        if stages != ["watching"]:
            found.append(f"the Angel is {stages}")
        nodes = {self._node(engine.name) for engine in self.engines}
        for run, account in ACCOUNTS.items():
            lease, report = leases.get(run), reports.get(run)
            if lease is None or lease.owner not in nodes:
                found.append(f"{run} is held by {None if lease is None else lease.owner}")
            elif report is None or (report.state, report.fence) != ("running", lease.fence):
                state = None if report is None else (report.state, report.fence, report.view.get("look"))
                found.append(f"{run} is {state} under fence {lease.fence}")
            else:
                found += self._orphans(run, account, lease.fence)
        return found

    def stop(self) -> None:
        """Engines first, so that the API settles what they have done; the Angel last."""
        for member in (*self.engines, self.api, self.angel):
            status = member.interrupt()
            assert status == 0, f"{member.name}: status {status}: {member.last_words()}"

    def history(self, leases: Sequence[LeaseSample], endings: Sequence[Ending]) -> History:
        """What was written down."""
        store, operations = self._trading(), self.operations()
        try:
            assert store.verify_log().ok, "the event log's chain is broken"
            facts = {stream: store.read_facts(stream, 0, _ALL) for stream in store.streams()}
            journal = [row for run in ACCOUNTS for row in store.orders(run, limit=_ALL)]
            instance = shared_identity(operations, "nobody", 0)
            actions = operations.actions(_ALL)[::-1]
        finally:
            store.close()
            operations.close()
        return History(
            instance=instance,
            runs=list(ACCOUNTS),
            accounts=[self.exchange.record(account, _venue(account)) for account in ACCOUNTS.values()],
            facts=facts,
            journal=journal,
            leases=leases,
            actions=actions,
            endings=endings,
            intents_may_be_lost=self._lost_power,
        )

    def books(self) -> list[str]:
        """What is wrong with ledger and holdings."""
        found = []
        for words in (("ledger", "verify"), ("reconcile",)):
            line = command(*words, "--data", str(self.folder / "api-data"), "--store", self.url, "--json")
            done = subprocess.run(line, capture_output=True, check=False)
            if done.returncode != 0:
                said = (done.stdout + done.stderr).decode()[-1_000:]
                found.append(f"{' '.join(words)}: status {done.returncode}: {said}")
        store = self._trading()
        try:
            for run, account in ACCOUNTS.items():
                found += self._replayed(store, run, account)
        finally:
            store.close()
        return found

    def end(self) -> None:
        """Leave nothing behind."""
        for member in self.members.values():
            member.thaw()
            if isinstance(member, Member):
                member.end()

    def _replayed(self, store: TradingLog, run: str, account: str) -> list[str]:
        """A new ledger that settles the run's log must hold what the exchange owes."""
        plan = PoolPlan(stream=run, venue=_venue(account), quote="USDT")
        treasury = Treasury.open(self.folder / f"replay-{account}.db", store, plan, SystemClock())
        try:
            treasury.settle()
            if not treasury.verify().ok:
                return [f"the replay of {run} does not verify"]
            held = {each.asset: Decimal(each.amount) for each in treasury.pool_view().holdings}
        finally:
            treasury.close()
        balances = self.exchange.desk(account).balances()
        return [
            f"{run} holds {held.get(asset)} {asset}, the exchange has {Decimal(free) + Decimal(locked)}"
            for asset, (free, locked) in balances.items()
            if held.get(asset) != Decimal(free) + Decimal(locked)
        ]

    def _orphans(self, run: str, account: str, fence: int) -> list[str]:
        fences = self.exchange.fences(account)
        if not fences:
            return [f"{run} quotes nothing"]
        return [] if fences == {fence} else [f"orders of {run} of fences {fences} stand; {fence} is in force"]

    def _node(self, name: str) -> str:
        file = self.folder / f"{name}-data" / "instance.id"
        return file.read_text() if file.exists() else ""

    def _trading(self) -> TradingLog:
        return StoreAddress(self.folder, self.url).open_trading()


def _venue(account: str) -> str:
    """What an account is called in facts."""
    return "binance" if account == "default" else f"binance-{account}"


def _as_url(address: str) -> str:
    """A PostgreSQL address as the command line takes it."""
    parts = conninfo_to_dict(address)
    return f"postgresql:///{parts.pop('dbname')}?{urlencode(parts)}"
