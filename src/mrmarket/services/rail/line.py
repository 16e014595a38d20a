"""The line to the rail: one request with a time-out, and what its answer or its silence means."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from types import TracebackType
from typing import Final, Self, TypeVar

import aiohttp
import msgspec

from mrmarket.services.rail.errors import RailRefusedError, RailUnclearError
from mrmarket.services.rail.messages import RailEndpoints, Refusal

TIMEOUT_S: Final = 5.0

Answer = TypeVar("Answer")


class RailLine:
    """Asks one side of a rail. Opened at the first question, on the running loop."""

    def __init__(self, url: str, token: str, timeout_s: float = TIMEOUT_S) -> None:
        """`token` is that of the side to be asked."""
        self._url = url
        self._headers = {"Authorization": f"Bearer {token}"}
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
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

    async def ask(
        self,
        method: str,
        path: str,
        answer: type[Answer],
        body: object = None,
        query: Mapping[str, str] | None = None,
    ) -> Answer:
        """Ask once.

        Raises:
            RailRefusedError: the rail said no; nothing was changed.
            RailUnclearError: nothing that can be relied on came back.
        """
        request = f"{method} {path}"
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=self._timeout, headers=self._headers)
        data = None if body is None else msgspec.json.encode(body)
        try:
            async with self._session.request(
                method, self._url + path, data=data, params=query, allow_redirects=False
            ) as response:
                status, content = response.status, await response.read()
        except TimeoutError as silent:
            raise RailUnclearError(request, "no answer in time") from silent
        except aiohttp.ClientError as lost:
            raise RailUnclearError(request, f"the connection failed ({type(lost).__name__})") from lost
        try:
            if status == HTTPStatus.OK:
                return msgspec.json.decode(content, type=answer)
            refusal = msgspec.json.decode(content, type=Refusal)
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as unreadable:
            raise RailUnclearError(request, f"an answer that cannot be read ({status})") from unreadable
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise RailUnclearError(request, f"{refusal.code}: {refusal.message}")
        raise RailRefusedError(refusal.code, refusal.message)


async def find_rail(url: str, token: str, timeout_s: float = TIMEOUT_S) -> RailEndpoints:
    """Ask a rail that runs elsewhere what a client must know, by its address and the platform's token."""
    async with RailLine(url, token, timeout_s) as line:
        told = await line.ask("GET", "/v1/rail", RailEndpoints)
    return msgspec.structs.replace(told, url=url, token=token)
