"""web3's HTTP provider with a connection pool of its own.

web3 8.0 finds its sessions under one lock that all providers of a process share, and waits for it in a
thread. A call that is cancelled in that moment leaves the lock taken for ever: every later call of the
process hangs, and so does its end. Here no call waits for a lock.
"""

from __future__ import annotations

import asyncio

from aiohttp import ClientSession, ClientTimeout, TCPConnector

from mrmarket.partners.chains.web3_door import AsyncHTTPProvider, RPCEndpoint


class HttpProvider(AsyncHTTPProvider):
    """Of one node. A call that fails is not repeated: whoever asks knows whether it may be."""

    def __init__(self, url: str, timeout_s: float = 30.0) -> None:
        """Nothing is connected yet; `timeout_s` is for each call."""
        super().__init__(url, exception_retry_configuration=None)
        self._timeout = ClientTimeout(total=timeout_s)
        self._session: ClientSession | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def _make_request(self, method: RPCEndpoint, request_data: bytes) -> bytes:  # noqa: ARG002 - web3's signature
        headers = self.get_request_headers()
        async with self._own_session().post(
            str(self.endpoint_uri), data=request_data, headers=headers
        ) as answer:
            return await answer.read()

    async def disconnect(self) -> None:
        """Let go of the connections; a later call makes new ones."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _own_session(self) -> ClientSession:
        loop = asyncio.get_running_loop()
        if self._session is None or self._session.closed or self._loop is not loop:
            # A node that restarts would leave idle connections that look alive: each call has its own.
            connector = TCPConnector(force_close=True)
            self._session = ClientSession(raise_for_status=True, connector=connector, timeout=self._timeout)
            self._loop = loop
        return self._session
