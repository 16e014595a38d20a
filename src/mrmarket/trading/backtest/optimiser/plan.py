"""What a study is asked to do: everything it needs to go on after an interruption, and nothing else."""

from __future__ import annotations

import hashlib
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec

from mrmarket.core.errors import InvalidInputError
from mrmarket.core.whole_file import make_whole
from mrmarket.trading.backtest.optimiser.errors import StudyFolderError
from mrmarket.trading.backtest.optimiser.objective import check_objective
from mrmarket.trading.backtest.optimiser.space import Dimension, Point, grid_size, parameters_of
from mrmarket.trading.backtest.optimiser.splits import Fold
from mrmarket.trading.backtest.setting import BacktestSetting, Window

PLAN_FILE: Final = "plan.json"


class Method(StrEnum):
    """How the next set of parameters is chosen."""

    GRID = "grid"
    """Every point, in order."""
    RANDOM = "random"
    """Points drawn by seed and number: the same ones whatever the number of jobs."""
    BAYESIAN = "bayesian"
    """By a tree-structured Parzen estimator over what was seen; with several jobs by who was first, too."""


class EarlyStop(StrEnum):
    """When a set is given up before all its training windows have been run."""

    OFF = "off"
    MEDIAN = "median"
    """Once its mean so far is below the median of the others at the same fold."""


class Plan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A study. `folds` has at least one; each set of parameters is run on every training window."""

    version: Literal[1] = 1
    setting: BacktestSetting
    """Of every run, but for the searched parameters and the window."""
    space: tuple[Dimension, ...]
    method: Method = Method.BAYESIAN
    trials: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 50
    objective: str = "pnl_per_risk"
    folds: tuple[Fold, ...]
    early_stop: EarlyStop = EarlyStop.OFF
    seed: Annotated[int, msgspec.Meta(ge=0, lt=2**32)] = 1

    def __post_init__(self) -> None:
        check_objective(self.objective)
        if not self.folds or not self.space:
            raise InvalidInputError("plan", "", "at least one fold and one searched parameter")
        if self.method == Method.GRID:
            grid_size(self.space)

    @property
    def places(self) -> int:
        """How many sets are tried."""
        return min(self.trials, grid_size(self.space)) if self.method == Method.GRID else self.trials

    @property
    def is_walk_forward(self) -> bool:
        """Whether something was held out."""
        return any(fold.test is not None for fold in self.folds)

    @property
    def digest(self) -> str:
        """SHA-256 of all of it, in hex."""
        return hashlib.sha256(msgspec.json.encode(self, order="deterministic")).hexdigest()

    def run_of(self, point: Point, window: Window) -> BacktestSetting:
        """The setting of one run."""
        return msgspec.structs.replace(
            self.setting,
            parameters={**self.setting.parameters, **parameters_of(point)},
            window=window,
            snapshot="",
        )


def begin_study(plan: Plan, folder: Path) -> None:
    """Write the plan down, in a new folder or in the one of the very same study.

    Raises:
        StudyFolderError: there is something else in it, or it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / PLAN_FILE).exists() and any(folder.iterdir()):
            raise StudyFolderError(folder, "it is not empty and holds no study; name another folder")
        if make_whole(folder / PLAN_FILE, msgspec.json.format(msgspec.json.encode(plan), indent=2)):
            return
    except OSError as error:
        raise StudyFolderError(folder, f"it cannot be written ({error.strerror or error})") from error
    if read_plan(folder).digest != plan.digest:
        problem = (
            "it holds another study; go on with that by `mrmarket optimise resume`, or name another folder"
        )
        raise StudyFolderError(folder, problem)


def read_plan(folder: Path) -> Plan:
    """The plan of a study that was begun.

    Raises:
        StudyFolderError: there is none, or it cannot be read.
    """
    try:
        return msgspec.json.decode((folder / PLAN_FILE).read_bytes(), type=Plan)
    except FileNotFoundError:
        raise StudyFolderError(folder, f"it holds no study ({PLAN_FILE} is missing)") from None
    except (OSError, msgspec.DecodeError, InvalidInputError) as error:
        raise StudyFolderError(folder, f"{PLAN_FILE} cannot be read ({error})") from error
