"""What lies between two looks at a run, and what paper is worth."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mrmarket.core.clock import NS_PER_S
from mrmarket.core.events import RunStateChanged
from mrmarket.core.side import Side
from mrmarket.store.order_journal import OrderIntent
from mrmarket.trading.strategy.selection.roi import Outcome
from mrmarket.trading.strategy.shadow.journal import ForgetfulJournal
from mrmarket.trading.strategy.shadow.paper_ratio import PaperRatio
from mrmarket.trading.strategy.shadow.reading import Meter, Reading

FIRST = Reading(
    life="a",
    at_ns=100 * NS_PER_S,
    trading=True,
    profit=5.0,
    fees=1.0,
    capital=1_000.0,
    used=100.0,
    attempts=3,
    successes=2,
    volatility=0.001,
)
LATER = replace(FIRST, at_ns=110 * NS_PER_S, profit=7.0, fees=1.5, used=300.0, attempts=5, successes=3)


def test_an_outcome_is_what_changed_on_the_capital_there_was() -> None:
    """Profit before fees, fees as its cost, mean use, and counts since the last look."""
    meter = Meter()
    assert meter.take(FIRST) is None
    assert meter.take(LATER) == Outcome(
        at_ns=110 * NS_PER_S,
        seconds=10.0,
        profit=2.5,
        cost=0.5,
        locked=1_000.0,
        used=200.0,
        attempts=2,
        successes=1,
        volatility=0.001,
    )


@pytest.mark.parametrize(
    "second",
    [
        None,
        replace(LATER, life="b"),
        replace(LATER, trading=False),
        replace(LATER, at_ns=FIRST.at_ns),
        replace(LATER, at_ns=FIRST.at_ns + 601 * NS_PER_S),
    ],
)
def test_a_stretch_that_says_nothing_of_the_strategy_is_left_out(second: Reading | None) -> None:
    """Another life, a pause, no time, too much time; the next one counts again from there."""
    meter = Meter()
    meter.take(FIRST)
    assert meter.take(second) is None


def stretch(profit: float, at_s: int = 10) -> Outcome:
    """Ten seconds on a thousand."""
    return Outcome(at_ns=at_s * NS_PER_S, seconds=10, profit=profit, locked=1_000, used=0)


def test_paper_is_worth_what_was_assumed_until_it_was_measured() -> None:
    """Much evidence overrules the assumption, a little moves it, and more than live is never believed."""
    assert PaperRatio().worth(0.5) == 0.5
    ratio = PaperRatio()
    for number in range(2_000):
        ratio = ratio.after(stretch(0.2, number), stretch(1.0, number), 1e9)
    assert ratio.worth(0.5) == pytest.approx(0.2, abs=0.01)
    once = PaperRatio().after(stretch(0.2), stretch(1.0), 1e9)
    assert 0.45 < once.worth(0.5) < 0.5
    assert PaperRatio().after(stretch(9.0), stretch(1.0), 1e9).worth(0.5) > 0.5
    assert PaperRatio().after(stretch(9.0), stretch(-1.0), 1e9).worth(0.5) == 0.5
    assert PaperRatio().after(stretch(-9.0), stretch(1.0), 1e9).worth(0.0) == 0.0


def test_the_journal_of_a_shadow_keeps_open_orders_only() -> None:
    """A closed order is forgotten, numbers rise, and facts are handed back as written."""
    journal = ForgetfulJournal()
    intent = OrderIntent(
        stream="s",
        client_order_id="o1",
        symbol="BTC/USDT",
        slot="b1",
        side=Side.BUY,
        kind="limit",
        price_ticks=5,
        size_lots=7,
        created_ns=1,
    )
    journal.record_intents([intent])
    journal.record_report("o1", state="acked", venue_order_id="v1", filled_lots=3, at_ns=2)
    (record,) = journal.open_intents("s")
    assert (record.venue_order_id, record.filled_lots) == ("v1", 3)
    assert journal.open_intents("other") == []
    journal.record_report("o1", state="filled", filled_lots=7, at_ns=3)
    journal.record_report("o1", state="filled", filled_lots=7, at_ns=3)
    assert journal.open_intents("s") == []
    assert [journal.next_sequence("s"), journal.next_sequence("s")] == [1, 2]
    fact = RunStateChanged(venue="v", at_ns=1, symbol="BTC/USDT", state="running", reason="")
    assert [row.seq for row in journal.append_facts("s", [fact, fact])] == [1, 2]
