"""One play of history to one strategy: asked within a time limit, and ended where it raises or hangs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from mrmarket.core.errors import MrMarketError
from mrmarket.trading.backtest.deadline import Deadline
from mrmarket.trading.backtest.errors import StrategyFailedError, StrategyHungError
from mrmarket.trading.backtest.result import Failure

Answer = TypeVar("Answer")


@dataclass(slots=True, kw_only=True)
class PlayOutcome:
    """What a play came to, whatever was played."""

    decided: int = 0
    """How often the strategy was asked."""
    reasons: Counter[str] = field(default_factory=Counter)
    """What it found, by code."""
    failure: Failure | None = None


class StrategyPlay(ABC):
    """A strategy that raises or hangs ends its play, and the outcome says so."""

    outcome: PlayOutcome
    """What it has come to so far."""

    def __init__(self, strategy: str, begin_ns: int, decision_limit_s: float) -> None:
        """`strategy`: its name; `begin_ns`: of the window; `decision_limit_s`: wall time for each answer."""
        self._name = strategy
        self._decision_limit_s = decision_limit_s
        self._now_ns = begin_ns
        """Of the window: when a failure came."""

    @abstractmethod
    def _go_through(self, deadline: Deadline) -> None:
        """Play every event of the window."""

    def _play_through(self) -> None:
        """Play to the end, or to the strategy's."""
        with Deadline(self._decision_limit_s) as deadline:
            try:
                self._go_through(deadline)
            except StrategyHungError:
                self._fail(StrategyHungError(self._name, self._decision_limit_s))
            except StrategyFailedError as error:
                self._fail(error)

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
