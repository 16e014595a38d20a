"""Plays several markets to one strategy, event by event."""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Generic, NamedTuple, TypeVar

from mrmarket.trading.backtest.deadline import Deadline
from mrmarket.trading.backtest.strategy_play import PlayOutcome, StrategyPlay
from mrmarket.trading.market.event import MarketEvent

_TELL_EVERY: Final = 2_000

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
class LegOutcome(PlayOutcome):
    """What a play of orders that belong together came to."""

    placed: int = 0
    """Orders."""
    ends: Counter[str] = field(default_factory=Counter)
    """How those that belong together ended."""


class LegPlayer(StrategyPlay, Generic[Market]):
    """One play of a window."""

    outcome: LegOutcome

    def __init__(
        self,
        events: Sequence[tuple[Market, MarketEvent]],
        strategy: str,
        plan: PlayPlan,
        told: Callable[[float], None],
    ) -> None:
        """`strategy`: its name; `told`: how much of the events is through, from 0 to 1."""
        super().__init__(strategy, plan.begin_ns, plan.decision_limit_s)
        self._events = events
        self._plan = plan
        self._told = told
        self._looked_ns = -(2**62)

    @abstractmethod
    def _until(self, now_ns: int, deadline: Deadline) -> None:
        """Whatever is due by now, in its order."""

    @abstractmethod
    def _happen(self, market: Market, event: MarketEvent, deadline: Deadline) -> None:
        """One event of a market, after whatever was due before."""

    def _go_through(self, deadline: Deadline) -> None:
        for number, (market, event) in enumerate(self._events):
            now_ns = event.exchange_ns
            if now_ns >= self._plan.end_ns:
                return
            if not number % _TELL_EVERY:
                self._told(number / len(self._events))
            self._until(now_ns, deadline)
            self._happen(market, event, deadline)
