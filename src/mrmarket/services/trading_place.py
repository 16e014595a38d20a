"""Where an instance trades: the embedded exchange, a real one, or paper over a real one's feed."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import msgspec

from mrmarket.core.clock import Clock, ScaledClock, SystemClock
from mrmarket.core.errors import MrMarketError
from mrmarket.services.child_process import ChildProcess
from mrmarket.services.config_sections import Config, VenueSection
from mrmarket.services.data_directory import DataDirectory
from mrmarket.services.engine.section import MAIN_ACCOUNT, AccountSection
from mrmarket.services.engine.specs import pairs_named, venue_name
from mrmarket.services.keys.account_key import AccountKey, find_account_key
from mrmarket.services.keys.inspection import require_rights
from mrmarket.services.keys.secret import Register, unregistered
from mrmarket.services.rail.config import VenueLink
from mrmarket.services.selection.demo import demo_selection
from mrmarket.services.venue_process import Endpoints, VenueProcess
from mrmarket.trading.market.generator import DEFAULT_INSTRUMENT
from mrmarket.trading.market.tape import open_tape
from mrmarket.trading.venue.ccxt_adapter.config import CcxtVenueConfig, VenueUrls
from mrmarket.trading.venue.ccxt_adapter.venue import CcxtVenue
from mrmarket.trading.venue.front.config import VenueConfig
from mrmarket.trading.venue.front.rest_simulation import DEAD_MAN_PATH
from mrmarket.trading.venue.front.signature import ApiKey
from mrmarket.trading.venue.paper import PaperVenue
from mrmarket.trading.venue.paper_memory import PaperMemory
from mrmarket.trading.venue.port import KeyPermissions, Venue
from mrmarket.trading.venue.simulated.exchange import SimulatedExchange

SIMULATED: Final = "simulated"
MAKER_TIER: Final = Decimal("0.00002")
TAKER_TIER: Final = Decimal("0.0003")


class NoAccountError(MrMarketError):
    """A run names an account that this venue does not have."""

    code = "no_account"

    def __init__(self, account: str, venue: str) -> None:
        self.account = account
        self.venue = venue
        super().__init__(
            f"{venue} here has no account {account!r}; further accounts and engines of their own need an"
            " exchange, or `mrmarket venue` as a process of its own"
        )


@dataclass(slots=True)
class TradingPlace:
    """An open venue and what goes with it."""

    venue: Venue
    symbol: str
    market: str
    """A tape's file name, `generator`, or `live`."""
    world: Clock
    """The strategy's time: runs with the tape."""
    speed: float
    simulated: bool
    process: ChildProcess[Any] | None = None
    """The embedded exchange, or the sandbox world that it is part of."""
    endpoints: Endpoints | None = None
    """What the embedded exchange said when it was ready."""
    rest_url: str = ""
    """Of the embedded exchange, for its tape clock."""
    funding: VenueLink | None = None
    """How money gets into and out of our account; None where we cannot move it."""
    _closed: bool = field(default=False, repr=False)

    async def close(self) -> None:
        """Close every connection and let the embedded exchange go."""
        if self._closed:
            return
        self._closed = True
        await self.venue.close()
        if self.process is not None:
            await self.process.stop()


async def open_trading_place(
    config: Config, pair: str | None, directory: DataDirectory, know: Register = unregistered
) -> TradingPlace:
    """Open the venue that the configuration names.

    Args:
        config: what to open.
        pair: the pair to trade; None is the first one that the embedded exchange lists.
        directory: where the embedded exchange keeps its state, and exchange keys lie encrypted.
        know: told every secret, so that logs mask it wherever it turns up.

    Raises:
        MrMarketError: with what to do; nothing is left running.
    """
    if config.venue.exchange == SIMULATED:
        return await _open_simulated(config, pair, directory)
    wall = SystemClock()
    symbol = pair or config.strategy.pair
    key = None
    if not config.venue.paper:
        key = await asyncio.to_thread(
            find_account_key, config.venue, config.keys, directory.root, os.environ, wall, know
        )
    account = _account(config.venue, symbol, key)
    if not config.venue.paper:
        account = replace(account, symbols=tuple(sorted({symbol, *_pairs_of(config)})))
    feed = CcxtVenue(account, wall)
    venue: Venue = feed
    if config.venue.paper:
        memory = PaperMemory(directory.venue_state)
        venue = PaperVenue(feed, SimulatedExchange(), wall, symbols=(symbol,), memory=memory)
    await venue.open()
    if key is not None:
        try:
            await require_rights(key.name, venue, allow_withdraw=key.allow_withdraw)
        except BaseException:
            await venue.close()
            raise
    return TradingPlace(venue, symbol, "live", wall, 1.0, simulated=False)


