"""Errors of ours as HTTP answers."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import msgspec
import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException

from mrmarket.core.errors import InvalidInputError, MrMarketError
from mrmarket.money.ledger.errors import LedgerStoppedError
from mrmarket.services.access import errors as access
from mrmarket.services.api import refusals
from mrmarket.services.api.browser_rules import OF_API
from mrmarket.services.api.schema import Problem

_BAD_REQUEST, _CONFLICT, _INTERNAL, _UNAVAILABLE = 400, 409, 500, 503
_log = structlog.get_logger("mrmarket.api")

_STATUS: Final[Mapping[type[MrMarketError], int]] = MappingProxyType(
    {
        InvalidInputError: _BAD_REQUEST,
        LedgerStoppedError: _UNAVAILABLE,  # the instance is leaving; the next one takes the request
        access.PasswordRefusedError: _BAD_REQUEST,
        access.SignInRefusedError: 401,
        access.TokenRefusedError: 401,
        access.NotDemoError: 404,
        access.TooManyRequestsError: 429,
        refusals.SignInNeededError: 401,
        refusals.ForbiddenError: 403,
        refusals.CsrfRefusedError: 403,
        refusals.NotFoundError: 404,
        refusals.SelectionOffError: 404,
        refusals.PartnersOffError: 404,
        refusals.MediaTypeRefusedError: 415,
    }
)
_NONE: Final[Mapping[str, str]] = MappingProxyType({})
_BROWSER_RULES: Final = {name.decode(): value.decode() for name, value in OF_API}
_CODES: Final = MappingProxyType({404: "not_found", 405: "method_not_allowed", 413: "body_too_large"})


def status_of(error: MrMarketError) -> int:
    """Bad input is 400, what may pass later 503, the rest 409; those named above are as they are."""
    for kind in type(error).__mro__:
        if status := _STATUS.get(kind):
            return status
    return _UNAVAILABLE if error.retryable else _CONFLICT


def problem_of(error: MrMarketError) -> tuple[int, dict[str, str], bytes]:
    """(status, headers, body) of an error of ours."""
    status = status_of(error)
    retryable = error.retryable or status == _UNAVAILABLE
    problem = Problem(code=error.code, message=str(error), retryable=retryable)
    headers = {}
    if isinstance(error, access.TooManyRequestsError):
        headers["retry-after"] = str(error.retry_after_s)
    return status, headers, msgspec.json.encode(problem)


def answer_error(_: Request[Any, Any, Any], error: MrMarketError) -> Response[bytes]:
    """An error of ours, as `problem_of` says."""
    status, headers, body = problem_of(error)
    return Response(body, status_code=status, headers=headers, media_type="application/json")


def answer_http_error(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    """Routing and validation errors in the same shape."""
    if error.status_code >= _INTERNAL:
        return answer_fault(request, error)
    detail = error.detail
    if isinstance(error.extra, list) and error.extra:
        first = error.extra[0]
        if isinstance(first, dict):
            detail = f"{first.get('key', 'request')}: {first.get('message', detail)}"
    code = _CODES.get(error.status_code, "invalid_request")
    # Paths that lead nowhere never meet the admission, which gives every other answer its headers.
    admitted = dict[str, Any](request.scope).get("user") is not None
    headers = _NONE if admitted else _BROWSER_RULES
    return _answer(error.status_code, Problem(code=code, message=detail), headers)


def answer_fault(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """A fault of ours, as `fault_of` says."""
    status, body = fault_of(request.url.path, error)
    return Response(body, status_code=status, media_type="application/json")


def fault_of(path: str, error: Exception) -> tuple[int, bytes]:
    """(status, body) of a fault of ours: logged in full, told in one sentence without details."""
    _log.error("request failed", path=path, exc_info=error)
    problem = Problem(code="internal", message="a fault of ours; see the instance's log")
    return _INTERNAL, msgspec.json.encode(problem)


def _answer(status: int, problem: Problem, headers: Mapping[str, str] = _NONE) -> Response[bytes]:
    return Response(
        msgspec.json.encode(problem),
        status_code=status,
        headers=dict(headers),
        media_type="application/json",
    )
