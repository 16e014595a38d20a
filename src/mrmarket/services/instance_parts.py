"""Opens what an instance is made of, in order; what cannot be opened leaves nothing open."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import Literal

from mrmarket.core.clock import SystemClock
from mrmarket.core.instrument import Instrument
from mrmarket.core.notice import NoticeSink
from mrmarket.money.ledger.verification import LedgerCheck
from mrmarket.partners.hufi.registration import ExchangeKey
from mrmarket.services import views
from mrmarket.services.books import Books
from mrmarket.services.candles import CandleStore
from mrmarket.services.config import LoadedConfig
from mrmarket.services.config_sections import Config
from mrmarket.services.data_directory import DataDirectory, ForeignFolderError
from mrmarket.services.engine.composition import Engine, EngineSetting
from mrmarket.services.engine.identity import shared_identity
from mrmarket.services.engine.local_side import LocalSide
from mrmarket.services.engine.operations_desk import operations_office
from mrmarket.services.engine.operations_office import OperationsOffice
from mrmarket.services.engine.place_room import place_room
from mrmarket.services.engine.remote_side import RemoteSide
from mrmarket.services.engine.specs import further_specs, is_further, main_spec, put_specs
from mrmarket.services.engine.venue_room import LoneRoom, VenueRoom
from mrmarket.services.hub import UpdateHub
from mrmarket.services.keys.secret import Register, unregistered
from mrmarket.services.money.business import BusinessCore, open_world
from mrmarket.services.money.world import PaymentWorld
from mrmarket.services.partners.campaign_room import InstanceRooms
from mrmarket.services.partners.core import PartnerCore
from mrmarket.services.partners.setting import (
    WORLD,
    PartnerSetting,
    partner_setting,
    require_same_world,
    sandbox_setting,
)
from mrmarket.services.remote_trading import remote_trading
from mrmarket.services.run_figures import RunFigures
from mrmarket.services.sandbox.config import SandboxConfig
from mrmarket.services.sandbox.process import LOCK, SandboxProcess
from mrmarket.services.selection.choice import Choice, open_choice
from mrmarket.services.telemetry.voice import Voice
from mrmarket.services.trading_place import (
    TradingPlace,
    ask_rights,
    open_embedded,
    open_public_place,
    open_trading_place,
    simulated_market,
    venue_plan,
)
from mrmarket.services.venue_process import Endpoints
from mrmarket.services.watch import RunWatch
from mrmarket.store.operations import OperationsStore, RunSpec
from mrmarket.store.trading_port import TradingLog
from mrmarket.trading.strategy.observer import RunObserver
from mrmarket.trading.venue.port import KeyPermissions

Role = Literal["all", "api"]


@dataclass(slots=True)
class Parts:
    """What an open instance is made of."""

    place: TradingPlace
    store: TradingLog
    operations: OperationsStore
    side: LocalSide | RemoteSide
    instrument: Instrument
    stream: str
    core: BusinessCore
    partners: PartnerCore
    books: Books
    candles: CandleStore
    watch: RunWatch
    room: LoneRoom | VenueRoom
    office: OperationsOffice
    choice: Choice | None
    """Which strategies take turns; None where there is one only."""


class Assembly:
    """Puts one instance together."""

    def __init__(
        self,
        loaded: LoadedConfig,
        directory: DataDirectory,
        role: Role,
        hub: UpdateHub,
        notices: NoticeSink,
        voice: Voice | None,
        started_ms: int,
        first_check: asyncio.Task[LedgerCheck] | None,
    ) -> None:
        """Nothing is opened yet.

        Args:
            loaded: the configuration.
            directory: the data folder, held by this process.
            role: whether runs are in this process.
            hub: who is told of changes.
            notices: who is told of what the owner must know.
            voice: logs and figures; None where nobody asks for them.
            started_ms: when the process began, by the wall clock.
            first_check: the ledger's verification that is under way.
        """
        self._loaded = loaded
        self._directory = directory
        self._role = role
        self._hub = hub
        self._notices = notices
        self._voice = voice
        self._started_ms = started_ms
        self._first_check = first_check
        self._sandbox: SandboxProcess | None = None

    async def open(self) -> Parts:
        """Open databases, payment world and venue. Raises a MrMarketError; nothing stays open."""
        config, directory = self._loaded.config, self._directory
        pair = config.strategy.pair if self._loaded.sources.get("strategy.pair") else None
        async with AsyncExitStack() as undo:  # carried out from the last to the first, where a step fails
            store = await asyncio.to_thread(directory.store.open_trading)
            undo.callback(store.close)
            if (held := store.streams()) and (
                market := await asyncio.to_thread(simulated_market, config, pair)
            ):
                _require_own(directory, held, market)
            partners = await self._enter_world()
            if self._sandbox is not None:
                undo.push_async_callback(self._sandbox.stop)
            world = await open_world(config, directory, partners)
            undo.push_async_callback(world.close)
            operations = await asyncio.to_thread(directory.store.open_operations)
            undo.callback(operations.close)
            place = await self._open_place(pair, partners)
            undo.push_async_callback(place.close)
            parts = await self._assemble(place, world, store, operations, partners)
            undo.pop_all()
        return parts

    @property
    def _know(self) -> Register:
        """Whom secrets are told, so that no log shows them."""
        return unregistered if self._voice is None else self._voice.redactor.know

    async def _enter_world(self) -> PartnerSetting:
        """What partners are opened from: the configuration, or a sandbox world that starts now."""
        config, folder = self._loaded.config, self._directory.root
        is_sandbox = config.simulation.world == "sandbox"
        require_same_world(folder, is_sandbox=is_sandbox)
        if not is_sandbox:
            return partner_setting(config, folder, os.environ)
        state = folder / WORLD
        plan = SandboxConfig(
            state_dir=str(state),
            speed=config.simulation.speed,
            venue=venue_plan(config, state),
        )
        self._sandbox = SandboxProcess(plan)
        endpoints = await self._sandbox.start(after=state / LOCK)
        return sandbox_setting(config, folder, os.environ, endpoints)

    async def _open_place(self, pair: str | None, partners: PartnerSetting) -> TradingPlace:
        config = self._loaded.config
        if self._sandbox is not None and partners.endpoints is not None:
            endpoints, speed = partners.endpoints.venue, partners.endpoints.time.speed
            return await open_embedded(config, pair, endpoints, self._sandbox, partners.world, speed)
        if self._role == "api":
            return await open_public_place(config)
        return await open_trading_place(config, pair, self._directory, self._know)

    async def _assemble(
        self,
        place: TradingPlace,
        world: PaymentWorld,
        store: TradingLog,
        operations: OperationsStore,
        partners: PartnerSetting,
    ) -> Parts:
        config, directory = self._loaded.config, self._directory
        instrument = place.venue.instrument(place.symbol)
        stream = f"{place.venue.name}.{instrument.venue_symbol}"
        _require_own(directory, store.streams(), stream)
        candles = CandleStore(instrument)
        watch = RunWatch(self._hub, candles, partial(views.fill_record_view, instrument))
        main = main_spec(stream, place.venue.name, place.symbol, config.strategy, config.pool.name)
        choice = await open_choice(config, directory, operations, main)
        mine = [main] if choice is None else choice.specs
        specs = [*mine, *further_specs(config.runs, place.venue.name)]
        await asyncio.to_thread(put_specs, operations, specs)
        room = place_room(config, directory, place, specs, self._know, shared=choice is not None)
        node = directory.instance_id()
        side: LocalSide | RemoteSide
        if self._role == "api":
            follow = None
            if choice is not None and isinstance(room, VenueRoom):
                await choice.open_market(room, place)
                await choice.join_remote(node, store, operations, place, self._notices)
                follow = choice.follow
            side = remote_trading(node, operations, place, stream, watch, candles, follow)
        else:
            setting = await self._setting(place, room, store, operations, partners)
            if choice is not None and isinstance(room, VenueRoom):
                await choice.open_market(room, place)
            side = self._local_side(setting, stream, watch, choice, alone=len(specs) == 1)
            if choice is not None:
                await choice.join(lambda: side.engine, operations, place, self._notices)
        made: list[Books] = []
        core = await BusinessCore.open(
            config,
            directory,
            store,
            place,
            world,
            stream,
            partners,
            RunFigures(lambda: side.desk, place.symbol),
            _check_of(made),
            self._notices,
        )
        books = Books(
            core.offices.treasury, directory.store.money_place, store, stream, self._hub, self._first_check
        )
        made.append(books)
        rooms = InstanceRooms(
            offices=core.offices,
            log=store,
            operations=operations,
            venue=place.venue.name,
            pool=config.pool.name,
            quote=instrument.quote,
            owner=directory.instance_id(),
            rights=partial(_rights, config, place.endpoints),
        )
        try:
            allies = await PartnerCore.open(partners, rooms, world.mixin)
        except BaseException:
            await core.close()
            raise
        office = operations_office(
            config,
            directory,
            operations,
            store,
            engine=lambda: side.engine if isinstance(side, LocalSide) else None,
            health=None if self._voice is None else self._voice.telemetry.health,
        )
        return Parts(
            place,
            store,
            operations,
            side,
            instrument,
            stream,
            core,
            allies,
            books,
            candles,
            watch,
            room,
            office,
            choice,
        )

    async def _setting(
        self,
        place: TradingPlace,
        room: LoneRoom | VenueRoom,
        store: TradingLog,
        operations: OperationsStore,
        partners: PartnerSetting,
    ) -> EngineSetting:
        directory = self._directory
        node = instance_id = directory.instance_id()
        if directory.store.is_postgres:
            instance_id = await asyncio.to_thread(shared_identity, operations, node, self._started_ms)
        return EngineSetting(
            node=node,
            role="all",
            instance=instance_id,
            folder=directory.root,
            operations=operations,
            log=store,
            room=room,
            wall=SystemClock(),
            world=place.world,
            notices=self._notices,
            order_log=None if self._voice is None else self._voice.order_log,
            campaigns=partners.world,
        )

    def _local_side(
        self, setting: EngineSetting, stream: str, watch: RunWatch, choice: Choice | None, *, alone: bool
    ) -> LocalSide:
        def observer(spec: RunSpec, _: Instrument) -> RunObserver | None:
            return watch if spec.id == stream else None

        config = self._loaded.config
        return LocalSide(
            lambda on_run: Engine(
                config,
                setting,
                on_run=on_run,
                observer=observer,
                second=None if choice is None else choice.second,
            ),
            stream,
            setting.wall,
            alone=alone and choice is None,
        )


async def _rights(config: Config, endpoints: Endpoints | None, key: ExchangeKey) -> KeyPermissions:
    """What the venue says that a key which is to be given away may do."""
    return await ask_rights(config, endpoints, (key.api_key, key.secret_key, key.extra))


def _check_of(made: list[Books]) -> Callable[[], LedgerCheck | None]:
    """What the books say of themselves, once there are any."""
    return lambda: made[0].check if made else None


def _require_own(directory: DataDirectory, held: list[str], stream: str) -> None:
    others = [name for name in held if name != stream and not is_further(name)]
    if others:
        raise ForeignFolderError(directory.root, others[0], stream)
