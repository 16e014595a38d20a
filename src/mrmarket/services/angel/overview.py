"""How the Angel is doing and what stands between an intervention and trading, for people and programs."""

from __future__ import annotations

from typing import Final

import msgspec

from mrmarket.angel.checklist import RecoveryFacts, Step, checklist
from mrmarket.angel.recovery import CAUSE
from mrmarket.core.clock import Clock
from mrmarket.store.errors import StoreError
from mrmarket.store.operations import AngelAction, Beat, OperationsStore
from mrmarket.store.trading_port import TradingLog

_ACTIONS: Final = 1_000
_FRESH_MS: Final = 5_000


class AngelView(msgspec.Struct, frozen=True, kw_only=True):
    """One Angel, by its last sign of life."""

    name: str
    host: str
    pid: int
    alive: bool
    """Whether it has beaten lately, by this machine's wall clock."""
    seen_ms_ago: int
    stage: str
    incident: str
    fail_safe: str
    recovery: str
    venues: dict[str, str]
    nodes: dict[str, str]


class AngelOverview(msgspec.Struct, frozen=True, kw_only=True):
    """Everything about the watch over an instance."""

    angels: list[AngelView]
    waiting_for_owner: bool
    """A manual recovery holds trading back until `mrmarket angel resume`."""
    checklist: list[Step]
    last_intervention: list[AngelAction]
    """Its actions, oldest first, without the single cancels."""


def overview(operations: OperationsStore, leases: TradingLog, clock: Clock) -> AngelOverview:
    """Read it from the stores; raises a `StoreError`. Waits, so call it in a thread."""
    now_ns = clock.now_ns()
    beats = operations.beats()
    actions = operations.actions(_ACTIONS)
    restrictions = operations.restrictions()
    facts = RecoveryFacts(
        now_ns=now_ns,
        leases=leases.leases(),
        beats=beats,
        specs=operations.run_specs(),
        reports=operations.reports(),
        restrictions=restrictions,
        findings=operations.findings(),
        actions=actions,
    )
    incident = next((row.incident for row in actions if row.action == "intervene"), None)
    last = [row for row in reversed(actions) if row.incident == incident and row.action != "cancelling"]
    return AngelOverview(
        angels=[_view(beat, now_ns // 1_000_000) for beat in beats if beat.role == "angel"],
        waiting_for_owner=any(row.cause == CAUSE for row in restrictions),
        checklist=checklist(facts),
        last_intervention=last if incident else [],
    )


def resume(operations: OperationsStore) -> list[str]:
    """The owner has looked: lift what a manual recovery holds; the scopes that may trade again."""
    held = [row.scope for row in operations.restrictions() if row.cause == CAUSE]
    return [scope for scope in held if operations.lift(scope, CAUSE)]


def actions_of(operations: OperationsStore, limit: int) -> list[AngelAction] | None:
    """The Angel's log, newest first; None where the store does not answer."""
    try:
        return operations.actions(limit)
    except StoreError:
        return None


def _view(beat: Beat, now_ms: int) -> AngelView:
    detail = beat.detail
    age_ms = max(0, now_ms - beat.at_ms)
    return AngelView(
        name=beat.node,
        host=beat.host,
        pid=beat.pid,
        alive=age_ms < _FRESH_MS,
        seen_ms_ago=age_ms,
        stage=str(detail.get("stage", "")),
        incident=str(detail.get("incident", "")),
        fail_safe=str(detail.get("fail_safe", "")),
        recovery=str(detail.get("recovery", "")),
        venues=dict(detail.get("venues", {})),
        nodes=dict(detail.get("nodes", {})),
    )