async def open_account(
    config: Config,
    directory: DataDirectory,
    account: str,
    symbols: Collection[str],
    know: Register = unregistered,
    endpoints: Endpoints | None = None,
) -> Venue:
    """Open one of the accounts at a venue.

    Args:
        config: the instance's.
        directory: where exchange keys lie encrypted.
        account: `default`, or a name of `[[accounts]]`.
        symbols: the pairs to be traded there.
        know: told every secret.
        endpoints: of the embedded exchange, where it is that.

    Raises:
        MrMarketError: with what to do; nothing is left open.
    """
    if config.venue.paper or (config.venue.exchange == SIMULATED and endpoints is None):
        raise NoAccountError(account, config.venue.exchange)
    if endpoints is not None:
        return await _open_embedded_account(config, directory, endpoints, account, symbols)
    wall, section = SystemClock(), account_section(config, account)
    key = await asyncio.to_thread(
        find_account_key, section, config.keys, directory.root, os.environ, wall, know
    )
    name = venue_name(config.venue.exchange, account)
    settings = replace(_account(section, "", key), name=name, symbols=tuple(sorted(symbols)))
    venue = CcxtVenue(settings, wall)
    await venue.open()
    try:
        await require_rights(key.name, venue, allow_withdraw=key.allow_withdraw)
    except BaseException:
        await venue.close()
        raise
    return venue


async def _open_embedded_account(
    config: Config, directory: DataDirectory, endpoints: Endpoints, account: str, symbols: Collection[str]
) -> Venue:
    told = next((one for one in endpoints.keys if one.account == account), None)
    if told is not None:
        pair = (told.api_key, told.api_secret)
    else:
        text = await asyncio.to_thread((directory.venue_state / "keys.json").read_bytes)
        keys = msgspec.json.decode(text, type=list[ApiKey])
        found = next((key for key in keys if key.account == account and key.use == "trade"), None)
        if found is None:
            raise NoAccountError(account, SIMULATED)
        pair = (found.key, found.secret)
    name = venue_name(SIMULATED, account)
    settings = _simulated_account(endpoints, name, pair, symbols, config.venue.recv_window_ms)
    venue = CcxtVenue(settings, SystemClock())
    await venue.open()
    return venue


async def open_public(config: Config, symbols: Collection[str] = ()) -> Venue:
    """The venue as anybody sees it; every pair that it lists where none is named.

    Raises:
        MrMarketError: with what to do; nothing is left open.
    """
    settings = replace(_account(config.venue, "", None), symbols=tuple(sorted(symbols)))
    venue = CcxtVenue(settings, SystemClock())
    await venue.open()
    return venue


async def open_public_place(config: Config) -> TradingPlace:
    """The same for a process that shows the market and trades nothing."""
    symbol = config.strategy.pair
    venue = await open_public(config, [symbol])
    return TradingPlace(venue, symbol, "live", SystemClock(), 1.0, simulated=False)


def account_section(config: Config, account: str) -> VenueSection:
    """`[venue]` with the key of one of its accounts: `default`, or a name of `[[accounts]]` or of a run."""
    if account == MAIN_ACCOUNT:
        return config.venue
    found = next((each for each in config.accounts if each.name == account), AccountSection(name=account))
    suffix = f"_{account.upper().replace('-', '_')}"
    return msgspec.structs.replace(
        config.venue,
        key=found.key,
        api_key_env=found.api_key_env or config.venue.api_key_env + suffix,
        api_secret_env=found.api_secret_env or config.venue.api_secret_env + suffix,
        api_password_env=found.api_password_env or config.venue.api_password_env + suffix,
    )


def simulated_market(config: Config, pair: str | None) -> str | None:
    """The name under which a simulated market's facts are kept, without opening it; None for real ones.

    Raises:
        TapeError: the first tape is none.
    """
    if config.venue.exchange != SIMULATED:
        return None
    tapes = config.simulation.tapes
    symbol = pair or (open_tape(Path(tapes[0])).instrument if tapes else DEFAULT_INSTRUMENT).symbol
    return f"{SIMULATED}.{symbol.replace('/', '')}"


async def ask_rights(
    config: Config, endpoints: Endpoints | None, key: tuple[str, str, str]
) -> KeyPermissions:
    """What the venue says that a key of somebody's may do.

    Args:
        config: says which venue.
        endpoints: of the embedded exchange, where it is that.
        key: its public part, its secret, and a passphrase where there is one.

    Raises:
        VenueError: it refuses the key, or does not answer.
    """
    name, secret, password = key
    if endpoints is not None:
        settings = _simulated_account(endpoints, SIMULATED, (name, secret), endpoints.symbols[:1], 2_000)
    else:
        settings = replace(
            _account(config.venue, config.strategy.pair, None),
            public_only=False,
            api_key=name,
            secret=secret,
            password=password,
        )
    venue = CcxtVenue(settings, SystemClock())
    try:
        await venue.open()
        return await venue.permissions()
    finally:
        await venue.close()


