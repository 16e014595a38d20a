"""A run on two venues: its life, its risk and its two sides, whatever it trades between them."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Final

from mrmarket.core.clock import NS_PER_S, Clock
from mrmarket.core.errors import InvalidInputError
from mrmarket.core.events import RiskChanged, RunStateChanged
from mrmarket.trading.execution.differ import RefreshRules
from mrmarket.trading.execution.journal import OrderJournal
from mrmarket.trading.execution.lease_guard import LeaseGuard
from mrmarket.trading.execution.legs import LegRules
from mrmarket.trading.execution.order import Order
from mrmarket.trading.execution.reconciler import StopReport
from mrmarket.trading.execution.risk.board import RiskBoard, RiskChange
from mrmarket.trading.execution.risk.governor import Glance, RiskGovernor
from mrmarket.trading.execution.risk.limits import BreakerLimits
from mrmarket.trading.execution.risk.pretrade import RiskLimits
from mrmarket.trading.execution.risk.state import REARMED, Cause, RiskState, run_scope
from mrmarket.trading.execution.timing import Timing
from mrmarket.trading.strategy.arbitrage.common_grid import common_grid
from mrmarket.trading.strategy.arbitrage.pair_readings import PairReadings
from mrmarket.trading.strategy.arbitrage.side import ArbitrageSide, SideSetting
from mrmarket.trading.strategy.cross_port import WashTradeRefusedError
from mrmarket.trading.strategy.errors import ControlRefusedError, StreamEndedError
from mrmarket.trading.strategy.observer import FillRecord, RunObserver, RunState, Unobserved
from mrmarket.trading.venue.port import Venue

WHOLE_ACCOUNT: Final = RiskLimits(max_inventory_share=Decimal(1))
"""Trading between venues may leave all base on one and all quote on the other."""


@dataclass(frozen=True, slots=True)
class Place:
    """One of the two venues of a run."""

    venue: Venue
    """Open; whoever opened it closes it."""
    market: str = ""
    """The exchange, whatever account on it; empty is what the venue's instrument says."""


