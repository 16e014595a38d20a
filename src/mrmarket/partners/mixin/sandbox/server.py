"""The sandbox as a server: recognises callers, strikes faults, answers in Mixin's envelope."""

from __future__ import annotations

import asyncio
import base64
import secrets
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from uuid import UUID

import msgspec
from aiohttp import web

from mrmarket.core.clock import Clock, SystemClock
from mrmarket.core.errors import MrMarketError
from mrmarket.partners.mixin.client import KeyRequest, RawRequest
from mrmarket.partners.mixin.errors import SandboxError
from mrmarket.partners.mixin.ids import kernel_asset
from mrmarket.partners.mixin.keystore import Keystore
from mrmarket.partners.mixin.sandbox.config import SandboxConfig
from mrmarket.partners.mixin.sandbox.faults import FaultBox, MixinFault, MixinFaultKind
from mrmarket.partners.mixin.sandbox.handlers import Handlers
from mrmarket.partners.mixin.sandbox.journal import Row, SandboxJournal
from mrmarket.partners.mixin.sandbox.ledger import SafeLedger
from mrmarket.partners.mixin.sandbox.people import Caller, People
from mrmarket.partners.mixin.sandbox.post_office import PostOffice, snapshot_notice
from mrmarket.partners.mixin.sandbox.refusal import Refusal
from mrmarket.partners.mixin.sandbox.shapes import Shape, snapshot_shape
from mrmarket.partners.mixin.selection import Coin, choose
from mrmarket.partners.mixin.signing import sign_transaction
from mrmarket.partners.mixin.transaction import Input, Output, Transaction, encode, encode_unsigned

_WITHOUT_EFFECT: Final = frozenset(
    {MixinFaultKind.LOST_BEFORE, MixinFaultKind.LATE_EFFECT, MixinFaultKind.SERVER_ERROR, MixinFaultKind.BUSY}
)
_MAX_BODY: Final = 8 * 1024 * 1024


