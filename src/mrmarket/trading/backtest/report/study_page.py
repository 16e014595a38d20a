"""A study on one page: what was tried, what it scored, and whether the scores last."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import log10
from pathlib import PurePath
from typing import Final

from mrmarket.trading.backtest.optimiser.objective import Figures, score_of
from mrmarket.trading.backtest.optimiser.plan import Plan
from mrmarket.trading.backtest.optimiser.space import Choice, Dimension, Range, written
from mrmarket.trading.backtest.optimiser.standing import Standing
from mrmarket.trading.backtest.optimiser.trial import Outcome, State
from mrmarket.trading.backtest.report.axis import Axis, Mark, amount, named_axis, value_axis
from mrmarket.trading.backtest.report.chart import Line, legend, line_chart
from mrmarket.trading.backtest.report.page import (
    Fact,
    facts,
    figure,
    figures,
    heading,
    page,
    paragraph,
    table,
    verbatim,
)
from mrmarket.trading.backtest.report.tearsheet import title_text
from mrmarket.trading.backtest.setting import Window

_ROWS: Final = 50
"""Sets in the table; `trials.json` has them all."""


def study_page(
    plan: Plan, outcomes: Sequence[Outcome], standing: Standing, *, look_ahead: str = "", command: str = ""
) -> str:
    """The whole page. `look_ahead` is the outcome of that check in words, `command` what goes on with it."""
    title = f"Parameters of {plan.setting.strategy}"
    done = [each for each in outcomes if each.state is State.DONE]
    return page(
        title,
        [
            f"<h1>{title_text(title)}</h1>",
            paragraph(_where(plan), "dim"),
            facts(_facts(plan, standing)),
            paragraph(standing.hint, "warn"),
            figures([_progress(done), _lasting(plan, done), *(_slice(each, done) for each in plan.space)]),
            *_walk(standing),
            heading("Sets"),
            paragraph(
                f"The best {min(_ROWS, len(done)):,} of {len(done):,}, by their training score.", "dim"
            ),
            _sets(plan, done),
            *_failures(outcomes),
            heading("What it rests on"),
            table(["", ""], _rests(plan, look_ahead)),
            verbatim(command) if command else "",
        ],
    )


def span(window: Window) -> str:
    """A window as shares of the tape's time."""
    return f"{window.begin:.0%} to {window.end:.0%}"


def _where(plan: Plan) -> str:
    tapes = ", ".join(PurePath(tape.path).name for tape in plan.setting.tapes)
    folds = sum(fold.test is not None for fold in plan.folds)
    held = f"{folds} walk-forward folds" if folds else "nothing held out"
    return f"{plan.method} search for the highest {plan.objective} on {tapes}; {held}."


def _facts(plan: Plan, standing: Standing) -> Iterator[Fact]:
    yield Fact("sets", f"{standing.done:,}", f"of {standing.planned:,}")
    yield Fact("given up early", f"{standing.stopped:,}")
    yield Fact("failed", f"{standing.failed:,}", tone="bad" if standing.failed else "")
    if standing.best is not None:
        yield Fact("best training score", amount(standing.best.value), plan.objective)
    if standing.out_of_sample_score is not None:
        score = standing.out_of_sample_score
        yield Fact("score on held-out windows", amount(score), tone="good" if score > 0 else "bad")
    if standing.out_of_sample is not None:
        yield Fact(
            "PnL on held-out windows", amount(standing.out_of_sample.pnl), _fills(standing.out_of_sample)
        )
    if standing.rank_agreement is not None:
        yield Fact("rank correlation", amount(standing.rank_agreement, 2), "training with held-out")


def _progress(done: Sequence[Outcome]) -> str:
    if not done:
        return ""
    xs = [float(each.place + 1) for each in done]
    ys = [each.value or 0.0 for each in done]
    best: list[float] = []
    for value in ys:
        best.append(max(value, best[-1]) if best else value)
    lines = [
        Line("each set", xs, ys, colour=0, dots=True, joined=False),
        Line("best so far", xs, best, colour=1, steps=True),
    ]
    chart = line_chart(
        lines, value_axis(xs), value_axis(ys), label="Training score of each set", x_unit="number of the set"
    )
    return figure("Training scores", chart, key=legend((line.name, line.colour) for line in lines), wide=True)


