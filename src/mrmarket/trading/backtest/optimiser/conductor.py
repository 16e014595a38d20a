"""Runs a study: gives out sets, carries each through its folds, and writes down what came of it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, wait
from dataclasses import dataclass, field
from typing import Final

from mrmarket.core.errors import MrMarketError
from mrmarket.trading.backtest.optimiser.plan import Plan
from mrmarket.trading.backtest.optimiser.pool import Pool
from mrmarket.trading.backtest.optimiser.study import Attempt, Study
from mrmarket.trading.backtest.optimiser.trial import Outcome, Score, State
from mrmarket.trading.backtest.setting import BacktestSetting, Window

_WORKER_GONE: Final = "a process that ran a backtest was killed, perhaps for want of memory"


Evaluate = Callable[[BacktestSetting], Score]
"""Runs one setting; what fails is a score too. It is sent to other processes: a function of a module."""


class WorkersLostError(MrMarketError):
    """Processes that ran backtests were killed; what was finished is kept."""

    code = "workers_lost"
    retryable = True

    def __init__(self) -> None:
        super().__init__(f"{_WORKER_GONE}; go on with `mrmarket optimise resume`, with fewer --jobs")


@dataclass(slots=True)
class _Underway:
    attempt: Attempt
    train: list[Score] = field(default_factory=list)
    test: list[Score] = field(default_factory=list)


class Conductor:
    """One study on one pool. Holds the sets that are under way and nothing of those that are done."""

    def __init__(
        self,
        plan: Plan,
        study: Study,
        pool: Pool,
        evaluate: Evaluate,
        told: Callable[[Outcome], None] = lambda _: None,
    ) -> None:
        """`told` is called with each set that is done."""
        self._plan = plan
        self._study = study
        self._pool = pool
        self._evaluate = evaluate
        self._told = told
        self._tests = [fold.test for fold in plan.folds if fold.test is not None]
        self._live: dict[Future[Score], _Underway] = {}

    def run(self) -> None:
        """Until every set is done.

        Raises:
            WorkersLostError: a process of the pool was killed.
        """
        try:
            self._fill()
            while self._live:
                done, _ = wait(self._live, return_when=FIRST_COMPLETED)
                for future in done:
                    self._take(self._live.pop(future), future.result())
                self._fill()
        except BrokenExecutor as error:
            raise WorkersLostError from error

    def _fill(self) -> None:
        while len(self._live) < self._pool.width and (attempt := self._study.ask()) is not None:
            self._submit(_Underway(attempt))

    def _submit(self, underway: _Underway) -> None:
        setting = self._plan.run_of(underway.attempt.point, self._window(underway))
        self._live[self._pool.executor.submit(self._evaluate, setting)] = underway

    def _window(self, underway: _Underway) -> Window:
        if len(underway.train) < len(self._plan.folds):
            return self._plan.folds[len(underway.train)].train
        return self._tests[len(underway.test)]

    def _take(self, underway: _Underway, score: Score) -> None:
        trained = len(underway.train) == len(self._plan.folds)
        (underway.test if trained else underway.train).append(score)
        if score.figures is None:
            self._tell(underway, State.FAILED)
        elif len(underway.train) < len(self._plan.folds):
            if self._study.is_hopeless(underway.attempt, underway.train):
                self._tell(underway, State.STOPPED)
            else:
                self._submit(underway)
        elif len(underway.test) < len(self._tests):
            self._submit(underway)
        else:
            self._tell(underway, State.DONE)

    def _tell(self, underway: _Underway, state: State) -> None:
        self._told(self._study.tell(underway.attempt, state, underway.train, underway.test))
