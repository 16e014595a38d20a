"""Listens for new blocks over a web socket, only to look sooner. What is pushed is never believed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

import structlog
from websockets.exceptions import WebSocketException

from mrmarket.partners.chains.settings import ChainSettings
from mrmarket.partners.chains.web3_door import AsyncWeb3, Web3Exception, WebSocketProvider

_log: Final[Any] = structlog.get_logger("mrmarket.chains.hints")
_AGAIN_S: Final = 30.0


async def listen_for_blocks(chain: ChainSettings, nudge: Callable[[], None], stop: asyncio.Event) -> None:
    """Call `nudge` for each block that is announced, until told to stop; polling goes on without it.

    A connection that fails is logged and made again after a while.
    """
    stopping = asyncio.create_task(stop.wait())
    try:
        while not stop.is_set():
            listening = asyncio.create_task(_listen(chain, nudge))
            await asyncio.wait({listening, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not listening.done():
                listening.cancel()
            [outcome] = await asyncio.gather(listening, return_exceptions=True)
            if isinstance(outcome, Exception):
                if not isinstance(outcome, (OSError, Web3Exception, WebSocketException)):
                    raise outcome
                # The address may hold a key; the kind of failure says enough.
                _log.info("chain.hints_lost", chain=chain.name, kind=type(outcome).__name__)
                await asyncio.wait({stopping}, timeout=_AGAIN_S)
    finally:
        stopping.cancel()
        await asyncio.gather(stopping, return_exceptions=True)


async def _listen(chain: ChainSettings, nudge: Callable[[], None]) -> None:
    async with AsyncWeb3(WebSocketProvider(chain.websocket_url)) as web:
        await web.eth.subscribe("newHeads")
        nudge()
        async for _ in web.socket.process_subscriptions():
            nudge()
