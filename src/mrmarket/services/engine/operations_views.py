"""From what engines, boards and stores hold to what the owner sees of trading. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from mrmarket.angel.checklist import Step
from mrmarket.angel.recovery import CAUSE
from mrmarket.core.clock import NS_PER_MS
from mrmarket.services.api import operations_schema as ops
from mrmarket.services.engine.census import HOSTS
from mrmarket.services.engine.seat import Phase, Seat
from mrmarket.services.engine.specs import venue_name
from mrmarket.services.keys.key_file import KeyEntry
from mrmarket.services.run_desk import RunLook
from mrmarket.store.lease_row import LeaseRow
from mrmarket.store.operations import (
    AngelAction,
    Beat,
    Command,
    DesiredState,
    Finding,
    Restriction,
    RunReport,
    RunSpec,
)
from mrmarket.trading.execution.risk.state import INSTANCE, RiskState, run_scope, venue_scope
from mrmarket.trading.strategy.observer import RunState
from mrmarket.trading.strategy.run import StrategyRun

FRESH_MS: Final = 5_000
"""An engine or Angel that has not beaten for so long is shown as gone."""
_DOUBTED: Final = frozenset({"unknown", "cancel_unknown"})
_TAKEN_OVER: Final = frozenset({CAUSE, "angel", "inherited", "run_failed"})
"""Causes behind which something is being put right."""
_ELSEWHERE: Final = ops.DeadManView(state="elsewhere", refreshes=0, failures=0, last_failure="")


def age_ms(beat: Beat, now_ms: int) -> int:
    """Since a sign of life, by two wall clocks; never negative."""
    return max(0, now_ms - beat.at_ms)


def engine_views(
    beats: Iterable[Beat], holders: Mapping[str, str], now_ms: int, here: str = ""
) -> list[ops.EngineView]:
    """Every process that holds runs, by its last sign of life.

    Args:
        beats: of every node.
        holders: run to node.
        now_ms: this machine's wall clock.
        here: the engine of this process.
    """
    return [
        ops.EngineView(
            node=beat.node,
            role=beat.role,
            host=beat.host,
            pid=beat.pid,
            alive=age_ms(beat, now_ms) < FRESH_MS,
            age_ms=age_ms(beat, now_ms),
            started_ms=beat.started_ms,
            here=beat.node == here,
            runs=sorted(run for run, node in holders.items() if node == beat.node),
        )
        for beat in beats
        if beat.role in HOSTS
    ]


def holders_of(leases: Iterable[LeaseRow], now_ns: int) -> dict[str, LeaseRow]:
    """Run to the lease that still runs."""
    return {row.name: row for row in leases if row.expires_ns > now_ns and row.owner}


def restriction_view(row: Restriction) -> ops.RestrictionView:
    """One restriction; HALT never ends by itself."""
    return ops.RestrictionView(
        scope=row.scope,
        cause=row.cause,
        state=row.state,
        detail=row.detail,
        by=row.by,
        since_ms=row.since_ms,
        until_ms=row.until_ms or None,
    )


def merged(written: Iterable[Restriction], here: Iterable[Restriction]) -> list[Restriction]:
    """What is written down and what this process knows; where both know it, this process is newer."""
    rows = {(row.scope, row.cause): row for row in written}
    rows |= {(row.scope, row.cause): row for row in here}
    return [rows[key] for key in sorted(rows)]


def binding(rows: Iterable[Restriction], *scopes: str) -> tuple[ops.RiskWord, list[ops.RestrictionView]]:
    """The strictest state of some scopes, and every reason, the strictest first."""
    bound = sorted(
        (row for row in rows if row.scope in scopes), key=lambda row: RiskState.of(row.state), reverse=True
    )
    state = RiskState.of(bound[0].state) if bound else RiskState.ACTIVE
    return _word(state), [restriction_view(row) for row in bound]


def _word(state: RiskState) -> ops.RiskWord:
    words: Mapping[RiskState, ops.RiskWord] = {
        RiskState.ACTIVE: "active",
        RiskState.REDUCE: "reduce",
        RiskState.CANCEL_ONLY: "cancel_only",
        RiskState.HALT: "halt",
    }
    return words[state]


def run_view(
    spec: RunSpec,
    seat: Seat | None,
    lease: LeaseRow | None,
    report: RunReport | None,
    restrictions: Iterable[Restriction],
    node: str = "",
) -> ops.RunView:
    """One run: of this process, or by the report of the engine that holds it.

    Args:
        spec: what it is.
        seat: its place in this process, where it has one.
        lease: who holds it, if anybody does.
        report: what its engine last said.
        restrictions: all of them.
        node: this process's engine.
    """
    risk, why = binding(
        restrictions, run_scope(spec.id), venue_scope(venue_name(spec.venue, spec.account)), INSTANCE
    )
    view = ops.RunView(
        id=spec.id,
        venue=spec.venue,
        account=spec.account,
        pair=spec.pair,
        kind=spec.kind,
        pool=spec.pool,
        desired=spec.desired.value,
        state="stopped" if spec.desired is DesiredState.STOPPED else "unheld",
        reason="",
        holder=None if lease is None else lease.owner,
        fence=None if lease is None else lease.fence,
        risk=risk,
        why=why,
        open_orders=None,
        unknown_orders=None,
        book_age_ms=None,
        stream_connected=None,
        last_error="",
        reported_ms=None,
        dead_man=_ELSEWHERE,
    )
    if seat is not None:
        return _here(view, seat, node)
    if report is not None and lease is not None:
        return _reported(view, report)
    return view


def _here(view: ops.RunView, seat: Seat, node: str) -> ops.RunView:
    view.holder, view.fence = node or view.holder, seat.fence
    run = seat.run
    if not isinstance(run, StrategyRun):
        view.state = seat.phase.value
        return view
    live, age_ns, man = run.live_orders, run.watch.tracker.age_ns, run.dead_man
    view.state = run.state.value if seat.phase is not Phase.LEAVING else seat.phase.value
    view.reason = run.state_reason or run.pulled or ("" if live else run.targets.reason)
    view.open_orders = len(live)
    view.unknown_orders = sum(order.is_doubted for order in live)
    view.book_age_ms = None if age_ns is None else age_ns // NS_PER_MS
    view.stream_connected = run.user_stream_connected
    view.last_error = "" if run.failure is None else str(run.failure)
    view.asked = run.risk.mandate.now.reason
    view.dead_man = ops.DeadManView(
        state="none" if not man.offered else "armed" if man.armed else "off",
        refreshes=man.refreshes,
        failures=man.failures,
        last_failure=man.last_failure,
    )
    return view


def _reported(view: ops.RunView, report: RunReport) -> ops.RunView:
    view.state, view.reported_ms = report.state, report.at_ms
    card = report.view
    try:
        look = msgspec.convert(card.get("look"), RunLook)
    except msgspec.ValidationError:
        return view  # an engine of another version, or one that only tells its state
    view.reason, view.open_orders, view.asked = look.reason, look.open_orders, look.asked
    view.book_age_ms, view.stream_connected = look.book_age_ms, look.user_stream_connected
    view.unknown_orders = sum(_state_of(order) in _DOUBTED for order in card.get("orders", ()))
    return view


def _state_of(order: Any) -> str:
    return str(order.get("state", "")) if isinstance(order, Mapping) else ""


def venue_views(runs: Sequence[ops.RunView], restrictions: Sequence[Restriction]) -> list[ops.VenueView]:
    """Every venue that a run names."""
    views = []
    for name in sorted({run.venue for run in runs}):
        mine = [run for run in runs if run.venue == name and run.desired != DesiredState.STOPPED]
        streams = [run.stream_connected for run in mine if run.stream_connected is not None]
        ages = [run.book_age_ms for run in mine if run.book_age_ms is not None]
        accounts = {venue_scope(venue_name(name, run.account)) for run in mine}
        risk, _ = binding(restrictions, venue_scope(name), *sorted(accounts), INSTANCE)
        views.append(
            ops.VenueView(
                name=name,
                risk=risk,
                runs=len(mine),
                stream_connected=all(streams) if streams else None,
                book_age_ms=max(ages) if ages else None,
            )
        )
    return views


def difference_view(row: Finding) -> ops.DifferenceView:
    """One difference."""
    return ops.DifferenceView(
        key=row.key,
        run=row.run,
        kind=row.kind,
        subject=row.subject,
        ours=row.ours,
        theirs=row.theirs,
        detail=row.detail,
        first_ms=row.first_ms,
        last_ms=row.last_ms,
        times=row.times,
        closed_ms=row.closed_ms or None,
    )


def action_view(row: AngelAction) -> ops.AngelActionView:
    """One line of the Angel's log."""
    return ops.AngelActionView(
        id=row.id,
        angel=row.angel,
        at_ms=row.at_ms,
        incident=row.incident,
        action=row.action,
        target=row.target,
        detail=row.detail,
    )


