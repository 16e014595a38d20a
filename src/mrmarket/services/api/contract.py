"""The API's contract: OpenAPI from the types, with every refusal a route can answer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

import msgspec
from litestar import Litestar, Router
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.config import OpenAPIConfig

from mrmarket import __version__
from mrmarket.services.api.schema import Problem

_API: Final = "/api/"
_OPENAPI: Final = OpenAPIConfig(title="Mr. Market", version=__version__)
_WHY: Final = {
    400: "The request is malformed, or a value in it is refused.",
    401: "Nobody is signed in.",
    403: "Signed in as somebody who may not, without the CSRF token, or from another web site.",
    404: "There is no such thing, or it is somebody else's.",
    409: "It cannot be done as things stand; the code says why.",
    413: "The body is too large.",
    415: "The body is not JSON.",
    429: "Asked too often; `Retry-After` says in how many seconds to ask again.",
    503: "Not now; the same request may work later.",
}
_ALWAYS: Final = (400, 429, 503)
_OF_ROLE: Final = {"anybody": (), "desk": (401,), "user": (401, 403, 404), "admin": (401, 403, 404)}
_OF_CHANGES: Final = (403, 409, 413, 415)


def document(*routers: Router) -> str:
    """The contract of some routers' routes as JSON text."""
    app = Litestar(route_handlers=routers, openapi_config=_OPENAPI)
    schema: dict[str, Any] = app.openapi_schema.to_schema()
    schema["components"]["schemas"]["Problem"] = msgspec.json.schema(Problem)["$defs"]["Problem"]
    for path, method, needs in sorted(_operations(app)):
        if not path.startswith(_API):
            continue  # what machines ask at the root takes nothing and refuses nobody
        operation = schema["paths"][path][method]
        statuses = {*_ALWAYS, *_OF_ROLE[needs]}
        if method != "get":
            statuses |= {*_OF_CHANGES}
        if "{" in path or path.endswith("/demo"):
            statuses.add(404)
        if "/auth/" in path and method != "get":
            statuses.add(401)
        operation["responses"] |= {str(status): _problem(status) for status in sorted(statuses)}
    return json.dumps(schema, indent=2, sort_keys=True) + "\n"


def _operations(app: Litestar) -> Iterator[tuple[str, str, str]]:
    """(path as the contract writes it, method, role) of every route in it."""
    for route in app.routes:
        for handler in getattr(route, "route_handlers", ()):
            if isinstance(handler, HTTPRouteHandler) and "needs" in handler.opt:
                path = route.path_format
                for method in handler.http_methods - {"OPTIONS"}:
                    yield path, method.lower(), handler.opt["needs"]


def _problem(status: int) -> dict[str, Any]:
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {"description": _WHY[status], "content": content}
