"""Accounts that a rebalancer may move money between: at the embedded exchange, and on paper beside it."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from http import HTTPStatus
from typing import Final
from urllib.parse import urlencode

import aiohttp
import msgspec

from mrmarket.core.decimals import format_units
from mrmarket.services.rail.config import VenueLink
from mrmarket.trading.strategy.rebalance.port import TransferRefusedError, TransferUnknownError
from mrmarket.trading.venue.paper import PaperVenue
from mrmarket.trading.venue.simulated.records import (
    UNITS_DECIMALS,
    UNITS_PER_WHOLE,
    ExchangeRefusedError,
)

Free = Callable[[str], Decimal | None]
"""What is free of an asset; None while that is not known."""
_NEVER_MADE: Final = -9003
_PATIENCE_S: Final = 3.0


class _Refusal(msgspec.Struct, frozen=True):
    """The exchange's error body."""

    code: int
    msg: str


class ExchangeWallet:
    """Implements `Wallet` over the embedded exchange's treasury."""

    def __init__(self, link: VenueLink, free: Free, *, patience_s: float = _PATIENCE_S) -> None:
        """`free` is asked of whoever trades with the account; `patience_s` bounds each request."""
        self._link = link
        self._free = free
        self._timeout = aiohttp.ClientTimeout(total=patience_s)

    async def held(self, asset: str) -> int:
        """What is free, as the run that trades with it knows."""
        return _held(self._free, asset)

    async def move(self, key: str, asset: str, units: int) -> None:
        """Credit or debit."""
        amount = format_units(abs(units), UNITS_DECIMALS)
        path = "credit" if units > 0 else "debit"
        asked = {"transferId": key, "account": self._link.account, "asset": asset, "amount": amount}
        status, body = await self._ask("POST", path, key, asked)
        if status != HTTPStatus.OK:
            raise _refused(key, status, body)

    async def has_moved(self, key: str) -> bool:
        """Whether the exchange has made it."""
        status, body = await self._ask("GET", "transfer", key, {"transferId": key})
        if status == HTTPStatus.OK:
            return True
        if (refusal := _refusal(body)) is not None and refusal.code == _NEVER_MADE:
            return False
        raise TransferUnknownError(key, f"the exchange does not say: {status}")

    async def _ask(self, method: str, path: str, key: str, asked: dict[str, str]) -> tuple[int, bytes]:
        url = f"{self._link.url}/sim/v1/{path}?{urlencode(asked)}"
        try:
            async with (
                aiohttp.ClientSession(timeout=self._timeout) as session,
                session.request(method, url, headers={"X-MBX-APIKEY": self._link.token}) as answer,
            ):
                return answer.status, await answer.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise TransferUnknownError(key, f"no answer: {type(error).__name__}") from error


class PaperWallet:
    """Implements `Wallet` over a paper account of this process."""

    def __init__(self, venue: PaperVenue, free: Free) -> None:
        self._venue = venue
        self._free = free

    async def held(self, asset: str) -> int:
        """What is free, as the run that trades with it knows."""
        return _held(self._free, asset)

    async def move(self, key: str, asset: str, units: int) -> None:
        """In or out, at once."""
        try:
            self._venue.transfer(key, asset, units)
        except ExchangeRefusedError as refused:
            raise TransferRefusedError(key, str(refused)) from refused

    async def has_moved(self, key: str) -> bool:
        """Whether it was made."""
        return self._venue.has_transferred(key)


def _held(free: Free, asset: str) -> int:
    found = free(asset)
    if found is None:
        raise TransferUnknownError("", f"what is free of {asset} is not known")
    return int(found * UNITS_PER_WHOLE)


def _refusal(body: bytes) -> _Refusal | None:
    try:
        return msgspec.json.decode(body, type=_Refusal)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return None


def _refused(key: str, status: int, body: bytes) -> TransferRefusedError | TransferUnknownError:
    """No for good only where the exchange has understood; anything else may have had its effect."""
    refusal = _refusal(body)
    if refusal is not None and status in (HTTPStatus.BAD_REQUEST, HTTPStatus.CONFLICT):
        return TransferRefusedError(key, f"venue {refusal.code}: {refusal.msg}")
    return TransferUnknownError(key, f"the exchange did not decide: {status}")
