"""Between the payment network and the trading venue: asks the venue until it has given its answer.

Credits and debits carry the payment's id, which has one effect at the venue however often it is asked for.
An answer that is lost changes nothing: the next question is the same.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from http import HTTPStatus
from typing import Final
from urllib.parse import urlencode

import aiohttp
import msgspec
import structlog

from mrmarket.core.crash import reach
from mrmarket.core.decimals import format_units
from mrmarket.services.rail.config import VenueLink
from mrmarket.services.rail.payment import Payment, Stage
from mrmarket.services.rail.world import World

_LOG: Final = structlog.get_logger("mrmarket.rail")
_FIRST_PAUSE_S: Final = 0.05
_LONGEST_PAUSE_S: Final = 2.0
_IDLE_S: Final = 5.0
_REFUSALS: Final = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.CONFLICT})
"""What the venue answers when it has understood and will never do it; anything else is asked again."""


class _Refusal(msgspec.Struct, frozen=True):
    """The venue's error body."""

    code: int
    msg: str


class VenueBridge:
    """Carries payments that wait for the venue to their end."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """Something may wait for the venue."""
        self._wake.set()

    async def run(self) -> None:
        """Ask until cancelled."""
        pause_s = _FIRST_PAUSE_S
        timeout = aiohttp.ClientTimeout(total=self._world.config.venue_timeout_ms / 1_000)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            while True:
                self._wake.clear()
                if await self._round(session):
                    pause_s = _FIRST_PAUSE_S
                    with suppress(TimeoutError):
                        async with asyncio.timeout(_IDLE_S):
                            await self._wake.wait()
                else:
                    await asyncio.sleep(pause_s)
                    pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    async def _round(self, session: aiohttp.ClientSession) -> bool:
        """Ask once for each payment that waits; whether every one has its answer."""
        settled = True
        for payment in self._world.waiting():
            link = self._world.venue
            settled &= link is not None and await self._ask(session, link, payment)
        return settled

    async def _ask(self, session: aiohttp.ClientSession, link: VenueLink, payment: Payment) -> bool:
        crediting = payment.stage is Stage.CREDITING
        account = payment.destination if crediting else payment.sender
        query = urlencode(
            {
                "transferId": f"rail:{payment.id}",
                "account": account.removeprefix("venue:"),
                "asset": payment.asset,
                "amount": format_units(payment.units, self._world.assets[payment.asset].decimals),
            }
        )
        url = f"{link.url}/sim/v1/{'credit' if crediting else 'debit'}?{query}"
        try:
            async with session.post(url, headers={"X-MBX-APIKEY": link.token}) as answer:
                status, body = answer.status, await answer.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            _LOG.info("the venue did not answer", payment=payment.id, error=type(error).__name__)
            return False
        if status == HTTPStatus.OK:
            reach("rail.venue_credited" if crediting else "rail.venue_debited")
            self._world.venue_agreed(payment.id)
            reach("rail.credit_booked" if crediting else "rail.debit_booked")
            return True
        reason = _reason(body)
        if status not in _REFUSALS or reason is None:
            _LOG.warning("the venue did not decide", payment=payment.id, status=status, answer=body[:200])
            return False
        self._world.venue_refused(payment.id, reason)
        return True


def _reason(body: bytes) -> str | None:
    try:
        refusal = msgspec.json.decode(body, type=_Refusal)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return None
    return f"venue {refusal.code}: {refusal.msg}"
