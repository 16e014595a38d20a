"""The study: which sets were tried and what they scored, in optuna's SQLite storage, so that nothing is lost.

A set is written down once, when it is done. What was running when the process was killed is run again.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from mrmarket.trading.backtest.optimiser.errors import OptimiserMissingError, StudyFolderError
from mrmarket.trading.backtest.optimiser.objective import Figures, pooled, score_of
from mrmarket.trading.backtest.optimiser.plan import EarlyStop, Method, Plan
from mrmarket.trading.backtest.optimiser.space import (
    Choice,
    Dimension,
    Point,
    Range,
    Value,
    grid_point,
    random_point,
)
from mrmarket.trading.backtest.optimiser.trial import Outcome, Score, State

if TYPE_CHECKING:
    import optuna
    from optuna.distributions import BaseDistribution

STUDY_FILE: Final = "study.db"
_LOCK_FILE: Final = ".lock"
_NAME: Final = "mrmarket"
_OUTCOME: Final = "outcome"
_SEEN_BEFORE_STOPPING: Final = 4
"""Sets that are run to their end before any is given up."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """A set that is being tried."""

    place: int
    """Its number in the search, from 0."""
    point: Point
    trial: optuna.Trial | None
    """Optuna's own, where optuna chose the point."""


class Study:
    """Gives out the next set and keeps what came of it. One process at a time: see `locked`."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        """Open or make the study's database in `folder`.

        Raises:
            OptimiserMissingError: optuna is not installed.
        """
        self._plan = plan
        self._optuna = _library()
        optuna = self._optuna
        self._kept = optuna.create_study(
            storage=f"sqlite:///{(folder / STUDY_FILE).absolute()}",
            study_name=_NAME,
            load_if_exists=True,
            direction="maximize",
        )
        # Asking writes a dozen times a set; only what is done is worth a wait for the disk.
        self._study = optuna.create_study(direction="maximize")
        self._study.add_trials(self._kept.get_trials(deepcopy=False))
        self._distributions = {each.name: _distribution(optuna, each) for each in plan.space}
        self._pruner = (
            optuna.pruners.MedianPruner(n_startup_trials=_SEEN_BEFORE_STOPPING, n_warmup_steps=0)
            if plan.early_stop == EarlyStop.MEDIAN
            else optuna.pruners.NopPruner()
        )
        taken = {outcome.place for outcome in self.outcomes()}
        self._places = (place for place in range(plan.places) if place not in taken)
        # What was seen chooses what comes next: the random part must not repeat itself after a resume.
        self._study.sampler = optuna.samplers.TPESampler(seed=(plan.seed + 7_919 * len(taken)) % 2**32)

    def ask(self) -> Attempt | None:
        """The next set; None when all have been given out."""
        place = next(self._places, None)
        if place is None:
            return None
        if self._plan.method == Method.GRID:
            return Attempt(place, grid_point(self._plan.space, place), None)
        if self._plan.method == Method.RANDOM:
            return Attempt(place, random_point(self._plan.space, self._plan.seed, place), None)
        trial = self._study.ask(self._distributions)
        return Attempt(place, self._tidied(trial.params), trial)

    def is_hopeless(self, attempt: Attempt, train: Sequence[Score]) -> bool:
        """Whether a set is not worth its further folds."""
        states = self._optuna.trial.TrialState
        values = self._so_far(train)
        trial = self._optuna.trial.create_trial(
            state=states.RUNNING,
            params=attempt.point,
            distributions=self._distributions,
            intermediate_values=dict(enumerate(values)),
        )
        return bool(self._pruner.prune(self._study, trial))

    def tell(
        self, attempt: Attempt, state: State, train: Sequence[Score], test: Sequence[Score] = ()
    ) -> Outcome:
        """What came of a set, for good: it is on the disk when this returns."""
        values = self._so_far(train)
        outcome = Outcome(
            place=attempt.place,
            point=attempt.point,
            state=state,
            value=values[-1] if state is State.DONE else None,
            train=tuple(train),
            test=tuple(test),
        )
        states = self._optuna.trial.TrialState
        theirs = {State.DONE: states.COMPLETE, State.STOPPED: states.PRUNED, State.FAILED: states.FAIL}[state]
        told = self._optuna.trial.create_trial(
            state=theirs,
            value=values[-1] if values and state is not State.FAILED else None,
            params=attempt.point,
            distributions=self._distributions,
            user_attrs={_OUTCOME: msgspec.to_builtins(outcome)},
            intermediate_values=dict(enumerate(values)),
        )
        self._kept.add_trial(told)
        if attempt.trial is None:
            self._study.add_trial(told)
        else:
            for step, value in enumerate(values):
                attempt.trial.report(value, step)
            self._study.tell(attempt.trial, outcome.value, state=theirs)
        return outcome

    def outcomes(self) -> list[Outcome]:
        """Every set that is done with, by place."""
        return _outcomes(self._kept)

    def _so_far(self, scores: Sequence[Score]) -> list[float]:
        """The objective up to each fold, as far as runs have figures."""
        seen: list[Figures] = []
        values: list[float] = []
        for score in scores:
            if score.figures is None:
                break
            seen.append(score.figures)
            values.append(score_of(self._plan.objective, pooled(seen)))
        return values

    def _tidied(self, params: dict[str, Any]) -> Point:
        point: Point = {}
        for each in self._plan.space:
            value: Value = params[each.name]
            point[each.name] = each.near(float(value)) if isinstance(each, Range) else value
        return point


def read_outcomes(folder: Path) -> list[Outcome]:
    """Every set of a study that is done with, by place; none before the first.

    Raises:
        OptimiserMissingError: optuna is not installed.
    """
    file = folder / STUDY_FILE
    if not file.exists():
        return []
    return _outcomes(_library().load_study(study_name=_NAME, storage=f"sqlite:///{file.absolute()}"))


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep every other process from working on the same study; a killed one keeps nobody.

    Raises:
        StudyFolderError: another one is at it.
    """
    with (folder / _LOCK_FILE).open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StudyFolderError(folder, "another process is working on this study") from None
        yield


def _outcomes(study: optuna.Study) -> list[Outcome]:
    found = [
        msgspec.convert(trial.user_attrs[_OUTCOME], Outcome)
        for trial in study.get_trials(deepcopy=False)
        if _OUTCOME in trial.user_attrs and trial.state.is_finished()
    ]
    return sorted(found, key=lambda outcome: outcome.place)


def _distribution(library: Any, dimension: Dimension) -> BaseDistribution:
    distributions = library.distributions
    if isinstance(dimension, Choice):
        made: BaseDistribution = distributions.CategoricalDistribution(dimension.options)
    elif dimension.whole and dimension.step is not None:
        lowest, step = int(dimension.low), int(dimension.step)
        highest = lowest + step * ((dimension.steps or 1) - 1)
        made = distributions.IntDistribution(lowest, highest, step=step)
    elif dimension.step is not None:
        high = float(dimension.value((dimension.steps or 1) - 1))
        made = distributions.FloatDistribution(dimension.low, high, step=dimension.step)
    else:
        made = distributions.FloatDistribution(dimension.low, dimension.high, log=dimension.log)
    return made


def _library() -> Any:
    try:
        import optuna  # noqa: PLC0415 - an extra that only the laboratory needs
    except ImportError:
        raise OptimiserMissingError("optuna", "lab") from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna
