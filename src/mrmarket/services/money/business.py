"""The business core of a running instance: opened, kept going, closed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, Self

from mrmarket.core.clock import Clock
from mrmarket.core.events import Filled
from mrmarket.core.notice import NoticeSink
from mrmarket.money.ledger.verification import LedgerCheck
from mrmarket.services.config_sections import Config
from mrmarket.services.data_directory import DataDirectory
from mrmarket.services.money.desk_figures import TradingFigures
from mrmarket.services.money.face import MoneyOffice
from mrmarket.services.money.offices import Limits, Offices
from mrmarket.services.money.plans import members, pool_plans
from mrmarket.services.money.rounds import Rhythm, Rounds
from mrmarket.services.money.sponsor import Sponsor
from mrmarket.services.money.watch import SolvencyWatch
from mrmarket.services.money.world import RAIL, PaymentWorld
from mrmarket.services.trading_place import TradingPlace
from mrmarket.store.trading_port import TradingLog

_DEMO_FEES_MS: Final = 600_000
_FEES_MS: Final = 3_600_000


async def open_world(config: Config, directory: DataDirectory) -> PaymentWorld:
    """The payment rail that the configuration names, before there is anything to pay for.

    It is up before the market is: a tape plays from the moment its venue starts, and waits for nobody.

    Raises:
        RailProcessError: it did not start.
    """
    if config.rail.kind == "simulated" and config.play_money:
        return await PaymentWorld.simulated(directory.root / RAIL)
    return PaymentWorld.none()


@dataclass(slots=True)
class BusinessCore:
    """Offices, the world they pay into, and what time brings to both."""

    offices: Offices
    world: PaymentWorld
    office: MoneyOffice
    _rounds: Rounds
    _watch: SolvencyWatch
    _sponsor: Sponsor | None

    @classmethod
    async def open(
        cls,
        config: Config,
        directory: DataDirectory,
        store: TradingLog,
        place: TradingPlace,
        world: PaymentWorld,
        stream: str,
        clock: Clock,
        trading: TradingFigures,
        check: Callable[[], LedgerCheck | None],
        notices: NoticeSink | None = None,
    ) -> Self:
        """Join rail and venue, open the books, and let nothing move yet.

        Args:
            config: the instance's.
            directory: where its databases are.
            store: the trading log.
            place: where it trades.
            world: where people pay; closed with the core, and by the caller where this fails.
            stream: the run's facts.
            clock: the wall's.
            trading: what the money pages show of the run.
            check: gives the last verification of the ledger.
            notices: hears of what does not add up.

        Raises:
            MrMarketError: with what to do; nothing is left open.
        """
        venue = place.venue.name
        if world.rails and place.funding is not None:
            await world.link(place.funding, venue)
        rail = next(iter(world.rails), None)
        quote = place.venue.instrument(place.symbol).quote
        plans = pool_plans(config, stream, venue, quote, rail)
        limits = Limits(config.rail.capacity, config.pool.idle_buffer)
        offices = await asyncio.to_thread(
            Offices.open, directory.root, store, plans, clock, world, limits, directory.store
        )
        try:
            await asyncio.to_thread(offices.prepare, members(config))
        except BaseException:
            offices.close()
            raise

        def fills(limit: int) -> list[Filled]:
            rows = store.latest_facts(stream, limit, ("filled",))
            return [row.fact for row in rows if isinstance(row.fact, Filled)]

        watch = SolvencyWatch(offices, notices)
        rhythm = Rhythm(
            seal_ms=config.seal.every_s * 1_000,
            fees_ms=_DEMO_FEES_MS if config.play_money else _FEES_MS,
        )
        rounds = await asyncio.to_thread(Rounds, offices, rhythm, watch)
        office = MoneyOffice(offices, trading, check, fills=fills, watch=watch, look=rounds.look)
        sponsor = None
        amount = Decimal(config.rewards.demo_amount)
        if world.wallets is not None and config.pool.demo and amount:
            sponsor = Sponsor(offices, plans[0].name, quote, amount, config.rewards.demo_cycle_s * 1_000)
        return cls(offices, world, office, rounds, watch, sponsor)

    @property
    def watch(self) -> SolvencyWatch:
        """Compares what is held with what is owed."""
        return self._watch

    def tasks(self) -> list[Coroutine[Any, Any, None]]:
        """What runs as long as the instance does; each raises what it cannot go on after."""
        kept: list[Coroutine[Any, Any, None]] = [self._rounds.keep()]
        if self._sponsor is not None:
            kept.append(self._sponsor.keep())
        return kept

    async def seal(self) -> None:
        """Seal the books before a clean end: nothing after the last seal has a witness."""
        head = await self.office.ledger_head()
        if head.seq:
            await self._rounds.look()
            await asyncio.to_thread(self._watch.seal)

    async def close(self) -> None:
        """Finish what is under way, release the books, hang up; closing twice is harmless."""
        await asyncio.to_thread(self.offices.close)
        await self.world.close()
