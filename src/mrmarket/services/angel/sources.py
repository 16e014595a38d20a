"""Where signs of life are read: the operations store, or the instance's own HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final, Protocol

import msgspec

from mrmarket.core.errors import MrMarketError
from mrmarket.store.operations import Beat

_TIMEOUT_S: Final = 2.0
_MOST_BYTES: Final = 65_536


class HeartbeatUnreadError(MrMarketError):
    """The instance's heartbeat could not be read."""

    code = "heartbeat_unread"
    retryable = True

    def __init__(self, url: str, problem: str) -> None:
        self.url = url
        super().__init__(f"{url}: {problem}; check that the instance runs and can be reached from here")


class ListsBeats(Protocol):
    """The part of the operations store that is read here."""

    def beats(self) -> list[Beat]:
        """Every node that has not signed off; raises a `StoreError`."""
        ...


class OperationsBeats:
    """Signs of life in the operations store."""

    name = "database"
    authoritative = True

    def __init__(self, operations: ListsBeats) -> None:
        self._operations = operations

    async def read(self) -> Sequence[Beat]:
        """Every node that has not signed off; raises a `StoreError`."""
        return await asyncio.to_thread(self._operations.beats)


class HttpBeat:
    """`GET /heartbeat`: the sign of life of the process that serves it."""

    name = "http"
    authoritative = False

    def __init__(self, url: str) -> None:
        self._url = url
        self._session: Any = None

    async def read(self) -> Sequence[Beat]:
        """One node; raises `HeartbeatUnreadError`."""
        import aiohttp  # noqa: PLC0415 - a tenth of a second, and only where a URL is given

        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_TIMEOUT_S))
        try:
            async with self._session.get(self._url, allow_redirects=False) as answer:
                if answer.status != 200:  # noqa: PLR2004 - OK
                    raise HeartbeatUnreadError(self._url, f"answered {answer.status}")
                body = await answer.content.read(_MOST_BYTES)
            beat = msgspec.json.decode(body, type=Beat)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise HeartbeatUnreadError(self._url, str(error) or type(error).__name__) from error
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
            raise HeartbeatUnreadError(self._url, f"is no heartbeat ({error})") from error
        return [beat]

    async def close(self) -> None:
        """Close the connection."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()
