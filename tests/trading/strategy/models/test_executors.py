"""TWAP, cost averaging and the triple barrier: what is due, what ends them, and what they never do."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_stage import at, by_slot, filled, later, shown, strategy, terms
from mrmarket.core.side import Side
from mrmarket.trading.execution.targets import TargetQuotes
from mrmarket.trading.strategy.models.triple_barrier import EXIT
from mrmarket.trading.strategy.port import Strategy
from mrmarket.trading.venue.port import OrderKind

TWAP = {"amount": "1", "duration_s": 100, "slices": 4}


def size(result: TargetQuotes) -> int:
    """Lots of the one order; 0 for none."""
    assert len(result.quotes) <= 1
    return sum(quote.size_lots for quote in result.quotes)


def test_slices_become_due_one_after_the_other() -> None:
    """A quarter at once and one more each 25 seconds; never more than the whole."""
    made = strategy("twap", **TWAP)
    due = [size(made.quotes(later(seconds))) for seconds in (0, 24, 25, 50, 75, 500)]
    assert due == [25_000, 25_000, 50_000, 75_000, 100_000, 100_000]


def test_it_waits_at_the_touch_of_its_own_side() -> None:
    """A buy at the best bid, a sale at the best ask, post-only."""
    assert shown(strategy("twap", **TWAP).quotes(later(0))) == [("x1", "buy", "59999.5", "0.25")]
    sale = strategy("twap", **TWAP, side="sell")
    assert shown(sale.quotes(later(0))) == [("x1", "sell", "60000.5", "0.25")]
    assert (sale.name, sale.order_kind, sale.symbol) == ("twap", OrderKind.POST_ONLY, "BTC/USDT")


def test_fills_count_also_those_of_an_earlier_life() -> None:
    """Ahead of its schedule it waits; filled it is done and never begins again."""
    made = strategy("twap", **TWAP)
    made.on_past_fill(Side.BUY, 6_000_000, 20_000)
    assert size(made.quotes(later(0))) == 5_000
    filled(made, Side.BUY, 6_000_000, 5_000, slot="x1")
    assert made.quotes(later(1)).reason == "ahead of its schedule: 0.25 of 1 bought"
    filled(made, Side.BUY, 6_000_000, 75_000, slot="x1")
    for seconds in (2, 1_000):
        result = made.quotes(later(seconds))
        assert (result.quotes, result.reason) == ((), "done: 1 of 1 bought")


def test_the_rest_that_no_venue_takes_is_done() -> None:
    """What is smaller than the least order is not waited for."""
    made = strategy("twap", **TWAP)
    filled(made, Side.BUY, 6_000_000, 99_999, slot="x1")
    assert made.quotes(later(1)).reason == "done: 0.99999 of 1 bought"


def test_it_crosses_only_at_the_deadline_and_only_if_allowed() -> None:
    """Then it takes what the book offers, inside its band and its limit; else it goes on waiting."""
    assert shown(strategy("twap", **TWAP).quotes(later(0)))[0][2] == "59999.5"
    patient = strategy("twap", **TWAP)
    patient.quotes(later(0))
    assert shown(patient.quotes(later(101)))[0][2] == "59999.5"
    taking = strategy("twap", **TWAP, cross_at_deadline=True, cross_band="0.001")
    assert taking.order_kind is OrderKind.LIMIT
    assert shown(taking.quotes(later(0)))[0][2] == "59999.5"
    assert shown(taking.quotes(later(101)))[0] == ("x1", "buy", "60060.5", "1")
    limited = strategy("twap", **TWAP, cross_at_deadline=True, limit_price="60010")
    limited.quotes(later(0))
    assert shown(limited.quotes(later(101)))[0][2] == "60010"
    sale = strategy("twap", **TWAP, side="sell", cross_at_deadline=True, limit_price="60100")
    sale.quotes(later(0))
    assert shown(sale.quotes(later(101)))[0][2] == "60100"


def test_a_limit_holds_while_waiting() -> None:
    """A buy never stands above it."""
    assert shown(strategy("twap", **TWAP, limit_price="59000").quotes(later(0)))[0][2] == "59000"


def test_cost_averaging_is_one_order_an_interval() -> None:
    """What one interval leaves open is added to the next; after the last one nothing is added."""
    made = strategy("dca", order_amount="0.1", orders=3, interval_s=60)
    assert [size(made.quotes(later(seconds))) for seconds in (0, 59, 60, 120, 9_999)] == [
        10_000,
        10_000,
        20_000,
        30_000,
        30_000,
    ]
    filled(made, Side.BUY, 6_000_000, 30_000, slot="x1")
    assert made.quotes(later(10_000)).reason == "done: 0.3 of 0.3 bought"


@given(st.sampled_from(["twap", "dca"]), st.lists(st.floats(0, 10_000), min_size=2, max_size=6))
def test_what_is_due_never_falls(name: str, times: list[float]) -> None:
    """Time only adds to it, and it never exceeds the whole."""
    made = strategy(name)
    made.quotes(later(0))
    due = [size(made.quotes(later(seconds))) for seconds in sorted(times)]
    assert due == sorted(due)
    assert due[-1] <= 10_000


def barrier(**changes: Any) -> Strategy:
    """Buys 0.01 at the touch; profit and loss at twenty basis points, an hour."""
    return strategy("triple_barrier", **changes)


def entered(**changes: Any) -> Strategy:
    """The same, in position at 60,000."""
    made = barrier(**changes)
    made.quotes(later(0))
    filled(made, made.parameters.side, 6_000_000, 1_000, slot="e1")  # type: ignore[attr-defined]  # ours has them
    return made


def test_it_enters_at_the_touch_and_then_asks_its_profit() -> None:
    """The entry is gone once it is filled; the take profit rests."""
    made = barrier()
    assert shown(made.quotes(later(0))) == [("e1", "buy", "59999.5", "0.01")]
    made = entered()
    assert shown(made.quotes(later(1))) == [(EXIT, "sell", "60120", "0.01")]
    filled(made, Side.SELL, 6_012_000, 1_000, slot=EXIT)
    assert made.quotes(later(2)).reason == "done: closed by take profit"


def test_a_part_filled_entry_is_protected_too() -> None:
    """The exit is for what was filled, and the rest of the entry goes on waiting."""
    made = barrier()
    made.quotes(later(0))
    filled(made, Side.BUY, 6_000_000, 400, slot="e1", closes=False)
    assert [(slot, lots) for slot, _, _, lots in shown(made.quotes(later(1)))] == [
        ("e1", "0.006"),
        (EXIT, "0.004"),
    ]


@pytest.mark.parametrize(
    ("changes", "path", "why"),
    [
        ({}, [(1, 5_987_900)], "stop loss"),
        ({}, [(1, 6_000_000), (3_602, 6_000_000)], "time limit"),
        (
            {"take_profit": "0.01", "trailing_activation": "0.003", "trailing_distance": "0.001"},
            [(1, 6_030_000), (2, 6_020_000)],
            "trailing stop",
        ),
    ],
)
def test_each_barrier_closes_the_position(
    changes: dict[str, Any], path: list[tuple[float, int]], why: str
) -> None:
    """By taking what the book offers inside the band, and it is never taken back."""
    made = entered(**changes)
    for seconds, mid in path:
        result = made.quotes(at(mid, seconds=seconds))
    quote = by_slot(result)[EXIT]
    assert quote.why == f"{why}: takes what the book offers"
    assert quote.price_ticks < path[-1][1] - 50
    back = made.quotes(at(6_011_000, seconds=9_999))
    assert by_slot(back)[EXIT].why.startswith(why)
    filled(made, Side.SELL, quote.price_ticks, 1_000, slot=EXIT)
    assert made.quotes(at(6_000_000, seconds=10_000)).reason == f"done: closed by {why}"


def test_a_trailing_stop_sleeps_before_its_activation() -> None:
    """A small profit that is lost again closes nothing."""
    made = entered(trailing_activation="0.003", trailing_distance="0.0005")
    made.quotes(at(6_010_000, seconds=1))
    assert by_slot(made.quotes(at(6_001_000, seconds=2)))[EXIT].why == "take profit waits for its price"


def test_after_part_of_the_profit_the_stop_still_holds() -> None:
    """What the take profit has not sold is stopped like the whole, and nothing more is entered."""
    made = entered()
    filled(made, Side.SELL, 6_012_000, 400, slot=EXIT, closes=False)
    result = made.quotes(at(5_980_000, seconds=5))
    assert [(each.slot, each.size_lots) for each in result.quotes] == [(EXIT, 600)]
    assert by_slot(result)[EXIT].why.startswith("stop loss")


def test_an_entry_that_nobody_fills_is_given_up() -> None:
    """After its time there is nothing left to do."""
    made = barrier(entry_time_s=60, entry_price="59000")
    assert shown(made.quotes(later(0))) == [("e1", "buy", "59000", "0.01")]
    assert made.quotes(later(61)).reason == "done: the entry was given up, nothing was filled"


def test_a_sale_is_bought_back() -> None:
    """Everything the other way round."""
    made = entered(side="sell")
    assert shown(made.quotes(later(1))) == [(EXIT, "buy", "59880", "0.01")]
    stopped = made.quotes(at(6_013_000, seconds=2))
    assert by_slot(stopped)[EXIT].price_ticks > 6_013_050
    assert terms(by_slot(stopped)[EXIT])["profit now"] == "-21.75"
    assert shown(barrier(side="sell", entry_price="61000").quotes(later(0))) == [
        ("e1", "sell", "61000", "0.01")
    ]


def test_without_a_take_profit_only_the_other_barriers_close() -> None:
    """Nothing rests while the position is open."""
    made = entered(take_profit=None)
    result = made.quotes(later(1))
    assert (result.quotes, result.reason) == ((), "in position: 0.01 entered, 0.01 held")


def test_dust_that_cannot_be_closed_is_named() -> None:
    """A rest below the venue's least order stays, and the reason says how much."""
    made = entered()
    filled(made, Side.SELL, 6_012_000, 999, slot=EXIT)
    reason = made.quotes(later(1)).reason
    assert reason == "done: closed by take profit; 0.00001 is smaller than the venue takes"


