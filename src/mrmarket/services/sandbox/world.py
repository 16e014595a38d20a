"""A whole world on loopback: chain, contracts, exchange, HuFi, Mixin and prices as one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

import msgspec
import structlog

from mrmarket.campaigns.offer import RewardToken
from mrmarket.core.clock import Clock, SystemClock
from mrmarket.core.ending import end_all
from mrmarket.core.errors import MrMarketError
from mrmarket.core.whole_file import replace_whole
from mrmarket.partners.chains.book import ChainBook
from mrmarket.partners.chains.human.deployment import HumanDeployment
from mrmarket.partners.chains.local_node import HUMAN_CHAIN_ID
from mrmarket.partners.hufi.sandbox.server import HufiSandbox, SandboxTerms
from mrmarket.partners.mixin.sandbox.config import SandboxConfig as MixinConfig
from mrmarket.partners.mixin.sandbox.server import MixinSandbox
from mrmarket.services.sandbox.accounts import (
    BOT,
    BOT_NAME,
    BRIDGE_WALLET,
    TOKEN_ASSET,
    TOKEN_CHAIN,
    TOKEN_CODE,
    TOKEN_DECIMALS,
    WALLET_KEY,
    bridge_signer,
    mixin_assets,
    person_id,
    wallet_signer,
)
from mrmarket.services.sandbox.bridge import ChainBridge
from mrmarket.services.sandbox.chain import NAME, SandboxChain
from mrmarket.services.sandbox.config import SandboxConfig
from mrmarket.services.sandbox.endpoints import (
    ENDPOINTS_FILE,
    ChainDoor,
    HufiDoor,
    MixinDoor,
    PersonDoor,
    SandboxEndpoints,
)
from mrmarket.services.sandbox.errors import SandboxStateError
from mrmarket.services.sandbox.launcher import CampaignLauncher
from mrmarket.services.sandbox.memory import Ports, WorldFolder, WorldMemory, usable
from mrmarket.services.sandbox.prices import COIN, PriceDoor
from mrmarket.services.sandbox.settlement import ChainSettlement
from mrmarket.services.sandbox.trouble import read_trouble
from mrmarket.services.sandbox.venue_feed import VenueFeed
from mrmarket.services.sandbox.world_time import WorldClock, WorldTime
from mrmarket.services.venue_process import Endpoints, VenueProcess
from mrmarket.trading.venue.front.config import VenueConfig

_LOG: Final[Any] = structlog.get_logger("mrmarket.sandbox")
_ROUND_S: Final = 0.25
_SEND_POLL_S: Final = 0.1
_TROUBLE_S: Final = 2.0
_BRIDGE_FUND: Final = 1_000_000
"""Whole tokens with which Mixin pays withdrawals; what is deposited stays where it arrived."""


class SandboxWorld:
    """One world in one folder. Killed at any moment, it goes on from there; its time goes on meanwhile."""

    def __init__(self, config: SandboxConfig, wall: Clock | None = None) -> None:
        """Nothing is started yet."""
        self._config = config
        self._wall = wall or SystemClock()
        self._place = Path(config.state_dir).absolute()
        self._opened = AsyncExitStack()
        self._tasks: list[asyncio.Task[None]] = []
        self.endpoints: SandboxEndpoints

    async def start(self) -> SandboxEndpoints:
        """Start every part; what was started is ended again where one refuses.

        Raises:
            MrMarketError: with what to do.
        """
        try:
            self.endpoints = await self._start()
        except BaseException:
            await self.stop()
            raise
        return self.endpoints

    async def wait(self) -> None:
        """Return never; raise what broke a part."""
        done, _ = await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            await task

    async def stop(self) -> None:
        """End every part; twice is harmless."""
        tasks, self._tasks = self._tasks, []
        await end_all(tasks)
        await self._opened.aclose()

    async def _start(self) -> SandboxEndpoints:
        config = self._config
        folder = WorldFolder(self._place)
        self._opened.callback(folder.close)
        memory = self._remembered(folder)
        trouble = read_trouble(folder.folder)
        self._world = WorldClock(memory.time, self._wall)
        venue_start = asyncio.create_task(self._start_venue(folder.folder))
        try:
            self._chain = await SandboxChain.start(
                folder.folder,
                self._world,
                block_ms=config.block_ms,
                confirmations=config.confirmations,
                port=usable(memory.ports.chain),
            )
            self._opened.push_async_callback(self._chain.stop)
            memory = await self._open_contracts(memory)
        finally:
            venue = await venue_start
        mixin = await self._start_mixin(folder.folder, memory.ports.mixin)
        prices = PriceDoor(config.price_usd, self._wall)
        self._opened.push_async_callback(prices.stop)
        await prices.start(usable(memory.ports.prices))
        hufi = await self._start_hufi(folder.folder, memory, venue)
        bridge = self._open_bridge(folder.folder, mixin)
        token = RewardToken(HUMAN_CHAIN_ID, self._human.token, TOKEN_CODE, TOKEN_DECIMALS)
        pair = venue.symbols[0]
        launcher = CampaignLauncher(self._human, hufi, self._world, config, token, pair, self._chain.keep)
        if not hufi.book.campaigns:
            await launcher.step()
        await self._chain.at_once(wanted=False)
        await self._chain.keep()
        memory = msgspec.structs.replace(
            memory,
            contracts=self._human.contracts,
            ports=Ports(
                self._chain.port, _port(hufi.launcher_url), _port(hufi.oracle_url), mixin.port, prices.port
            ),
        )
        folder.save(memory)

        async def oracles() -> None:
            await hufi.record_due()
            await launcher.step()

        async def carry() -> None:
            await bridge.step()

        mixin.break_things(*trouble.mixin, seed=trouble.seed)
        hufi.faults.set(*(one.rule for one in trouble.hufi))
        self._tasks += [
            asyncio.create_task(self._chain.run()),
            asyncio.create_task(self._chain.over()),
            asyncio.create_task(_again("oracles", oracles, _ROUND_S)),
            asyncio.create_task(_again("bridge", carry, config.block_ms / 1_000)),
            asyncio.create_task(self._venue_over()),
        ]
        endpoints = self._told(memory, venue, hufi, mixin, prices)
        replace_whole(folder.folder / ENDPOINTS_FILE, msgspec.json.encode(endpoints))
        return endpoints

    def _remembered(self, folder: WorldFolder) -> WorldMemory:
        now_ns, config = self._wall.now_ns(), self._config
        memory = folder.load()
        if memory is None or memory.contracts is None:
            if memory is not None:
                folder.clear()  # it was never told to anybody
            memory = WorldMemory(WorldTime(now_ns, now_ns, config.speed), config.cycle_s)
        elif not SandboxChain.remembered(folder.folder):
            raise SandboxStateError(
                folder.folder,
                "its chain is gone while its other books are there",
                "begin a new world elsewhere",
            )
        if memory.cycle_s != config.cycle_s:
            problem = f"its cycles last {memory.cycle_s} s, not {config.cycle_s} s"
            raise SandboxStateError(folder.folder, problem, "keep them, or begin a new world elsewhere")
        memory = memory.at_speed(config.speed, now_ns)
        folder.save(memory)
        return memory

    async def _start_venue(self, folder: Path) -> Endpoints:
        state = folder / "venue"
        state.mkdir(mode=0o700, exist_ok=True)
        plan = msgspec.structs.replace(
            self._config.venue or VenueConfig(),
            state_dir=str(state),
            speed=self._config.speed,
            exit_with_parent=True,
        )
        file = state / "plan.json"
        replace_whole(file, msgspec.json.encode(plan))
        self._venue = VenueProcess(file)
        self._opened.push_async_callback(self._venue.stop)
        return await self._venue.start(after=state / "venue.lock")

    async def _venue_over(self) -> None:
        raise await self._venue.ended()

    async def _open_contracts(self, memory: WorldMemory) -> WorldMemory:
        if memory.contracts is not None:
            self._human = await HumanDeployment.attach(self._chain.url, memory.contracts)
        else:
            # Nobody watches yet, so nobody has to wait for blocks; the first campaigns are launched so, too.
            await self._chain.at_once(wanted=True)
            self._human = await HumanDeployment.deploy(self._chain.url)
            bridge = self._human.wallets[BRIDGE_WALLET]
            units = _BRIDGE_FUND * 10**TOKEN_DECIMALS
            await self._human.transfer(self._human.token, self._human.launcher, bridge, units)
            head = await self._chain.node.head()
            memory = msgspec.structs.replace(memory, start_block=head.number + 1)
        self._opened.push_async_callback(self._human.close)
        self._human.poll_s = _SEND_POLL_S
        return memory

    async def _start_mixin(self, folder: Path, port: int) -> MixinSandbox:
        mixin = MixinSandbox(
            folder / "mixin.db",
            config=MixinConfig(assets=mixin_assets(), waits_for_chain=True),
            clock=self._wall,
            stamps=self._world,
        )
        self._opened.push_async_callback(mixin.stop)
        await mixin.start(usable(port))
        mixin.enrol(BOT_NAME, BOT)
        for name in self._config.people:
            mixin.enrol(name, person_id(name))
        return mixin

    async def _start_hufi(self, folder: Path, memory: WorldMemory, venue: Endpoints) -> HufiSandbox:
        def secret(key: str) -> str | None:
            return next((one.secret_key for one in hufi.book.keys.values() if one.api_key == key), None)

        feed = VenueFeed(venue.rest, secret, memory.history, self._wall)
        self._opened.push_async_callback(feed.close)
        terms = SandboxTerms(
            chain_id=HUMAN_CHAIN_ID,
            cycle_ms=self._config.cycle_s * 1_000,
            port_launcher=usable(memory.ports.launcher),
            port_oracle=usable(memory.ports.oracle),
        )
        settlement = ChainSettlement(self._human, self._chain.keep)
        hufi = HufiSandbox(feed, terms, settlement, self._world, self._wall, memory=folder / "hufi")
        self._opened.push_async_callback(hufi.close)
        await hufi.start()
        return hufi

    def _open_bridge(self, folder: Path, mixin: MixinSandbox) -> ChainBridge:
        book = ChainBook.open(folder / "bridge.db")
        self._opened.callback(book.close)
        people = [BOT, *(person_id(name) for name in self._config.people)]
        return ChainBridge(
            self._chain.settings(self._human.token, TOKEN_DECIMALS, TOKEN_CODE),
            self._chain.node,
            book,
            mixin,
            TOKEN_ASSET,
            [mixin.deposit_address(one, TOKEN_CHAIN) for one in people],
            bridge_signer(),
            self._world,
        )

    def _told(
        self,
        memory: WorldMemory,
        venue: Endpoints,
        hufi: HufiSandbox,
        mixin: MixinSandbox,
        prices: PriceDoor,
    ) -> SandboxEndpoints:
        chain = self._chain
        return SandboxEndpoints(
            venue=venue,
            chain=ChainDoor(
                name=NAME,
                chain_id=HUMAN_CHAIN_ID,
                url=chain.url,
                websocket_url=chain.websocket_url,
                confirmations=self._config.confirmations,
                token_code=TOKEN_CODE,
                token_address=self._human.token,
                token_decimals=TOKEN_DECIMALS,
                wallet_address=wallet_signer().address,
                wallet_key=WALLET_KEY,
                start_block=memory.start_block,
            ),
            hufi=HufiDoor(hufi.launcher_url, hufi.oracle_url),
            mixin=MixinDoor(
                url=mixin.url,
                blaze_url=mixin.blaze_url,
                bot_keystore=mixin.people.keystore_json(BOT),
                asset_id=TOKEN_ASSET,
                asset_code=TOKEN_CODE,
                chain_asset_id=TOKEN_CHAIN,
            ),
            people=[
                PersonDoor(name, person_id(name), mixin.people.keystore_json(person_id(name)))
                for name in self._config.people
            ],
            time=memory.time,
            cycle_ms=self._config.cycle_s * 1_000,
            prices_url=prices.url,
            price_coin=COIN,
        )


async def _again(what: str, work: Callable[[], Awaitable[None]], pause_s: float) -> None:
    """Do it again and again until cancelled. What is ours to explain is logged and tried again."""
    told = ""
    while True:
        try:
            await work()
        except MrMarketError as error:
            if str(error) != told:
                _LOG.warning("sandbox.trouble", part=what, code=error.code, message=str(error))
            told = str(error)
            await asyncio.sleep(_TROUBLE_S)
        else:
            told = ""
        await asyncio.sleep(pause_s)


def _port(url: str) -> int:
    return int(url.rpartition(":")[2])
