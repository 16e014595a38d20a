"""The ASGI application of an instance."""

from __future__ import annotations

import json
from functools import cache
from typing import Final

from litestar import Litestar, MediaType, Router, get
from litestar.config.compression import CompressionConfig
from litestar.di import Provide
from litestar.exceptions import HTTPException
from litestar.middleware import DefineMiddleware
from litestar.openapi.config import OpenAPIConfig

from mrmarket import __version__
from mrmarket.core.errors import MrMarketError
from mrmarket.services.api.face import InstanceFace
from mrmarket.services.api.origin import OriginGuard
from mrmarket.services.api.pages import page_handlers
from mrmarket.services.api.problems import answer_error, answer_fault, answer_http_error
from mrmarket.services.api.routes import InstanceRoutes, PoolRoutes, TradingRoutes
from mrmarket.services.api.stream import stream

LOOPBACK_HOSTS: Final = frozenset({"127.0.0.1", "localhost", "::1"})


_OPENAPI: Final = OpenAPIConfig(title="Mr. Market", version=__version__)


@get("/api/v1/openapi.json", include_in_schema=False, media_type=MediaType.JSON)
async def contract() -> bytes:
    """The API's contract."""
    return openapi_text().encode()


def _api_router(face: InstanceFace | None) -> Router:
    def provide_face() -> InstanceFace | None:
        return face

    return Router(
        path="/api/v1",
        route_handlers=[InstanceRoutes, TradingRoutes, PoolRoutes, stream],
        dependencies={"face": Provide(provide_face, sync_to_thread=False)},
    )


def create_app(face: InstanceFace, hosts: frozenset[str] = LOOPBACK_HOSTS) -> Litestar:
    """Put the API and the pages in front of an instance.

    Args:
        face: what is served.
        hosts: host names the instance answers to; `*` for any (behind a proxy that checks).
    """
    return Litestar(
        route_handlers=[_api_router(face), contract, *page_handlers()],
        exception_handlers={
            MrMarketError: answer_error,
            HTTPException: answer_http_error,
            Exception: answer_fault,
        },
        logging_config=None,
        middleware=[DefineMiddleware(OriginGuard, hosts=hosts)],
        compression_config=CompressionConfig(backend="gzip", minimum_size=2048, exclude=["/api/v1/stream"]),
        # Served by a route of ours: the framework's own would answer unknown paths below it with HTML.
        openapi_config=None,
        signature_types=[InstanceFace],
        debug=False,
    )


@cache
def openapi_text() -> str:
    """The API's contract as JSON text, from the types alone; `web/openapi.json` is a copy of it."""
    schema = Litestar(
        route_handlers=[_api_router(None)],
        openapi_config=_OPENAPI,
    ).openapi_schema.to_schema()
    return json.dumps(schema, indent=2, sort_keys=True) + "\n"