@given(
    st.sampled_from(["buy", "sell"]),
    st.lists(st.tuples(st.integers(5_900_000, 6_100_000), st.integers(1, 400)), max_size=25),
)
def test_exits_never_exceed_what_is_held(side: str, steps: list[tuple[int, int]]) -> None:
    """Whatever is filled and wherever the price goes: one exit at most, for at most the position."""
    made = barrier(side=side, trailing_activation="0.001")
    for second, (mid, lots) in enumerate(steps):
        result = made.quotes(at(mid, seconds=second))
        exits = [quote for quote in result.quotes if quote.slot == EXIT]
        held = made.position.held_lots  # type: ignore[attr-defined]  # ours has it
        assert sum(quote.size_lots for quote in exits) <= max(0, held)
        assert {quote.side for quote in exits} <= {Side(side).opposite}
        for quote in result.quotes:
            if lots % 3:
                filled(made, quote.side, quote.price_ticks, min(lots, quote.size_lots), slot=quote.slot)


@pytest.mark.parametrize(
    ("name", "given", "word"),
    [
        ("twap", {"slices": 0}, ">= 1"),
        ("twap", {"amount": 0}, "above 0"),
        ("twap", {"side": "hold"}, "Invalid enum value"),
        ("dca", {"interval_s": -1}, "> 0"),
        ("triple_barrier", {"stop_loss": None, "time_limit_s": None}, "one must end it"),
        ("triple_barrier", {"take_profit": "-0.1"}, "above 0"),
    ],
)
def test_parameters_out_of_range_are_refused(name: str, given: dict[str, Any], word: str) -> None:
    """With what would be accepted."""
    with pytest.raises(msgspec.ValidationError, match=word):
        strategy(name, **given)


def test_what_the_engine_asks_of_a_barrier() -> None:
    """It takes and rests, so its orders are plain limit orders."""
    made = barrier()
    assert (made.name, made.symbol, made.order_kind) == ("triple_barrier", "BTC/USDT", OrderKind.LIMIT)
    assert made.inventory_target == Decimal("0.5")
    assert made.rules.refresh_ns == 1_000_000_000
    assert strategy("twap").rules.refresh_ns == 2_000_000_000
    assert strategy("twap").inventory_target == Decimal("0.5")
