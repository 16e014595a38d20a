"""Who holds what, straight from the databases: it needs no instance that answers."""

from __future__ import annotations

import msgspec

from mrmarket.core.clock import NS_PER_MS
from mrmarket.store.operations import AngelAction, Finding, OperationsStore, Restriction
from mrmarket.store.trading_port import TradingLog

_ACTIONS = 5


class NodeLine(msgspec.Struct, frozen=True, kw_only=True):
    """A process of the instance."""

    node: str
    role: str
    host: str
    pid: int
    age_ms: int
    """Since its last sign of life, by this machine's clock."""
    runs: int
    """How many it holds a lease of."""


class RunLine(msgspec.Struct, frozen=True, kw_only=True):
    """A run and who has it."""

    run: str
    venue: str
    account: str
    pair: str
    desired: str
    holder: str
    """Empty where nobody's lease runs."""
    fence: int
    state: str
    """As last reported; empty where nobody has reported under this fence."""
    report_age_ms: int | None


class Overview(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that roles tell each other."""

    nodes: list[NodeLine]
    runs: list[RunLine]
    restrictions: list[Restriction]
    findings: list[Finding]
    """Differences that stand."""
    angel: list[AngelAction]
    """What the Angel did last, newest first."""


def read_overview(operations: OperationsStore, log: TradingLog, now_ns: int) -> Overview:
    """Read it all once; raises a StoreError."""
    now_ms = now_ns // NS_PER_MS
    leases = {lease.name: lease for lease in log.leases()}
    reports = {report.run: report for report in operations.reports()}
    runs = []
    for spec in operations.run_specs():
        lease, report = leases.get(spec.id), reports.get(spec.id)
        held = lease is not None and lease.expires_ns > now_ns
        fence = 0 if lease is None else lease.fence
        told = report if report is not None and report.fence == fence and held else None
        runs.append(
            RunLine(
                run=spec.id,
                venue=spec.venue,
                account=spec.account,
                pair=spec.pair,
                desired=spec.desired.value,
                holder=lease.owner if lease is not None and held else "",
                fence=fence,
                state="" if told is None else told.state,
                report_age_ms=None if told is None else now_ms - told.at_ms,
            )
        )
    return Overview(
        nodes=[
            NodeLine(
                node=beat.node,
                role=beat.role,
                host=beat.host,
                pid=beat.pid,
                age_ms=now_ms - beat.at_ms,
                runs=sum(line.holder == beat.node for line in runs),
            )
            for beat in operations.beats()
        ],
        runs=runs,
        restrictions=operations.restrictions(),
        findings=operations.findings(),
        angel=operations.actions(_ACTIONS),
    )
