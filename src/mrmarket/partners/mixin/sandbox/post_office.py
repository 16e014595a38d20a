"""Messages between the sandbox's users, and the websockets (Blaze) that push them."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from typing import Any, Final
from uuid import UUID

import msgspec
from aiohttp import WSMsgType, web

from mrmarket.core.clock import Clock
from mrmarket.partners.mixin.blaze import PROTOCOL, pack, unpack
from mrmarket.partners.mixin.errors import MixinDriftError
from mrmarket.partners.mixin.ids import contact_conversation
from mrmarket.partners.mixin.sandbox.journal import SandboxJournal
from mrmarket.partners.mixin.sandbox.people import RandomBytes
from mrmarket.partners.mixin.sandbox.refusal import Refusal, invalid
from mrmarket.partners.mixin.sandbox.shapes import Shape, message_shape

_MAX_FRAME: Final = 1024 * 1024
_SEEN: Final = ("DELIVERED", "READ")


class PostOffice:
    """Keeps messages until they were read, and pushes them to whoever listens."""

    def __init__(self, journal: SandboxJournal, stamps: Clock, random_bytes: RandomBytes) -> None:
        self._journal = journal
        self._stamps = stamps
        self._random = random_bytes
        self._listeners: dict[str, set[web.WebSocketResponse]] = {}
        self._pushes: set[asyncio.Task[None]] = set()

    def post(self, sender: str, message: dict[str, Any]) -> None:
        """Take a message, once per id and receiver. Raises Refusal."""
        try:
            recipient, name = message["recipient_id"], message["message_id"]
            category, data = message["category"], message.get("data_base64") or message["data"]
        except (KeyError, TypeError) as missing:
            raise invalid(f"message: {missing}") from missing
        with self._journal.step():
            if self._journal.one(
                "SELECT 1 FROM messages WHERE message_id = ? AND recipient_id = ?", name, recipient
            ):
                return
            self._journal.insert(
                "messages",
                message_id=name,
                recipient_id=recipient,
                sender_id=sender,
                conversation_id=message.get("conversation_id") or contact_conversation(sender, recipient),
                category=category,
                data=data,
                status="SENT",
                created_ns=self._stamps.now_ns(),
            )
        self._push(recipient, name)

    def tell(self, recipient: str, category: str, data: str, sender: str) -> str:
        """Post in the system's name; the message's id."""
        name = str(UUID(bytes=self._random(16), version=4))
        message = {"recipient_id": recipient, "message_id": name, "category": category, "data": data}
        self.post(sender, message)
        return name

    def acknowledge(self, user_id: str, receipts: list[dict[str, str]]) -> None:
        """Take receipts for messages."""
        with self._journal.step():
            for receipt in receipts:
                self._journal.change(
                    "UPDATE messages SET status = ? WHERE message_id = ? AND recipient_id = ?",
                    receipt.get("status", "READ"),
                    receipt.get("message_id", ""),
                    user_id,
                )

    def inbox(self, user_id: str) -> list[Shape]:
        """All messages to a user, the oldest first."""
        rows = self._journal.all("SELECT * FROM messages WHERE recipient_id = ? ORDER BY number", user_id)
        return [message_shape(row) for row in rows]

    async def listen(self, user_id: str, request: web.Request) -> web.WebSocketResponse:
        """Serve one websocket until it closes."""
        socket = web.WebSocketResponse(protocols=(PROTOCOL,), heartbeat=15.0, max_msg_size=_MAX_FRAME)
        await socket.prepare(request)
        listeners = self._listeners.setdefault(user_id, set())
        try:
            async for frame in socket:
                if frame.type is not WSMsgType.BINARY:
                    continue
                try:
                    asked = unpack(frame.data)
                except (MixinDriftError, zlib.error, gzip.BadGzipFile):
                    break
                await self._answer(user_id, socket, listeners, asked)
        finally:
            listeners.discard(socket)
        return socket

    async def hang_up(self) -> None:
        """Close every websocket, as a restart does."""
        for listeners in list(self._listeners.values()):
            for socket in list(listeners):
                await socket.close()

    async def _answer(
        self,
        user_id: str,
        socket: web.WebSocketResponse,
        listeners: set[web.WebSocketResponse],
        asked: dict[str, Any],
    ) -> None:
        action, params = asked.get("action"), asked.get("params") or {}
        reply: dict[str, Any] = {"id": asked.get("id"), "action": action, "data": None}
        try:
            if action == "LIST_PENDING_MESSAGES":
                listeners.add(socket)
                await socket.send_bytes(pack(reply))
                for message in self.inbox(user_id):
                    if message["status"] != "READ":
                        await socket.send_bytes(pack({"action": "CREATE_MESSAGE", "data": message}))
                return
            if action == "CREATE_MESSAGE":
                self.post(user_id, params)
            elif action == "ACKNOWLEDGE_MESSAGE_RECEIPT":
                self.acknowledge(user_id, [params])
            elif action == "ACKNOWLEDGE_MESSAGE_RECEIPTS":
                self.acknowledge(user_id, params.get("messages", []))
            else:
                raise invalid(f"action {action!r}")
        except Refusal as refusal:
            reply["error"] = {"status": 202, "code": refusal.number, "description": refusal.description}
        await socket.send_bytes(pack(reply))

    def _push(self, recipient: str, name: str) -> None:
        row = self._journal.one(
            "SELECT * FROM messages WHERE message_id = ? AND recipient_id = ?", name, recipient
        )
        if row is None or row["status"] in _SEEN:
            return
        frame = pack({"action": "CREATE_MESSAGE", "data": message_shape(row)})
        for socket in list(self._listeners.get(recipient, ())):
            task = asyncio.get_running_loop().create_task(_send(socket, frame))
            self._pushes.add(task)
            task.add_done_callback(self._pushes.discard)


async def _send(socket: web.WebSocketResponse, frame: bytes) -> None:
    """A listener that hung up meanwhile gets it when it comes back."""
    if not socket.closed:
        try:
            await socket.send_bytes(frame)
        except ConnectionError:
            await socket.close()


def snapshot_notice(snapshot: Shape) -> bytes:
    """What Blaze says of a transfer."""
    kept = ("type", "snapshot_id", "opponent_id", "asset_id", "amount", "trace_id", "memo", "created_at")
    return msgspec.json.encode({name: snapshot[name] for name in kept})
