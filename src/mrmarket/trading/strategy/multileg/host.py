"""A run over several markets: its life, its risk and its sides, whatever it trades between them."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Any, Final, NoReturn

from mrmarket.core.clock import NS_PER_S
from mrmarket.core.events import Fact
from mrmarket.core.instrument import Instrument
from mrmarket.store.order_journal import OrderRecord
from mrmarket.trading.execution.differ import RefreshRules
from mrmarket.trading.execution.journal import OrderJournal
from mrmarket.trading.execution.legs import LegRules
from mrmarket.trading.execution.order import Order
from mrmarket.trading.execution.reconciler import StopReport
from mrmarket.trading.execution.risk.board import RiskBoard, RiskChange
from mrmarket.trading.execution.risk.governor import Glance, RiskGovernor
from mrmarket.trading.execution.risk.state import Cause, RiskState, run_scope
from mrmarket.trading.strategy.errors import ControlRefusedError, StreamEndedError
from mrmarket.trading.strategy.multileg.account_look import AccountLook
from mrmarket.trading.strategy.multileg.budget import LegBudget
from mrmarket.trading.strategy.multileg.leg_work import LegOrders, LegWork, RecoveringWork
from mrmarket.trading.strategy.multileg.setting import Place, RunSetting
from mrmarket.trading.strategy.multileg.side import MarketSide
from mrmarket.trading.strategy.observer import FillRecord, RunObserver, RunState, Unobserved
from mrmarket.trading.strategy.past import History
from mrmarket.trading.strategy.run_facts import RunFacts

_LOOK_S: Final = 0.05
_AGAIN_NS: Final = NS_PER_S
"""A strategy that time says nothing to is asked so often all the same, for what it says to people."""


class MultiLegRun(ABC):
    """What every run over several markets has in common. Everything happens on one event loop.

    Subclasses decide, and say what of theirs is under way. Whatever is sent is written down before, in the
    run's one stream; fills are durable there before anybody acts on them.
    """

    work: LegWork[Any, Any]
    """Carries out what a decision wants; a subclass sets it."""

    def __init__(
        self,
        places: Sequence[Place],
        journal: OrderJournal,
        setting: RunSetting,
        *,
        leg_rules: LegRules,
        shares_account: bool = False,
        rules: RefreshRules | None = None,
    ) -> None:
        """Put a run together; nothing is sent before `start`.

        Args:
            places: where it trades, the first one where its own facts are written down.
            journal: the trading store.
            setting: what all its parts are given.
            leg_rules: how its orders that belong together are carried out.
            shares_account: whether all places are pairs of one account.
            rules: of the quotes on the first place, None where there are none.
        """
        self.stream = setting.stream
        self.board = setting.board or RiskBoard(setting.wall)
        self.observer: RunObserver = setting.observer or Unobserved()
        self.state = RunState.STARTING
        self.state_reason = "not started yet"
        self.failure: Exception | None = None
        """What made the run fail."""
        self.waits_for = ""
        """Why no decision is made now; empty while it looks for what pays."""
        self.capital: Decimal | None = None
        """What its accounts were worth at the first prices of this start."""
        self._journal = journal
        self._wall = setting.wall
        self._world = setting.strategy_clock
        self._leg_rules = leg_rules
        self.sides = tuple(
            MarketSide(
                number,
                place,
                journal,
                self,
                setting,
                shares_account=shares_account,
                rules=None if number else rules,
            )
            for number, place in enumerate(places)
        )
        first = self.sides[0]
        self.governor = RiskGovernor(
            self.stream, first.venue.name, first.instrument, self.board, setting.breakers
        )
        """Watches the gains and losses of all markets together."""
        self._facts = RunFacts(first.facts, first.venue.name, first.instrument.symbol, setting.wall)
        self._accounts = AccountLook(self.sides, lambda: self._deciding, self._wake)
        self._waking = False
        self._deciding = False
        self._due_ns = 0
        """When time alone asks for a decision, by the strategy's clock; 0 at every tick."""
        self._outlook: tuple[object, ...] = ()
        """What the last decision went by."""
        self._oldest_ns: int | None = None
        """Age of a book beyond which the strategy does nothing; None where it has not said that time alone
        changes nothing else."""
        self._budget = self.board.budgets.of(self.stream)
        self._ended = asyncio.Event()
        self._forget: Callable[[], None] | None = None

    # What a subclass decides.

    @abstractmethod
    def owns(self, side: MarketSide, record: OrderRecord) -> bool:
        """Whether an order in the journal is a side's."""

    @abstractmethod
    def _decide_now(self) -> None:
        """Look at every market and act."""

    @abstractmethod
    def _reason_now(self) -> str:
        """Why nothing is looked for, or quoted; empty while something is."""

    @abstractmethod
    def _valued(self) -> tuple[Decimal | None, Decimal | None]:
        """(what trading has earned since the first start, what the accounts are worth) at known mids."""

    @abstractmethod
    def _not_flattened(self, reason: str) -> str:
        """Why flattening is refused, and what to do instead."""

    @property
    def is_at_work(self) -> bool:
        """Whether orders are under way that belong together."""
        return self.work.is_at_work

    @property
    def _is_busy(self) -> bool:
        """Whether a pause or a stop has something to wait for."""
        return self.is_at_work

    def _recover(self) -> None:  # noqa: B027 - not all keep a log of what is at work
        """Before anything is asked of a venue: what the journal says of earlier lives."""

    async def _before_trading(self) -> None:  # noqa: B027 - only quotes have something to wait for
        """Once every market is recovered, before the first decision."""

    async def _rest(self, reason: str) -> None:  # noqa: ARG002 - others have quotes to pull
        """Bring what is under way to its end."""
        await self._over_or_late()

    # What is at work, what it may do, and what it has open.

    @property
    def leg_number(self) -> int:
        """Of the orders at work that belong together: a part of their ids."""
        return self.work.number

    def is_leg(self, slot: str) -> bool:
        """Whether a slot is that of an order that belongs to others; else it is a quote's."""
        return self.work.is_leg(slot)

    def exposure_lots(self, side: MarketSide) -> int:
        """What has to be brought back, in a side's lots: all that REDUCE lets through."""
        return self.work.exposure_lots(side)

    @property
    def instrument(self) -> Instrument:
        """Of the first market."""
        return self.sides[0].instrument

    @property
    def live_orders(self) -> list[Order]:
        """Orders that are not proven closed, on any market."""
        return [order for side in self.sides for order in side.execution.table.open()]

    @property
    def risk_state(self) -> RiskState:
        """What the run as a whole may do."""
        return self.board.state(self.stream)

    @property
    def risk_reason(self) -> str:
        """The strictest reason for that."""
        return self.board.explain(self.stream, "")

    # Life.

    async def start(self) -> None:
        """Recover what an earlier life left on every market, then begin to trade.

        Raises:
            RunNotReadyError: a venue's user stream or its answers do not come.
        """
        self._set_state(RunState.STARTING, "recovering")
        self._recover()
        # All are waited for: one that went on alone would begin to trade after another's error.
        begun = await asyncio.gather(
            *(side.begin(lambda: self.failure) for side in self.sides), return_exceptions=True
        )
        error = next((each for each in begun if each is not None), None)
        if error is not None:
            await self.abandon()
            raise error
        await self._before_trading()
        self._forget = self.board.listen(self._heard)
        self._deciding = True
        self._set_state(RunState.RUNNING, "")
        self.sides[0].upkeep.spawn_ticks(self._tick)
        if self.risk_state is RiskState.HALT:
            self._sweep_all(self.risk_reason)

    async def pause(self, reason: str) -> StopReport:
        """Begin nothing new; what is under way is brought to its end first, then nothing of ours is left."""
        self._set_state(RunState.PAUSED, reason)
        await self._rest(reason)
        return await self.cancel_all(reason)

    def resume(self) -> None:
        """Trade again; a failed or stopped run stays what it is."""
        if self.state is RunState.PAUSED and not any(side.sweep.is_running for side in self.sides):
            self._set_state(RunState.RUNNING, "")
            self._wake()

    async def cancel_all(self, reason: str) -> StopReport:
        """Cancel whatever should stand and prove it; what is under way goes on by what its orders came to."""
        return StopReport.together(await asyncio.gather(*(side.sweep.once(reason) for side in self.sides)))

    async def flatten(self, reason: str) -> NoReturn:
        """Refused.

        Raises:
            ControlRefusedError: always; it says what to do instead.
        """
        raise ControlRefusedError(self.stream, "flatten", self._not_flattened(reason))

    async def halt(self, reason: str, by: str = "owner") -> StopReport:
        """Send nothing more, not even to bring back what is held; wait for `rearm`."""
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

    def on_order(self, side: MarketSide, order: Order) -> None:  # noqa: ARG002 - the port's
        """An order is new or has changed."""
        self.observer.on_order(order)

    def on_leg(self, side: MarketSide, order: Order) -> None:
        """An order may have ended, or fell into doubt."""
        self.work.on_leg(side, order)

    def on_fill(self, side: MarketSide, record: FillRecord, client_order_id: str) -> None:
        """A trade is durable."""
        self.work.on_fill(side, record.own.fill, client_order_id)
        self.observer.on_fill(record)

    def on_book(self, side: MarketSide) -> None:  # noqa: ARG002 - the port's
        """Decide once what is at hand has been taken in."""
        self.observer.on_book()
        self._wake()

    def on_side_risk(self, side: MarketSide, change: RiskChange) -> None:
        """A market's breaker, or the owner, allows more or less."""
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
        self._due_ns = 0
        try:
            self._decide_now()
            self._outlook = self._look_out()
        except Exception as error:  # noqa: BLE001 - a fault in a strategy must end its run, not the loop
            self.on_fault(error)

    def _may_rest(self, for_ns: int = _AGAIN_NS) -> None:
        """So long only what changes asks for another decision; where orders are under way every tick does."""
        if self._oldest_ns is not None and not self.is_at_work:
            self._due_ns = self._world.monotonic_ns() + for_ns

    def _look_out(self) -> tuple[object, ...]:
        """What a decision depends on: while it stays the same no tick needs another."""
        oldest_ns = self._oldest_ns
        if oldest_ns is None:
            return ()
        return (
            *(self.state, self.risk_state, self._accounts.is_due, self.is_at_work, self._reason_now()),
            self._budget.quote,
            *((*side.outlook, side.age_ns > oldest_ns) for side in self.sides),
        )

    def _reason_to_wait(self, work: RecoveringWork[Any, Any]) -> str:
        """Why nothing is looked for now; empty while something is."""
        if self.state is not RunState.RUNNING:
            return self.state_reason or self.state.value
        if self.risk_state > RiskState.ACTIVE:
            return self.risk_reason
        if work.reason:
            return work.reason
        if self._accounts.is_due:
            return f"balances are being asked for after the last {work.WHAT}"
        return work.budget.refusal(self._world.monotonic_ns())

    def _say_waits(self, reason: str) -> None:
        """Tell what no decision is made for; empty while one is."""
        if reason != self.waits_for:
            self.waits_for = reason
            if self.state is RunState.RUNNING:
                self._set_state(RunState.RUNNING, reason)

    def _orders(self, budget: LegBudget) -> LegOrders:
        """What the work of a subclass is given."""
        return LegOrders(
            self._leg_rules, budget, lambda: self._journal.next_sequence(self.stream), self._world
        )

    def _halt_self(self, detail: str) -> None:
        """Something is held that could not be brought back."""
        self.board.halt(run_scope(self.stream), Cause.PARTIAL_LEG, self.stream, detail)

    # Beside.

    def _tick(self) -> None:
        for side in self.sides:
            side.risk.tick()
            stale = side.watch.tracker.stale is not None
            side.observations.tick(side.watch.top, side.execution.account, stale=stale)
        # Losses count for all markets together: what one gives, another takes.
        equity, worth = self._valued()
        if self.capital is None:
            self.capital = worth
        now_ns, wall_ns = self._world.monotonic_ns(), self._wall.monotonic_ns()
        self.governor.tick(Glance(now_ns, wall_ns, equity=equity, capital=self.capital))
        self.work.tick()
        if self._world.monotonic_ns() >= self._due_ns or self._look_out() != self._outlook:
            self._wake()

    def _heard(self, change: RiskChange) -> None:
        """A restriction of the run itself came or went."""
        if change.scope != run_scope(self.stream):
            return
        self.governor.on_change(change)
        self._facts.risk(change, self.risk_state)
        if self.risk_state is RiskState.HALT:
            self._sweep_all(self.risk_reason)
        self.observer.on_state(self.state, self.state_reason or change.cause)
        self._wake()

    def _sweep_all(self, reason: str) -> None:
        for side in self.sides:
            side.sweep.begin(reason)

    async def _over_or_late(self) -> None:
        """Give what is under way the time that its rules give it."""
        for _ in range(round(2 * self._leg_rules.deadline_ns / NS_PER_S / _LOOK_S) + 1):
            if not self._is_busy or self.failure is not None:
                return
            await asyncio.sleep(_LOOK_S)

    def _set_state(self, state: RunState, reason: str) -> None:
        if (state, reason) == (self.state, self.state_reason):
            return
        self.state, self.state_reason = state, reason
        self._facts.state(state.value, reason)
        self.observer.on_state(state, reason)

    async def _end_tasks(self) -> None:
        if self._forget is not None:
            self._forget()
            self._forget = None
        self.governor.close()
        await self._accounts.end()
        for side in self.sides:
            await side.end()


def facts_of(history: History | Iterable[Fact]) -> list[Fact]:
    """All facts of the stream, oldest first."""
    return list(history.facts) if isinstance(history, History) else list(history)
