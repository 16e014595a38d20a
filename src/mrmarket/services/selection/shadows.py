"""The shadows of an instance: one for each candidate that quotes, on the feeds that its runs follow."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from decimal import Decimal
from typing import Any

from mrmarket.core.clock import Clock
from mrmarket.services.engine.shared_venue import SharedFeed
from mrmarket.services.selection.plan import Plan
from mrmarket.services.selection.section import SelectionSection
from mrmarket.store.operations import RunSpec
from mrmarket.trading.strategy.port import Strategy
from mrmarket.trading.strategy.registry import Registry
from mrmarket.trading.strategy.shadow.bridge import FeedBridge
from mrmarket.trading.strategy.shadow.shadow import Feed, Shadow, quoting_life
from mrmarket.trading.venue.port import Venue
from mrmarket.trading.venue.simulated.records import UNITS_PER_WHOLE


def strategy_maker(spec: RunSpec, registry: Registry) -> Callable[[], Strategy]:
    """Makes the strategy of a run's specification, each time anew."""

    def make() -> Strategy:
        return registry.make(registry.parameters(spec.kind, {**spec.parameters, "pair": spec.pair}))

    return make


async def paper_opening(venue: Venue) -> dict[str, int] | None:
    """What the live account holds, in units of 1e-8, so that paper has the same; None for an empty one."""
    held = {
        report.asset: int((Decimal(report.free) + Decimal(report.locked)) * UNITS_PER_WHOLE)
        for report in await venue.balances()
    }
    return held if any(held.values()) else None


def quoting_shadows(
    plans: Iterable[Plan],
    section: SelectionSection,
    venue: Venue,
    feed: SharedFeed,
    *,
    wall: Clock,
    world: Clock,
    opening: dict[str, int] | None,
    run_with: dict[str, Any],
) -> dict[str, Shadow]:
    """A shadow for each plan whose strategy quotes on the one venue.

    Args:
        plans: candidates.
        section: latency and patience.
        venue: whose instrument it is.
        feed: the pair's.
        wall: real time.
        world: the strategies' time.
        opening: what each paper account begins with; None for the exchange's own.
        run_with: limits of the runs.
    """
    registry, shadows = Registry(), {}
    for plan in plans:
        name, spec = plan.candidate.id, plan.spec
        life = quoting_life(
            strategy_maker(spec, registry),
            wall,
            life=name,
            world=world,
            opening=opening,
            latency_s=section.shadow_latency_ms / 1_000,
            run_with=run_with,
        )
        bridge = FeedBridge(venue.name, venue.instrument(spec.pair))
        shadows[name] = Shadow(
            name, life, [Feed(bridge, feed.follow)], wall, patience_s=section.shadow_patience_s
        )
    return shadows


def keep_shadows(shadows: Iterable[Shadow]) -> Coroutine[Any, Any, None]:
    """Run all of them; one that is shut off leaves the others alone."""

    async def keep() -> None:
        await asyncio.gather(*(shadow.keep() for shadow in shadows))

    return keep()
