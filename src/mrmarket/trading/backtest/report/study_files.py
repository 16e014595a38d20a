"""The files of a study: its page and every set in JSON; with the last check of the one that is to be run."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from mrmarket.trading.backtest.bar_file import is_bar_file
from mrmarket.trading.backtest.optimiser.errors import LookAheadError
from mrmarket.trading.backtest.optimiser.look_ahead import check_look_ahead
from mrmarket.trading.backtest.optimiser.plan import Plan
from mrmarket.trading.backtest.optimiser.search import read_study
from mrmarket.trading.backtest.optimiser.standing import Standing
from mrmarket.trading.backtest.report.study_page import study_page

PAGE: Final = "study.html"
TRIALS: Final = "trials.json"


@dataclass(frozen=True, slots=True)
class Finished:
    """What was written, and what the check for look-ahead said."""

    files: tuple[Path, ...]
    look_ahead: str
    """In words."""
    look_ahead_error: str
    """Empty where it was passed, or could not be made."""


def finish(folder: Path) -> Finished:
    """Check the best set for look-ahead and write the report of a study.

    Raises:
        StudyFolderError, OptimiserMissingError: as `read_study`.
        TapeError, BacktestError: the best set cannot be run any more.
        OSError: the folder cannot be written.
    """
    plan, outcomes, standing = read_study(folder)
    words, error = _checked(plan, standing)
    command = f"mrmarket optimise best {shlex.quote(str(folder))} --toml"
    html = study_page(plan, outcomes, standing, look_ahead=words, command=command)
    (folder / PAGE).write_text(html, encoding="utf-8")
    (folder / TRIALS).write_bytes(msgspec.json.format(msgspec.json.encode(outcomes), indent=2))
    return Finished((folder / PAGE, folder / TRIALS), words, error)


def _checked(plan: Plan, standing: Standing) -> tuple[str, str]:
    if standing.best is None:
        return "no set to check for look-ahead", ""
    window = plan.folds[-1].test or plan.folds[-1].train
    if is_bar_file(plan.setting.tapes[0].path):
        return "not checked for look-ahead: only recorded books are", ""
    try:
        passed = check_look_ahead(plan.run_of(standing.best.point, window))
    except LookAheadError as error:
        return str(error), str(error)
    return (
        f"no look-ahead: {passed.decisions:,} decisions are the same without their future and with another",
        "",
    )