def watcher_view(beat: Beat, now_ms: int) -> ops.WatcherView:
    """One Angel."""
    detail = beat.detail
    threshold = detail.get("threshold_s")
    return ops.WatcherView(
        name=beat.node,
        host=beat.host,
        pid=beat.pid,
        alive=age_ms(beat, now_ms) < FRESH_MS,
        age_ms=age_ms(beat, now_ms),
        stage=str(detail.get("stage", "")),
        incident=str(detail.get("incident", "")),
        fail_safe=str(detail.get("fail_safe", "")),
        recovery=str(detail.get("recovery", "")),
        threshold_s=float(threshold) if isinstance(threshold, int | float) else None,
        venues=dict(detail.get("venues", {})),
        nodes=dict(detail.get("nodes", {})),
    )


def interventions(actions: Iterable[AngelAction], limit: int = 10) -> list[ops.InterventionView]:
    """Interventions and drills out of the Angel's log (newest first), the newest first."""
    groups: dict[str, list[AngelAction]] = {}
    for row in actions:
        if row.incident:
            groups.setdefault(row.incident, []).append(row)
    found = []
    for incident, rows in groups.items():
        begin = next((row for row in reversed(rows) if row.action == "intervene"), None)
        if begin is None:
            continue

        def after_ms(action: str, of: list[AngelAction] = rows, began_ms: int = begin.at_ms) -> int | None:
            times = [row.at_ms for row in of if row.action == action]
            return max(0, max(times) - began_ms) if times else None

        closed_ms = after_ms("closed")
        found.append(
            ops.InterventionView(
                incident=incident,
                drill=incident.startswith("drill-"),
                target=begin.target,
                began_ms=begin.at_ms,
                cancels=sum(row.action == "cancelling" for row in rows),
                proven_ms=after_ms("cleared"),
                closed_ms=closed_ms,
                closed=closed_ms is not None,
            )
        )
    return found[:limit]


