"""The shadows of an instance: one for each candidate that quotes, on the feeds that its runs follow."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from decimal import Decimal
from functools import partial
from typing import Any

from mrmarket.core.clock import Clock
from mrmarket.services.engine.shared_venue import SharedFeed
from mrmarket.services.selection.plan import Plan
from mrmarket.services.selection.second_market import FollowingFeed
from mrmarket.services.selection.section import SelectionSection
from mrmarket.store.operations import RunSpec
from mrmarket.trading.execution.risk.limits import BreakerLimits
from mrmarket.trading.execution.risk.pretrade import RiskLimits
from mrmarket.trading.strategy.arbitrage.run import ArbitrageRun
from mrmarket.trading.strategy.cross_making.run import MakingRun
from mrmarket.trading.strategy.cross_port import CrossMaker, CrossStrategy
from mrmarket.trading.strategy.port import Strategy
from mrmarket.trading.strategy.registry import Registry
from mrmarket.trading.strategy.shadow.bridge import FeedBridge
from mrmarket.trading.strategy.shadow.cross_shadow import cross_life
from mrmarket.trading.strategy.shadow.shadow import Feed, Life, Shadow, quoting_life
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


def is_cross(spec: RunSpec) -> bool:
    """Whether a run trades on two venues."""
    return Registry().find(spec.kind).kind.venues > 1


class ShadowHouse:
    """Makes the shadows: all on the same feeds, each with accounts of its own."""

    def __init__(
        self,
        section: SelectionSection,
        venue: Venue,
        feed: SharedFeed,
        second: FollowingFeed | None,
        *,
        wall: Clock,
        world: Clock,
        opening: dict[str, int] | None,
        limits: RiskLimits,
        breakers: BreakerLimits,
    ) -> None:
        """Nothing begins.

        Args:
            section: latency and patience.
            venue: whose instrument it is.
            feed: the pair's.
            second: the second market's; None where there is none.
            wall: real time.
            world: the strategies' time.
            opening: what paper accounts of quoting strategies begin with; None for the exchange's own.
            limits: of each order.
            breakers: of each run.
        """
        self._section = section
        self._venue = venue
        self._feed = feed
        self._second = second
        self._wall = wall
        self._world = world
        self._opening = opening
        self._limits = limits
        self._breakers = breakers
        self._registry = Registry()

    def shadows(self, plans: Iterable[Plan]) -> dict[str, Shadow]:
        """One for each plan that has its markets here."""
        made = {}
        for plan in plans:
            name, cross = plan.candidate.id, is_cross(plan.spec)
            if cross and self._second is None:
                continue
            life = self._cross(plan) if cross else self._quoting(plan)
            feeds = [
                Feed(FeedBridge(self._venue.name, self._venue.instrument(plan.spec.pair)), self._feed.follow)
            ]
            if cross and (second := self._second) is not None:
                pair = plan.spec.pair
                bridge = FeedBridge(second.name, second.instrument(pair))
                feeds.append(Feed(bridge, partial(second.market_events, pair)))
            made[name] = Shadow(name, life, feeds, self._wall, patience_s=self._section.shadow_patience_s)
        return made

    def _quoting(self, plan: Plan) -> Life:
        return quoting_life(
            strategy_maker(plan.spec, self._registry),
            self._wall,
            life=plan.candidate.id,
            world=self._world,
            opening=self._opening,
            latency_s=self._section.shadow_latency_ms / 1_000,
            run_with={"limits": self._limits, "breakers": self._breakers},
        )

    def _cross(self, plan: Plan) -> Life:
        spec, registry = plan.spec, self._registry
        hedged = registry.find(spec.kind).kind.hedged

        def make() -> CrossStrategy | CrossMaker:
            parameters = registry.parameters(spec.kind, {**spec.parameters, "pair": spec.pair})
            return registry.make_maker(parameters) if hedged else registry.make_cross(parameters)

        return cross_life(
            make,
            self._wall,
            life=plan.candidate.id,
            world=self._world,
            latency_s=self._section.shadow_latency_ms / 1_000,
            run_with={"breakers": self._breakers},
            run_of=MakingRun if hedged else ArbitrageRun,
        )


def keep_shadows(shadows: Iterable[Shadow]) -> Coroutine[Any, Any, None]:
    """Run all of them; one that is shut off leaves the others alone."""

    async def keep() -> None:
        await asyncio.gather(*(shadow.keep() for shadow in shadows))

    return keep()
