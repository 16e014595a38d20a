"""What the API needs of whoever runs engines, restrictions and the Angel."""

from __future__ import annotations

from typing import Protocol

from mrmarket.services.api import operations_schema as ops


class OperationsFace(Protocol):
    """The owner's view of trading, and the owner's words to it. Views come without the database, too."""

    def notice(self) -> ops.TradingNotice:
        """Whether quotes stand as usual; at once, from what is known."""
        ...

    async def operations(self) -> ops.OperationsView:
        """How trading is run right now."""
        ...

    async def differences(self, *, open_only: bool, limit: int) -> list[ops.DifferenceView]:
        """Differences, newest first."""
        ...

    async def angel_actions(self, limit: int) -> list[ops.AngelActionView]:
        """The Angel's log, newest first."""
        ...

    async def ask_run(
        self, run: str, action: ops.RunAction, request: ops.OperationRequest, by: str
    ) -> ops.CommandView:
        """Ask something of whoever holds a run.

        Raises:
            NotFoundError: there is no such run.
            KeyReusedError: the key stands for something else.
            DatabaseAwayError: nobody can be asked now.
        """
        ...

    async def ask_venue(
        self, venue: str, action: ops.ScopeAction, request: ops.OperationRequest, by: str
    ) -> ops.CommandView:
        """Halt or re-arm everything on a venue. Raises as `ask_run`."""
        ...

    async def halt(self, request: ops.OperationRequest, by: str) -> ops.CommandView:
        """Pull the kill switch, then write the halt down for every other engine.

        Raises:
            DatabaseAwayError: nothing trades in this process and no other can be told.
        """
        ...

    async def rearm(self, request: ops.OperationRequest, by: str) -> ops.CommandView:
        """Lift the kill switch and what restricts the instance. Raises as `ask_run`."""
        ...

    async def command(self, command: str) -> ops.CommandView:
        """A command and its answer. Raises `NotFoundError`, `DatabaseAwayError`."""
        ...

    async def drill(self, request: ops.OperationRequest, by: str) -> ops.DryRunView:
        """What the fail-safe would cancel now; cancels nothing.

        Raises:
            MrMarketError: nothing is watched here, or it took too long.
        """
        ...

    async def resume(self, request: ops.OperationRequest, by: str) -> ops.ResumedView:
        """End a manual recovery. Raises `DatabaseAwayError`."""
        ...