def _lasting(plan: Plan, done: Sequence[Outcome]) -> str:
    pairs = [
        (each.value, score_of(plan.objective, tested))
        for each in done
        if each.value is not None and (tested := each.tested) is not None
    ]
    if not pairs:
        return ""
    xs, ys = [train for train, _ in pairs], [test for _, test in pairs]
    chart = line_chart(
        [Line("sets", xs, ys, dots=True, joined=False)],
        value_axis(xs),
        value_axis(ys, with_zero=True),
        label="Held-out score by training score",
        unit="score on the windows after",
        x_unit="training score",
    )
    said = (
        "Where training means something, the points rise to the right; a cloud without a direction is chance."
    )
    return figure("Does it last?", chart, said)


def _slice(dimension: Dimension, done: Sequence[Outcome]) -> str:
    if not done:
        return ""
    ys = [each.value or 0.0 for each in done]
    x, xs = _across(dimension, done)
    chart = line_chart(
        [Line(dimension.name, xs, ys, dots=True, joined=False)],
        x,
        value_axis(ys),
        label=f"Training score by {dimension.name}",
        unit="training score",
    )
    return figure(
        dimension.name, chart, "Logarithmic." if isinstance(dimension, Range) and dimension.log else ""
    )


def _across(dimension: Dimension, done: Sequence[Outcome]) -> tuple[Axis, list[float]]:
    values = [each.point[dimension.name] for each in done]
    if isinstance(dimension, Choice):
        names = [str(option) for option in dimension.options]
        return named_axis(names), [names.index(str(value)) + 0.5 for value in values]
    numbers = [float(value) for value in values]
    if dimension.log:
        return _log_axis(dimension, numbers)
    return value_axis([dimension.low, dimension.high]), numbers


def _log_axis(dimension: Range, numbers: Sequence[float]) -> tuple[Axis, list[float]]:
    low, high = log10(dimension.low), log10(dimension.high)
    steps = 4
    ends = [low + (high - low) * step / steps for step in range(steps + 1)]
    marks = tuple(Mark(step / steps, amount(10**end, 2)) for step, end in enumerate(ends))
    return Axis(low, high, marks), [log10(number) for number in numbers]


def _walk(standing: Standing) -> Iterator[str]:
    if not standing.winners:
        return
    yield heading("Walk-forward")
    yield paragraph(
        "Each row was chosen on its training window and then run on the window after it, once.", "dim"
    )
    rows = [
        [
            span(winner.fold.train),
            span(winner.fold.test) if winner.fold.test is not None else "",
            amount(winner.train_score),
            amount(winner.test_score),
            amount(winner.median_test_score),
            amount(winner.test.pnl),
            f"{winner.test.fills:,}",
            written(winner.point),
        ]
        for winner in standing.winners
    ]
    heads = [
        "tuned on",
        "reported on",
        "score tuned",
        "score after",
        "median set after",
        "PnL after",
        "fills",
        "set",
    ]
    yield table(heads, rows, numbers=range(2, 7))


def _sets(plan: Plan, done: Sequence[Outcome]) -> str:
    order = sorted(done, key=lambda each: (-(each.value or 0.0), each.place))[:_ROWS]
    rows = []
    for each in order:
        tested = each.tested
        rows.append(
            [
                f"{each.place + 1}",
                amount(each.value),
                amount(None if tested is None else score_of(plan.objective, tested)),
                amount(each.trained.pnl),
                amount(each.trained.exposure),
                f"{each.trained.fills:,}",
                written(each.point),
            ]
        )
    heads = ["no.", "training score", "held-out score", "PnL", "mean exposure", "fills", "set"]
    return table(heads, rows, numbers=range(6), marked=0)


def _failures(outcomes: Sequence[Outcome]) -> Iterator[str]:
    failed = [each for each in outcomes if each.state is State.FAILED]
    if failed:
        yield heading("Failed")
        yield table(["set", "why"], [[written(each.point), each.failure] for each in failed[:_ROWS]])


def _rests(plan: Plan, look_ahead: str) -> list[list[str]]:
    rows = [["look-ahead", look_ahead]] if look_ahead else []
    rows += [
        ["queue model", ", ".join(each.label for each in plan.setting.queue)],
        ["early stop", str(plan.early_stop)],
        ["seed", str(plan.seed)],
        ["digest of the plan", plan.digest],
    ]
    return rows + [[f"SHA-256 of {PurePath(tape.path).name}", tape.sha256] for tape in plan.setting.tapes]


def _fills(run: Figures) -> str:
    return f"by {run.fills:,} fills"
