"""The sandbox as a server: two APIs on loopback, a folder of documents, and the progress job."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from aiohttp import web

from mrmarket.campaigns.offer import RewardToken
from mrmarket.core.clock import NS_PER_MS, Clock, SystemClock
from mrmarket.money.rewards.campaign import DAY_MS
from mrmarket.partners.hufi.errors import SandboxError
from mrmarket.partners.hufi.exact_json import read_exact
from mrmarket.partners.hufi.line import Route
from mrmarket.partners.hufi.manifest import read_manifest
from mrmarket.partners.hufi.offers import offer_of_manifest
from mrmarket.partners.hufi.sandbox.answers import Refusal, no
from mrmarket.partners.hufi.sandbox.book import (
    FeeTerms,
    LaunchedCampaign,
    SandboxBook,
    Status,
    made_up_address,
    sandbox_token,
)
from mrmarket.partners.hufi.sandbox.entrance import Entrance
from mrmarket.partners.hufi.sandbox.faults import Faults, Handler
from mrmarket.partners.hufi.sandbox.feed import ExchangeFeed, Settlement, WrittenSettlement
from mrmarket.partners.hufi.sandbox.launcher_side import LauncherSide
from mrmarket.partners.hufi.sandbox.memory import BookMemory
from mrmarket.partners.hufi.sandbox.oracle_side import OracleSide
from mrmarket.partners.hufi.sandbox.recording import Recorder
from mrmarket.partners.hufi.score import net_fund

_HOST: Final = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class SandboxTerms:
    """What a sandbox is like."""

    chain_id: int = 1338
    cycle_ms: int = DAY_MS
    """World time; a day in production, a minute in the demo."""
    fees: FeeTerms = field(default_factory=FeeTerms)
    access_s: int = 600
    refresh_s: int = 3_600
    batch_size: int = 100
    port_launcher: int = 0
    port_oracle: int = 0


class HufiSandbox:
    """Both APIs over one book. The world's clock rules cycles, the wall's clock tokens."""

    def __init__(
        self,
        feed: ExchangeFeed,
        terms: SandboxTerms | None = None,
        settlement: Settlement | None = None,
        world: Clock | None = None,
        wall: Clock | None = None,
        entropy: Callable[[int], bytes] = os.urandom,
        memory: Path | None = None,
    ) -> None:
        """Nothing is served yet. A sandbox with a folder for its `memory` outlives its process.

        Raises:
            SandboxError: what the folder remembers cannot be read.
        """
        self.terms = terms or SandboxTerms()
        self.book = SandboxBook()
        if memory is not None:
            kept = BookMemory(memory, self.book, self._campaign)
            kept.load()
            self.book.changed = kept.save
        self.faults = Faults()
        self._wall = wall or SystemClock()
        self._world = world or self._wall
        self._settlement = settlement or WrittenSettlement()
        self._entrance = Entrance(self._wall, entropy, self.terms.access_s, self.terms.refresh_s)
        self._recorder = Recorder(
            self.book,
            feed,
            self._settlement,
            self._world,
            self._entrance.new_id,
            batch_size=self.terms.batch_size,
        )
        self._launcher = LauncherSide(self.book, self.terms.fees, self.terms.chain_id, self._world)
        self.oracle = OracleSide(
            self.book, self._entrance, self._recorder, feed, self.terms.chain_id, self._world
        )
        self._runners: list[web.AppRunner] = []
        self.launcher_url = ""
        self.oracle_url = ""

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def start(self) -> None:
        """Listen on loopback; `launcher_url` and `oracle_url` say where."""
        files: dict[Route, Handler] = {Route("GET", "/files/{escrow}/{name}", is_safe=True): self._file}
        self.launcher_url = await self._serve(self._launcher.routes() | files, self.terms.port_launcher)
        self.oracle_url = await self._serve(self.oracle.routes(), self.terms.port_oracle)

    async def close(self) -> None:
        """Stop listening; doing it twice is harmless."""
        runners, self._runners = self._runners, []
        for runner in runners:
            await runner.cleanup()

    def launch(
        self,
        manifest: str | bytes,
        fund_units: int,
        token: RewardToken | None = None,
        *,
        address: str = "",
        launcher: str = "",
    ) -> LaunchedCampaign:
        """Add a campaign; `fund_units` is gross, `address` the escrow where there is a real one.

        Raises:
            ManifestError: if it is none.
            SandboxError: if the escrow has a campaign.
        """
        escrow = (address or made_up_address("escrow", str(len(self.book.campaigns)))).lower()
        if escrow in self.book.campaigns:
            raise SandboxError(f"the escrow {escrow} has a campaign already")
        campaign = self._campaign(
            manifest if isinstance(manifest, str) else manifest.decode(),
            fund_units,
            token or sandbox_token(self.terms.chain_id),
            escrow,
            self._entrance.new_id(),
        )
        campaign.launcher = (launcher or made_up_address("launcher")).lower()
        campaign.created_ms = self._world.now_ns() // NS_PER_MS
        self.book.campaigns[escrow] = campaign
        self.book.changed()
        return campaign

    def _campaign(
        self, manifest: str, fund_units: int, token: RewardToken, escrow: str, name: str
    ) -> LaunchedCampaign:
        """A campaign's terms, with nothing that has happened. Raises `ManifestError`."""
        read = read_manifest(manifest)
        details = {
            name: value
            for name, value in read_exact(manifest).items()
            if name not in {"type", "exchange", "start_date", "end_date", "pair", "symbol"}
        }
        net = net_fund(fund_units, self.terms.fees.all)
        return LaunchedCampaign(
            id=name,
            text=manifest,
            manifest=read,
            details=details,
            offer=offer_of_manifest(read, escrow, token, net, self.terms.cycle_ms),
            gross_units=fund_units,
        )

    def cancel(self, address: str) -> None:
        """The launcher asks for the end; work counts up to now."""
        campaign = self.book.campaign(address)
        if campaign.status is Status.ACTIVE:
            campaign.status = Status.TO_CANCEL
            campaign.cancel_ms = self._world.now_ns() // NS_PER_MS
            self.book.changed()

    async def record_due(self) -> int:
        """Run the progress job once; how many cycles were closed."""
        return await self._recorder.record_due(self.launcher_url)

    async def keep_recording(self, pause: Callable[[], Awaitable[None]]) -> None:
        """Run the progress job again and again, until cancelled; `pause` waits between two runs."""
        with suppress(asyncio.CancelledError):
            while True:
                await self.record_due()
                await pause()

    async def _serve(self, routes: dict[Route, Handler], port: int) -> str:
        app = web.Application()
        for route, handler in routes.items():
            app.router.add_route(route.method, route.template, self._guarded(route, handler))
        app.router.add_route("*", "/{rest:.*}", self._stranger)
        runner = web.AppRunner(app, access_log=None, handler_cancellation=False)
        self._runners.append(runner)
        await runner.setup()
        site = web.TCPSite(runner, _HOST, port)
        await site.start()
        host, found, *_ = runner.addresses[0]
        return f"http://{host}:{found}"

    def _guarded(self, route: Route, handler: Handler) -> Handler:
        async def answer(request: web.Request) -> web.Response:
            try:
                return await self.faults.carry_out(route, request, handler)
            except Refusal as refusal:
                return no(refusal, request, self._wall)

        return answer

    async def _stranger(self, request: web.Request) -> web.Response:
        refusal = Refusal(HTTPStatus.NOT_FOUND, f"Cannot {request.method} {request.path}")
        return no(refusal, request, self._wall)

    async def _file(self, request: web.Request) -> web.Response:
        content = self.book.files.get(f"{request.match_info['escrow']}/{request.match_info['name']}")
        if content is None:
            raise Refusal(HTTPStatus.NOT_FOUND, "Not found")
        return web.Response(body=content, content_type="application/json")
