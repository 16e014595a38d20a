"""One question to CoinGecko's API, and what its answer or its silence means.

Source: docs.coingecko.com, "Errors & Rate Limits" and "Authentication". A key goes into a header, never
into an address.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from http import HTTPStatus
from typing import Final, TypeVar

import aiohttp
import msgspec

from mrmarket.core.clock import Clock
from mrmarket.core.errors import InvalidInputError
from mrmarket.partners.marketdata.call_budget import CallBudget
from mrmarket.partners.marketdata.errors import (
    PriceLimitedError,
    PriceMissingError,
    ProviderAnswerError,
    ProviderRefusedError,
    ProviderUnreachableError,
)

NAME: Final = "coingecko"
_MOST_BYTES: Final = 4 * 1024**2
_CHUNK: Final = 65_536
_WAIT_S: Final = 60
"""Where a refusal for too many calls does not say how long to wait."""
_LONGEST_WAIT_S: Final = 3_600
_MAY_PASS: Final = frozenset({408, 425, *range(500, 600)})
_KEY_NUMBERS: Final = frozenset({10_002, 10_005, 10_010, 10_011})

Answer = TypeVar("Answer")


class Plan(StrEnum):
    """How we are known there."""

    KEYLESS = "keyless"
    DEMO = "demo"
    PRO = "pro"


_ROOTS: Final = {
    Plan.KEYLESS: "https://api.coingecko.com/api/v3",
    Plan.DEMO: "https://api.coingecko.com/api/v3",
    Plan.PRO: "https://pro-api.coingecko.com/api/v3",
}
_HEADERS: Final = {Plan.DEMO: "x-cg-demo-api-key", Plan.PRO: "x-cg-pro-api-key"}


@dataclass(frozen=True, slots=True)
class LineSettings:
    """Where and how often to ask."""

    plan: Plan = Plan.KEYLESS
    key: str = field(default="", repr=False)
    """Of the plan demo or pro."""
    url: str = ""
    """Another root than the plan's."""
    calls_a_minute: int = 5
    """The keyless plan counts everybody behind one address; demo allows 100, pro what was bought."""
    timeout_s: float = 10.0

    def __post_init__(self) -> None:
        if (self.plan is Plan.KEYLESS) != (not self.key):
            raise InvalidInputError("plan", self.plan.value, "a key with demo or pro, and none with keyless")
        if self.calls_a_minute < 1:
            raise InvalidInputError("calls_a_minute", self.calls_a_minute, "at least 1")


@dataclass(frozen=True, slots=True)
class Question:
    """The pair that somebody wants to know; errors name it."""

    base: str
    quote: str


class _Status(msgspec.Struct, frozen=True):
    error_code: int = 0


class _Refusal(msgspec.Struct, frozen=True):
    status: _Status = _Status()
    error_code: int = 0


class CoinGeckoLine:
    """Asks once a call, within the budget. Opened at the first question, on the running loop."""

    def __init__(self, settings: LineSettings, clock: Clock) -> None:
        self._settings = settings
        self._root = settings.url or _ROOTS[settings.plan]
        header = _HEADERS.get(settings.plan)
        self._headers = {header: settings.key} if header else {}
        self._budget = CallBudget(settings.calls_a_minute, clock)
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Hang up; a later question opens it again."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def ask(
        self, question: Question, path: str, query: Mapping[str, str], answer: type[Answer]
    ) -> Answer:
        """Ask once.

        Raises:
            PriceLimitedError: our budget or theirs is used up.
            ProviderUnreachableError: no answer, or one that may pass.
            ProviderRefusedError: key or plan.
            PriceMissingError: there is no such coin.
            ProviderAnswerError: an answer that is not as documented.
        """
        base, quote = question.base, question.quote
        if (later_ms := self._budget.take()) is not None:
            raise PriceLimitedError(base, quote, NAME, later_ms)
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=self._settings.timeout_s)
            self._session = aiohttp.ClientSession(timeout=timeout, headers=self._headers)
        try:
            async with self._session.get(self._root + path, params=query, allow_redirects=False) as response:
                status = response.status
                wait = response.headers.get("Retry-After", "")
                body = await _read(response)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ProviderUnreachableError(base, quote, NAME, type(error).__name__) from None
        if body is None:
            raise ProviderAnswerError(base, quote, NAME, f"it is longer than {_MOST_BYTES} bytes")
        if status != HTTPStatus.OK:
            raise self._refusal(question, status, wait, body)
        try:
            return msgspec.json.decode(body, type=answer)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise ProviderAnswerError(base, quote, NAME, str(error)) from None

    def _refusal(self, question: Question, status: int, wait: str, body: bytes) -> Exception:
        base, quote = question.base, question.quote
        number = _number(body)
        if HTTPStatus.TOO_MANY_REQUESTS in (status, number):
            asked_s = int(wait) if wait.isascii() and wait.isdigit() else _WAIT_S
            return PriceLimitedError(base, quote, NAME, self._budget.close_for(min(asked_s, _LONGEST_WAIT_S)))
        if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN} or number in _KEY_NUMBERS:
            return ProviderRefusedError(base, quote, NAME, status, number)
        if status == HTTPStatus.NOT_FOUND:
            return PriceMissingError(base, quote, NAME, "does not know the coin; correct its id")
        if status in _MAY_PASS:
            return ProviderUnreachableError(base, quote, NAME, f"status {status}")
        return ProviderAnswerError(base, quote, NAME, f"status {status}")


def _number(body: bytes) -> int:
    """The number of an error; 0 where the body tells none, such as a page of the network before it."""
    try:
        found = msgspec.json.decode(body, type=_Refusal)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return 0
    return found.status.error_code or found.error_code


async def _read(response: aiohttp.ClientResponse) -> bytes | None:
    """The body; None where it is too long to be what was asked for."""
    content = bytearray()
    async for chunk in response.content.iter_chunked(_CHUNK):
        content += chunk
        if len(content) > _MOST_BYTES:
            return None
    return bytes(content)
