"""Errors of ours as HTTP answers."""

from __future__ import annotations

from typing import Any

import msgspec
import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException

from mrmarket.core.errors import InvalidInputError, MrMarketError
from mrmarket.services.api.schema import Problem

_BAD_REQUEST, _CONFLICT, _INTERNAL, _UNAVAILABLE = 400, 409, 500, 503
_log = structlog.get_logger("mrmarket.api")


def _answer(status: int, problem: Problem) -> Response[bytes]:
    return Response(msgspec.json.encode(problem), status_code=status, media_type="application/json")


def answer_error(_: Request[Any, Any, Any], error: MrMarketError) -> Response[bytes]:
    """Bad input is 400, what may pass later 503, the rest 409."""
    status = _CONFLICT
    if isinstance(error, InvalidInputError):
        status = _BAD_REQUEST
    elif error.retryable:
        status = _UNAVAILABLE
    return _answer(status, Problem(code=error.code, message=str(error), retryable=error.retryable))


def answer_http_error(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    """Routing and validation errors in the same shape."""
    if error.status_code >= _INTERNAL:
        return answer_fault(request, error)
    detail = error.detail
    if isinstance(error.extra, list) and error.extra:
        first = error.extra[0]
        if isinstance(first, dict):
            detail = f"{first.get('key', 'request')}: {first.get('message', detail)}"
    code = "not_found" if error.status_code == 404 else "invalid_request"  # noqa: PLR2004 - HTTP's own number
    return _answer(error.status_code, Problem(code=code, message=detail))


def answer_fault(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """A fault of ours: logged in full, told in one sentence without details."""
    _log.error("request failed", path=request.url.path, exc_info=error)
    return _answer(_INTERNAL, Problem(code="internal", message="a fault of ours; see the instance's log"))
