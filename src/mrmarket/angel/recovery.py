"""What happens once nothing is left at the exchanges: engines go on by themselves, or wait for the owner."""

from __future__ import annotations

from typing import Final, Protocol

from mrmarket.angel.failsafe import Scene
from mrmarket.store.operations import Restriction

ENTRY_POINTS: Final = "mrmarket.recoveries"
"""Where an owner's package registers a factory, as for fail-safes."""
CAUSE: Final = "angel_recovery"
"""The restriction that `manual` holds until the owner lifts it."""


class Restrict(Protocol):
    """Holds a restriction durably; tries until the store takes it."""

    async def __call__(self, scope: str, cause: str, state: str, detail: str) -> None:
        """Write it."""
        ...


class Recovery(Protocol):
    """Decides how trading goes on. The leases are released when it returns."""

    name: str

    async def recover(self, scene: Scene, restrict: Restrict) -> None:
        """Every venue is proven empty, or the fail-safe left the orders on purpose."""
        ...


class Automatic:
    """Engines take the runs again; strategies and orders come back as they were."""

    name = "automatic"

    async def recover(self, scene: Scene, restrict: Restrict) -> None:  # noqa: ARG002 - the port's
        """Only say so."""
        scene.record("recovery", ", ".join(scene.runs), "automatic: engines may take the runs again")


class Manual:
    """Engines may take the runs, and trade only once the owner has lifted the halt."""

    name = "manual"

    async def recover(self, scene: Scene, restrict: Restrict) -> None:
        """Halt before anybody can take the leases."""
        scopes = ["instance"] if scene.whole else [f"run:{run}" for run in scene.runs]
        detail = f"intervention {scene.incident}: look at the checklist, then resume"
        for scope in scopes:
            await restrict(scope, CAUSE, "halt", detail)
        scene.record("recovery", ", ".join(scopes), "manual: waits for the owner", alert=True)


def halt(scope: str, cause: str, state: str, detail: str, by: str, at_ms: int) -> Restriction:
    """The row of a restriction that waits for the owner."""
    return Restriction(scope=scope, cause=cause, state=state, detail=detail, by=by, since_ms=at_ms)
