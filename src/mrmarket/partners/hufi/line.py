"""The line to one of HuFi's APIs: time-outs, retries of what is safe, rate limits, and what silence means."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from types import TracebackType
from typing import Final, Self, TypeVar
from urllib.parse import quote

import aiohttp
import msgspec

from mrmarket.core.clock import NS_PER_S, Clock
from mrmarket.core.errors import InvalidInputError
from mrmarket.partners.hufi.drift import DriftKind, DriftReport
from mrmarket.partners.hufi.errors import (
    HufiAnswerError,
    HufiRateLimitedError,
    HufiRefusedError,
    HufiRetiredError,
    HufiUnclearError,
)
from mrmarket.partners.hufi.exact_json import ExactJsonError, read_exact
from mrmarket.partners.hufi.messages import Fault

Answer = TypeVar("Answer")

Query = Mapping[str, str | int | Sequence[str]]
Sleep = Callable[[float], Awaitable[None]]

_MOST_BYTES: Final = 16_000_000
_SECONDS: Final = re.compile(r"[0-9]{1,6}", re.ASCII)
_MESSAGE: Final = 300
_NO_ROUTE: Final = "Cannot "
"""How the servers' framework begins the message for a route that they do not have."""


@dataclass(frozen=True, slots=True)
class Route:
    """A request that HuFi knows."""

    method: str
    template: str
    """Path with `{names}`."""
    is_safe: bool
    """Whether asking twice is the same as asking once. GET and DELETE are: aiohttp may repeat them."""

    def __str__(self) -> str:
        return f"{self.method} {self.template}"


@dataclass(frozen=True, slots=True)
class LineSettings:
    """How patient a line is."""

    timeout_s: float = 15.0
    tries: int = 3
    first_pause_s: float = 0.5
    longest_pause_s: float = 30.0
    """A server that asks for more gets no more questions until then, and the caller an error."""


