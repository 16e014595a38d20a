"""Charts as inline SVG that stretches with the page.

The drawing has no words: it is stretched to the width of its place, which would stretch them too. Figures and
titles stand around it as HTML, in their own size on a phone and on a desk.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from mrmarket.trading.backtest.report.axis import Axis, Mark

COLOURS: Final = 8
"""Lines that can be told apart; further ones begin anew."""
_POINTS: Final = 400
"""Buckets of a line: each keeps its first, lowest, highest and last point, so no peak is lost."""
_NEAR_THE_END: Final = 0.98
"""Figures beyond it are drawn in, so that they stay on their card."""
_WIDEST: Final = 160
"""Of a bar, in thousandths of the chart's width."""


@dataclass(frozen=True, slots=True)
class Line:
    """Points to be joined; x does not decrease. Points that are not finite are left out."""

    name: str
    xs: Sequence[float]
    ys: Sequence[float]
    colour: int = 1
    """1 to `COLOURS`, or 0 for the colour of what is beside the point."""
    steps: bool = False
    """Whether a value holds until the next one, as an inventory does."""
    fill: bool = False
    """Whether the area to zero is shaded."""
    dots: bool = False
    """Whether each point is shown."""
    joined: bool = True
    """Whether the points are joined."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of a waterfall or a comparison: from one height to another."""

    name: str
    low: float
    high: float
    colour: int
    title: str
    """What it says when pointed at."""


def line_chart(
    lines: Sequence[Line],
    x: Axis,
    y: Axis,
    *,
    label: str,
    unit: str = "",
    x_unit: str = "",
    errors: Sequence[tuple[float, float, float]] = (),
    rules: Iterable[float] = (0.0,),
) -> str:
    """Lines over one another. `errors` are whiskers (x, low, high), `rules` heights of horizontal lines.

    `label` says in words what is seen, for whoever does not see it.
    """
    drawn = [_grid(x, y, rules)]
    drawn += [
        f'<path class="whisker" d="M{_px(x, at)} {_py(y, low)}V{_py(y, high)}"/>' for at, low, high in errors
    ]
    for line in lines:
        points = _thinned([p for p in zip(line.xs, line.ys, strict=True) if all(map(math.isfinite, p))])
        if not points:
            continue
        if line.fill:
            drawn.append(f'<path class="area c{line.colour}" d="{_area(points, x, y, steps=line.steps)}"/>')
        if line.joined:
            drawn.append(f'<path class="line c{line.colour}" d="{_path(points, x, y, steps=line.steps)}"/>')
        if line.dots or not line.joined:
            dots = "".join(f"M{_px(x, at)} {_py(y, value)}h0" for at, value in points)
            drawn.append(f'<path class="dot c{line.colour}" d="{dots}"/>')
    return _figure("".join(drawn), x.marks, y.marks, label=label, unit=unit, x_unit=x_unit)


def bar_chart(bars: Sequence[Bar], x: Axis, y: Axis, *, label: str, unit: str = "") -> str:
    """Bars side by side, each from its `low` to its `high`."""
    width = 1000 / max(1, len(bars))
    shown = min(0.78 * width, _WIDEST)
    drawn = [_grid(x, y, (0.0,), upright=False)]
    for place, bar in enumerate(bars):
        top, bottom = sorted((y.share(bar.low), y.share(bar.high)), reverse=True)
        height = max(0.4, 100 * (top - bottom))
        drawn.append(
            f'<rect class="bar c{bar.colour}" x="{_short(width * (place + 0.5) - shown / 2)}" '
            f'y="{_short(100 * (1 - top))}" width="{_short(shown)}" height="{_short(height)}">'
            f"<title>{escape(bar.title)}</title></rect>"
        )
    return _figure("".join(drawn), x.marks, y.marks, label=label, unit=unit, x_unit="")


def legend(named: Iterable[tuple[str, int]]) -> str:
    """Which colour is what; nothing for a single line, whose title says it."""
    each = list(named)
    if len(each) < 2:  # noqa: PLR2004 - one line needs no key
        return ""
    marks = "".join(f'<span><i class="c{colour}"></i>{escape(name)}</span>' for name, colour in each)
    return f'<p class="key">{marks}</p>'