class MixinSandbox:
    """A Mixin of our own on a port of this machine. Its file survives a kill; start it again on the same.

    Beside the API that bots use, its methods are the world outside: they enrol users, let them pay, and let
    chains deliver deposits.
    """

    def __init__(
        self,
        path: Path,
        *,
        config: SandboxConfig | None = None,
        clock: Clock | None = None,
        stamps: Clock | None = None,
    ) -> None:
        """`clock` judges tokens (wall time); `stamps` gives snapshots their times. Raises StoreError."""
        self._clock = clock or SystemClock()
        self._stamps = stamps or self._clock
        self._config = config or SandboxConfig()
        self._journal = SandboxJournal(path)
        self.people = People(self._journal, self._clock)
        self.ledger = SafeLedger(self._journal, self.people, self._stamps, self._config)
        self.office = PostOffice(self._journal, self._stamps, secrets.token_bytes)
        self.faults = FaultBox()
        self.ledger.witnesses.append(self._announce)
        self._handlers = Handlers(
            self._journal, self.people, self.ledger, self.office, self._stamps, self._config
        )
        self._runner: web.AppRunner | None = None
        self._later: set[asyncio.Task[None]] = set()
        self.port = 0

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def url(self) -> str:
        """Base URL of its API."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def blaze_url(self) -> str:
        """URL of its websocket."""
        return f"ws://127.0.0.1:{self.port}/"

    async def start(self, port: int = 0) -> None:
        """Listen on a port of this machine, 0 for any free one. Raises SandboxError."""
        app = web.Application(client_max_size=_MAX_BODY)
        app.router.add_route("*", "/{path:.*}", self._serve)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", port)
            await site.start()
        except OSError as taken:
            await runner.cleanup()
            raise SandboxError(f"port {port} cannot be used ({taken.strerror})", "choose another") from taken
        self._runner = runner
        self.port = runner.addresses[0][1]

    async def stop(self) -> None:
        """Stop listening and close the file."""
        for task in list(self._later):
            task.cancel()
        await self.office.hang_up()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        self._journal.close()

    def break_things(self, *rules: MixinFault, seed: int = 0) -> FaultBox:
        """Replace the faults; none takes them all away. The box counts how often each struck."""
        self.faults = FaultBox(rules, seed)
        return self.faults

    def enrol(self, name: str, user_id: str = "") -> Keystore:
        """A user or bot with keys; a known id gives its keystore again."""
        return self.people.enrol(name, user_id)

    def deposit_address(self, user_id: str, chain_id: str) -> str:
        """Where a chain may deliver to for a user; the same that the API gives. Raises Refusal."""
        body = msgspec.json.encode({"chain_id": chain_id})
        (entry,) = self._handlers.answer(Caller(user_id, "FULL"), "POST", "/safe/deposit/entries", {}, body)
        return str(entry["destination"])

    def deposit(
        self,
        destination: str,
        asset_id: str,
        units: int,
        chain_hash: str,
        *,
        sender: str = "",
        final: bool = True,
    ) -> str:
        """A chain delivers to an address that `/safe/deposit/entries` gave; the snapshot's id once final.

        The same hash again changes nothing, except that one that was not final becomes it. Raises
        SandboxError for an address that nobody has.
        """
        entry = self._journal.one("SELECT * FROM entries WHERE destination = ?", destination)
        if entry is None:
            raise SandboxError(f"nobody has the address {destination}", "ask for a deposit entry first")
        with self._journal.step():
            known = self._journal.one("SELECT * FROM deposits WHERE hash = ?", chain_hash)
            if known is None:
                self._journal.insert(
                    "deposits",
                    hash=chain_hash,
                    id=str(UUID(bytes=secrets.token_bytes(16), version=4)),
                    asset=asset_id,
                    units=str(units),
                    destination=destination,
                    sender=sender,
                    done=0,
                    created_ns=self._stamps.now_ns(),
                )
            if not final or (known is not None and known["done"]):
                return ""
            self._journal.change("UPDATE deposits SET done = 1 WHERE hash = ?", chain_hash)
            return self.ledger.credit(entry["user_id"], asset_id, units, chain_hash, sender)

    def fund(self, user_id: str, asset_id: str, units: int) -> str:
        """Coins for a user out of nothing, as a deposit; the snapshot's id."""
        return self.ledger.credit(user_id, asset_id, units, "0x" + secrets.token_hex(32), "")

    def pay(
        self, sender: str, receiver: str, asset_id: str, units: int, memo: str = "", request_id: str = ""
    ) -> str:
        """Let a user pay another with their own keys; the receiver's snapshot's id.

        Raises ShortOfFundsError or Refusal.
        """
        name = request_id or str(UUID(bytes=secrets.token_bytes(16), version=4))
        seed = Keystore.from_json(self.people.keystore_json(sender))
        rows = self._journal.all(
            "SELECT * FROM outputs WHERE members = ? AND asset = ? AND state = 'unspent' ORDER BY sequence",
            msgspec.json.encode([sender]).decode(),
            asset_id,
        )
        coins = [Coin(r["id"], r["hash"], r["place"], int(r["units"]), r["sequence"]) for r in rows]
        choice = choose(coins, units)
        outputs = []
        for place, (who, amount) in enumerate(((receiver, units), (sender, choice.change))):
            if amount:
                hint = str(UUID(bytes=secrets.token_bytes(16), version=4))
                ((mask, keys),) = self.ledger.keys([KeyRequest([who], place, hint)])
                outputs.append(Output(amount, tuple(keys), mask, "fffe01"))
        inputs = tuple(Input(coin.hash, coin.index) for coin in choice.coins)
        plain = Transaction(kernel_asset(asset_id), inputs, tuple(outputs), memo.encode())
        (checked,) = self.ledger.check(sender, [RawRequest(name, encode_unsigned(plain).hex())])
        views = msgspec.json.decode(checked["views"], type=list[str])
        signed = encode(sign_transaction(plain, views, seed.spend_seed)).hex()
        (made,) = self.ledger.send(sender, [RawRequest(name, signed)])
        found = self._journal.one(
            "SELECT id FROM snapshots WHERE hash = ? AND user_id = ?", made["hash"], receiver
        )
        return "" if found is None else str(found["id"])

    def withdrawals(self, after: int = 0) -> list[Row]:
        """What left for other chains after a number, the oldest first."""
        return self._journal.all("SELECT * FROM withdrawals WHERE number > ? ORDER BY number", after)

    def settle_withdrawal(self, number: int, chain_hash: str) -> None:
        """A withdrawal is in a block of its chain; telling it again changes nothing."""
        with self._journal.step():
            self._journal.change("UPDATE withdrawals SET chain_hash = ? WHERE number = ?", chain_hash, number)

    def _announce(self, user_id: str, snapshot_id: str) -> None:
        row = self._journal.one("SELECT * FROM snapshots WHERE id = ?", snapshot_id)
        if row is None:
            return
        shape: Shape = snapshot_shape(row, "")
        data = base64.b64encode(snapshot_notice(shape)).decode()
        self.office.tell(user_id, "SYSTEM_ACCOUNT_SNAPSHOT", data, row["opponent_id"] or user_id)

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        fault = self.faults.choose(f"{request.method} {request.path}")
        if fault is not None and fault.kind in _WITHOUT_EFFECT:
            if fault.kind is MixinFaultKind.LATE_EFFECT:
                self._do_later(request, body, fault.delay_ms)
            return _spoilt(request, fault.kind)
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._listen(request)
        answer = self._answer(request, body)
        if fault is None:
            return answer
        if fault.kind is MixinFaultKind.DUPLICATE:
            return self._answer(request, body)
        if fault.kind is MixinFaultKind.LATE:
            await asyncio.sleep(fault.delay_ms / 1000)
            return answer
        return _spoilt(request, fault.kind)

    def _answer(self, request: web.Request, body: bytes) -> web.Response:
        try:
            caller = self._caller(request, body)
            query: Mapping[str, str] = request.query
            data: Any = self._handlers.answer(caller, request.method, request.path, query, body)
        except Refusal as refusal:
            return _fault(202, refusal.number, refusal.description)
        except MrMarketError as error:
            return _fault(202, 10002, str(error))
        return web.Response(body=msgspec.json.encode({"data": data}), content_type="application/json")

    def _caller(self, request: web.Request, body: bytes) -> Caller | None:
        header = request.headers.get("Authorization", "")
        if not header.removeprefix("Bearer").strip():
            return None
        name = request.headers.get("X-Request-Id", "")
        return self.people.caller(header, name, request.method, request.raw_path, body)

    async def _listen(self, request: web.Request) -> web.StreamResponse:
        try:
            caller = self._caller(request, b"")
        except Refusal as refusal:
            return _fault(202, refusal.number, refusal.description)
        if caller is None:
            return _fault(202, 401, "unauthorized")
        return await self.office.listen(caller.user_id, request)

    def _do_later(self, request: web.Request, body: bytes, delay_ms: int) -> None:
        async def later() -> None:
            await asyncio.sleep(delay_ms / 1000)
            self._answer(request, body)

        task = asyncio.get_running_loop().create_task(later())
        self._later.add(task)
        task.add_done_callback(self._later.discard)


def _fault(status: int, code: int, description: str) -> web.Response:
    error = {"status": status, "code": code, "description": description}
    return web.Response(
        body=msgspec.json.encode({"error": error}), status=status, content_type="application/json"
    )


def _spoilt(request: web.Request, kind: MixinFaultKind) -> web.Response:
    """What the caller gets instead of the answer."""
    if kind is MixinFaultKind.BUSY:
        return _fault(202, 429, "Too Many Requests")
    if kind is MixinFaultKind.GARBAGE:
        return web.Response(body=b'{"data": [', content_type="application/json")
    if kind in {MixinFaultKind.SERVER_ERROR, MixinFaultKind.SERVER_ERROR_AFTER}:
        return _fault(500, 500, "Internal Server Error")
    if request.transport is not None:
        request.transport.abort()
    return web.Response()
