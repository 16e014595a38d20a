"""Puts an Angel together from its plan: keys, venues, stores, sources, plug-ins."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
import structlog

from mrmarket.angel.charge import Charge
from mrmarket.angel.diary import Diary, Journal
from mrmarket.angel.port import HeartbeatSource, WatchedVenue
from mrmarket.angel.sweep import Pace
from mrmarket.angel.watch import Angel
from mrmarket.core.clock import NS_PER_MS, Clock, SystemClock
from mrmarket.core.errors import MrMarketError
from mrmarket.core.ids import uuid7
from mrmarket.services.angel.ccxt_watch import CcxtWatch
from mrmarket.services.angel.flattener import VenueFlattener
from mrmarket.services.angel.plan import FOLDER, GONE_AFTER_S, AngelPlan, WatchedAccount
from mrmarket.services.angel.plugins import find_fail_safe, find_recovery
from mrmarket.services.angel.sources import HttpBeat, OperationsBeats
from mrmarket.services.angel.stores import Late, LateDesk, LateLeases
from mrmarket.services.engine.identity import shared_identity
from mrmarket.services.engine.section import MAIN_ACCOUNT
from mrmarket.services.keys.account_key import AccountKey, find_account_key
from mrmarket.services.keys.secret import Register, unregistered
from mrmarket.services.notify.configured import open_notifier
from mrmarket.services.store_address import StoreAddress
from mrmarket.store.errors import StoreError
from mrmarket.store.operations import OperationsStore
from mrmarket.trading.execution.order_id import order_prefix
from mrmarket.trading.venue.ccxt_adapter.config import CcxtVenueConfig, VenueUrls

JOURNAL: Final = "angel.jsonl"
_TAG_END: Final = 7
"""`mm` and five characters say which instance an order is of."""
_ASK_TIMES: Final = 3
_ASK_S: Final = 5.0
_ASK_AGAIN_S: Final = 1.0
_log = structlog.get_logger("mrmarket.angel")


class NoSourceError(MrMarketError):
    """An Angel without anything to look at."""

    code = "no_heartbeat_source"

    def __init__(self) -> None:
        super().__init__(
            "nowhere to read signs of life: give --heartbeat-url, --store, or the --data of an instance"
        )


@dataclass(frozen=True, slots=True)
class _Keyhole:
    """Which key to look for: implements `NamesKey`."""

    exchange: str
    key: str
    api_key_env: str
    api_secret_env: str
    api_password_env: str


@dataclass(slots=True)
class Assembled:
    """An Angel and what must be closed after it."""

    angel: Angel
    closing: AsyncExitStack


def instance_prefix(instance: str) -> str:
    """What every client order id of an instance begins with."""
    return order_prefix(instance, "")[:_TAG_END]


async def assemble(
    plan: AngelPlan,
    data: Path,
    store_url: str,
    environ: Mapping[str, str],
    *,
    with_store: bool = True,
    know: Register = unregistered,
    clock: Clock | None = None,
) -> Assembled:
    """An Angel that has not begun to watch.

    Args:
        plan: what it watches.
        data: the instance's data folder, or a folder of its own on another host.
        store_url: a PostgreSQL address; empty for the files in the folder.
        environ: where keys are.
        with_store: whether there is a database at all.
        know: told every secret, so that logs mask it.
        clock: the machine's, unless a test brings one.

    Raises:
        MrMarketError: a key is missing, a plug-in is not installed, or there is nothing to read.
    """
    clock = clock or SystemClock()
    address = StoreAddress(data, store_url)
    trading = Late(address.open_trading) if with_store else None
    desk = Late(address.open_operations) if with_store else None
    async with AsyncExitStack() as closing:
        for late in (trading, desk):
            if late is not None:
                closing.push_async_callback(asyncio.to_thread, late.close)
        if desk is not None and address.is_postgres:
            plan = msgspec.structs.replace(plan, instance=await _shared_name(desk, plan.instance, clock))
        late_desk = None if desk is None else LateDesk(desk)
        sources = _sources(plan, late_desk, closing)
        venues = [
            CcxtWatch(await asyncio.to_thread(_reach, plan, account, data, environ, clock, know), clock)
            for account in plan.accounts
        ]
        notifier = open_notifier(plan.notify, environ, plan.name, clock)
        await notifier.start()
        closing.push_async_callback(notifier.close)

        def flattener() -> VenueFlattener:
            made = VenueFlattener(plan, environ, trading, clock)
            closing.push_async_callback(made.close)
            return made

        def new_id() -> str:
            return str(uuid7(clock))

        charge = _charge(plan, venues)
        angel = Angel(
            charge,
            plan.settings,
            _pace(plan),
            sources,
            None if trading is None else LateLeases(trading),
            late_desk,
            Diary(charge.name, late_desk, Journal(data / FOLDER / JOURNAL), notifier, clock, new_id),
            clock,
            new_id,
            fail_safe=find_fail_safe(plan.settings, flattener),
            recovery=find_recovery(plan.settings),
        )
        return Assembled(angel, closing.pop_all())


async def _shared_name(desk: Late[OperationsStore], proposed: str, clock: Clock) -> str:
    """What the processes on one PostgreSQL call their instance: it is in every order id of theirs.

    A database that does not answer for a while leaves the Angel with what it was told.
    """
    at_ms = clock.now_ns() // NS_PER_MS
    for _ in range(_ASK_TIMES):
        try:
            async with asyncio.timeout(_ASK_S):
                return await asyncio.to_thread(lambda: shared_identity(desk.get(), proposed, at_ms))
        except (StoreError, TimeoutError) as error:
            _log.warning("the database does not say what the instance is called", error=str(error))
            await asyncio.sleep(_ASK_AGAIN_S)
    return proposed


def _sources(plan: AngelPlan, desk: LateDesk | None, closing: AsyncExitStack) -> list[HeartbeatSource]:
    sources: list[HeartbeatSource] = []
    if desk is not None:
        sources.append(OperationsBeats(desk))
    if plan.heartbeat_url:
        http = HttpBeat(plan.heartbeat_url)
        closing.push_async_callback(http.close)
        sources.append(http)
    if not sources:
        raise NoSourceError
    return sources


def _charge(plan: AngelPlan, venues: Sequence[WatchedVenue]) -> Charge:
    symbols = {account.name: account.symbols for account in plan.accounts}
    return Charge(
        name=f"angel-{plan.instance[-8:]}",
        venues=venues,
        instance_prefix=instance_prefix(plan.instance),
        run_prefix=lambda run: order_prefix(plan.instance, run),
        symbols=lambda: symbols,
        host=socket.gethostname(),
        pid=os.getpid(),
        leaves_with_instance=plan.leaves_with_instance,
    )


def _pace(plan: AngelPlan) -> Pace:
    recv_window_ms = max((account.recv_window_ms for account in plan.accounts), default=2000)
    embedded = bool(plan.accounts) and all(account.ends_with_instance for account in plan.accounts)
    return plan.settings.pace(recv_window_ms, GONE_AFTER_S if embedded else 0.0)


def _key(
    plan: AngelPlan,
    account: WatchedAccount,
    data: Path,
    environ: Mapping[str, str],
    clock: Clock,
    know: Register,
) -> tuple[str, str, str]:
    """(key, secret, passphrase): the Angel's own, else the engine's."""
    if account.api_key:
        return account.api_key, account.api_secret, ""
    settings, venue = plan.settings, account.venue
    suffix = "" if account.account == MAIN_ACCOUNT else f"_{account.account.upper().replace('-', '_')}"
    own = _Keyhole(
        account.exchange,
        "" if suffix else settings.key,
        settings.api_key_env + suffix,
        settings.api_secret_env + suffix,
        settings.api_password_env + suffix,
    )
    named: AccountKey
    if own.key or environ.get(own.api_key_env):
        named = find_account_key(own, plan.keys, data, environ, clock, know)
    else:
        _log.warning(
            "the Angel uses the engine's key, which may trade; give it one that only queries and cancels",
            account=account.account,
        )
        named = find_account_key(venue, plan.keys, data, environ, clock, know)
    found = named.credentials
    return found.api_key.reveal(), found.secret.reveal(), found.password.reveal()


def _reach(
    plan: AngelPlan,
    account: WatchedAccount,
    data: Path,
    environ: Mapping[str, str],
    clock: Clock,
    know: Register,
) -> CcxtVenueConfig:
    key, secret, password = _key(plan, account, data, environ, clock, know)
    return CcxtVenueConfig(
        exchange=account.exchange,
        name=account.name,
        symbols=tuple(account.symbols),
        api_key=key,
        secret=secret,
        password=password,
        urls=VenueUrls(rest=account.rest_url),
        dead_man_path=account.dead_man_path,
        recv_window_ms=account.recv_window_ms,
        options={"warnOnFetchOpenOrdersWithoutSymbol": False},
    )
