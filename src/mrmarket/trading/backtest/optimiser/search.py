"""Runs a study from its folder, or goes on with it, and says what it came to."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from mrmarket.trading.backtest.optimiser.conductor import Conductor, Evaluate
from mrmarket.trading.backtest.optimiser.errors import NothingFinishedError
from mrmarket.trading.backtest.optimiser.evaluation import evaluate
from mrmarket.trading.backtest.optimiser.plan import Plan, read_plan
from mrmarket.trading.backtest.optimiser.pool import Pool, cluster_pool, local_pool
from mrmarket.trading.backtest.optimiser.standing import Standing, standing_of
from mrmarket.trading.backtest.optimiser.study import Study, locked, read_outcomes
from mrmarket.trading.backtest.optimiser.trial import Outcome

Told = Callable[[Outcome, int, int], None]
"""Told of each set that is done, how many are, and how many there will be."""


def run_study(
    folder: Path,
    *,
    jobs: int = 0,
    cluster: str = "",
    told: Told | None = None,
    evaluation: Evaluate = evaluate,
) -> Standing:
    """Run what the plan in `folder` has left to run; nothing where all is done.

    Args:
        folder: where `begin_study` wrote a plan.
        jobs: processes on this machine; 0 is one a core. Not used with a cluster.
        cluster: address of a Dask scheduler, such as `tcp://127.0.0.1:8786`.
        told: called in this process.
        evaluation: what runs a setting.

    Raises:
        StudyFolderError: there is no study, or another process is at it.
        OptimiserMissingError, ClusterError, WorkersLostError: as they say; what was done is kept.
    """
    plan = read_plan(folder)
    with locked(folder):
        study = Study(plan, folder)
        done = len(study.outcomes())

        def tell(outcome: Outcome) -> None:
            nonlocal done
            done += 1
            if told is not None:
                told(outcome, done, plan.places)

        if done < plan.places:
            with _pool(plan, jobs, cluster) as pool:
                Conductor(plan, study, pool, evaluation, tell).run()
        return standing_of(plan, study.outcomes())


def read_study(folder: Path) -> tuple[Plan, list[Outcome], Standing]:
    """A study as it stands, also while another process works on it.

    Raises:
        StudyFolderError: there is none.
        OptimiserMissingError: optuna is not installed.
    """
    plan = read_plan(folder)
    outcomes = read_outcomes(folder)
    return plan, outcomes, standing_of(plan, outcomes)


def best_of(folder: Path, standing: Standing) -> Outcome:
    """The best set.

    Raises:
        NothingFinishedError: there is none yet, with why the first one failed.
    """
    if standing.best is None:
        failures = [each.failure for each in read_outcomes(folder) if each.failure]
        raise NothingFinishedError(folder, len(failures), failures[0] if failures else "")
    return standing.best


def _pool(plan: Plan, jobs: int, cluster: str) -> AbstractContextManager[Pool]:
    if cluster:
        return cluster_pool(cluster, plan.setting.tapes)
    return local_pool(min(plan.places, jobs or len(os.sched_getaffinity(0))))
