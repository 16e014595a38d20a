"""The ASGI application of an instance."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, Final

from litestar import Litestar, MediaType, Request, Router, get
from litestar.config.compression import CompressionConfig
from litestar.di import Provide
from litestar.exceptions import HTTPException
from litestar.middleware import DefineMiddleware
from litestar.types import ControllerRouterHandler

from mrmarket.core.clock import SystemClock
from mrmarket.core.errors import MrMarketError
from mrmarket.services.access.access import Access
from mrmarket.services.api import (
    admin_routes,
    auth_routes,
    health_routes,
    me_routes,
    operations_routes,
    partner_routes,
    pools_routes,
    selection_routes,
)
from mrmarket.services.api.admission import Admission, KeptReady
from mrmarket.services.api.contract import document
from mrmarket.services.api.face import InstanceFace
from mrmarket.services.api.guards import ANYBODY, role_guard
from mrmarket.services.api.money_face import MoneyFace
from mrmarket.services.api.operations_face import OperationsFace
from mrmarket.services.api.origin import OriginGuard
from mrmarket.services.api.pages import page_handlers
from mrmarket.services.api.parameters import OwnMoney, StrictRequest
from mrmarket.services.api.partners_face import PartnersFace
from mrmarket.services.api.problems import answer_error, answer_fault, answer_http_error
from mrmarket.services.api.refusals import (
    MoneyNotReadyError,
    OperationsNotReadyError,
    PartnersNotReadyError,
    SelectionOffError,
)
from mrmarket.services.api.routes import InstanceRoutes, PoolRoutes, TradingRoutes
from mrmarket.services.api.selection_face import SelectionFace
from mrmarket.services.api.stream import stream
from mrmarket.services.telemetry.requests import RequestWatch
from mrmarket.services.telemetry.telemetry import Telemetry

LOOPBACK_HOSTS: Final = frozenset({"127.0.0.1", "localhost", "::1"})
_MAX_BODY: Final = 64 * 1024
_FACES: Final = [
    *(InstanceFace, MoneyFace, Access, Telemetry),
    *(OperationsFace, SelectionFace, PartnersFace),
]

_ROUTES: Final[list[ControllerRouterHandler]] = [
    *(InstanceRoutes, TradingRoutes, PoolRoutes, stream),
    auth_routes.AuthRoutes,
    *(pools_routes.PoolsRoutes, pools_routes.LedgerRoutes),
    *(me_routes.HoldingsRoutes, me_routes.MovementRoutes, me_routes.EvidenceRoutes),
    *(admin_routes.TreasuryRoutes, admin_routes.PoolAdminRoutes),
    *(admin_routes.RewardAdminRoutes, admin_routes.LedgerAdminRoutes),
    *(operations_routes.NoticeRoutes, operations_routes.OperationsRoutes),
    selection_routes.SelectionRoutes,
    *(partner_routes.CampaignRoutes, partner_routes.OwnTraceRoutes, partner_routes.PartnerAdminRoutes),
    health_routes.MetricsRoutes,
]


@get("/api/v1/openapi.json", include_in_schema=False, media_type=MediaType.JSON, opt=ANYBODY)
async def contract() -> bytes:
    """The API's contract."""
    return openapi_text().encode()


def _health_router(telemetry: Telemetry | None, face: InstanceFace | None) -> Router:
    def provide_face() -> InstanceFace | None:
        return face

    def provide_telemetry() -> Telemetry | None:
        return telemetry

    return Router(
        path="/",
        route_handlers=[health_routes.HealthRoutes, health_routes.HeartbeatRoutes],
        dependencies={
            "face": Provide(provide_face, sync_to_thread=False),
            "telemetry": Provide(provide_telemetry, sync_to_thread=False),
        },
    )


def _needed(given: object | None, missing: Callable[[], MrMarketError]) -> Callable[[], Any]:
    """Provides what is there, and refuses each request where it is not."""

    def provide() -> Any:
        if given is None:
            raise missing()
        return given

    return provide


