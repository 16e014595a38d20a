"""The business core of a running instance: opened, kept going, closed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, Self

from mrmarket.campaigns.arrivals import arrival_claimer
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
from mrmarket.services.partners.mixin_room import MixinRoom
from mrmarket.services.partners.setting import PartnerSetting
from mrmarket.services.trading_place import TradingPlace
from mrmarket.store.trading_port import TradingLog

_DEMO_FEES_MS: Final = 600_000
_FEES_MS: Final = 3_600_000


async def open_world(config: Config, directory: DataDirectory, partners: PartnerSetting) -> PaymentWorld:
    """The payment rails that the configuration names, before there is anything to pay for.

    They are up before the market is: a tape plays from the moment its venue starts, and waits for nobody.

    Raises:
        RailProcessError: the embedded one did not start.
        MrMarketError: the Mixin bot's keys are not there; nothing is left running.
    """
    if config.rail.kind == "simulated" and config.play_money:
        world = await PaymentWorld.simulated(directory.root / RAIL)
    else:
        world = PaymentWorld.none()
    try:
        bot = MixinRoom.open(partners)
    except BaseException:
        await world.close()
        raise
    if bot is not None:
        world.join(bot)
    return world


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
        partners: PartnerSetting,
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
            partners: by whose clock the books go; the world's, in which cycles are counted.
            trading: what the money pages show of the run.
            check: gives the last verification of the ledger.
            notices: hears of what does not add up.

        Raises:
            MrMarketError: with what to do; nothing is left open.
        """
        venue = place.venue.name
        rail = world.deposits
        if world.endpoints is not None and place.funding is not None:
            await world.link(place.funding, venue)
        quote = place.venue.instrument(place.symbol).quote
        plans = pool_plans(config, stream, venue, quote, rail)
        limits = Limits(config.rail.capacity, config.pool.idle_buffer)
        offices = await asyncio.to_thread(
            Offices.open,
            directory.root,
            store,
            plans,
            partners.world,
            world,
            limits,
            directory.store,
            [] if world.mixin is None else [arrival_claimer(world.mixin.rail.name)],
        )
        try:
            await asyncio.to_thread(offices.prepare, members(config))
        except BaseException:
            offices.close()
            raise

        def fills(limit: int) -> list[Filled]:
            rows = store.latest_facts(stream, limit, ("filled",))
            return [row.fact for row in rows if isinstance(row.fact, Filled)]

        watch = SolvencyWatch(offices, notices, partners.world_ns)
        rhythm = Rhythm(
            seal_ms=config.seal.every_s * 1_000,
            fees_ms=_DEMO_FEES_MS if config.play_money else _FEES_MS,
        )
        rounds = await asyncio.to_thread(Rounds, offices, rhythm, watch)
        office = MoneyOffice(offices, trading, check, fills=fills, watch=watch, look=rounds.look)
        sponsor = None
        amount = Decimal(config.rewards.demo_amount)
        if world.wallets is not None and config.pool.demo and amount and not partners.is_sandbox:
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
