"""The line to Mixin: one signed request, and what its answer or its silence means."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType
from typing import Final, Protocol, Self, TypeVar
from urllib.parse import quote, urlencode

import aiohttp
import msgspec
from yarl import URL

from mrmarket.core.clock import NS_PER_S, Clock
from mrmarket.partners.mixin.errors import MixinDriftError, MixinRefusedError, MixinUnclearError
from mrmarket.partners.mixin.messages import Envelope

TIMEOUT_S: Final = 10.0
HOME: Final = "https://api.mixin.one"
_UNCLEAR: Final = frozenset({500, 7000, 7001})
"""Codes after which nobody knows whether the request had its effect."""
_BUSY: Final = 429
_TRIES: Final = 3
_PAUSE_S: Final = 0.5

Answer = TypeVar("Answer")
Sleep = Callable[[float], Awaitable[None]]


class Signer(Protocol):
    """Makes the token of one request."""

    def __call__(self, method: str, uri: str, body: bytes, *, request: str, now_s: int) -> str:
        """A JWT for the request."""
        ...


class MixinLine:
    """Asks Mixin, or the sandbox. Opened at the first question, on the running loop.

    Questions that change nothing are asked again when no answer came; what may change something is asked
    once, and who asked finds out what became of it.
    """

    def __init__(
        self,
        sign: Signer | None,
        clock: Clock,
        *,
        url: str = HOME,
        timeout_s: float = TIMEOUT_S,
        sleep: Sleep = asyncio.sleep,
        new_id: Callable[[], uuid.UUID] = uuid.uuid4,
    ) -> None:
        """`sign` makes the tokens; None for questions that need none. Tokens use wall time."""
        self._sign = sign
        self._clock = clock
        self._url = url.rstrip("/")
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._sleep = sleep
        self._new_id = new_id
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Hang up; a later question opens it again."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def get(self, path: str, answer: type[Answer], query: Mapping[str, str] | None = None) -> Answer:
        """Ask what changes nothing, up to three times.

        Raises:
            MixinRefusedError: Mixin said no.
            MixinUnclearError: no answer came.
            MixinDriftError: the answer has another shape.
        """
        for left in range(_TRIES - 1, -1, -1):
            try:
                return await self._ask("GET", path, answer, None, query)
            except MixinUnclearError:
                if not left:
                    raise
            except MixinRefusedError as refused:
                if not left or refused.number != _BUSY:
                    raise
            await self._sleep(_PAUSE_S)
        raise AssertionError

    async def post(self, path: str, answer: type[Answer], body: object) -> Answer:
        """Ask once. Raises as `get`; after MixinUnclearError it may have had its effect."""
        return await self._ask("POST", path, answer, body, None)

    async def _ask(
        self, method: str, path: str, answer: type[Answer], body: object, query: Mapping[str, str] | None
    ) -> Answer:
        request = f"{method} {path}"
        content = b"" if body is None else msgspec.json.encode(body)
        # The token signs the path as it goes over the wire, so nobody may encode it again.
        uri = path + (f"?{urlencode(query, quote_via=quote, safe=':')}" if query else "")
        status, told = await self._exchange(request, method, uri, content)
        try:
            envelope = msgspec.json.decode(told, type=Envelope)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as strange:
            raise MixinUnclearError(request, f"an answer that cannot be read ({status})") from strange
        fault = envelope.error
        if fault is not None:
            if fault.code in _UNCLEAR:
                raise MixinUnclearError(request, f"{fault.code}: {fault.description}")
            raise MixinRefusedError(request, fault.code, fault.description)
        if status >= 300:  # noqa: PLR2004 - only 20x are answers
            raise MixinUnclearError(request, f"status {status}")
        try:
            return msgspec.json.decode(bytes(envelope.data) or b"null", type=answer)
        except (msgspec.MsgspecError, RecursionError) as strange:
            raise MixinDriftError(request, str(strange)) from strange

    async def _exchange(self, request: str, method: str, uri: str, content: bytes) -> tuple[int, bytes]:
        headers = {"X-Request-Id": str(self._new_id())}
        if content:
            headers["Content-Type"] = "application/json"
        if self._sign is not None:
            token = self._sign(
                method,
                uri,
                content,
                request=headers["X-Request-Id"],
                now_s=self._clock.now_ns() // NS_PER_S,
            )
            headers["Authorization"] = f"Bearer {token}"
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=self._timeout)
        address = URL(self._url + uri, encoded=True)
        try:
            async with self._session.request(
                method, address, data=content or None, headers=headers, allow_redirects=False
            ) as response:
                return response.status, await response.read()
        except TimeoutError as silent:
            raise MixinUnclearError(request, "no answer in time") from silent
        except aiohttp.ClientError as lost:
            raise MixinUnclearError(request, f"the connection failed ({type(lost).__name__})") from lost