class HufiLine:
    """Asks one of the APIs. Opened at the first question, on the running loop."""

    def __init__(
        self,
        url: str,
        drift: DriftReport,
        clock: Clock,
        settings: LineSettings | None = None,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        if not url.startswith(("https://", "http://")):
            raise InvalidInputError("url", url, "an address that begins with https://")
        self._url = url.rstrip("/")
        self._drift = drift
        self._clock = clock
        self._settings = settings or LineSettings()
        self._sleep = sleep
        self._not_before_ns = 0
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def drift(self) -> DriftReport:
        """Where differences are noted."""
        return self._drift

    async def close(self) -> None:
        """Hang up; a later question opens it again."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def ask(
        self,
        route: Route,
        answer: type[Answer],
        *,
        names: Mapping[str, str | int] | None = None,
        body: msgspec.Struct | None = None,
        query: Query | None = None,
        token: str = "",
    ) -> Answer:
        """Ask; a safe request is tried again when nothing came back, a refused pace is kept to.

        Raises:
            HufiRefusedError: HuFi said no.
            HufiUnclearError: nothing that can be relied on came back.
            HufiRateLimitedError: HuFi wants a longer pause than we wait; nothing was done.
            HufiRetiredError: the route is gone.
            HufiAnswerError: the answer lacks what we need.
        """
        content = await self.fetch(route, names=names, body=body, query=query, token=token)
        return self.read(route, content, answer)

    async def fetch(
        self,
        route: Route,
        *,
        names: Mapping[str, str | int] | None = None,
        body: msgspec.Struct | None = None,
        query: Query | None = None,
        token: str = "",
    ) -> bytes:
        """The bytes of an answer that is a yes; otherwise like `ask`."""
        path = route.template.format_map(
            {name: quote(str(value), safe="") for name, value in (names or {}).items()}
        )
        pause_s = self._settings.first_pause_s
        for attempt in range(1, self._settings.tries + 1):
            await self._keep_pace(route)
            is_last = attempt == self._settings.tries
            try:
                status, content, wait_s = await self._once(route, path, body, query, token)
            except HufiUnclearError:
                if is_last or not route.is_safe:
                    raise
            else:
                if status < HTTPStatus.BAD_REQUEST:
                    return content
                if status == HTTPStatus.TOO_MANY_REQUESTS:
                    self._hold_back(wait_s if wait_s is not None else pause_s)
                    if not is_last:
                        pause_s *= 2
                        continue
                if status < HTTPStatus.INTERNAL_SERVER_ERROR or is_last or not route.is_safe:
                    raise self._failure(route, status, content)
            await self._sleep(pause_s)
            pause_s *= 2
        raise HufiUnclearError(str(route), "it was never asked")  # pragma: no cover - tries is at least one

    def read(self, route: Route, content: bytes, answer: type[Answer]) -> Answer:
        """An answer as its type; notes fields that the type does not have. Raises `HufiAnswerError`."""
        try:
            raw = read_exact(content)
            told = msgspec.convert(raw, answer)
        except (ExactJsonError, msgspec.MsgspecError) as error:
            self._drift.note(DriftKind.UNREADABLE, str(route), str(error))
            raise HufiAnswerError(str(route), str(error)) from error
        self._drift.compare(str(route), raw, answer)
        return told

    async def _once(
        self, route: Route, path: str, body: msgspec.Struct | None, query: Query | None, token: str
    ) -> tuple[int, bytes, float | None]:
        headers = {"Accept": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        data = None
        if body is not None:
            data = msgspec.json.encode(body)
            headers["Content-Type"] = "application/json"
        session = self._session
        if session is None:
            timeout = aiohttp.ClientTimeout(total=self._settings.timeout_s)
            session = self._session = aiohttp.ClientSession(timeout=timeout)
        try:
            async with session.request(
                route.method,
                self._url + path,
                data=data,
                params=_pairs(query),
                headers=headers,
                allow_redirects=False,
            ) as response:
                content = await response.content.read(_MOST_BYTES + 1)
                while len(content) <= _MOST_BYTES and not response.content.at_eof():
                    content += await response.content.read(_MOST_BYTES + 1 - len(content))
                status = response.status
                wait_s = _retry_after(response.headers.get("Retry-After"))
        except TimeoutError as silent:
            raise HufiUnclearError(str(route), "no answer in time") from silent
        except aiohttp.ClientError as lost:
            raise HufiUnclearError(str(route), f"the connection failed ({type(lost).__name__})") from lost
        if len(content) > _MOST_BYTES:
            raise HufiUnclearError(str(route), "an answer without end")
        if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
            raise HufiUnclearError(str(route), f"it was sent elsewhere ({status})")
        return status, content, wait_s

    async def _keep_pace(self, route: Route) -> None:
        wait_s = (self._not_before_ns - self._clock.monotonic_ns()) / NS_PER_S
        if wait_s > self._settings.longest_pause_s:
            raise HufiRateLimitedError(str(route), wait_s)
        if wait_s > 0:
            await self._sleep(wait_s)

    def _hold_back(self, wait_s: float) -> None:
        until_ns = self._clock.monotonic_ns() + int(wait_s * NS_PER_S)
        self._not_before_ns = max(self._not_before_ns, until_ns)

    def _failure(self, route: Route, status: int, content: bytes) -> Exception:
        message = _message(content)
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            left_s = (self._not_before_ns - self._clock.monotonic_ns()) / NS_PER_S
            return HufiRateLimitedError(str(route), max(left_s, 0.0))
        is_gone = status == HTTPStatus.GONE or (
            status == HTTPStatus.NOT_FOUND and (not message or message.startswith(_NO_ROUTE))
        )
        if is_gone:
            self._drift.note(DriftKind.RETIRED_ROUTE, str(route), str(status))
            return HufiRetiredError(str(route), status)
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return HufiUnclearError(str(route), f"it failed there ({status})")
        return HufiRefusedError(str(route), status, message)


def _pairs(query: Query | None) -> list[tuple[str, str]] | None:
    if query is None:
        return None
    pairs: list[tuple[str, str]] = []
    for name, value in query.items():
        if isinstance(value, str | int):
            pairs.append((name, str(value)))
        else:
            pairs.extend((f"{name}[]", item) for item in value)
    return pairs


def _retry_after(value: str | None) -> float | None:
    """Seconds; a date there is not worth a parser, our own pause serves as well."""
    return float(value) if value is not None and _SECONDS.fullmatch(value) else None


def _message(content: bytes) -> str:
    try:
        fault = msgspec.convert(read_exact(content), Fault)
    except (ExactJsonError, msgspec.MsgspecError):
        return ""
    text = fault.message if isinstance(fault.message, str) else "; ".join(fault.message)
    return text[:_MESSAGE]
