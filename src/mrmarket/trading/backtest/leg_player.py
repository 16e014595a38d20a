"""Plays several markets to one strategy, event by event, until the window is over or the strategy fails."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Generic, NamedTuple, TypeVar

from mrmarket.core.errors import MrMarketError
from mrmarket.trading.backtest.deadline import Deadline
from mrmarket.trading.backtest.errors import StrategyFailedError, StrategyHungError
from mrmarket.trading.backtest.result import Failure
from mrmarket.trading.market.event import MarketEvent

_TELL_EVERY: Final = 2_000

Answer = TypeVar("Answer")
Market = TypeVar("Market")
"""How a recording names its markets."""


class PlayPlan(NamedTuple):
    """What of the setting a play needs."""

    begin_ns: int
    end_ns: int
    feed_ns: int
    decide_every_ns: int
    decision_limit_s: float


@dataclass(slots=True, kw_only=True)
class LegOutcome:
    """What a play came to, whatever was played."""

    placed: int = 0
    """Orders."""
    decided: int = 0
    """How often the strategy was asked."""
    reasons: Counter[str] = field(default_factory=Counter)
    """What it found, by code."""
    ends: Counter[str] = field(default_factory=Counter)
    """How orders that belong together ended."""
    failure: Failure | None = None


class LegPlayer(ABC, Generic[Market]):
    """One play of a window. A strategy that raises or hangs ends it, and the outcome says so."""

    def __init__(
        self,
        events: Sequence[tuple[Market, MarketEvent]],
        strategy: str,
        plan: PlayPlan,
        told: Callable[[float], None],
    ) -> None:
        """`strategy`: its name; `told`: how much of the events is through, from 0 to 1."""
        self._events = events
        self._name = strategy
        self._plan = plan
        self._told = told
        self._looked_ns = -(2**62)
        self._now_ns = plan.begin_ns

    outcome: LegOutcome
    """What it has come to so far."""

    @abstractmethod
    def _until(self, now_ns: int, deadline: Deadline) -> None:
        """Whatever is due by now, in its order."""

    @abstractmethod
    def _happen(self, market: Market, event: MarketEvent, deadline: Deadline) -> None:
        """One event of a market, after whatever was due before."""

    def _play_through(self) -> None:
        """Play every event of the window."""
        with Deadline(self._plan.decision_limit_s) as deadline:
            try:
                self._go_through(deadline)
            except StrategyHungError:
                self._fail(StrategyHungError(self._name, self._plan.decision_limit_s))
            except StrategyFailedError as error:
                self._fail(error)

    def _go_through(self, deadline: Deadline) -> None:
        for number, (market, event) in enumerate(self._events):
            now_ns = event.exchange_ns
            if now_ns >= self._plan.end_ns:
                return
            if not number % _TELL_EVERY:
                self._told(number / len(self._events))
            self._until(now_ns, deadline)
            self._happen(market, event, deadline)

    def _asked(self, deadline: Deadline, call: Callable[[], Answer]) -> Answer:
        """What the strategy answers.

        Raises:
            StrategyFailedError, StrategyHungError: it raised, or took too long.
        """
        self.outcome.decided += 1
        deadline.enter()
        try:
            return call()
        except StrategyHungError:
            raise
        except Exception as error:
            raise StrategyFailedError(self._name, error) from error
        finally:
            deadline.leave()

    def _fail(self, error: MrMarketError) -> None:
        self.outcome.failure = Failure(
            code=error.code, message=str(error), at_ns=self._now_ns, decision=self.outcome.decided - 1
        )
