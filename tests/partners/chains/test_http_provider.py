"""Calls that are cancelled leave nothing behind that later calls wait for."""

from __future__ import annotations

import asyncio

from aiohttp import web

from mrmarket.partners.chains.http_provider import HttpProvider
from mrmarket.partners.chains.web3_door import RPCEndpoint

_METHOD = RPCEndpoint("eth_chainId")


async def test_calls_that_are_cancelled_keep_no_later_call_waiting() -> None:
    """However far a call had come when it was cancelled, the next one is answered."""

    async def answer(request: web.Request) -> web.Response:
        question = await request.json()
        return web.json_response({"jsonrpc": "2.0", "id": question["id"], "result": "0x1"})

    app = web.Application()
    app.router.add_post("/", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    provider = HttpProvider(f"http://127.0.0.1:{runner.addresses[0][1]}")
    try:
        for turns in range(40):
            calls = [asyncio.create_task(provider.make_request(_METHOD, [])) for _ in range(8)]
            for _ in range(turns % 10):
                await asyncio.sleep(0)
            for call in calls:
                call.cancel()
            await asyncio.gather(*calls, return_exceptions=True)
        async with asyncio.timeout(20):
            last = await provider.make_request(_METHOD, [])
        assert last["result"] == "0x1"
    finally:
        await provider.disconnect()
        await runner.cleanup()


async def test_a_provider_that_was_disconnected_connects_again() -> None:
    """Letting go of connections is no end; doing it twice is harmless."""
    provider = HttpProvider("http://127.0.0.1:9", timeout_s=5)
    await provider.disconnect()
    await provider.disconnect()
    answered = await asyncio.gather(provider.make_request(_METHOD, []), return_exceptions=True)
    assert isinstance(answered[0], OSError)
    await provider.disconnect()
