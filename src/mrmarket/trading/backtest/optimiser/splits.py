"""Walk-forward: tune on a window, report on the one after it, move on. Windows are shares of the time."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from mrmarket.core.errors import InvalidInputError
from mrmarket.trading.backtest.setting import Window


class Walk(StrEnum):
    """How the training window moves."""

    ROLLING = "rolling"
    """It keeps its length: the distant past is forgotten."""
    ANCHORED = "anchored"
    """It keeps its beginning: it grows with each fold."""


class Fold(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is tuned on, and what comes right after it and is only reported."""

    train: Window
    test: Window | None
    """None: nothing was held out, and no score says what the set is worth elsewhere."""


def walk_forward(
    folds: int, *, walk: Walk = Walk.ROLLING, train_share: float = 0.5, whole: Window | None = None
) -> tuple[Fold, ...]:
    """The folds of a window. Test windows are equally long, follow one another and end where `whole` ends.

    `train_share` is the part of `whole` before the first test window. A rolling training window keeps that
    length, an anchored one grows.

    Raises:
        InvalidInputError: there is no such walk.
    """
    whole = whole or Window()
    if whole.begin_ns is not None or whole.end_ns is not None:
        raise InvalidInputError("window", "in nanoseconds", "shares of the tape's time, such as 0:0.8")
    if not 1 <= folds <= 100:  # noqa: PLR2004 - beyond it no fold has anything in it
        raise InvalidInputError("walk-forward", folds, "1 to 100 folds")
    if not 0.05 <= train_share <= 0.95:  # noqa: PLR2004 - what is left for either would be nothing
        raise InvalidInputError("train-share", train_share, "a share from 0.05 to 0.95")
    span = whole.end - whole.begin
    edges = [
        whole.begin + span * (train_share + (1 - train_share) * number / folds) for number in range(folds)
    ]
    edges.append(whole.end)
    length = edges[0] - whole.begin
    return tuple(
        Fold(
            Window(
                begin=whole.begin if walk is Walk.ANCHORED else max(whole.begin, edges[number] - length),
                end=edges[number],
            ),
            Window(begin=edges[number], end=edges[number + 1]),
        )
        for number in range(folds)
    )
