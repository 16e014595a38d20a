"""Depositors of a sandbox world: each takes what was credited to them out to their Mixin account.

They use the instance as a browser does: sign in, look, withdraw. They know nothing else of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from decimal import Decimal
from http import HTTPStatus
from types import TracebackType
from typing import Any, Final, Self, TypeVar
from uuid import uuid4

import aiohttp
import msgspec
import structlog

from mrmarket.core.errors import MrMarketError
from mrmarket.services.sandbox.endpoints import PersonDoor

_LOG: Final[Any] = structlog.get_logger("mrmarket.sandbox")
_ANSWER_S: Final = 30.0
_PAUSE_S: Final = 2.0
_TROUBLE_S: Final = 5.0

Answer = TypeVar("Answer")


class ResidentRefusedError(MrMarketError):
    """The instance did not do what a resident asked."""

    code = "resident_refused"
    retryable = True

    def __init__(self, name: str, path: str, problem: str) -> None:
        self.name = name
        self.path = path
        self.problem = problem
        super().__init__(f"{name} asked for {path}: {problem}; they ask again")


class _Session(msgspec.Struct):
    csrf: str | None = None


class _Balance(msgspec.Struct):
    asset: str
    amount: Decimal
    held: Decimal


class _Positions(msgspec.Struct):
    balances: list[_Balance]


class _Anything(msgspec.Struct):
    """An answer of which nothing is needed."""


class Resident:
    """One person's browser, over one session."""

    def __init__(self, url: str, person: PersonDoor) -> None:
        """`url` is the instance's, without `/api`. Nothing is asked yet."""
        self._person = person
        self._root = f"{url.rstrip('/')}/api/v1"
        self._csrf: str | None = None
        self._session = aiohttp.ClientSession(
            cookie_jar=aiohttp.CookieJar(unsafe=True),  # of a host without a name
            timeout=aiohttp.ClientTimeout(_ANSWER_S),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Hang up."""
        await self._session.close()

    async def step(self, rail: str) -> int:
        """Withdraw everything that a rail carries and that is free; how many assets.

        Raises:
            ResidentRefusedError: the instance refuses or does not answer.
        """
        if self._csrf is None:
            told = await self._ask("POST", "auth/demo", _Session, {"name": self._person.name})
            self._csrf = told.csrf or ""
        positions = await self._ask("GET", "me/positions", _Positions)
        asked = 0
        for one in positions.balances:
            free = one.amount - one.held
            if one.asset.partition(":")[0] != rail or free <= 0:
                continue
            body = {
                "asset": one.asset,
                "amount": f"{free:f}",
                "destination": self._person.user_id,
                "key": str(uuid4()),
            }
            await self._ask("POST", "me/balances/withdraw", _Anything, body)
            _LOG.info("sandbox.withdrew", person=self._person.name, asset=one.asset, amount=f"{free:f}")
            asked += 1
        return asked

    async def _ask(self, method: str, path: str, kind: type[Answer], body: object = None) -> Answer:
        headers = {"X-CSRF-Token": self._csrf or "", "Content-Type": "application/json"}
        content = None if body is None else msgspec.json.encode(body)
        try:
            async with self._session.request(
                method, f"{self._root}/{path}", data=content, headers=headers
            ) as answer:
                status, text = answer.status, await answer.read()
            if status < HTTPStatus.BAD_REQUEST:
                return msgspec.json.decode(text, type=kind)
        except (aiohttp.ClientError, TimeoutError, msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise ResidentRefusedError(self._person.name, path, type(error).__name__) from error
        if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
            self._csrf = None  # the session is over: sign in again
        raise ResidentRefusedError(self._person.name, path, f"{status} {text[:200].decode(errors='replace')}")


class Residents:
    """Everybody who lives in a world. `keep` is run beside the instance, in its process or in another."""

    def __init__(self, people: Sequence[PersonDoor], rail: str = "mixin") -> None:
        """`rail` is the namespace of what they take out."""
        self._people = tuple(people)
        self._rail = rail

    async def keep(self, url: Callable[[], str | None]) -> None:
        """Look and withdraw until cancelled; `url` is the instance's, None while it has none."""
        while not (found := url()):  # noqa: ASYNC110 - an instance's address tells nobody that it is there
            await asyncio.sleep(_PAUSE_S)
        await asyncio.gather(*(self._live(found, person) for person in self._people))

    async def _live(self, url: str, person: PersonDoor) -> None:
        told = ""
        async with Resident(url, person) as resident:
            while True:
                try:
                    await resident.step(self._rail)
                except ResidentRefusedError as refused:
                    if str(refused) != told:
                        _LOG.info("sandbox.resident_waits", code=refused.code, message=str(refused))
                    told = str(refused)
                    await asyncio.sleep(_TROUBLE_S)
                else:
                    told = ""
                await asyncio.sleep(_PAUSE_S)
