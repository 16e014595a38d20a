"""Trading that is run from memory; it implements the API's port, nothing of ours is replaced."""

from __future__ import annotations

import time
from typing import Final

import msgspec

from mrmarket.services.api import operations_schema as ops
from mrmarket.services.api.refusals import DatabaseAwayError, KeyReusedError, NotFoundError

RUN: Final = "simulated.BTCUSDT"
VENUE: Final = "simulated"


class FakeOperations:
    """One run on one venue; commands are carried out at once."""

    def __init__(self) -> None:
        self.commands: dict[str, ops.CommandView] = {}
        self.asked: list[tuple[str, str, str]] = []
        """Target, kind and asker of every command."""
        self.held: list[ops.RestrictionView] = []
        self.desired = "running"
        self.away = False
        """The database does not answer."""

    def notice(self) -> ops.TradingNotice:
        """As the run and the restrictions are."""
        return ops.TradingNotice(state=self._trading())

    async def operations(self) -> ops.OperationsView:
        """Everything, from memory."""
        now_ms = time.time_ns() // 1_000_000
        risk: ops.RiskWord = "halt" if self.held else "active"
        run = ops.RunView(
            id=RUN, venue=VENUE, account="default", pair="BTC/USDT", kind="pure_market_making", pool="main",
            desired=self.desired, state=self.desired, reason="", holder="n", fence=3, risk=risk,
            why=list(self.held), open_orders=0 if self.held else 4, unknown_orders=0, book_age_ms=12,
            stream_connected=True, last_error="", reported_ms=None,
            dead_man=ops.DeadManView(state="armed", refreshes=7, failures=0, last_failure=""),
        )  # fmt: skip
        engine = ops.EngineView(
            node="n", role="all", host="here", pid=1, alive=True, age_ms=200, started_ms=now_ms - 60_000,
            here=True, runs=[RUN],
        )  # fmt: skip
        return ops.OperationsView(
            at_ms=now_ms,
            trading=self._trading(),
            database=ops.DatabaseView(ready=not self.away, reason="", read_ms=now_ms),
            health=[ops.HealthView(part="ledger", ready=True, reason="")],
            engines=[engine],
            venues=[
                ops.VenueView(name=VENUE, risk=risk, runs=1, stream_connected=True, book_age_ms=12)
            ],
            runs=[run],
            restrictions=list(self.held),
            differences=await self.differences(open_only=True, limit=100),
            angel=ops.AngelView(
                wanted=True, present=False, watchers=[], waiting_for_owner=False, interventions=[],
                actions=[], dry_run=None,
            ),
            checklist=[ops.StepView(step="engine", title="An engine lives", state="done", what="n")],
            kill_switch=ops.KillSwitchView(
                pulled=bool(self.held),
                reason=self.held[0].detail if self.held else "",
                failure="",
                local=True,
            ),
            keys=[],
            keys_problem="",
        )  # fmt: skip

    async def differences(self, *, open_only: bool, limit: int) -> list[ops.DifferenceView]:
        """None."""
        return []

    async def angel_actions(self, limit: int) -> list[ops.AngelActionView]:
        """None."""
        return []

    async def ask_run(
        self, run: str, action: ops.RunAction, request: ops.OperationRequest, by: str
    ) -> ops.CommandView:
        """Done at once."""
        if run != RUN:
            raise NotFoundError("run", run)
        if action in ("pause", "resume"):
            self.desired = "paused" if action == "pause" else "running"
        return self._ask(run, action.replace("-", "_"), request, by)

    async def ask_venue(
        self, venue: str, action: ops.ScopeAction, request: ops.OperationRequest, by: str
    ) -> ops.CommandView:
        """Done at once."""
        if venue != VENUE:
            raise NotFoundError("venue", venue)
        return self._ask(f"venue:{venue}", action, request, by)

    async def halt(self, request: ops.OperationRequest, by: str) -> ops.CommandView:
        """Halted, recorded or not."""
        self._halt("instance", request, by)
        if self.away:
            return self._view("instance", "halt", request, by, recorded=False)
        return self._ask("instance", "halt", request, by)

    async def rearm(self, request: ops.OperationRequest, by: str) -> ops.CommandView:
        """Free again."""
        return self._ask("instance", "rearm", request, by)

    async def command(self, command: str) -> ops.CommandView:
        """One of those that were asked."""
        if command not in self.commands:
            raise NotFoundError("command", command)
        return self.commands[command]

    async def drill(self, request: ops.OperationRequest, by: str) -> ops.DryRunView:
        """One order would go."""
        order = ops.WouldCancelView(
            venue=VENUE, symbol="BTC/USDT", client_order_id="mm-1", venue_order_id="17", side="buy"
        )
        return ops.DryRunView(at_ms=time.time_ns() // 1_000_000, orders=[order], spared=1, silent={})

    async def resume(self, request: ops.OperationRequest, by: str) -> ops.ResumedView:
        """Nothing was held."""
        return ops.ResumedView(lifted=[])

    def _trading(self) -> ops.Trading:
        if self.held:
            return "limited"
        return "paused" if self.desired == "paused" else "quoting"

    def _ask(self, target: str, kind: str, request: ops.OperationRequest, by: str) -> ops.CommandView:
        if self.away:
            raise DatabaseAwayError(kind, "it is away")
        there = self.commands.get(request.key)
        if there is not None:
            if (there.target, there.kind) != (target, kind):
                raise KeyReusedError(request.key)
            return there
        if kind == "halt":
            self._halt(target, request, by)
        if kind == "rearm":
            scope = target if target == "instance" or target.startswith("venue:") else f"run:{target}"
            self.held = [row for row in self.held if row.scope != scope]
        view = self._view(target, kind, request, by)
        self.commands[request.key] = view
        self.asked.append((target, kind, by))
        return msgspec.structs.replace(view)

    def _halt(self, target: str, request: ops.OperationRequest, by: str) -> None:
        scope = target if target == "instance" or target.startswith("venue:") else f"run:{target}"
        if any(row.scope == scope for row in self.held):
            return
        self.held.append(
            ops.RestrictionView(
                scope=scope,
                cause="owner",
                state="halt",
                detail=request.reason,
                by=by,
                since_ms=time.time_ns() // 1_000_000,
                until_ms=None,
            )
        )

    @staticmethod
    def _view(
        target: str, kind: str, request: ops.OperationRequest, by: str, *, recorded: bool = True
    ) -> ops.CommandView:
        return ops.CommandView(
            id=request.key, target=target, kind=kind, state="done", answer="done", asked_by=by,
            asked_ms=1, ended_ms=2, recorded=recorded,
        )  # fmt: skip
