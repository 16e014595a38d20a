"""Triangles: found, priced, sized exactly, rounded to lots."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrmarket.core.instrument import Instrument
from mrmarket.core.side import Side
from mrmarket.trading.market.event import Level
from mrmarket.trading.strategy.triangular.cycles import Cycle, CycleIndex
from mrmarket.trading.strategy.triangular.sizing import (
    NoTriangle,
    SideBook,
    Triangle,
    best_amount,
    size,
    through,
)


def pair(
    base: str, quote: str, fee: str = "0", lot: str = "1", tick: str = "1", least: str = "0"
) -> Instrument:
    """A pair of one venue."""
    return Instrument(
        venue="one",
        symbol=f"{base}/{quote}",
        base=base,
        quote=quote,
        tick_size=Decimal(tick),
        lot_size=Decimal(lot),
        taker_fee=Decimal(fee),
        min_notional=Decimal(least),
    )


ABC = [pair("B", "A"), pair("C", "B"), pair("C", "A")]


def books(
    fee: str,
    ba: tuple[list[Level], list[Level]],
    cb: tuple[list[Level], list[Level]],
    ca: tuple[list[Level], list[Level]],
) -> dict[str, SideBook]:
    """Books of the three pairs, bids and asks."""
    sides = (ba, cb, ca)
    made = [pair(each.base, each.quote, fee) for each in ABC]
    return {each.symbol: SideBook(each, *side) for each, side in zip(made, sides, strict=True)}


def only(home: str, first: str) -> Cycle:
    """The triangle that begins with this pair."""
    (found,) = (each for each in CycleIndex(ABC, [home]).cycles if each.steps[0].symbol == first)
    return found


def test_every_triangle_is_found_once_in_each_direction() -> None:
    """Four assets that all trade with each other make four triangles in two directions each."""
    every = [pair(x, y) for x, y in ("BA", "CA", "DA", "CB", "DB", "DC")]
    index = CycleIndex(every)
    assert len(index.cycles) == 8
    assert len({(cycle.home, cycle.steps) for cycle in index.cycles}) == 8
    assert {cycle.home for cycle in index.cycles} == {"A", "B"}
    assert len(index.touching("D/C")) == 4
    assert index.touching("X/Y") == ()
    assert {cycle.home for cycle in CycleIndex(every, ["D", "C"]).cycles} == {"D", "C"}
    assert {cycle.home for cycle in CycleIndex(every, ["D"]).cycles} == {"D"}
    for cycle in index.cycles:
        assert len({step.symbol for step in cycle.steps}) == 3


def test_a_triangle_is_priced_at_the_touch() -> None:
    """Buy B with A at 2, C with B at 3, sell C for A at 7: 7/6, less three fees."""
    index = CycleIndex([pair(each.base, each.quote, "0.01") for each in ABC], ["A"])
    tops = {"B/A": (1, 2), "C/B": (2, 3), "C/A": (7, 8)}
    ((cycle, product),) = index.gaining("C/A", tops)
    assert [step.symbol for step in cycle.steps] == ["B/A", "C/B", "C/A"]
    assert product == Fraction(7, 6) * Fraction(99, 100) ** 3
    assert index.gaining("C/A", tops, Fraction(1, 5)) == []
    assert index.gaining("C/A", {"B/A": (1, 2)}) == []
    assert index.product(cycle, {**tops, "C/B": (0, 0)}) is None


def side(low: int, high: int) -> st.SearchStrategy[list[Level]]:
    """Some levels."""
    return st.lists(
        st.tuples(st.integers(low, high), st.integers(0, 6)),
        min_size=1,
        max_size=3,
        unique_by=lambda each: each[0],
    )


@given(
    ba=side(2, 4),
    cb=side(2, 4),
    ca=side(4, 16),
    fee=st.sampled_from(["0", "0.01", "0.1"]),
    held=st.integers(0, 60),
    margin=st.sampled_from([Fraction(0), Fraction(1, 10)]),
    share=st.sampled_from([Fraction(1), Fraction(1, 2)]),
)
def test_the_amount_is_the_best_of_all(
    ba: list[Level], cb: list[Level], ca: list[Level], fee: str, held: int, margin: Fraction, share: Fraction
) -> None:
    """No amount on a fine grid gains more, less the margin, than the one that the walk ends at."""
    found = books(fee, ([], sorted(ba)), ([], sorted(cb)), (sorted(ca, reverse=True), []))
    cycle = only("A", "B/A")
    amount, _ = best_amount(cycle, found, Fraction(held), margin=margin, depth_share=share)
    assert 0 <= amount <= held

    def gain(spent: Fraction) -> Fraction:
        out = spent
        for step in cycle.steps:
            out = through(found[step.symbol], step, out, share)
        return out - spent * (1 + margin)

    best = gain(amount)
    assert best >= 0
    assert all(gain(Fraction(each, 3)) <= best for each in range(3 * held + 1))
    sized = size(cycle, found, Fraction(held), margin=margin, depth_share=share)
    if isinstance(sized, Triangle):
        check(sized, found, Fraction(held), Decimal(fee), share)


def check(sized: Triangle, found: dict[str, SideBook], held: Fraction, fee: Decimal, share: Fraction) -> None:
    """Worked out again from the orders alone: each can be paid with what the one before brought."""
    purse = {"A": held}
    for leg in sized.legs:
        book = found[leg.symbol]
        instrument, left, notional = book.instrument, leg.size_lots, 0
        for price, lots in book.bids if leg.side is Side.SELL else book.asks:
            taken = min(left, int(lots * share))
            notional, left = notional + taken * price, left - taken
            if not left:
                assert price == leg.worst_ticks
                break
        assert left == 0
        kept = 1 - Fraction(fee)
        give, take = (
            (instrument.base, instrument.quote)
            if leg.side is Side.SELL
            else (instrument.quote, instrument.base)
        )
        paid = Fraction(leg.size_lots if leg.side is Side.SELL else notional)
        got = Fraction(notional if leg.side is Side.SELL else leg.size_lots) * kept
        purse[give] = purse.get(give, Fraction(0)) - paid
        assert purse[give] >= 0
        purse[take] = purse.get(take, Fraction(0)) + got
        assert got == leg.received
    assert purse["A"] - held == sized.profit > 0


def test_rounding_to_lots_may_eat_the_gain() -> None:
    """A gain that whole lots cannot carry is refused, and so is what the venue would not take."""
    cycle = only("A", "B/A")
    plain = books("0", ([], [(2, 3)]), ([], [(2, 9)]), ([(5, 9)], []))
    assert size(cycle, plain, Fraction(6)) == NoTriangle("rounding", Fraction(5, 4))
    whole = size(cycle, plain, Fraction(4))
    assert isinstance(whole, Triangle)
    assert [(leg.side, leg.size_lots) for leg in whole.legs] == [(Side.BUY, 2), (Side.BUY, 1), (Side.SELL, 1)]
    assert [int(each) for each in (whole.spent, whole.received, whole.profit)] == [4, 5, 1]
    assert size(cycle, plain, Fraction(1)) == NoTriangle("lot", Fraction(5, 4))
    dear = {
        key: SideBook(replace(each.instrument, min_notional=Decimal(100)), each.bids, each.asks)
        for key, each in plain.items()
    }
    assert size(cycle, dear, Fraction(4)) == NoTriangle("min_notional", Fraction(5, 4))


@pytest.mark.parametrize(
    ("bid", "held", "code"), [(4, 9, "no_edge"), (5, 0, "no_balance"), (None, 9, "empty_book")]
)
def test_each_refusal_has_its_word(bid: int | None, held: int, code: str) -> None:
    """No gain, nothing to spend, no book."""
    found = books("0", ([], [(2, 3)]), ([], [(2, 9)]), ([(bid, 9)] if bid else [], []))
    refused = size(only("A", "B/A"), found, Fraction(held))
    assert isinstance(refused, NoTriangle)
    assert refused.code == code
