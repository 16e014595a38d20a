"""`/api/v1/admin/selection`: which strategy has the turn, why, and by which thresholds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from litestar import Controller, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, QueryParameter, SkipValidation

from mrmarket.services.api import selection_schema as schema
from mrmarket.services.api.guards import ADMIN
from mrmarket.services.api.operations_routes import asker
from mrmarket.services.api.parameters import Asked, BeforeMs, Limit
from mrmarket.services.api.selection_face import SelectionFace
from mrmarket.trading.strategy.selection.thresholds import Thresholds

Choice = NamedDependency[SkipValidation[SelectionFace]]
Body = JSONBody[Thresholds]


class SelectionRoutes(Controller):
    """Scores, decisions, thresholds."""

    path = "/admin/selection"
    tags: Sequence[str] | None = ("selection",)
    opt = ADMIN

    @get(operation_id="selection", sync_to_thread=False)
    def selection(self, selection: Choice) -> schema.SelectionView:
        """Who has the turn, and what everybody scores."""
        return selection.standing()

    @get("/decisions", operation_id="selection_decisions")
    async def decisions(
        self,
        selection: Choice,
        limit: Limit = 50,
        before_ms: BeforeMs = None,
        before_number: Annotated[int, QueryParameter(ge=0, le=2**53)] = 0,
    ) -> list[schema.DecisionView]:
        """Recorded decisions, newest first; those before a place for the next page."""
        before = None if before_ms is None else (before_ms, before_number)
        return await selection.decisions(limit, before)

    @get("/thresholds", operation_id="selection_thresholds", sync_to_thread=False)
    def thresholds(self, selection: Choice) -> Thresholds:
        """The numbers in force."""
        return selection.standing().thresholds

    @post("/thresholds", operation_id="set_selection_thresholds", status_code=200)
    async def set_thresholds(self, request: Asked, selection: Choice, data: Body) -> schema.SelectionView:
        """Other numbers from now on; what is left out is the default."""
        return await selection.tune(data, asker(request.user))

    @post("/caps", operation_id="set_selection_cap", status_code=200)
    async def set_cap(
        self, request: Asked, selection: Choice, data: JSONBody[schema.CapChange]
    ) -> schema.SelectionView:
        """How much of the capital a candidate may ever have; null gives the configuration's word back."""
        return await selection.set_cap(data.candidate, data.share, asker(request.user))

    @get("/rebalance", operation_id="selection_rebalance", sync_to_thread=False)
    def rebalance(self, selection: Choice) -> list[schema.RebalanceView]:
        """Money between the venues of candidates: plans that wait, and transfers."""
        return selection.rebalance()

    @post("/rebalance", operation_id="decide_selection_rebalance", status_code=200)
    async def decide_rebalance(
        self, request: Asked, selection: Choice, data: JSONBody[schema.RebalanceDecision]
    ) -> list[schema.RebalanceView]:
        """Have a plan carried out as it stands, or drop it."""
        return await selection.decide_rebalance(data.proposal, asker(request.user), approve=data.approve)

    @post("/dry-run", operation_id="selection_dry_run", status_code=200)
    async def dry_run(self, selection: Choice, data: Body) -> schema.DryRunResult:
        """What the last 24 hours would have been with these numbers; changes nothing."""
        return await selection.dry_run(data)
