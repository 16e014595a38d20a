"""Which sources and parts a process has, by what it is made of."""

from __future__ import annotations

from collections.abc import Callable

from mrmarket.core.clock import Clock
from mrmarket.money.ledger.verification import LedgerCheck
from mrmarket.money.pool.view import PoolFigures
from mrmarket.services.money.offices import Offices
from mrmarket.services.money.watch import SolvencyWatch
from mrmarket.services.telemetry.money_sources import BooksState, books_source, money_source
from mrmarket.services.telemetry.parts import check_database, check_ledger, check_runs
from mrmarket.services.telemetry.run_sources import Runs, runs_source
from mrmarket.services.telemetry.state_sources import leases_source, operations_source
from mrmarket.services.telemetry.telemetry import Telemetry
from mrmarket.store.operations import OperationsStore
from mrmarket.store.trading_port import TradingLog


def report_runs(telemetry: Telemetry, runs: Runs) -> None:
    """Figures and readiness of the runs that this process holds."""
    telemetry.watch("runs", runs_source(runs))
    check_runs(telemetry.health, runs)


def report_trading_store(telemetry: Telemetry, store: TradingLog, clock: Clock) -> None:
    """The database of orders, facts and leases."""
    telemetry.watch("leases", leases_source(store.leases, clock), threaded=True)
    check_database(telemetry.health, "trading database", store.leases)


def report_operations(telemetry: Telemetry, store: OperationsStore, clock: Clock) -> None:
    """What roles tell each other."""
    telemetry.watch("operations", operations_source(store, clock), threaded=True)
    check_database(telemetry.health, "control database", store.beats)


def report_money(
    telemetry: Telemetry,
    offices: Offices,
    watch: SolvencyWatch,
    clock: Clock,
    *,
    check: Callable[[], LedgerCheck | None],
    figures: Callable[[], PoolFigures | None],
) -> None:
    """The books: `check` gives the last verification, `figures` those of the last settlement."""

    def behind() -> int | None:
        now = figures()
        return None if now is None else now.log_head_seq - now.settled_through_seq

    telemetry.pools = len(offices.treasury.plans)
    telemetry.watch("books", books_source(lambda: BooksState(figures(), check())))
    telemetry.watch("money", money_source(offices, watch, clock), threaded=True)
    check_ledger(telemetry.health, offices, check, behind)
