"""The charts of a backtest: each takes passes (one for a queue model) and gives a figure, or nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Final

from mrmarket.trading.backtest.report.axis import amount, clock_axis, named_axis, value_axis
from mrmarket.trading.backtest.report.chart import Bar, Line, bar_chart, colour_of, legend, line_chart
from mrmarket.trading.backtest.report.page import figure
from mrmarket.trading.backtest.result import Curve, MarkoutRow, Pass, Totals

_BPS: Final = 10_000
_BINS: Final = 24
_MS: Final = 1_000_000

Named = tuple[str, Pass]
"""What a pass is called in a chart, and the pass."""


def equity(passes: Sequence[Named], unit: str) -> str:
    """PnL over time."""
    said = "PnL since the start, marked at the mid, after fees."
    return _over_time("Equity", said, passes, lambda curve: curve.pnl_quote, unit, fill=True, wide=True)


def drawdown(passes: Sequence[Named], unit: str) -> str:
    """How far the PnL is below its highest point so far."""
    said = "How far the PnL is below its highest point so far."
    return _over_time("Drawdown", said, passes, lambda curve: fallen(curve.pnl_quote), unit, fill=True)


def inventory(passes: Sequence[Named], unit: str) -> str:
    """Base held beyond what was held at the start."""
    said = "Base beyond what was held at the start."
    return _over_time("Inventory", said, passes, lambda curve: curve.base, unit, steps=True)


def spread(passes: Sequence[Named], unit: str) -> str:
    """What the fills were better than the mid of their moment, summed up."""
    said = "What the fills were better than the mid of their moment, summed up."
    return _over_time("Spread captured", said, passes, lambda curve: curve.spread_quote, unit)


def fees(passes: Sequence[Named], unit: str) -> str:
    """Fees less rebates, summed up."""
    return _over_time("Fees", "Paid so far, less rebates.", passes, lambda curve: curve.fees_quote, unit)


def mid_price(passes: Sequence[Named], unit: str) -> str:
    """The market itself."""
    curve = passes[0][1].curve
    if len(curve.at_ns) < 2:  # noqa: PLR2004 - a single point is no line
        return ""
    x, y = clock_axis(curve.at_ns[0], curve.at_ns[-1]), value_axis(curve.mid)
    line = Line("mid", [float(at) for at in curve.at_ns], curve.mid, colour=0)
    chart = line_chart([line], x, y, label=f"Mid price in {unit}", unit=unit, rules=())
    return figure("Mid price", chart, "The market that was traded, for comparison.")


def markouts(passes: Sequence[Named]) -> str:
    """How far the mid moved against the fills, by horizon."""
    known = [(name, each.markouts) for name, each in passes if each.markouts]
    if not known:
        return ""
    horizons = sorted({row.horizon_ns for _, rows in known for row in rows})
    x = named_axis([horizon_text(horizon) for horizon in horizons])
    place = {horizon: index + 0.5 for index, horizon in enumerate(horizons)}
    ends = [
        bound
        for _, rows in known
        for row in rows
        for bound in (_BPS * (row.mean - row.error), _BPS * (row.mean + row.error))
    ]
    lines = [
        Line(
            name,
            [place[row.horizon_ns] for row in rows],
            [_BPS * row.mean for row in rows],
            colour=colour_of(number),
            dots=True,
        )
        for number, (name, rows) in enumerate(known)
    ]
    chart = line_chart(
        lines,
        x,
        value_axis(ends, with_zero=True),
        label="Markout in basis points by horizon",
        unit="basis points; above 0 is a loss",
        errors=_whiskers(known[0][1], place),
    )
    said = (
        "Mean move of the mid against us after a fill; whiskers are one standard error of the first line. "
        "Where it exceeds the spread captured by a fill, fills cost money."
    )
    return figure("Markout", chart, said, key=_key(lines))


def captured(name: str, each: Pass) -> str:
    """How much better than the mid each fill was, as a histogram."""
    fills = each.fills
    values = [
        _BPS * float((mid - price) / mid) * (1 if side == "buy" else -1)
        for side, price, mid in zip(fills.side, fills.price, fills.mid, strict=True)
        if mid
    ]
    if not values:
        return ""
    x = value_axis(values, most=6, with_zero=True)
    width = (x.high - x.low) / _BINS
    counts = [0] * _BINS
    for value in values:
        counts[min(_BINS - 1, int((value - x.low) / width))] += 1
    bars = [
        Bar("", 0, count, 1, f"{amount(x.low + width * place, 3)} bp and more: {count} fills")
        for place, count in enumerate(counts)
    ]
    y = value_axis([float(count) for count in counts], with_zero=True)
    chart = bar_chart(bars, x, y, label="Fills by the spread they captured", unit="fills")
    said = f"Fills by how much better than the mid they were, in basis points ({name})."
    return figure("Spread captured by fill", chart, said)


def fills_over_time(passes: Sequence[Named]) -> str:
    """How many fills there have been."""
    lines = []
    for number, (name, each) in enumerate(passes):
        curve, at_ns = each.curve, each.fills.at_ns
        if len(curve.at_ns) < 2:  # noqa: PLR2004 - a single point is no line
            return ""
        xs = [curve.at_ns[0], *at_ns, max(curve.at_ns[-1], at_ns[-1] if at_ns else 0)]
        ys = [*range(len(at_ns) + 1), len(at_ns)]
        colour = colour_of(number)
        lines.append(Line(name, [float(x) for x in xs], [float(y) for y in ys], colour=colour, steps=True))
    first = passes[0][1].curve
    x = clock_axis(first.at_ns[0], first.at_ns[-1])
    y = value_axis([value for line in lines for value in line.ys], with_zero=True)
    chart = line_chart(lines, x, y, label="Number of fills over time", unit="fills")
    return figure("Fills", chart, "Counted from the start.", key=_key(lines))


def fill_ratios(passes: Sequence[Named]) -> str:
    """Shares of what was quoted that was filled."""
    known = [(name, each.totals.fill_ratio) for name, each in passes]
    if all(ratio is None for _, ratio in known):
        return ""
    bars = [
        Bar(name, 0.0, 100 * (ratio or 0.0), colour_of(number), f"{name}: {100 * (ratio or 0.0):.2f} %")
        for number, (name, ratio) in enumerate(known)
    ]
    y = value_axis([bar.high for bar in bars], with_zero=True)
    chart = bar_chart(
        bars, named_axis([_labelled(bar) for bar in bars]), y, label="Fill ratio", unit="per cent"
    )
    return figure("Fill ratio", chart, "Lots filled by lots placed.")


def waterfall(name: str, totals: Totals, unit: str) -> str:
    """Where the PnL comes from: spread and inventory, less fees, plus rebates."""
    parts = [
        ("spread", float(totals.spread_quote)),
        ("inventory", float(totals.inventory_quote)),
        ("fees", -float(totals.fees_quote)),
        ("rebates", float(totals.rebates_quote)),
    ]
    levels = [0.0, *accumulate(value for _, value in parts)]
    bars = [
        Bar(word, levels[place], levels[place + 1], 3 if value >= 0 else 6, f"{word}: {amount(value)} {unit}")
        for place, (word, value) in enumerate(parts)
    ]
    pnl = float(totals.pnl_quote)
    bars.append(Bar("PnL", 0.0, pnl, 1, f"PnL: {amount(pnl)} {unit}"))
    chart = bar_chart(
        bars,
        named_axis([_labelled(bar) for bar in bars]),
        value_axis([*levels, pnl], with_zero=True),
        label=f"PnL in {unit}, split into spread, inventory, fees and rebates",
        unit=unit,
    )
    said = f"From left to right, each bar begins where the one before it ends ({name})."
    return figure("Where the PnL comes from", chart, said)


def queues(passes: Sequence[Named], unit: str, *, title: str = "PnL by queue model") -> str:
    """PnL under each queue model, side by side."""
    if len(passes) < 2:  # noqa: PLR2004 - nothing beside it
        return ""
    bars = [
        Bar(
            name,
            0.0,
            float(each.totals.pnl_quote),
            colour_of(number),
            f"{name}: {amount(float(each.totals.pnl_quote))} {unit}",
        )
        for number, (name, each) in enumerate(passes)
    ]
    y = value_axis([bar.high for bar in bars], with_zero=True)
    chart = bar_chart(bars, named_axis([_labelled(bar) for bar in bars]), y, label=title, unit=unit)
    said = "The gap is what hangs on the model of the queue alone: nobody knows where cancels stood."
    return figure(title, chart, said if title == "PnL by queue model" else "")


def fallen(values: Sequence[float]) -> list[float]:
    """Each value less the highest so far, itself included."""
    return [value - high for value, high in zip(values, accumulate(values, max), strict=True)]


def horizon_text(horizon_ns: int) -> str:
    """Such as `100 ms`, `5 s`, `1 min`."""
    milliseconds = horizon_ns // _MS
    if milliseconds < 1_000:  # noqa: PLR2004 - of a second
        return f"{milliseconds} ms"
    seconds = milliseconds / 1_000
    return f"{seconds / 60:g} min" if seconds >= 60 else f"{seconds:g} s"  # noqa: PLR2004 - of a minute


def _over_time(
    title: str,
    said: str,
    passes: Sequence[Named],
    column: Callable[[Curve], Sequence[float]],
    unit: str,
    *,
    steps: bool = False,
    fill: bool = False,
    wide: bool = False,
) -> str:
    lines = [
        Line(
            name,
            [float(at) for at in each.curve.at_ns],
            column(each.curve),
            colour=colour_of(number),
            steps=steps,
            fill=fill and not number,
        )
        for number, (name, each) in enumerate(passes)
        if len(each.curve.at_ns) > 1
    ]
    if not lines:
        return ""
    first_ns = min(each.curve.at_ns[0] for _, each in passes if each.curve.at_ns)
    last_ns = max(each.curve.at_ns[-1] for _, each in passes if each.curve.at_ns)
    y = value_axis([value for line in lines for value in line.ys], with_zero=True)
    label = f"{title} over time in {unit}"
    chart = line_chart(lines, clock_axis(first_ns, last_ns), y, label=label, unit=f"{unit}, times UTC")
    return figure(title, chart, said, key=_key(lines), wide=wide)


def _labelled(bar: Bar) -> str:
    """Its name over its height."""
    return f"{bar.name}\n{amount(bar.high - bar.low)}"


def _whiskers(rows: Sequence[MarkoutRow], place: dict[int, float]) -> list[tuple[float, float, float]]:
    return [
        (place[row.horizon_ns], _BPS * (row.mean - row.error), _BPS * (row.mean + row.error))
        for row in rows
        if row.error
    ]


def _key(lines: Sequence[Line]) -> str:
    return legend((line.name, line.colour) for line in lines)
