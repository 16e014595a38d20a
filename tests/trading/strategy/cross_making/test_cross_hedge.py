"""The hedge of a maker's fills: never more than was filled, never less than the venue takes, never twice."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mrmarket.core.clock import NS_PER_S
from mrmarket.core.instrument import Instrument
from mrmarket.core.side import Side
from mrmarket.trading.execution.leg_pair import PairState, hedge
from mrmarket.trading.execution.legs import Ended, Halt, LegRules, LegStage, Send, Tick, decide
from mrmarket.trading.execution.risk.pretrade import MarketTop
from mrmarket.trading.strategy.arbitrage.common_grid import common_grid
from mrmarket.trading.strategy.cross_making.hedge import HEDGE, MAKER, Hedge, hedge_due

HERE = Instrument(
    venue="here",
    symbol="BTC/USDT",
    base="BTC",
    quote="USDT",
    tick_size=Decimal("0.1"),
    lot_size=Decimal("0.001"),
)
THERE = replace(HERE, venue="there", tick_size=Decimal("0.5"), lot_size=Decimal("0.002"), min_lots=3)
TOP = MarketTop(100_000, 100_010)
OTHER = MarketTop(20_000, 20_004)
RULES = LegRules(retries=1, unwind_retries=1, carries=True)


def due(owed: str, there: Instrument = THERE) -> Hedge | None:
    """The hedge of so much base."""
    grid = common_grid(HERE, there)
    return hedge_due(Fraction(Decimal(owed)), grid, (HERE, there), TOP, OTHER)


def begun(found: Hedge | None, rules: LegRules = RULES) -> tuple[PairState, Send]:
    """The machine with its first order out."""
    assert found is not None
    state, (send,) = decide(hedge(found.plan, rules, found.units, 0), Tick(0))
    assert isinstance(send, Send)
    return state, send


def test_fills_are_gathered_until_the_venue_takes_them() -> None:
    """Below its lots or its least notional nothing is sent; then all whole lots go, the rest is carried."""
    assert due("0.0059") is None
    assert due("0.008", replace(THERE, min_notional=Decimal(81))) is None
    assert due("0") is None
    state, send = begun(due("0.0079"))
    assert (send.place, send.side, send.size_lots, send.price_ticks) == (HEDGE, Side.SELL, 3, 19_980)
    state, actions = decide(state, Ended(1, send.slot, -6))
    assert state.stage is LegStage.DONE
    assert not any(isinstance(action, Send) for action in actions)
    _, send = begun(due("-0.0081"))
    assert (send.side, send.size_lots, send.price_ticks) == (Side.BUY, 4, 20_024)


def test_what_is_left_below_the_least_is_carried_and_not_undone() -> None:
    """Four of five lots pass on, the fifth is less than the venue takes: the machine is done with it."""
    state, send = begun(due("0.01"))
    state, actions = decide(state, Ended(1, send.slot, -8))
    assert (state.stage, state.held) == (LegStage.DONE, 2)
    assert [type(action).__name__ for action in actions] == ["Finish"]
    arbitrage = replace(RULES, carries=False)
    state, send = begun(due("0.01"), arbitrage)
    state, actions = decide(state, Ended(1, send.slot, -8))
    assert state.stage is LegStage.UNWIND


def test_a_hedge_that_finds_nobody_is_undone_where_it_was_quoted_and_then_halts() -> None:
    """One further attempt a band beyond, then back on the quoted venue, then the owner is told."""
    state, send = begun(due("0.01"))
    sent = [send]
    for at in range(1, 9):
        state, actions = decide(state, Ended(at, sent[-1].slot, 0, "nobody"))
        sent += [action for action in actions if isinstance(action, Send)]
        if state.is_over:
            break
    assert [(each.place, each.side) for each in sent] == [
        (HEDGE, Side.SELL),
        (HEDGE, Side.SELL),
        (MAKER, Side.SELL),
        (MAKER, Side.SELL),
    ]
    assert sent[1].price_ticks < sent[0].price_ticks
    assert state.stage is LegStage.HALTED
    assert [action.held for action in actions if isinstance(action, Halt)] == [10]


def test_less_than_a_lot_is_refused_by_the_machine_too() -> None:
    """Whoever asks for it: nothing is sent."""
    found = due("0.01")
    assert found is not None
    state = hedge(found.plan, RULES, 1, 0)
    assert state.stage is LegStage.REFUSED
    assert decide(state, Tick(NS_PER_S)) == (state, ())


@settings(max_examples=120, deadline=None)
@given(
    fills=st.lists(st.integers(-30, 30), min_size=1, max_size=25),
    shares=st.lists(st.integers(0, 10), min_size=80, max_size=80),
    lot=st.sampled_from(["0.001", "0.002", "0.0025"]),
    least=st.integers(1, 5),
)
@example(fills=[-30], shares=[0, 1, *[10] * 78], lot="0.0025", least=1)
def test_never_more_is_hedged_than_was_filled(
    fills: list[int], shares: list[int], lot: str, least: int
) -> None:
    """Whatever trades of each order, what is owed never changes its sign by a hedge, and never grows."""
    there = replace(THERE, lot_size=Decimal(lot), min_lots=least)
    grid = common_grid(HERE, there)
    lots = grid.lot_units
    owed, answers = 0, iter(shares)
    for number, fill in enumerate(fills):
        owed += fill * lots[MAKER]
        while found := hedge_due(owed * grid.size_unit, grid, (HERE, there), TOP, OTHER):
            assert abs(found.units) <= abs(owed)
            assert found.units * owed > 0
            state, actions = decide(hedge(found.plan, RULES, found.units, number), Tick(number))
            while sends := [action for action in actions if isinstance(action, Send)]:
                (send,) = sends
                done = send.size_lots * next(answers, 10) // 10 * send.side.sign * lots[send.place]
                assert abs(owed + done) <= abs(owed)
                assert (owed + done) * owed >= 0
                owed += done
                state, actions = decide(state, Ended(number, send.slot, done))
            if state.stage is LegStage.HALTED:
                break
        else:
            # Nothing is due: what is left is less than the hedge venue takes.
            assert abs(owed) < least * lots[HEDGE]


@pytest.mark.parametrize("sign", [1, -1])
def test_an_order_that_is_undone_goes_back_on_the_quoted_venue(sign: int) -> None:
    """A bid's fill is sold back near the best bid, an ask's bought back near the best ask."""
    found = due(str(Decimal("0.01") * sign))
    assert found is not None
    first = found.plan.first
    assert first.venue == MAKER
    assert first.price_ticks == (TOP.bid_ticks if sign > 0 else TOP.ask_ticks)
    assert found.units == 10 * sign
