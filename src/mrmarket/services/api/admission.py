"""The first thing a request of the API meets: who asks, how often, and whether a page of ours sent it."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeAlias, cast
from urllib.parse import urlsplit

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from mrmarket.core.errors import MrMarketError
from mrmarket.services.access.access import Access
from mrmarket.services.access.identity import VISITOR, Identity, Site
from mrmarket.services.access.sessions import csrf_token
from mrmarket.services.api.browser_rules import EVERYWHERE, OF_API, STRICT_TRANSPORT
from mrmarket.services.api.problems import fault_of, problem_of
from mrmarket.services.api.refusals import CsrfRefusedError, MediaTypeRefusedError

_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_API: Final = "/api/"
SIGN_INS: Final = frozenset(f"/api/v1/auth/{way}" for way in ("wallet", "admin", "setup", "demo"))
"""What carries its own proof: no CSRF token is needed, and it is counted by address."""


KeptReady: TypeAlias = Callable[[str], Awaitable[bytes]]
"""A user's account name to the JSON text of a route's answer."""


class Admission:
    """ASGI middleware; `scope["user"]` becomes an `Identity`, `scope["auth"]` the session's token."""

    def __init__(self, app: ASGIApp, access: Access, kept_ready: Mapping[str, KeptReady]) -> None:
        self._app = app
        self._access = access
        self._kept_ready = kept_ready
        self._secure = access.settings.public_url.startswith("https://")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, answer a user what is kept ready, or refuse in the shape of every other refusal."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        of_api = scope["path"].startswith(_API)
        headers = list(OF_API if of_api else EVERYWHERE)
        if self._secure or scope["scheme"] == "https":
            headers.append(STRICT_TRANSPORT)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *headers]
            await send(message)

        answer: Send = send if scope["type"] == ScopeType.WEBSOCKET else send_with_headers
        if of_api:
            scope["user"], scope["auth"] = VISITOR, None
            try:
                self._admit(scope)
            except MrMarketError as refused:
                await _refuse(scope, receive, answer, refused)
                return
            self._access.upkeep()
            if (user := scope["user"].user) is not None and scope.get("method") == "GET":
                ready = self._kept_ready.get(scope["path"])
                if ready is not None:
                    await self._answer_at_once(scope, receive, answer, ready(user))
                    return
        await self._app(scope, receive, answer)

    async def _answer_at_once(
        self, scope: Scope, receive: Receive, send: Send, text: Awaitable[bytes]
    ) -> None:
        """Send a text that is kept ready, past the framework: it would cost twice the rest."""
        try:
            body = await text
        except MrMarketError as refused:
            await _refuse(scope, receive, send, refused)
        except Exception as error:  # noqa: BLE001 - the framework's own last door is not on this way
            status, body = fault_of(scope["path"], error)
            await _send(send, status, {}, body)
        else:
            await _send(send, 200, {}, body)

    def _admit(self, scope: Scope) -> None:
        access, address = self._access, client_address(scope)
        told = _headers(scope)
        identity, token = self._identify(told)
        safe = scope["type"] == ScopeType.WEBSOCKET or scope["method"] in _SAFE_METHODS
        if safe:
            access.limits.read(identity, address)
        elif scope["path"] in SIGN_INS:
            access.limits.sign_in(address)
        else:
            access.limits.write(identity, address)
            if token is not None and not _same(told.get(b"x-csrf-token", b""), csrf_token(token)):
                raise CsrfRefusedError
        if not safe and _has_body(told) and not _is_json(told.get(b"content-type", b"")):
            raise MediaTypeRefusedError
        scope["user"], scope["auth"] = identity, token

    def _identify(self, told: dict[bytes, bytes]) -> tuple[Identity, str | None]:
        """(who, the session's token if it is by a session)."""
        said = told.get(b"authorization")
        if said is not None and said[:7].lower() == b"bearer ":
            bearer = said[7:].strip().decode("latin-1")
            return self._access.identify_bearer(bearer, from_page=b"origin" in told), None
        cookies = told.get(b"cookie")
        if cookies is None:
            return VISITOR, None
        token = _cookie(cookies.decode("latin-1"), cookie_name(told.get(b"host", b"").decode("latin-1")))
        if token is None:
            return VISITOR, None
        identity = self._access.identify(token)
        return identity, (None if identity is VISITOR else token)


def cookie_name(host: str) -> str:
    """The session cookie's name. Browsers keep cookies by host and not by port, so the port is in it."""
    _, _, port = host.rpartition(":")
    return f"mrmarket_{port}" if port.isascii() and port.isdigit() else "mrmarket"


def session_cookie(host: str, token: str | None, *, secure: bool, lifetime_s: int) -> str:
    """The Set-Cookie text that hands out a token, or takes it back where it is None."""
    value, age = (token, lifetime_s) if token is not None else ("", 0)
    text = f"{cookie_name(host)}={value}; Path=/; Max-Age={age}; HttpOnly; SameSite=Strict"
    return f"{text}; Secure" if secure else text


def site_of(scope: Any, public_url: str) -> Site:
    """Under which address the browser sees this instance. The host was checked before."""
    if public_url:
        address = urlsplit(public_url)
        return Site(address.scheme, address.netloc)
    return Site(scope["scheme"], _headers(scope).get(b"host", b"").decode("latin-1"))


def client_address(scope: Any) -> str:
    """Where a request comes from; empty where the server does not know."""
    client = scope.get("client")
    return str(client[0]) if client else ""


def _headers(scope: Any) -> dict[bytes, bytes]:
    return dict(cast("list[tuple[bytes, bytes]]", scope["headers"]))


def _cookie(cookies: str, name: str) -> str | None:
    for pair in cookies.split(";"):
        key, _, value = pair.strip().partition("=")
        if key == name:
            return value
    return None


def _same(given: bytes, wanted: str) -> bool:
    return hmac.compare_digest(given, wanted.encode())


def _has_body(told: dict[bytes, bytes]) -> bool:
    return told.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in told


def _is_json(content_type: bytes) -> bool:
    return content_type.partition(b";")[0].strip().lower() == b"application/json"


async def _refuse(scope: Scope, receive: Receive, send: Send, refused: MrMarketError) -> None:
    status, headers, body = problem_of(refused)
    if scope["type"] == ScopeType.WEBSOCKET:
        await receive()
        await send({"type": "websocket.close", "code": 4000 + status, "reason": refused.code})
        return
    await _send(send, status, headers, body)


async def _send(send: Send, status: int, headers: dict[str, str], body: bytes) -> None:
    start: Any = {
        "type": "http.response.start",
        "status": status,
        "headers": [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
            *((name.encode(), value.encode()) for name, value in headers.items()),
        ],
    }
    await send(start)
    await send({"type": "http.response.body", "body": body, "more_body": False})
