"""Blaze: messages over a websocket, gzipped JSON in binary frames.

The server pushes what is pending after `LIST_PENDING_MESSAGES`, and again until it is acknowledged: a
message may come twice, and an acknowledgement is sent only after the message was dealt with.
Source: developers.mixin.one and the official Node SDK.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import uuid
import zlib
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol

import aiohttp
import msgspec

from mrmarket.core.clock import NS_PER_S, Clock
from mrmarket.partners.mixin.errors import MixinDriftError, MixinUnclearError
from mrmarket.partners.mixin.jwt import sign_request, unb64
from mrmarket.partners.mixin.keystore import Keystore
from mrmarket.partners.mixin.line import Sleep

HOME: Final = "wss://blaze.mixin.one/"
PROTOCOL: Final = "Mixin-Blaze-1"
_MAX_FRAME: Final = 1024 * 1024
_QUIET_S: Final = 30.0
"""Longer than the server's pings are apart."""
_FIRST_PAUSE_S: Final = 0.5
_LONGEST_PAUSE_S: Final = 30.0


class BlazeMessage(msgspec.Struct, frozen=True):
    """A message to the bot."""

    message_id: str
    category: str = ""
    user_id: str = ""
    """Who wrote it."""
    conversation_id: str = ""
    data: str = ""
    """Base64."""
    created_at: str = ""

    def text(self) -> str:
        """The data as text; empty where it is none."""
        try:
            return unb64(self.data).decode()
        except ValueError:
            return ""


class Reply(msgspec.Struct, frozen=True):
    """What the bot writes back."""

    category: str
    data: str
    """Base64."""


class Listener(Protocol):
    """Deals with messages."""

    async def hear(self, message: BlazeMessage) -> Reply | None:
        """Deal with a message, which may come again; what to write back."""
        ...


def pack(message: dict[str, Any]) -> bytes:
    """A frame."""
    return gzip.compress(msgspec.json.encode(message), compresslevel=1, mtime=0)


def unpack(frame: bytes) -> dict[str, Any]:
    """What a frame says. Raises MixinDriftError for what is none, or too large when it is unpacked."""
    try:
        opener = zlib.decompressobj(zlib.MAX_WBITS | 16)
        text = opener.decompress(frame, _MAX_FRAME)
        if opener.unconsumed_tail:
            raise MixinDriftError("Blaze", "a frame that is too large")
        return msgspec.json.decode(text, type=dict[str, Any])
    except (zlib.error, msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as strange:
        raise MixinDriftError("Blaze", "a frame that cannot be read") from strange


class BlazeLine:
    """Listens for messages and answers them; comes back after every loss of the connection."""

    def __init__(
        self,
        keystore: Keystore,
        clock: Clock,
        listener: Listener,
        *,
        url: str = HOME,
        sleep: Sleep = asyncio.sleep,
        new_id: Callable[[], uuid.UUID] = uuid.uuid4,
        on_trouble: Callable[[MixinUnclearError], Awaitable[None] | None] = lambda _: None,
    ) -> None:
        """`on_trouble` is told whenever the connection is lost."""
        self._keystore = keystore
        self._clock = clock
        self._listener = listener
        self._url = url
        self._sleep = sleep
        self._new_id = new_id
        self._on_trouble = on_trouble

    async def run(self) -> None:
        """Listen until cancelled."""
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                async with aiohttp.ClientSession() as session:
                    heard = await self._listen(session)
                    pause_s = _FIRST_PAUSE_S if heard else pause_s
                lost = "the connection was closed"
            except (aiohttp.ClientError, TimeoutError, MixinDriftError) as error:
                lost = str(error) or type(error).__name__
            told = self._on_trouble(MixinUnclearError("Blaze", lost))
            if told is not None:
                await told
            await self._sleep(pause_s)
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)

    async def _listen(self, session: aiohttp.ClientSession) -> bool:
        """One connection until it ends; whether anything came over it."""
        request = str(self._new_id())
        now_s = self._clock.now_ns() // NS_PER_S
        token = sign_request(self._keystore, "GET", "/", b"", request=request, now_s=now_s)
        heard = False
        async with session.ws_connect(
            self._url,
            protocols=(PROTOCOL,),
            headers={"Authorization": f"Bearer {token}", "X-Request-Id": request},
            heartbeat=_QUIET_S,
            max_msg_size=_MAX_FRAME,
        ) as socket:
            await self._say(socket, "LIST_PENDING_MESSAGES", None)
            async for frame in socket:
                if frame.type is not aiohttp.WSMsgType.BINARY:
                    continue
                heard = True
                await self._deal(socket, unpack(frame.data))
        return heard

    async def _deal(self, socket: aiohttp.ClientWebSocketResponse, told: dict[str, Any]) -> None:
        if told.get("action") not in {"CREATE_MESSAGE", "ACKNOWLEDGE_MESSAGE_RECEIPT"}:
            return
        try:
            message = msgspec.convert(told.get("data"), BlazeMessage)
        except msgspec.ValidationError:
            return  # the answer to something that we sent
        if told["action"] != "CREATE_MESSAGE" or not message.user_id:
            return
        reply = await self._listener.hear(message)
        if reply is not None and message.conversation_id:
            await self._say(
                socket,
                "CREATE_MESSAGE",
                {
                    "conversation_id": message.conversation_id,
                    "recipient_id": message.user_id,
                    # The same question has the same answer: told twice, it is written once.
                    "message_id": str(uuid.uuid5(uuid.UUID(message.message_id), "reply")),
                    "category": reply.category,
                    "data": reply.data,
                    "data_base64": reply.data,
                },
            )
        receipt = {"message_id": message.message_id, "status": "READ"}
        await self._say(socket, "ACKNOWLEDGE_MESSAGE_RECEIPT", receipt)

    async def _say(
        self, socket: aiohttp.ClientWebSocketResponse, action: str, params: dict[str, Any] | None
    ) -> None:
        said: dict[str, Any] = {"id": str(self._new_id()), "action": action}
        if params is not None:
            said["params"] = params
        with contextlib.suppress(ConnectionError):  # the reading side notices and comes back
            await socket.send_bytes(pack(said))
