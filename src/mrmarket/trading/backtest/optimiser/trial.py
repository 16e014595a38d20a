"""One run of one set of parameters, as small as it can be sent from the process that ran it."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from mrmarket.trading.backtest.optimiser.objective import Figures, pooled
from mrmarket.trading.backtest.optimiser.space import Point


class State(StrEnum):
    """What became of a set."""

    DONE = "done"
    STOPPED = "stopped"
    """Given up early: others were better on the same windows."""
    FAILED = "failed"


class Score(msgspec.Struct, frozen=True):
    """What a run came to."""

    figures: Figures | None
    """None where the run failed."""
    failure: str = ""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """A set that has been tried."""

    place: int
    """Its number in the search, from 0."""
    point: Point
    state: State
    value: float | None
    """The objective of the pooled training windows; None unless it was run on all of them."""
    train: tuple[Score, ...]
    """By fold; fewer where it was stopped or failed."""
    test: tuple[Score, ...] = ()
    """By fold. These never choose anything."""

    @property
    def failure(self) -> str:
        """Why it failed; empty otherwise."""
        return next((score.failure for score in (*self.train, *self.test) if score.failure), "")

    @property
    def trained(self) -> Figures:
        """The training windows, pooled."""
        return _pooled(self.train)

    @property
    def tested(self) -> Figures | None:
        """The held-out windows, pooled; None where there is none, or a run failed."""
        return _pooled(self.test) if self.test and all(score.figures for score in self.test) else None


def _pooled(scores: tuple[Score, ...]) -> Figures:
    return pooled(score.figures for score in scores if score.figures is not None)