def command_view(command: Command, *, recorded: bool = True) -> ops.CommandView:
    """A command and its answer."""
    return ops.CommandView(
        id=command.id,
        target=command.target,
        kind=command.kind,
        state=command.state.value,
        answer=command.answer,
        asked_by=command.asked_by,
        asked_ms=command.asked_ms,
        ended_ms=command.ended_ms or None,
        recorded=recorded,
    )


def step_view(step: Step) -> ops.StepView:
    """One line of the recovery checklist."""
    return ops.StepView(step=step.step, title=step.title, state=step.state.value, what=step.what)


def key_view(entry: KeyEntry) -> ops.KeyView:
    """One exchange key, without anything secret."""
    rights = entry.rights
    return ops.KeyView(
        name=entry.name,
        venue=entry.venue,
        version=entry.version,
        added_ms=entry.added_ms,
        checked_ms=entry.checked_ms or None,
        read=rights.read,
        trade=rights.trade,
        withdraw=rights.withdraw,
        ip_restricted=rights.ip_restricted,
        allow_withdraw=entry.allow_withdraw,
    )


def trading_of(runs: Iterable[tuple[DesiredState, str]], restrictions: Iterable[Restriction]) -> ops.Trading:
    """How trading goes, in the one word that everybody may hear.

    Args:
        runs: what the owner wants of each run, and its state.
        restrictions: all in force.
    """
    wanted = [(desired, state) for desired, state in runs if desired is not DesiredState.STOPPED]
    causes = {row.cause for row in restrictions}
    at_work = {RunState.RUNNING.value, RunState.PAUSED.value}
    if causes & _TAKEN_OVER or any(state not in at_work for _, state in wanted):
        return "recovering"
    if causes:
        return "limited"
    if any(desired is DesiredState.PAUSED or state == RunState.PAUSED.value for desired, state in wanted):
        return "paused"
    return "quoting"
