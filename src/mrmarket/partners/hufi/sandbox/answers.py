"""How the sandbox reads requests and writes answers: JSON with exact numbers, one form of refusal."""

from __future__ import annotations

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final, TypeVar

import msgspec
from aiohttp import web

from mrmarket.core.clock import NS_PER_MS, Clock
from mrmarket.partners.hufi.manifest import write_date

Body = TypeVar("Body")

_encode: Final = msgspec.json.Encoder(decimal_format="number").encode
_DEFAULT_LIMIT: Final = 10
_MAX_PAGE: Final = 1_000


class Refusal(Exception):  # noqa: N818 - it is an answer
    """A no, with its status."""

    def __init__(self, status: HTTPStatus, message: str, retry_after_s: float | None = None) -> None:
        self.status = status
        self.message = message
        self.retry_after_s = retry_after_s
        super().__init__(message)


def yes(content: Any, status: HTTPStatus = HTTPStatus.OK) -> web.Response:
    """An answer."""
    return web.json_response(body=_encode(content), status=status)


def no(refusal: Refusal, request: web.Request, clock: Clock) -> web.Response:
    """A refusal in the servers' form."""
    told = {
        "message": refusal.message,
        "timestamp": write_date(clock.now_ns() // NS_PER_MS),
        "path": request.path_qs,
    }
    response = web.json_response(body=_encode(told), status=refusal.status)
    if refusal.retry_after_s is not None:
        response.headers["Retry-After"] = str(int(refusal.retry_after_s))
    return response


async def read_body(request: web.Request, kind: type[Body]) -> Body:
    """The body of a request; 400 for what is none."""
    try:
        return msgspec.json.decode(await request.read(), type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as strange:
        raise Refusal(HTTPStatus.BAD_REQUEST, str(strange)) from strange


def page_of(request: web.Request, items: list[Any]) -> web.Response:
    """A page of a list, by `limit` and `skip`."""
    limit = whole(request, "limit", _DEFAULT_LIMIT)
    skip = whole(request, "skip", 0)
    if limit > _MAX_PAGE or skip > _MAX_PAGE:
        raise Refusal(HTTPStatus.BAD_REQUEST, f"limit and skip are {_MAX_PAGE} at most")
    return yes({"has_more": skip + limit < len(items), "results": items[skip : skip + limit]})


def whole(request: web.Request, name: str, default: int | None = None) -> int:
    """A whole number of the query; 400 for what is none."""
    text = request.query.get(name)
    if text is None and default is not None:
        return default
    if text is None or not (text.isascii() and text.isdigit() and len(text) <= 18):  # noqa: PLR2004 - 64 bits
        raise Refusal(HTTPStatus.BAD_REQUEST, f"{name} must be a whole number")
    return int(text)


def date(at_ms: int) -> str | None:
    """A date on the wire; null for none."""
    return write_date(at_ms) if at_ms else None


def day(at_ms: int) -> str:
    """A calendar day on the wire."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).date().isoformat()
