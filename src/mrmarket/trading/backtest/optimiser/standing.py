"""What a study came to: the best set, what it is worth where it was not tuned, and whether to believe it."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Final

import msgspec

from mrmarket.trading.backtest.optimiser.objective import Figures, pooled, score_of
from mrmarket.trading.backtest.optimiser.plan import Plan
from mrmarket.trading.backtest.optimiser.space import Point
from mrmarket.trading.backtest.optimiser.splits import Fold
from mrmarket.trading.backtest.optimiser.trial import Outcome, State

_FEW: Final = 5


class FoldWinner(msgspec.Struct, frozen=True, kw_only=True):
    """Who won a training window, and how it did on the window after it."""

    fold: Fold
    place: int
    point: Point
    train: Figures
    test: Figures
    train_score: float
    test_score: float
    median_test_score: float
    """Of all sets on that window: a winner below it was chosen by chance."""


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """The state of a study, finished or not."""

    done: int
    stopped: int
    failed: int
    planned: int
    best: Outcome | None
    """Highest objective on the training windows; the first of equals."""
    in_sample: Figures | None
    """The best set on all training windows."""
    winners: list[FoldWinner] = []
    """By fold."""
    in_sample_score: float | None = None
    """Of the folds' winners on what they won, pooled."""
    out_of_sample: Figures | None = None
    """The folds' winners on the windows after, pooled: what tuning this way would have earned."""
    out_of_sample_score: float | None = None
    rank_agreement: float | None = None
    """Spearman's correlation of the sets' training and test scores: 1 same order, 0 none."""
    hint: str = ""
    """Whether the scores mean anything, in a sentence or two."""


def standing_of(plan: Plan, outcomes: Sequence[Outcome]) -> Standing:
    """Sum a study up."""
    done = [each for each in outcomes if each.state is State.DONE]
    best = max(done, key=lambda each: (each.value or 0.0, -each.place), default=None)
    winners = _winners(plan, done)
    won = pooled(winner.train for winner in winners)
    kept = pooled(winner.test for winner in winners)
    agreement = _agreement(plan, done)
    standing = Standing(
        done=len(done),
        stopped=sum(each.state is State.STOPPED for each in outcomes),
        failed=sum(each.state is State.FAILED for each in outcomes),
        planned=plan.places,
        best=best,
        in_sample=None if best is None else best.trained,
        winners=winners,
        in_sample_score=score_of(plan.objective, won) if winners else None,
        out_of_sample=kept if winners else None,
        out_of_sample_score=score_of(plan.objective, kept) if winners else None,
        rank_agreement=agreement,
    )
    return msgspec.structs.replace(standing, hint=_hint(plan, standing))


def spearman(xs: Sequence[float], ys: Sequence[float]) -> float | None:
    """Correlation of the ranks, ties sharing theirs; None where one side has no differences."""
    a, b = _ranks(xs), _ranks(ys)
    mean = (len(a) + 1) / 2
    above = sum((x - mean) * (y - mean) for x, y in zip(a, b, strict=True))
    squares = sum((x - mean) ** 2 for x in a) * sum((y - mean) ** 2 for y in b)
    return above / squares**0.5 if squares > 0 else None


def _winners(plan: Plan, done: Sequence[Outcome]) -> list[FoldWinner]:
    winners = []
    place_of_test = 0
    for number, fold in enumerate(plan.folds):
        if fold.test is None:
            continue
        scored = []
        for each in done:
            train, test = each.train[number].figures, each.test[place_of_test].figures
            if train is not None and test is not None:
                scored.append((score_of(plan.objective, train), each, train, test))
        place_of_test += 1
        if not scored:
            continue
        score, outcome, train, test = max(scored, key=lambda row: (row[0], -row[1].place))
        tests = [score_of(plan.objective, row[3]) for row in scored]
        winners.append(
            FoldWinner(
                fold=fold,
                place=outcome.place,
                point=outcome.point,
                train=train,
                test=test,
                train_score=score,
                test_score=score_of(plan.objective, test),
                median_test_score=median(tests),
            )
        )
    return winners


def _agreement(plan: Plan, done: Sequence[Outcome]) -> float | None:
    pairs = [
        (each.value, score_of(plan.objective, tested))
        for each in done
        if each.value is not None and (tested := each.tested) is not None
    ]
    if len(pairs) < _FEW:
        return None
    return spearman([train for train, _ in pairs], [test for _, test in pairs])


def _hint(plan: Plan, standing: Standing) -> str:
    if standing.best is None:
        return "No set has been run to its end yet."
    if not plan.is_walk_forward:
        return (
            "Nothing was held out: this is the best fit to the past and says little about the future. "
            "Use --walk-forward."
        )
    parts = [_left(standing)]
    winners = standing.winners
    below = sum(winner.test_score <= winner.median_test_score for winner in winners)
    if 2 * below > len(winners):
        parts.append(
            f"In {below} of {len(winners)} folds the winner did no better than the median set afterwards."
        )
    agreement = standing.rank_agreement
    if agreement is not None:
        lasted = "did not last" if agreement < 0.2 else "lasted in part"  # noqa: PLR2004 - by eye, not a law
        parts.append(f"The order of the sets {lasted} (rank correlation {agreement:.2f}).")
    fills = standing.out_of_sample.fills if standing.out_of_sample is not None else 0
    if fills < 30:  # noqa: PLR2004 - the usual small sample
        parts.append(f"There were only {fills} fills on the held-out windows: too few to decide by.")
    return " ".join(parts)


def _left(standing: Standing) -> str:
    """How much of the training score there was afterwards."""
    inside, outside = standing.in_sample_score or 0.0, standing.out_of_sample_score or 0.0
    if standing.best is not None and not standing.best.trained.fills:
        return "The best set did not trade at all: every one that did lost where it was tuned."
    if inside <= 0:
        return "No set earned anything even where it was tuned."
    if outside <= 0:
        return "What won in training lost on the windows after: treat the scores as overfitted."
    only = "Only " if outside < inside / 2 else ""
    return f"{only}{outside / inside:.0%} of the training score was left on the windows after."


def _ranks(values: Sequence[float]) -> list[float]:
    order = sorted(range(len(values)), key=lambda index: values[index])
    ranks = [0.0] * len(values)
    start = 0
    while start < len(order):
        stop = start
        while stop + 1 < len(order) and values[order[stop + 1]] == values[order[start]]:
            stop += 1
        for index in order[start : stop + 1]:
            ranks[index] = (start + stop) / 2 + 1
        start = stop + 1
    return ranks
