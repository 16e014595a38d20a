"""`/api/v1/admin/operations`: how trading is run, and the owner's words to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from litestar import Controller, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, PathParameter, QueryParameter, SkipValidation

from mrmarket.services.access.identity import Identity
from mrmarket.services.api import operations_schema as ops
from mrmarket.services.api.guards import ADMIN, ANYBODY
from mrmarket.services.api.operations_face import OperationsFace
from mrmarket.services.api.parameters import Asked, Id, Limit

Desk = NamedDependency[SkipValidation[OperationsFace]]
Body = JSONBody[ops.OperationRequest]
OfRun = Annotated[ops.RunAction, PathParameter()]
OfVenue = Annotated[ops.ScopeAction, PathParameter()]


def asker(identity: Identity) -> str:
    """Who asks, for the command and the audit line; never the session itself."""
    return "owner" if identity.session else "owner, from a shell"


class NoticeRoutes(Controller):
    """For everybody's pages."""

    path = "/notice"
    tags: Sequence[str] | None = ("instance",)
    opt = ANYBODY

    @get(operation_id="trading_notice", sync_to_thread=False)
    def notice(self, operations: Desk) -> ops.TradingNotice:
        """Whether quotes stand as usual."""
        return operations.notice()


class OperationsRoutes(Controller):
    """Engines, runs, restrictions, differences, the Angel."""

    path = "/admin/operations"
    tags: Sequence[str] | None = ("operations",)
    opt = ADMIN

    @get(operation_id="operations")
    async def operations_view(self, operations: Desk) -> ops.OperationsView:
        """Everything at once; topic `operations` of the stream sends it when it changes."""
        return await operations.operations()

    @get("/differences", operation_id="differences")
    async def differences(
        self,
        operations: Desk,
        only_open: Annotated[bool, QueryParameter(name="open")] = True,
        limit: Limit = 100,
    ) -> list[ops.DifferenceView]:
        """Where an exchange says something else than we know, newest first."""
        return await operations.differences(open_only=only_open, limit=limit)

    @get("/angel/actions", operation_id="angel_actions")
    async def angel_actions(self, operations: Desk, limit: Limit = 100) -> list[ops.AngelActionView]:
        """What the Angel did, newest first."""
        return await operations.angel_actions(limit)

    @get("/commands/{command:str}", operation_id="command")
    async def command(self, operations: Desk, command: Id) -> ops.CommandView:
        """Something that was asked, and what came of it."""
        return await operations.command(command)

    @post("/runs/{run:str}/{action:str}", operation_id="ask_run", status_code=200)
    async def ask_run(
        self, request: Asked, operations: Desk, run: Id, action: OfRun, data: Body
    ) -> ops.CommandView:
        """Pause, resume, cancel all orders, bring the position to its target, halt, or re-arm."""
        return await operations.ask_run(run, action, data, asker(request.user))

    @post("/venues/{venue:str}/{action:str}", operation_id="ask_venue", status_code=200)
    async def ask_venue(
        self, request: Asked, operations: Desk, venue: Id, action: OfVenue, data: Body
    ) -> ops.CommandView:
        """Halt or re-arm everything on a venue."""
        return await operations.ask_venue(venue, action, data, asker(request.user))

    @post("/halt", operation_id="halt", status_code=200)
    async def halt(self, request: Asked, operations: Desk, data: Body) -> ops.CommandView:
        """The kill switch: every order is cancelled, also where no database answers."""
        return await operations.halt(data, asker(request.user))

    @post("/rearm", operation_id="rearm", status_code=200)
    async def rearm(self, request: Asked, operations: Desk, data: Body) -> ops.CommandView:
        """Lift the kill switch and what restricts the whole instance."""
        return await operations.rearm(data, asker(request.user))

    @post("/angel/drill", operation_id="angel_drill", status_code=200)
    async def drill(self, request: Asked, operations: Desk, data: Body) -> ops.DryRunView:
        """What the fail-safe would cancel now; cancels nothing."""
        return await operations.drill(data, asker(request.user))

    @post("/recovery/resume", operation_id="resume_recovery", status_code=200)
    async def resume(self, request: Asked, operations: Desk, data: Body) -> ops.ResumedView:
        """After a manual recovery: let the engines trade again."""
        return await operations.resume(data, asker(request.user))
