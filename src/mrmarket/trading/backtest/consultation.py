"""A strategy as a backtest asks it: watched, counted, and blamed by name for what goes wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from enum import IntEnum
from typing import Final, TypeVar

from mrmarket.core.errors import MrMarketError
from mrmarket.trading.backtest.deadline import Deadline
from mrmarket.trading.backtest.errors import StrategyFailedError, StrategyHungError
from mrmarket.trading.backtest.result import Decisions, Failure
from mrmarket.trading.execution.desk import OwnFill
from mrmarket.trading.execution.order import Order
from mrmarket.trading.execution.targets import TargetQuotes
from mrmarket.trading.strategy.port import MarketView, Strategy

_REASONS_KEPT: Final = 20
Answer = TypeVar("Answer")


class Cause(IntEnum):
    """What made us ask."""

    BOOK = 0
    ORDER = 1
    TIME = 2


class Consultation:
    """Asks one strategy, within a limit for each call.

    Every call raises StrategyFailedError where the strategy raises, and StrategyHungError where it takes
    too long.
    """

    def __init__(self, strategy: Strategy, deadline: Deadline) -> None:
        self.strategy = strategy
        self._deadline = deadline
        self._causes = [0] * len(Cause)
        self._idle = 0
        self._reasons: Counter[str] = Counter()

    def quotes(self, view: MarketView | str, cause: Cause) -> TargetQuotes:
        """What it wants; nothing where the view is a reason why it must not quote now."""
        self._causes[cause] += 1
        if isinstance(view, str):
            targets = TargetQuotes(reason=view)
        else:
            targets = self._call(lambda: self.strategy.quotes(view))
        if not targets.quotes:
            self._idle += 1
        if targets.reason:
            self._reasons[targets.reason] += 1
        return targets

    def on_fill(self, own: OwnFill, now_ns: int, live: Sequence[Order]) -> None:
        """Tell it of a fill."""
        self._call(lambda: self.strategy.on_fill(own, now_ns, live))

    def failure(self, error: MrMarketError, at_ns: int) -> Failure:
        """What ended the run."""
        return Failure(code=error.code, message=str(error), at_ns=at_ns, decision=sum(self._causes))

    def decisions(self, held_back: Mapping[str, int]) -> Decisions:
        """What was counted."""
        return Decisions(
            decisions=sum(self._causes),
            by_book=self._causes[Cause.BOOK],
            by_order=self._causes[Cause.ORDER],
            by_time=self._causes[Cause.TIME],
            without_quotes=self._idle,
            held_back=dict(held_back),
            reasons=dict(self._reasons.most_common(_REASONS_KEPT)),
        )

    def _call(self, call: Callable[[], Answer]) -> Answer:
        self._deadline.enter()
        try:
            return call()
        except StrategyHungError as hung:
            raise StrategyHungError(self.strategy.name, self._deadline.limit_s) from hung
        except Exception as error:
            raise StrategyFailedError(self.strategy.name, error) from error
        finally:
            self._deadline.leave()
