"""SVG without words."""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ET

from mrmarket.trading.backtest.report.axis import named_axis, value_axis
from mrmarket.trading.backtest.report.chart import Bar, Line, bar_chart, legend, line_chart

AXIS = value_axis([0.0, 10.0])


def svg(html: str) -> ET.Element:
    """The drawing in a figure; fails where it is no well-formed XML."""
    found = re.search(r"<svg.*</svg>", html, re.DOTALL)
    assert found is not None
    return ET.fromstring(found[0])  # noqa: S314 - our own text


def paths(html: str, kind: str) -> list[str]:
    """The outlines of a class."""
    return [each.get("d", "") for each in svg(html) if (each.get("class") or "").startswith(kind)]


def test_a_line_is_drawn_in_the_charts_own_units() -> None:
    """A thousand wide, a hundred high, y upwards."""
    html = line_chart([Line("a", [0, 5, 10], [0, 10, 5])], AXIS, AXIS, label="Up and down")
    assert paths(html, "line c1") == ["M0 100L500 0L1000 50"]
    assert svg(html).get("aria-label") == "Up and down"


def test_steps_hold_a_value_until_the_next() -> None:
    """An inventory does not slide."""
    html = line_chart([Line("a", [0, 5, 10], [0, 10, 5], steps=True, fill=True)], AXIS, AXIS, label="")
    assert paths(html, "line") == ["M0 100H500V0H1000V50"]
    assert paths(html, "area") == ["M0 100H500V0H1000V50V100H0Z"]


def test_points_that_are_not_finite_are_left_out() -> None:
    """And a line of nothing else is not drawn."""
    html = line_chart(
        [Line("a", [0, 5, 10], [0, math.nan, 5]), Line("b", [1], [math.inf])], AXIS, AXIS, label=""
    )
    assert paths(html, "line") == ["M0 100L1000 50"]


def test_a_long_line_keeps_its_peaks() -> None:
    """Ten thousand points are thinned, the one that stands out stays."""
    ys = [1.0] * 10_000
    ys[7_777] = 10.0
    html = line_chart([Line("a", [x / 1_000 for x in range(10_000)], ys)], AXIS, AXIS, label="")
    (path,) = paths(html, "line")
    assert path.count("L") < 1_600
    assert re.search(r"L777\.7 0L", path)


def test_dots_and_whiskers_stand_where_they_are_measured() -> None:
    """A dot is a line of no length with round ends, so that stretching leaves it round."""
    html = line_chart(
        [Line("a", [5], [5], dots=True, joined=False)], AXIS, AXIS, label="", errors=[(5, 4, 6)]
    )
    assert paths(html, "dot") == ["M500 50h0"]
    assert paths(html, "whisker") == ["M500 60V40"]
    assert not paths(html, "line")


def test_bars_reach_from_their_low_to_their_high_end() -> None:
    """Also downwards; a name is escaped."""
    bars = [Bar("a<b", 0, 4, 1, "4 & up"), Bar("c", 4, 2, 2, "down")]
    html = bar_chart(bars, named_axis([bar.name for bar in bars]), AXIS, label="x")
    rects = [each for each in svg(html) if each.tag == "rect"]
    assert [(each.get("y"), each.get("height")) for each in rects] == [("60", "40"), ("60", "20")]
    assert "a&lt;b" in html
    assert rects[0][0].text == "4 & up"


def test_a_single_line_needs_no_key() -> None:
    """Its title says what it is."""
    assert legend([("one", 1)]) == ""
    assert legend([("one", 1), ("<two>", 2)]).count("<span>") == 2
    assert "&lt;two&gt;" in legend([("one", 1), ("<two>", 2)])