def colour_of(place: int) -> int:
    """The colour of the first, second … line."""
    return place % COLOURS + 1


def _figure(
    drawn: str, x_marks: Sequence[Mark], y_marks: Sequence[Mark], *, label: str, unit: str, x_unit: str
) -> str:
    ys = "".join(
        f'<span style="bottom:{_short(100 * mark.share)}%">{escape(mark.text)}</span>' for mark in y_marks
    )
    longest = max((len(mark.text) for mark in y_marks), default=1)
    tall = " tall" if any("\n" in mark.text for mark in x_marks) else ""
    xs = "".join(
        f'<span style="left:{_short(100 * mark.share)}%"{" class=end" if mark.share > _NEAR_THE_END else ""}>'
        f"{escape(mark.text).replace(chr(10), '<br>')}</span>"
        for mark in x_marks
    )
    head = f'<p class="unit">{escape(unit)}</p>' if unit else ""
    tail = f'<p class="unit xunit">{escape(x_unit)}</p>' if x_unit else ""
    return (
        f'{head}<div class="chart" style="--y:{longest + 1}ch"><div class="ys">{ys}</div>'
        f'<svg viewBox="0 0 1000 100" preserveAspectRatio="none" role="img" aria-label="{escape(label)}">'
        f'{drawn}</svg><div class="xs{tall}">{xs}</div></div>{tail}'
    )


def _grid(x: Axis, y: Axis, rules: Iterable[float], *, upright: bool = True) -> str:
    flat = "".join(f"M0 {_short(100 * (1 - mark.share))}H1000" for mark in y.marks)
    tall = "".join(f"M{_short(1000 * mark.share)} 0V100" for mark in x.marks) if upright else ""
    heavy = "".join(f"M0 {_py(y, rule)}H1000" for rule in rules if y.low <= rule <= y.high)
    rule = f'<path class="rule" d="{heavy}"/>' if heavy else ""
    return f'<path class="grid" d="{flat}{tall}"/>{rule}'


def _path(points: Sequence[tuple[float, float]], x: Axis, y: Axis, *, steps: bool) -> str:
    (first_x, first_y), *rest = points
    parts = [f"M{_px(x, first_x)} {_py(y, first_y)}"]
    for at, value in rest:
        parts.append(f"H{_px(x, at)}V{_py(y, value)}" if steps else f"L{_px(x, at)} {_py(y, value)}")
    return "".join(parts)


def _area(points: Sequence[tuple[float, float]], x: Axis, y: Axis, *, steps: bool) -> str:
    floor = _py(y, min(max(0.0, y.low), y.high))
    return f"{_path(points, x, y, steps=steps)}V{floor}H{_px(x, points[0][0])}Z"


def _thinned(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """At most four points for each bucket of the width, the extremes among them."""
    if len(points) <= 4 * _POINTS:
        return points
    first, last = points[0][0], points[-1][0]
    scale = _POINTS / (last - first) if last > first else 0.0
    kept: list[tuple[float, float]] = []
    bucket: list[tuple[float, float]] = []
    number = 0
    for point in points:
        now = int((point[0] - first) * scale)
        if now != number and bucket:
            kept += _corners(bucket)
            bucket = []
        number = now
        bucket.append(point)
    return kept + _corners(bucket)


def _corners(bucket: list[tuple[float, float]]) -> list[tuple[float, float]]:
    places = {
        0,
        len(bucket) - 1,
        min(range(len(bucket)), key=lambda place: bucket[place][1]),
        max(range(len(bucket)), key=lambda place: bucket[place][1]),
    }
    return [bucket[place] for place in sorted(places)]


def _px(x: Axis, value: float) -> str:
    return _short(1000 * x.share(value))


def _py(y: Axis, value: float) -> str:
    return _short(100 * (1 - y.share(value)))


def _short(value: float) -> str:
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
