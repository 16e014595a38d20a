"""Puts the owner's view of trading together for a process that serves the API, and keeps it live."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Final

from mrmarket.angel.settings import SweepScope
from mrmarket.angel.sweep import Scope
from mrmarket.core.clock import NS_PER_MS, SystemClock
from mrmarket.services.angel.composition import assemble, instance_prefix
from mrmarket.services.angel.drill import dry_run
from mrmarket.services.angel.plan import AngelPlan, plan_for, plan_path, read_plan
from mrmarket.services.api import operations_schema as ops
from mrmarket.services.config_sections import Config
from mrmarket.services.data_directory import DataDirectory
from mrmarket.services.engine.composition import Engine
from mrmarket.services.engine.identity import shared_identity
from mrmarket.services.engine.operations_office import DryRunner, OfficeSetting, OperationsOffice
from mrmarket.services.hub import UpdateHub
from mrmarket.services.store_address import StoreAddress
from mrmarket.services.telemetry.health import Health
from mrmarket.store.operations import OperationsStore
from mrmarket.store.trading_port import TradingLog

_LIVE_S: Final = 1.0


def operations_office(
    config: Config,
    directory: DataDirectory,
    operations: OperationsStore,
    log: TradingLog,
    *,
    engine: Callable[[], Engine | None],
    health: Health | None,
) -> OperationsOffice:
    """The office of an instance.

    Args:
        config: the instance's.
        directory: its data folder.
        operations: where engines, API and Angel meet.
        log: for who holds which run.
        engine: that of this process, where it has one.
        health: what readiness is asked of.
    """
    clock, watched = SystemClock(), not config.venue.paper

    def plan() -> AngelPlan:
        left = read_plan(plan_path(directory.root))
        if left is not None:
            return left
        node = directory.instance_id()
        if not directory.store.is_postgres:
            return plan_for(config, node)
        return plan_for(config, shared_identity(operations, node, clock.now_ns() // NS_PER_MS))

    return OperationsOffice(
        OfficeSetting(
            operations=operations,
            log=log,
            clock=clock,
            folder=directory.root,
            engine=engine,
            health=health,
            angel_wanted=watched and config.angel.enabled,
            dry_run=dry_runner(plan, directory.store) if watched else None,
        )
    )


def dry_runner(plan: Callable[[], AngelPlan], address: StoreAddress) -> DryRunner:
    """Looks at every exchange with an Angel's keys, through the door at which only reads and cancels pass."""

    async def look() -> ops.DryRunView:
        wanted = await asyncio.to_thread(plan)
        assembled = await assemble(wanted, address.folder, address.url, os.environ)
        async with assembled.closing:
            whole = wanted.settings.scope is SweepScope.ACCOUNT
            scope = Scope(whole_account=whole, prefixes=(instance_prefix(wanted.instance),))
            try:
                found = await dry_run(assembled.angel, scope)
            finally:
                for venue in assembled.angel.charge.venues:
                    await venue.close()
        return ops.DryRunView(
            at_ms=SystemClock().now_ns() // NS_PER_MS,
            orders=[
                ops.WouldCancelView(
                    venue=order.venue,
                    symbol=order.symbol,
                    client_order_id=order.client_order_id,
                    venue_order_id=order.venue_order_id,
                    side=order.side,
                )
                for order in found.orders
            ],
            spared=found.spared,
            silent=found.silent,
        )

    return look


async def keep_live(office: OperationsOffice, hub: UpdateHub) -> None:
    """Send whoever watches the newest view every second, and keep what everybody may hear current."""
    while True:
        await office.refresh()
        if hub.wants("operations"):
            hub.publish("operations", await office.operations())
        await asyncio.sleep(_LIVE_S)
