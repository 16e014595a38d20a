"""The simulated exchange as a recording oracle sees it: over its own API, with the keys that were registered.

The exchange stamps trades with the wall's time, campaigns live in the world's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from http import HTTPStatus
from typing import Final, TypeVar
from urllib.parse import urlencode

import aiohttp
import msgspec

from mrmarket.core.clock import NS_PER_MS, Clock
from mrmarket.partners.hufi.score import SCALE, TradeMade
from mrmarket.services.sandbox.errors import SandboxExchangeError
from mrmarket.services.sandbox.world_time import WorldHistory
from mrmarket.trading.venue.front.signature import sign

PERMISSIONS: Final = frozenset({"VIEW_SPOT_TRADING_HISTORY", "VIEW_ACCOUNT_BALANCE", "VIEW_DEPOSIT_ADDRESS"})
_PAGE: Final = 1_000
_DAY_MS: Final = 86_400_000
_WINDOW_MS: Final = 30_000
_TIMEOUT_S: Final = 10.0
_STRANGE_KEY: Final = frozenset({-2014, -2015, -1022})

Answer = TypeVar("Answer")
Secrets = Callable[[str], str | None]
"""The secret of a key that somebody registered."""


class _Trade(msgspec.Struct, frozen=True, rename="camel"):
    id: int
    time: int
    quote_qty: Decimal
    is_buyer: bool
    is_maker: bool


class _Held(msgspec.Struct, frozen=True):
    asset: str
    free: Decimal
    locked: Decimal


class _Account(msgspec.Struct, frozen=True):
    uid: int
    balances: list[_Held]


class _Rights(msgspec.Struct, frozen=True, rename="camel"):
    enable_reading: bool


class _No(msgspec.Struct, frozen=True):
    code: int
    msg: str


class _KeyRefusedError(Exception):
    """The exchange does not know the key, or its secret is wrong."""


class VenueFeed:
    """`ExchangeFeed` over REST; `identity` is an API key. Close it at the end."""

    def __init__(self, rest_url: str, secrets: Secrets, time: WorldHistory, wall: Clock) -> None:
        """Nothing is asked yet. `secrets` knows the keys that participants registered."""
        self._url = rest_url
        self._secrets = secrets
        self._time = time
        self._wall = wall
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(_TIMEOUT_S))

    async def close(self) -> None:
        """Hang up."""
        await self._session.close()

    async def trades(
        self, exchange: str, identity: str, pair: str, start_ms: int, end_ms: int
    ) -> Sequence[TradeMade]:
        """Trades in `[start, end)` of world time; none for a key that is refused.

        Raises:
            SandboxExchangeError: the exchange does not answer.
        """
        del exchange
        symbol = pair.replace("/", "")
        first = self._time.wall_ns(start_ms * NS_PER_MS) // NS_PER_MS
        last = self._time.wall_ns(end_ms * NS_PER_MS) // NS_PER_MS
        found: list[TradeMade] = []
        at = first
        try:
            while at <= last:
                until = min(last, at + _DAY_MS)
                for one in await self._span(identity, symbol, at, until):
                    world_ms = self._time.world_ns(one.time * NS_PER_MS) // NS_PER_MS
                    if start_ms <= world_ms < end_ms:
                        units = int(one.quote_qty * SCALE)
                        found.append(TradeMade(world_ms, one.is_maker, one.is_buyer, units))
                at = until + 1
        except _KeyRefusedError:
            return []
        return found

    async def balance(self, exchange: str, identity: str, symbol: str) -> int:
        """Free and locked together; nothing for a key that is refused. Raises `SandboxExchangeError`."""
        del exchange
        try:
            account = await self._ask(identity, "/api/v3/account", {}, _Account)
        except _KeyRefusedError:
            return 0
        held = sum((one.free + one.locked for one in account.balances if one.asset == symbol), Decimal(0))
        return int(held * SCALE)

    async def deposit_address(self, exchange: str, identity: str) -> str:
        """The account's own. Raises `SandboxExchangeError`."""
        try:
            account = await self._ask(identity, "/api/v3/account", {"omitZeroBalances": "true"}, _Account)
        except _KeyRefusedError:
            return f"{exchange}:{identity}"
        return f"{exchange}:{account.uid}"

    async def permissions(self, exchange: str, identity: str) -> frozenset[str] | None:
        """Everything, for a key that may read; None for one that the exchange refuses.

        Raises:
            SandboxExchangeError: the exchange does not answer.
        """
        del exchange
        try:
            rights = await self._ask(identity, "/sapi/v1/account/apiRestrictions", {}, _Rights)
        except _KeyRefusedError:
            return None
        return PERMISSIONS if rights.enable_reading else frozenset()

    async def _span(self, identity: str, symbol: str, first_ms: int, last_ms: int) -> list[_Trade]:
        """Own trades of at most a day of wall time, ends included: a page, then the rest by id."""
        query = {"symbol": symbol, "startTime": str(first_ms), "endTime": str(last_ms), "limit": str(_PAGE)}
        page = await self._ask(identity, "/api/v3/myTrades", query, list[_Trade])
        found = page
        while len(page) == _PAGE and page[-1].time <= last_ms:
            query = {"symbol": symbol, "fromId": str(page[-1].id + 1), "limit": str(_PAGE)}
            page = await self._ask(identity, "/api/v3/myTrades", query, list[_Trade])
            found = found + [one for one in page if one.time <= last_ms]
        return found

    async def _ask(self, identity: str, path: str, query: dict[str, str], kind: type[Answer]) -> Answer:
        secret = self._secrets(identity)
        if secret is None:
            raise _KeyRefusedError
        stamp = str(self._wall.now_ns() // NS_PER_MS)
        text = urlencode(query | {"timestamp": stamp, "recvWindow": str(_WINDOW_MS)})
        url = f"{self._url}{path}?{text}&signature={sign(secret, text)}"
        try:
            async with self._session.get(url, headers={"X-MBX-APIKEY": identity}) as answer:
                status, body = answer.status, await answer.read()
            if status == HTTPStatus.OK:
                return msgspec.json.decode(body, type=kind)
            refusal = msgspec.json.decode(body, type=_No)
        except (aiohttp.ClientError, TimeoutError, msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise SandboxExchangeError(path, type(error).__name__) from error
        if refusal.code in _STRANGE_KEY:
            raise _KeyRefusedError
        raise SandboxExchangeError(path, f"{refusal.code}: {refusal.msg}")
