"""Whoever knows the future is found out."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from laboratory_peeking import peeking_registry
from laboratory_searches import TAPE, plan_of, short_tape
from mrmarket.trading.backtest.optimiser.errors import LookAheadError
from mrmarket.trading.backtest.optimiser.look_ahead import _compare, check_look_ahead, mirrored
from mrmarket.trading.backtest.setting import BacktestSetting, Window
from mrmarket.trading.market.book import OrderBook
from mrmarket.trading.market.event import EventKind
from mrmarket.trading.market.tape import open_tape

EARLY = Window(begin=0.2, end=0.8)


@pytest.fixture(scope="module")
def tape(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dozen seconds of a market."""
    return short_tape(tmp_path_factory.mktemp("tape"))


def setting(strategy: str, tape: Path) -> BacktestSetting:
    """A short run."""
    return msgspec.structs.replace(plan_of(tape=tape).setting, strategy=strategy, window=EARLY)


def test_an_honest_strategy_decides_the_same_without_its_future(tape: Path) -> None:
    """Pure market making sees what was."""
    passed = check_look_ahead(setting("pure_market_making", tape))
    assert passed.decisions > 10


def test_a_strategy_that_reads_the_recording_is_found_out(tape: Path) -> None:
    """Its first decision that knew too much is named, with what it would have been."""
    cheat = msgspec.structs.replace(setting("peeking", tape), parameters={"tape": str(tape), "ahead_s": 3.0})
    with pytest.raises(LookAheadError, match="looks ahead: with the future removed") as caught:
        check_look_ahead(cheat, registry=peeking_registry())
    assert caught.value.at_ns > 0
    assert caught.value.whole != caught.value.cut


def test_a_mirrored_market_is_a_market() -> None:
    """Up to the cut nothing changes; afterwards the book is uncrossed and moves the other way."""
    tape = open_tape(Path(TAPE))
    events = list(tape.events())
    cut_ns = events[len(events) // 2].exchange_ns
    before = [event for event in events if event.exchange_ns < cut_ns]
    made = list(mirrored(tape, cut_ns))
    assert made[: len(before)] == before
    assert made[len(before)].kind is EventKind.SNAPSHOT
    straight, mirror = OrderBook(tape.instrument), OrderBook(tape.instrument)
    for event in before:
        straight.apply(event)
        mirror.apply(event)
    bid, ask = straight.best_bid, straight.best_ask
    assert bid is not None
    assert ask is not None
    around = bid[0] + ask[0]
    mirror.apply(made[len(before)])
    for event, other in zip(events[len(before) :], made[len(before) + 1 :], strict=True):
        if event.kind in {EventKind.SNAPSHOT, EventKind.DEPTH}:
            straight.apply(event)
            mirror.apply(other)
    bid, ask = straight.best_bid, straight.best_ask
    other_bid, other_ask = mirror.best_bid, mirror.best_ask
    assert bid is not None
    assert ask is not None
    assert other_bid == (around - ask[0], ask[1])
    assert other_ask == (around - bid[0], bid[1])


def test_a_decision_more_or_less_is_a_difference() -> None:
    """Also where all others agree."""
    one, two = (1, (("b1", "buy", 100, 1),)), (2, ())
    _compare("removed", [one, two], [one, two])
    with pytest.raises(LookAheadError, match=r"at 2 ns of the run: nothing, where it was no quotes"):
        _compare("removed", [one, two], [one])
    with pytest.raises(LookAheadError, match=r"b1 buy 1 at 100, where it was nothing"):
        _compare("altered", [], [one])