class TwoVenueRun(PairReadings, ABC):
    """What every run on two venues has in common. Everything happens on one event loop.

    Subclasses decide, and say what of theirs is under way. Whatever is sent is written down before, in the
    run's one stream; fills are durable there before anybody acts on them.
    """

    def __init__(
        self,
        places: tuple[Place, Place],
        symbol: str,
        leg_rules: LegRules,
        journal: OrderJournal,
        *,
        instance: str,
        stream: str,
        wall: Clock,
        world: Clock | None,
        fence: int,
        limits: RiskLimits,
        timing: Timing | None,
        observer: RunObserver | None,
        guard: LeaseGuard | None,
        board: RiskBoard | None,
        breakers: BreakerLimits | None,
        mark_every_ns: int,
        balances_every_ns: int,
        rules: RefreshRules | None = None,
    ) -> None:
        """As the subclasses; `rules`: of the quotes on the first venue, None where there are none.

        Raises:
            WashTradeRefusedError: both places are one exchange.
        """
        super().__init__()
        instruments = tuple(place.venue.instrument(symbol) for place in places)
        markets = tuple(place.market or each.venue for place, each in zip(places, instruments, strict=True))
        if markets[0] == markets[1]:
            raise WashTradeRefusedError(markets[0])
        if places[0].venue.name == places[1].venue.name:
            raise InvalidInputError("venues", places[0].venue.name, "two venues with different names")
        self.stream = stream
        self.board = board or RiskBoard(wall)
        self.observer: RunObserver = observer or Unobserved()
        self.grid = common_grid(instruments[0], instruments[1])
        self._journal = journal
        self._wall = wall
        self._world = world or wall
        self._leg_rules = leg_rules
        setting = SideSetting(
            instance=instance,
            stream=stream,
            fence=fence,
            wall=wall,
            world=self._world,
            timing=timing or Timing(),
            limits=limits,
            breakers=breakers or BreakerLimits(),
            guard=guard,
            board=self.board,
            mark_every_ns=mark_every_ns,
            balances_every_ns=balances_every_ns,
        )
        one, two = (
            ArbitrageSide(
                number,
                markets[number],
                place.venue,
                symbol,
                journal,
                self,
                setting,
                pair_number=self._pair_number,
                exposure_lots=partial(self._exposure_lots, number),
                state=self._own_state,
                why=lambda: self.board.explain(stream, ""),
                rules=None if number else rules,
            )
            for number, place in enumerate(places)
        )
        self.sides = (one, two)
        self.governor = RiskGovernor(
            stream, one.venue.name, one.instrument, self.board, breakers or BreakerLimits()
        )
        """Watches the gains and losses of both venues together."""
        self._balances_due = False
        self._refreshing: asyncio.Task[None] | None = None
        self._waking = False
        self._deciding = False
        self._ended = asyncio.Event()
        self._forget: Callable[[], None] | None = None

    # What a subclass decides.

    @property
    @abstractmethod
    def is_at_work(self) -> bool:
        """Whether orders are under way that belong together."""

    @property
    def _is_busy(self) -> bool:
        """Whether a pause or a stop has something to wait for."""
        return self.is_at_work

    @abstractmethod
    def _pair_number(self) -> int:
        """Of the pair of orders at work."""

    @abstractmethod
    def _exposure_lots(self, venue: int) -> int:
        """What has to be brought back, in a venue's lots: all that REDUCE lets through."""

    @abstractmethod
    def _decide_now(self) -> None:
        """Look at both venues and act."""

    @abstractmethod
    def _work_tick(self) -> None:
        """Time has passed for what is under way."""

    def _recover(self) -> None:
        """Before anything is asked of a venue: what the journal says of earlier lives."""

    async def _before_trading(self) -> None:
        """Once both venues are recovered, before the first decision."""

    @abstractmethod
    def on_leg(self, side: ArbitrageSide, order: Order) -> None:
        """An order may have ended, or fell into doubt."""

    @abstractmethod
    def on_side_fill(self, side: ArbitrageSide, record: FillRecord, client_order_id: str) -> None:
        """A trade is durable."""

    # Life.

    async def start(self) -> None:
        """Recover what an earlier life left on both venues, then begin to trade.

        Raises:
            RunNotReadyError: a venue's user stream or its answers do not come.
        """
        self._set_state(RunState.STARTING, "recovering")
        self._recover()
        # Both are waited for: one that went on alone would begin to trade after the other's error.
        begun = await asyncio.gather(
            *(side.begin(lambda: self.failure) for side in self.sides), return_exceptions=True
        )
        error = next((each for each in begun if each is not None), None)
        if error is not None:
            await self._end_tasks()
            for side in self.sides:
                await side.facts.close()
            raise error
        await self._before_trading()
        self._forget = self.board.listen(self._heard)
        self._deciding = True
        self._set_state(RunState.RUNNING, "")
        self.sides[0].upkeep.spawn_ticks(self._tick)
        if self._own_state() is RiskState.HALT:
            self._sweep_all(self.board.explain(self.stream, ""))

    async def pause(self, reason: str) -> StopReport:
        """Begin nothing new; what is under way is brought to its end first, then nothing of ours is left."""
        self._set_state(RunState.PAUSED, reason)
        await self._rest(reason)
        return StopReport.together(await asyncio.gather(*(side.sweep.once(reason) for side in self.sides)))

    def resume(self) -> None:
        """Trade again; a failed or stopped run stays what it is."""
        if self.state is RunState.PAUSED and not any(side.sweep.is_running for side in self.sides):
            self._set_state(RunState.RUNNING, "")
            self._wake()

    async def cancel_all(self, reason: str) -> StopReport:
        """Cancel whatever should stand and prove it; what is under way goes on by what its orders came to."""
        return StopReport.together(await asyncio.gather(*(side.sweep.once(reason) for side in self.sides)))

    async def flatten(self, reason: str) -> None:
        """Refused: base on both venues is what this run works with.

        Raises:
            ControlRefusedError: always.
        """
        raise ControlRefusedError(
            self.stream, "flatten", f"it works with base on both venues ({reason}); pause it, then rebalance"
        )

    async def halt(self, reason: str, by: str = "owner") -> StopReport:
        """Send nothing more, not even to undo; wait for `rearm`."""
        self.board.halt(run_scope(self.stream), Cause.OWNER, by, reason)
        return await self.cancel_all(reason)

    def rearm(self, cause: str | None = None) -> list[str]:
        """The owner lifts restrictions of this run, or one of them; returns what was lifted."""
        return self.board.rearm(run_scope(self.stream), cause)

    async def stop(self, reason: str = "asked to stop") -> StopReport:
        """Bring what is under way to its end, cancel everything of ours, prove it, write the last facts."""
        failed = self.state is RunState.FAILED
        if not failed:
            self._set_state(RunState.STOPPING, reason)
            await self._rest(reason)
        self._deciding = False
        reports = []
        for side in self.sides:
            side.ended = True
            await side.sweep.cancel()
            await side.upkeep.rest_maintenance()
            reports.append(await side.execution.reconciler.stop())
            side.observations.mark(side.watch.top)
            side.observations.balances(side.execution.account)
        await self._end_tasks()
        if not failed:
            self._set_state(RunState.STOPPED, reason)
        for side in self.sides:
            await side.facts.close()
        self._ended.set()
        return StopReport.together(reports)

    async def abandon(self) -> None:
        """Drop everything where it is, as a crash would; the next start recovers."""
        self._deciding = False
        await self._end_tasks()
        for side in self.sides:
            await side.facts.close()
        self._ended.set()

    async def wait(self) -> None:
        """Return when the run has ended or failed."""
        await self._ended.wait()

    # What the sides report.

    def on_side_order(self, side: ArbitrageSide, order: Order) -> None:  # noqa: ARG002 - the port's
        """An order is new or has changed."""
        self.observer.on_order(order)

    def on_book(self, side: ArbitrageSide) -> None:  # noqa: ARG002 - the port's
        """Decide once what is at hand has been taken in."""
        self.observer.on_book()
        self._wake()

    def on_side_risk(self, side: ArbitrageSide, change: RiskChange) -> None:
        """A venue's breaker, or the owner, allows more or less."""
        if side.risk.state is RiskState.HALT:
            side.sweep.begin(side.risk.why)
        self.observer.on_state(self.state, self.state_reason or change.cause)
        self._wake()

    def on_fault(self, error: Exception) -> None:
        """Something broke that trading cannot go on without."""
        if self.failure is not None:
            return
        self.failure = error
        self.governor.on_failure(error)
        self._set_state(RunState.FAILED, str(error) or type(error).__name__)
        self._ended.set()
        for side in self.sides:
            side.connected.set()

    def on_task_ended(self, name: str, error: Exception | None) -> None:
        """A part of a side ended by itself."""
        if error is not None:
            self.on_fault(error)
        elif self._deciding:
            self.on_fault(StreamEndedError(name, "task"))

    # Deciding.

    def _wake(self) -> None:
        if not self._waking and self._deciding:
            self._waking = True
            asyncio.get_running_loop().call_soon(self._decide)

    def _decide(self) -> None:
        self._waking = False
        if not self._deciding or self.failure is not None:
            return
        try:
            self._decide_now()
        except Exception as error:  # noqa: BLE001 - a fault in a strategy must end its run, not the loop
            self.on_fault(error)

    def _ask_balances(self) -> None:
        """Both, before the next decision counts on them."""
        self._balances_due = True
        if self._refreshing is None or self._refreshing.done():
            self._refreshing = asyncio.get_running_loop().create_task(self._refresh())

    async def _refresh(self) -> None:
        """Until both venues have answered."""
        while self._deciding:
            answers = await asyncio.gather(*(side.refresh_balances() for side in self.sides))
            if all(answers):
                self._balances_due = False
                self._wake()
                return
            await asyncio.sleep(1)

    # Beside.

    def _tick(self) -> None:
        now_ns = self._world.monotonic_ns()
        for side in self.sides:
            side.risk.tick()
            side.observations.tick(
                side.watch.top, side.execution.account, stale=side.watch.tracker.stale is not None
            )
        self._watch_equity(now_ns)
        self._work_tick()
        self._wake()

    def _watch_equity(self, now_ns: int) -> None:
        """Losses count for both venues together: what one gives, the other takes."""
        equity, worth = self.pnl_quote, self.worth_quote
        if self.capital is None:
            self.capital = worth
        self.governor.tick(Glance(now_ns, self._wall.monotonic_ns(), equity=equity, capital=self.capital))

    def _heard(self, change: RiskChange) -> None:
        """A restriction of the run itself came or went."""
        if change.scope != run_scope(self.stream):
            return
        self.governor.on_change(change)
        held = change.restriction
        side = self.sides[0]
        side.facts.write(
            RiskChanged(
                venue=side.venue.name,
                at_ns=self._wall.now_ns(),
                symbol=side.instrument.symbol,
                scope=change.scope,
                state=self._own_state().word,
                cause=change.cause,
                detail=held.detail if held is not None else REARMED if change.by_owner else "lifted",
            )
        )
        if self._own_state() is RiskState.HALT:
            self._sweep_all(self.board.explain(self.stream, ""))
        self.observer.on_state(self.state, self.state_reason or change.cause)
        self._wake()

    def _sweep_all(self, reason: str) -> None:
        for side in self.sides:
            side.sweep.begin(reason)

    def _own_state(self) -> RiskState:
        return self.board.state(self.stream)

    async def _rest(self, reason: str) -> None:  # noqa: ARG002 - others have quotes to pull
        """Bring what is under way to its end."""
        await self._over_or_late()

    async def _over_or_late(self) -> None:
        """Give what is under way the time that its rules give it."""
        tries = round(2 * self._leg_rules.deadline_ns / NS_PER_S / 0.05) + 1
        for _ in range(tries):
            if not self._is_busy or self.failure is not None:
                return
            await asyncio.sleep(0.05)

    def _set_state(self, state: RunState, reason: str) -> None:
        if (state, reason) == (self.state, self.state_reason):
            return
        self.state, self.state_reason = state, reason
        side = self.sides[0]
        side.facts.write(
            RunStateChanged(
                venue=side.venue.name,
                at_ns=self._wall.now_ns(),
                symbol=side.instrument.symbol,
                state=state.value,
                reason=reason,
            )
        )
        self.observer.on_state(state, reason)

    async def _end_tasks(self) -> None:
        if self._forget is not None:
            self._forget()
            self._forget = None
        self.governor.close()
        if self._refreshing is not None:
            self._refreshing.cancel()
            await asyncio.gather(self._refreshing, return_exceptions=True)
        for side in self.sides:
            await side.end()
