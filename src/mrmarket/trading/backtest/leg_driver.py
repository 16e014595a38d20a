"""Plays markets to a strategy that takes: its orders go through the machine that trades live."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from mrmarket.trading.backtest.deadline import Deadline
from mrmarket.trading.backtest.latency import Delays
from mrmarket.trading.backtest.leg_player import LegPlayer, Market, PlayPlan
from mrmarket.trading.execution.legs import Ended, Halt, LegEvent, LegStage, LegState, Send, decide
from mrmarket.trading.market.event import MarketEvent
from mrmarket.trading.strategy.multileg.budget import LegBudget

State = TypeVar("State", bound=LegState[Any, Any])


@dataclass(frozen=True, slots=True)
class OrderOut:
    """An order on its way."""

    send: Send
    arrives_ns: int
    number: int


class LegDriver(LegPlayer[Market], Generic[Market, State]):
    """Every order takes its latency and meets the book as it is by then; its answer brings the next one."""

    def __init__(
        self,
        events: Sequence[tuple[Market, MarketEvent]],
        strategy: str,
        budget: LegBudget,
        delays: Delays,
        plan: PlayPlan,
        told: Callable[[float], None],
        *,
        polled: bool = False,
    ) -> None:
        """`polled`: nobody knows a book between two events; an order meets the next one of its market."""
        super().__init__(events, strategy, plan, told)
        self._budget = budget
        self._delays = delays
        self._polled = polled
        self._state: State | None = None
        self._out: OrderOut | None = None
        self._answer: Ended[Any] | None = None

    @abstractmethod
    def _decide(self, at_ns: int, deadline: Deadline) -> None:
        """Ask the strategy, and begin what it wants."""

    @abstractmethod
    def _meet(self, out: OrderOut, at_ns: int) -> Any:
        """An order meets its book; what it changed, in the measure of the state."""

    @abstractmethod
    def _tell_over(self, state: State, now_ns: int) -> bool:
        """Something is over: report it and charge the budget; whether any order of it traded."""

    def _on_sent(self, send: Send) -> None:
        """An order goes out."""

    def _until(self, now_ns: int, deadline: Deadline) -> None:  # noqa: ARG002 - others decide on answers
        """Orders that arrive at a book that is known, and answers."""
        while True:
            if self._answer is not None and self._answer.now_ns <= now_ns:
                answer, self._answer = self._answer, None
                self._feed(answer)
            elif not self._polled and self._out is not None and self._out.arrives_ns <= now_ns:
                self._arrive(self._out, self._out.arrives_ns)
            else:
                return

    def _look(self, now_ns: int, deadline: Deadline) -> None:
        """Decide, if nothing is at work and the last look is long enough ago."""
        plan = self._plan
        if self._state is not None or now_ns < plan.begin_ns:
            return
        if not self._polled and now_ns - self._looked_ns < plan.decide_every_ns:
            return
        self._looked_ns = now_ns
        at_ns = now_ns + plan.feed_ns
        resting = self._budget.refusal(at_ns)
        if resting:
            self.outcome.reasons[resting] += 1
            return
        self._decide(at_ns, deadline)

    def _begin(self, state: State, event: LegEvent) -> None:
        self._state = state
        self._feed(event)

    def _feed(self, event: LegEvent) -> None:
        if self._state is None:
            return
        self._state, actions = decide(self._state, event)
        for action in actions:
            if isinstance(action, Send):
                self.outcome.placed += 1
                self._on_sent(action)
                arrives_ns = event.now_ns + self._delays.order_ns(event.now_ns)
                self._out = OrderOut(action, arrives_ns, self.outcome.placed)
            elif isinstance(action, Halt):
                self.outcome.ends["halted"] += 1
        if self._state.is_over:
            self._over(self._state, event.now_ns)

    def _arrive(self, out: OrderOut, at_ns: int) -> None:
        """The order meets the book of its market; the answer is on its way."""
        self._out = None
        change = self._meet(out, at_ns)
        self._answer = Ended(at_ns + self._delays.response_ns(at_ns), out.send.slot, change)

    def _over(self, state: State, now_ns: int) -> None:
        traded = self._tell_over(state, now_ns)
        if state.stage is not LegStage.HALTED:
            word = "refused" if state.stage is LegStage.REFUSED else "through" if traded else "missed"
            self.outcome.ends["undone" if state.failed else word] += 1
        self._state = None
