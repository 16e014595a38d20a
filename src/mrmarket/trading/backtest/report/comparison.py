"""Backtests beside one another: what was set differently, what came out, and the curves over each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from mrmarket.trading.backtest.report import plots
from mrmarket.trading.backtest.report.page import figures, heading, page, paragraph, table
from mrmarket.trading.backtest.report.plots import Named
from mrmarket.trading.backtest.report.tearsheet import queue_name, rows_of, word
from mrmarket.trading.backtest.result import BacktestResult


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """Results side by side; every list has one entry for each, in the order given."""

    names: list[str]
    differences: dict[str, list[str]]
    """Settings that are not the same in all of them, by their path."""
    rows: dict[str, list[str]]
    """Totals of the headline pass, in words."""


def compared(named: Sequence[tuple[str, BacktestResult]]) -> Comparison:
    """Put results side by side. Names that come twice get a number."""
    names = _told_apart([name for name, _ in named])
    flat = [_flat("", msgspec.to_builtins(result.setting)) for _, result in named]
    paths = dict.fromkeys(path for each in flat for path in each)
    columns = {path: [word(each.get(path)) for each in flat] for path in paths}
    columns["queue of the totals"] = [queue_name(result.passes[0].queue) for _, result in named]
    totals = [rows_of(result.totals) for _, result in named]
    return Comparison(
        names=names,
        differences={path: row for path, row in columns.items() if len(set(row)) > 1},
        rows={name: [each[name] for each in totals] for name in totals[0]},
    )


def comparison_page(named: Sequence[tuple[str, BacktestResult]]) -> str:
    """The whole page."""
    comparison = compared(named)
    passes: list[Named] = [
        (name, result.passes[0]) for name, (_, result) in zip(comparison.names, named, strict=True)
    ]
    quote, base = named[0][1].instrument.quote, named[0][1].instrument.base
    numbers = range(1, len(named) + 1)
    return page(
        "Backtests compared",
        [
            "<h1>Backtests compared</h1>",
            paragraph("Each by its headline pass, the first queue model of its setting.", "dim"),
            heading("What was set differently"),
            table(["", *comparison.names], [[path, *row] for path, row in comparison.differences.items()])
            if comparison.differences
            else paragraph("Nothing."),
            heading("What came out"),
            table(
                ["", *comparison.names],
                [[name, *row] for name, row in comparison.rows.items()],
                numbers=numbers,
            ),
            heading("Over one another"),
            figures(
                [
                    plots.equity(passes, quote),
                    plots.drawdown(passes, quote),
                    plots.inventory(passes, base),
                    plots.spread(passes, quote),
                    plots.markouts(passes),
                    plots.fees(passes, quote),
                    plots.fills_over_time(passes),
                    plots.fill_ratios(passes),
                    plots.queues(passes, quote, title="PnL"),
                ]
            ),
        ],
    )


def _flat(path: str, value: Any) -> dict[str, Any]:
    if isinstance(value, dict) and value:
        inner = [_flat(f"{path}.{key}" if path else key, each) for key, each in value.items()]
        return {name: each for part in inner for name, each in part.items()}
    if isinstance(value, list) and any(isinstance(each, dict) for each in value):
        return _flat(path, {str(place): each for place, each in enumerate(value, 1)})
    return {path: value}


def _told_apart(names: Sequence[str]) -> list[str]:
    return [
        f"{name} ({names[:place].count(name) + 1})" if names.count(name) > 1 else name
        for place, name in enumerate(names)
    ]