def _api_router(
    face: InstanceFace | None,
    money: MoneyFace | None,
    access: Access | None,
    telemetry: Telemetry | None,
    operations: OperationsFace | None,
    selection: SelectionFace | None,
    partners: PartnersFace | None,
) -> Router:
    def provide_telemetry() -> Telemetry | None:
        return telemetry

    def provide_face() -> InstanceFace | None:
        return face

    def provide_operations_here() -> OperationsFace | None:
        return operations

    def provide_money() -> MoneyFace:
        if money is None:
            raise MoneyNotReadyError
        return money

    def provide_access() -> Access | None:
        return access

    def provide_mine(request: Request[Any, Any, Any]) -> OwnMoney:
        return OwnMoney(provide_money(), request.scope["user"].user)

    return Router(
        path="/api/v1",
        route_handlers=_ROUTES,
        dependencies={
            "face": Provide(provide_face, sync_to_thread=False),
            "money_face": Provide(provide_money, sync_to_thread=False),
            "access": Provide(provide_access, sync_to_thread=False),
            "operations": Provide(_needed(operations, OperationsNotReadyError), sync_to_thread=False),
            "operations_here": Provide(provide_operations_here, sync_to_thread=False),
            "selection": Provide(_needed(selection, SelectionOffError), sync_to_thread=False),
            "partners": Provide(_needed(partners, PartnersNotReadyError), sync_to_thread=False),
            "mine": Provide(provide_mine, sync_to_thread=False),
            "telemetry": Provide(provide_telemetry, sync_to_thread=False),
        },
        guards=[role_guard(open_desk=access is not None and access.settings.open_desk)],
        request_class=StrictRequest,
        request_max_body_size=_MAX_BODY,
    )


def _kept_ready(money: MoneyFace | None) -> dict[str, KeptReady]:
    """What users' pages ask for all the time; the routes of the same paths say what it is."""
    return {} if money is None else {"/api/v1/me/positions": money.positions_json}


def create_app(
    face: InstanceFace,
    money: MoneyFace | None = None,
    access: Access | None = None,
    hosts: frozenset[str] = LOOPBACK_HOSTS,
    telemetry: Telemetry | None = None,
    operations: OperationsFace | None = None,
    selection: SelectionFace | None = None,
    partners: PartnersFace | None = None,
) -> Litestar:
    """Put the API and the pages in front of an instance.

    Args:
        face: what is served of the instance and its trading.
        money: what is served of the business core; without it money routes answer 503 `money_not_ready`.
        access: who gets in; without it the demo's people do, and nobody is the owner.
        hosts: host names the instance answers to; `*` for any (behind a proxy that checks).
        telemetry: what machines ask; without it there is little to tell.
        operations: the owner's view of trading; without it those routes answer 503 `operations_not_ready`.
        selection: the choice between strategies; without it those routes answer 404 `selection_off`.
        partners: campaigns and partners; without it those routes answer 503 `partners_not_ready`.
    """
    access = access or Access.ephemeral()
    telemetry = telemetry or Telemetry("Mr. Market", SystemClock())
    return Litestar(
        route_handlers=[
            _api_router(face, money, access, telemetry, operations, selection, partners),
            _health_router(telemetry, face),
            contract,
            *page_handlers(),
        ],
        exception_handlers={
            MrMarketError: answer_error,
            HTTPException: answer_http_error,
            Exception: answer_fault,
        },
        logging_config=None,
        middleware=[
            DefineMiddleware(RequestWatch, figures=telemetry.requests),
            DefineMiddleware(OriginGuard, hosts=hosts),
            DefineMiddleware(Admission, access=access, kept_ready=_kept_ready(money)),
        ],
        compression_config=CompressionConfig(backend="gzip", minimum_size=2048, exclude=["/api/v1/stream"]),
        # Served by a route of ours: the framework's own would answer unknown paths below it with HTML.
        openapi_config=None,
        signature_types=[
            InstanceFace,
            MoneyFace,
            Access,
            Telemetry,
            OperationsFace,
            SelectionFace,
            PartnersFace,
        ],
        debug=False,
    )


@cache
def openapi_text() -> str:
    """The API's contract as JSON text, from the types alone; `web/openapi.json` is a copy of it."""
    return document(_api_router(None, None, None, None, None, None, None), _health_router(None, None))
