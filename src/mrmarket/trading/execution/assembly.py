"""The execution side of one run, put together in one place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mrmarket.core.clock import Clock
from mrmarket.trading.execution.account import Account
from mrmarket.trading.execution.balance_audit import BalanceAudit
from mrmarket.trading.execution.dead_man import DeadMan
from mrmarket.trading.execution.desk import DeskListener, OrderDesk
from mrmarket.trading.execution.differ import RefreshRules
from mrmarket.trading.execution.differences import Differences
from mrmarket.trading.execution.executor import Executor
from mrmarket.trading.execution.fact_writer import FactWriter
from mrmarket.trading.execution.journal import OrderJournal
from mrmarket.trading.execution.lease_guard import LeaseGuard
from mrmarket.trading.execution.order_id import OrderIds
from mrmarket.trading.execution.order_table import OrderTable
from mrmarket.trading.execution.reconciler import Reconciler, Sleep
from mrmarket.trading.execution.risk.gate import RiskGate
from mrmarket.trading.execution.risk.pretrade import PreTradeCheck, RiskLimits
from mrmarket.trading.execution.timing import Timing
from mrmarket.trading.venue.port import OrderKind, Venue


@dataclass(frozen=True, slots=True)
class Execution:
    """Everything between a strategy's targets and a venue."""

    facts: FactWriter
    table: OrderTable
    account: Account
    desk: OrderDesk
    executor: Executor
    reconciler: Reconciler
    differences: Differences
    dead_man: DeadMan
    check: PreTradeCheck


def assemble(
    venue: Venue,
    symbol: str,
    journal: OrderJournal,
    listener: DeskListener,
    *,
    ids: OrderIds,
    stream: str,
    rules: RefreshRules,
    kind: OrderKind,
    limits: RiskLimits,
    timing: Timing,
    wall: Clock,
    world: Clock,
    double_mid: Callable[[], int | None],
    sleep: Sleep,
    guard: LeaseGuard | None = None,
    dead_man_s: float = 0,
    audits: Callable[[str], bool] = lambda _: True,
    gate: RiskGate | None = None,
) -> Execution:
    """Put it together; nothing is sent.

    Args:
        venue: an open venue.
        symbol: the pair.
        journal: the trading store.
        listener: who is told of orders, fills and faults.
        ids: makes the client order ids.
        stream: the run's name.
        rules: when live orders give way.
        kind: how orders meet the book.
        limits: pre-trade limits.
        timing: how long to wait for what.
        wall: stamps and time-outs.
        world: the strategy's clock, for the ages of orders.
        double_mid: twice the mid in ticks, for the record of a fill.
        sleep: how stopping waits between two looks.
        guard: whether this process still holds the run's lease; None always does.
        audits: whether nobody else trades an asset with this account, so that its balance can be explained.
        dead_man_s: countdown of the venue's dead man's switch; 0 leaves it alone.
        gate: applies the risk state to what is wanted; None is always active.
    """
    instrument = venue.instrument(symbol)
    facts = FactWriter(journal, stream, listener.on_fault)
    table = OrderTable(world)
    account = Account(instrument)
    desk = OrderDesk(
        instrument,
        venue.name,
        stream,
        ids=ids,
        journal=journal,
        facts=facts,
        table=table,
        wall=wall,
        listener=listener,
        double_mid=double_mid,
    )
    check = PreTradeCheck(instrument, limits, gate.context if gate is not None else None)
    executor = Executor(
        venue,
        desk,
        facts,
        account,
        check,
        listener,
        rules=rules,
        kind=kind,
        wall=wall,
        timing=timing,
        guard=guard,
        gate=gate,
    )
    differences = Differences(facts, venue.name, symbol, wall)
    audit = BalanceAudit(instrument, differences, wall, grace_ns=timing.balance_grace_ns, audits=audits)
    desk.on_trade = audit.note_trade
    reconciler = Reconciler(
        venue,
        desk,
        executor,
        account,
        journal,
        stream,
        differences,
        audit,
        wall=wall,
        timing=timing,
        double_mid=double_mid,
        sleep=sleep,
    )
    dead_man = DeadMan(venue, symbol, wall, countdown_s=dead_man_s, sleep=sleep)
    return Execution(facts, table, account, desk, executor, reconciler, differences, dead_man, check)
