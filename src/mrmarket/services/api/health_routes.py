"""How the instance is, for machines: `/healthz`, `/readyz`, `/status` for anybody, figures for the owner."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from litestar import Controller, Response, get
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import SkipValidation

from mrmarket.services.api import schema
from mrmarket.services.api.face import InstanceFace
from mrmarket.services.api.guards import ADMIN, ANYBODY
from mrmarket.services.telemetry.health import Readiness
from mrmarket.services.telemetry.telemetry import CONTENT_TYPE, PublicStatus, Telemetry

_UNAVAILABLE: Final = 503
_NO_STORE: Final = {"cache-control": "no-store"}

Beating = NamedDependency[SkipValidation[InstanceFace]]
Watched = NamedDependency[SkipValidation[Telemetry]]


class HealthRoutes(Controller):
    """At the root, where orchestrators and directories look."""

    tags: Sequence[str] | None = ("health",)
    opt = ANYBODY

    @get("/healthz", operation_id="healthz", sync_to_thread=False)
    def healthz(self) -> schema.Alive:
        """The process answers."""
        return schema.Alive(alive=True)

    @get(
        "/readyz",
        operation_id="readyz",
        responses={_UNAVAILABLE: ResponseSpec(Readiness, description="Some part is not ready.")},
    )
    async def readyz(self, telemetry: Watched) -> Response[Readiness]:
        """Whether databases, ledger, venues and leases let it work; 503 with the reasons where not."""
        readiness = await telemetry.readiness()
        status = 200 if readiness.ready else _UNAVAILABLE
        return Response(readiness, status_code=status, headers=_NO_STORE)

    @get("/status", operation_id="public_status")
    async def status(self, telemetry: Watched) -> PublicStatus:
        """What anybody may know: name, version, state, uptime, number of pools."""
        return await telemetry.status()


class HeartbeatRoutes(Controller):
    """A sign of life for an Angel that cannot read the database."""

    tags: Sequence[str] | None = ("health",)
    opt = ANYBODY

    @get("/heartbeat", operation_id="heartbeat", sync_to_thread=False)
    def heartbeat(self, face: Beating) -> Response[schema.Heartbeat]:
        """Which process this is and how often its engine has beaten; `seq` rises while it lives."""
        return Response(face.heartbeat(), headers=_NO_STORE)


class MetricsRoutes(Controller):
    """Figures for Prometheus."""

    tags: Sequence[str] | None = ("health",)
    opt = ADMIN

    @get("/metrics", operation_id="metrics", media_type="text/plain")
    async def metrics(self, telemetry: Watched) -> Response[bytes]:
        """Every figure in Prometheus' text format."""
        return Response(await telemetry.exposition(), media_type=CONTENT_TYPE, headers=_NO_STORE)