async def _open_simulated(config: Config, pair: str | None, directory: DataDirectory) -> TradingPlace:
    process = VenueProcess(_write_plan(config, directory.venue_state))
    endpoints = await process.start(after=directory.venue_state / "venue.lock")
    speed = config.simulation.speed
    world = ScaledClock(SystemClock(), speed)
    return await open_embedded(config, pair, endpoints, process, world, speed)


async def open_embedded(
    config: Config,
    pair: str | None,
    endpoints: Endpoints,
    process: ChildProcess[Any],
    world: Clock,
    speed: float,
) -> TradingPlace:
    """Open an embedded exchange that runs already; its process ends with the place, or where this fails."""
    try:
        symbol = pair or endpoints.symbols[0]
        symbols = (symbol, *_pairs_of(config))
        key = (endpoints.api_key, endpoints.api_secret)
        settings = _simulated_account(endpoints, SIMULATED, key, symbols, config.venue.recv_window_ms)
        venue = CcxtVenue(settings, SystemClock())
        await venue.open()
    except BaseException:
        await process.stop()
        raise
    tapes = config.simulation.tapes
    return TradingPlace(
        venue,
        symbol,
        market=", ".join(Path(name).name for name in tapes) or "generator",
        world=world,
        speed=speed,
        simulated=True,
        process=process,
        endpoints=endpoints,
        rest_url=endpoints.rest,
        funding=VenueLink(url=endpoints.rest, token=endpoints.funding_token, account=endpoints.accounts[0]),
    )


def _write_plan(config: Config, state: Path) -> Path:
    plan = venue_plan(config, state)
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = state / "plan.json"
    file.write_bytes(msgspec.json.encode(plan))
    return file


def venue_plan(config: Config, state: Path) -> VenueConfig:
    """What the embedded exchange is to be; `state` is its folder."""
    simulation = config.simulation
    # The built-in market charges what an exchange charges its market makers; a tape what everybody pays.
    maker_fee, taker_fee = (None, None) if simulation.tapes else (MAKER_TIER, TAKER_TIER)
    maker_fee = maker_fee if simulation.maker_fee is None else simulation.maker_fee
    taker_fee = taker_fee if simulation.taker_fee is None else simulation.taker_fee
    return VenueConfig(
        tapes=[str(Path(name).absolute()) for name in simulation.tapes],
        generator_seed=simulation.seed,
        speed=simulation.speed,
        loop=simulation.loop,
        accounts={name: {} for name in dict.fromkeys((MAIN_ACCOUNT, *_further_accounts(config)))},
        maker_fee=None if maker_fee is None else f"{maker_fee:f}",
        taker_fee=None if taker_fee is None else f"{taker_fee:f}",
        latency=simulation.latency,
        faults=simulation.faults,
        state_dir=str(state.absolute()),
        exit_with_parent=True,
    )


def _further_accounts(config: Config) -> list[str]:
    """Accounts that runs beside the main one trade on."""
    runs = [run.account for run in config.runs]
    return runs + [each.account for each in demo_selection(config).candidates]


def _pairs_of(config: Config) -> set[str]:
    """What further runs trade: on accounts of their own, but the feeds of all come through the first one."""
    return {pair for run in config.runs for pair in pairs_named(run.strategy)}


def _simulated_account(
    endpoints: Endpoints, name: str, key: tuple[str, str], symbols: Collection[str], recv_window_ms: int
) -> CcxtVenueConfig:
    return CcxtVenueConfig(
        exchange="binance",
        name=name,
        symbols=tuple(sorted(set(symbols))),
        api_key=key[0],
        secret=key[1],
        urls=VenueUrls(rest=endpoints.rest, ws=endpoints.ws, ws_api=endpoints.ws_api),
        dead_man_path=DEAD_MAN_PATH,
        recv_window_ms=recv_window_ms,
    )


def _account(section: VenueSection, symbol: str, key: AccountKey | None) -> CcxtVenueConfig:
    urls = VenueUrls(rest=section.rest_url, ws=section.ws_url, ws_api=section.ws_api_url)
    if key is None:
        return CcxtVenueConfig(exchange=section.exchange, symbols=(symbol,), public_only=True, urls=urls)
    return CcxtVenueConfig(
        exchange=section.exchange,
        symbols=(symbol,),
        api_key=key.credentials.api_key.reveal(),
        secret=key.credentials.secret.reveal(),
        password=key.credentials.password.reveal(),
        urls=urls,
        recv_window_ms=section.recv_window_ms,
    )
