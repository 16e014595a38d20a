"""One backtest on one page."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import msgspec
import pytest

from laboratory_results import made_up_result
from mrmarket.trading.backtest.report.plots import fallen, horizon_text
from mrmarket.trading.backtest.report.tearsheet import captured_bps, tearsheet, title_text, word
from mrmarket.trading.backtest.result import Curve, Failure, Fills, Pass, Totals
from mrmarket.trading.backtest.setting import RISK_AVERSE


class Words(HTMLParser):
    """What a page says, and the titles of its figures."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.titles: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self._tag = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Remember what can load something."""
        self._tag = tag
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        """Collect text."""
        self.words.append(data)
        if self._tag == "h3":
            self.titles.append(data)

    @property
    def text(self) -> str:
        """All of it."""
        return " ".join(self.words)


def test_a_tear_sheet_has_every_figure() -> None:
    """Equity to fill ratio, with both queue models beside each other."""
    read = Words(tearsheet(made_up_result()))
    assert read.titles == [
        "Equity",
        "Where the PnL comes from",
        "PnL by queue model",
        "Drawdown",
        "Inventory",
        "Mid price",
        "Spread captured",
        "Spread captured by fill",
        "Markout",
        "Fees",
        "Fills",
        "Fill ratio",
    ]
    assert "queue power:2" in read.text


def test_a_tear_sheet_needs_nothing_but_itself() -> None:
    """No script, no address, no picture, no style from elsewhere."""
    html = tearsheet(made_up_result())
    assert not re.search(r"<(script|link|img|iframe)|https?:|@import|url\(", html)
    assert not {"src", "href"} & {name for name, _ in Words(html).attributes}


def test_a_tear_sheet_says_what_it_rests_on() -> None:
    """Every assumption, the parameters, the snapshot, the digest, and the command that repeats it."""
    result = made_up_result(parameters={"gamma": 0.25})
    text = Words(tearsheet(result)).text
    for each in result.assumptions:
        assert each.name in text
        assert each.meaning in text
    for needed in ("gamma", "0.25", result.setting.snapshot, result.digest, "ab" * 32):
        assert needed in text
    assert "mrmarket backtest run --from report.json" in text
    assert "the volatility is not known yet" in text
    assert "price_band" in text


def test_a_failed_run_says_so_at_its_head() -> None:
    """With the code, the moment and the message, escaped."""
    failure = Failure(
        code="strategy_raised", message="KeyError: <b>", at_ns=1_723_100_100_000_000_000, decision=7
    )
    html = tearsheet(made_up_result(failure=failure))
    assert 'class="warn"' in html
    assert "KeyError: &lt;b&gt;" in html
    assert "after 7 decisions" in html


def test_a_run_without_a_fill_still_has_a_page() -> None:
    """Dashes where there is no figure, and no histogram of nothing."""
    quiet = made_up_result(fills=0, queue=(RISK_AVERSE,))
    bare = msgspec.structs.replace(quiet, passes=[Pass(queue="risk_averse", totals=Totals())])
    read = Words(tearsheet(bare))
    assert read.titles == ["Where the PnL comes from"]
    assert "–" in read.text
    drawn = Words(tearsheet(quiet))
    assert "Spread captured by fill" not in drawn.titles
    assert "PnL by queue model" not in drawn.titles
    assert "Equity" in drawn.titles


def test_a_curve_of_one_point_is_not_drawn() -> None:
    """A run that failed at once has nothing to join."""
    result = made_up_result(queue=(RISK_AVERSE,))
    point = Curve(at_ns=[1], mid=[1.0], base=[0.0], pnl_quote=[0.0], spread_quote=[0.0], fees_quote=[0.0])
    short = msgspec.structs.replace(result.passes[0], curve=point, fills=Fills())
    assert "Equity" not in Words(tearsheet(msgspec.structs.replace(result, passes=[short]))).titles


def test_drawdown_is_measured_from_the_highest_point_so_far() -> None:
    """Never above zero."""
    assert fallen([0.0, 2.0, 1.0, 3.0, 3.0, -1.0]) == [0, 0, -1, 0, 0, -4]


@pytest.mark.parametrize(
    ("horizon_ns", "text"),
    [(100_000_000, "100 ms"), (5_000_000_000, "5 s"), (1_500_000_000, "1.5 s"), (60_000_000_000, "1 min")],
)
def test_horizons_are_named_in_their_own_unit(horizon_ns: int, text: str) -> None:
    """Milliseconds, seconds, minutes."""
    assert horizon_text(horizon_ns) == text


def test_values_are_written_for_people() -> None:
    """Nothing is a dash, yes and no are words, lists are JSON."""
    assert [word(value) for value in (None, True, False, [1, "a"], 0.5)] == [
        "–",
        "yes",
        "no",
        '[1,"a"]',
        "0.5",
    ]
    assert title_text("a-b<c&d") == "a&#8209;b&lt;c&amp;d"
    assert captured_bps(Totals()) is None
