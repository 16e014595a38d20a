"""Scores and payouts: worked out by hand, and what holds for all of them."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace as changed

from mrmarket.campaigns.offer import Measure, Offer
from mrmarket.core.errors import InvalidInputError
from mrmarket.money.rewards.campaign import Span
from mrmarket.partners.hufi.score import (
    SCALE,
    Standing,
    TradeMade,
    cycle_units,
    held_standing,
    net_fund,
    payouts,
    pool_units,
    tally,
    to_units,
    traded_standing,
)
from partners.hufi.hufi_stage import CYCLE_MS, START_MS, offer, trade

TRADED = [measure for measure in Measure if measure.is_traded]


def standing(address: str, score: int, result: str) -> Standing:
    """A standing with its result in whole quote units."""
    return Standing(address, score, int(Decimal(result) * SCALE))


def test_weights_by_hand() -> None:
    """100 as maker count 100, 100 bought as taker 42, 100 sold as taker 10; the volume is 300."""
    trades = [trade(0, "100"), trade(1, "100", maker=False), trade(2, "100", maker=False, buy=False)]
    found = tally(trades, Span(START_MS, START_MS + CYCLE_MS), 0)
    assert (found.score, found.volume_units) == (152 * 100 * SCALE, 300 * SCALE)


def test_window_is_half_open_and_begins_with_joining() -> None:
    """A trade at the cycle's start counts, one at its end does not, nor one before we joined."""
    cycle = Span(START_MS, START_MS + CYCLE_MS)
    trades = [trade(0, "1"), trade(10, "2"), trade(CYCLE_MS - 1, "4"), trade(CYCLE_MS, "8")]
    assert tally(trades, cycle, 0).volume_units == 7 * SCALE
    assert tally(trades, cycle, START_MS + 10).volume_units == 6 * SCALE
    assert tally(trades, cycle, START_MS + 11).volume_units == 4 * SCALE


def test_shared_volume_by_hand() -> None:
    """900 in three cycles are 300 each; 500 of 1000 volume pay half of it, 150, split 2 : 1."""
    found = [standing("a", 200, "300"), standing("b", 100, "200")]
    assert (cycle_units(offer()), pool_units(offer(), found)) == (300, 150)
    assert payouts(offer(), found) == {"a": 100, "b": 50}


def test_cutting_leaves_dust_in_the_escrow() -> None:
    """100 units among three who are level are 33 each; one unit stays."""
    found = [standing(name, 1, "1000") for name in "abc"]
    assert payouts(offer(fund_units=302), found) == {"a": 33, "b": 33, "c": 33}


def test_more_than_the_target_pays_no_more() -> None:
    """Five times the volume pays the same pool."""
    assert pool_units(offer(), [standing("a", 1, "5000")]) == 300


def test_the_last_cycle_is_short_and_worth_as_much() -> None:
    """Two and a half cycles are three: each is worth a third of the fund."""
    short = offer(end_ms=START_MS + 2 * CYCLE_MS + 1)
    assert (short.cycles, cycle_units(short)) == (3, 300)
    assert short.cycle(2) == Span(START_MS + 2 * CYCLE_MS, START_MS + 2 * CYCLE_MS + 1)


def test_competition_by_hand() -> None:
    """Prizes of 50, 30 and 20 per cent go by score; who is below the minimum volume gets none."""
    ranked = offer(Measure.RANKED_VOLUME)
    found = [
        standing("third", 5, "1000"),
        standing("first", 9, "2000"),
        standing("small", 99, "999"),
        standing("second", 7, "1000"),
        standing("fourth", 1, "1000"),
    ]
    assert payouts(ranked, found) == {"first": 150, "second": 90, "third": 60}


def test_prizes_count_by_size_not_by_place() -> None:
    """A list that begins with the smallest is sorted."""
    upside_down = offer(Measure.RANKED_VOLUME, prizes=(Decimal(20), Decimal(30), Decimal(50)))
    assert payouts(upside_down, [standing("a", 2, "1000"), standing("b", 1, "1000")]) == {"a": 150, "b": 90}


@pytest.mark.parametrize(
    ("scores", "parts"),
    [
        ((9, 9, 1), (120, 120, 60)),
        ((9, 5, 5), (150, 75, 75)),
        ((9, 5, 5, 5), (150, 50, 50, 50)),
        ((5, 5, 5), (100, 100, 100)),
        ((9, 8, 7, 7), (150, 90, 30, 30)),
    ],
)
def test_ties_share_the_slots_that_they_take(scores: tuple[int, ...], parts: tuple[int, ...]) -> None:
    """Level scores pool their slots, also where a slot is beyond the last prize."""
    found = [standing(str(place), score, "1000") for place, score in enumerate(scores)]
    paid = payouts(offer(Measure.RANKED_VOLUME), found)
    assert tuple(paid.values()) == parts


def test_nobody_with_the_minimum_means_no_pool() -> None:
    """A competition in which nobody trades enough pays nothing."""
    found = [standing("a", 5, "999.999999")]
    assert pool_units(offer(Measure.RANKED_VOLUME), found) == 0
    assert payouts(offer(Measure.RANKED_VOLUME), found) == {}


def test_thresholds_of_volume_by_hand() -> None:
    """Two of three slots filled pay two thirds of the cycle, half each, whatever their volumes."""
    threshold = offer(Measure.THRESHOLD_VOLUME, max_participants=3)
    cycle = Span(START_MS, START_MS + CYCLE_MS)
    found = [
        traded_standing(threshold, name, tally([trade(0, volume)], cycle, 0))
        for name, volume in (("a", "1000"), ("b", "99999"), ("c", "999.99"))
    ]
    assert [one.score for one in found] == [1, 1, 0]
    assert payouts(threshold, found) == {"a": 100, "b": 100}


def test_balances_count_at_the_moment_of_the_check() -> None:
    """What is held at the check is score and result; the pool goes by everybody's balance."""
    holding = offer(Measure.BALANCE)
    found = [held_standing(holding, "a", 100 * SCALE), held_standing(holding, "b", 400 * SCALE)]
    assert payouts(holding, found) == {"a": 30, "b": 120}


def test_thresholds_of_balances_by_hand() -> None:
    """Without slots one who reaches it fills the pool; two share it."""
    threshold = offer(Measure.THRESHOLD_BALANCE)
    found = [held_standing(threshold, name, units * SCALE) for name, units in (("a", 1000), ("b", 999))]
    assert payouts(threshold, found) == {"a": 300}
    assert payouts(threshold, [found[0], replace(found[0], address="c")]) == {"a": 150, "c": 150}


def test_net_fund_by_hand() -> None:
    """Of 1001 less 1, 1 and 0.5 per cent 975 whole units are left; more than all is refused."""
    assert net_fund(1001, [Decimal(1), Decimal(1), Decimal("0.5")]) == 975
    with pytest.raises(InvalidInputError):
        net_fund(1, [Decimal(60), Decimal(60)])


def test_figures_are_cut_not_rounded() -> None:
    """What a leaderboard says beyond our scale is cut."""
    assert to_units(Decimal("1.9999999999999999999"), 1) == 1
    with pytest.raises(InvalidInputError):
        TradeMade(0, True, True, -1)


standings = st.lists(
    st.builds(
        Standing,
        st.uuids().map(str),
        st.integers(0, 10**30),
        st.integers(0, 10**24),
    ),
    max_size=12,
    unique_by=lambda one: one.address,
)
offers = st.builds(
    lambda measure, fund, target, slots: offer(
        measure,
        fund_units=fund,
        target=target,
        max_participants=slots if measure in {Measure.THRESHOLD_VOLUME, Measure.THRESHOLD_BALANCE} else None,
    ),
    st.sampled_from(list(Measure)),
    st.integers(0, 10**24),
    st.decimals("0.000001", "1000000", places=6),
    st.integers(1, 20) | st.none(),
)


@settings(max_examples=50)
@given(offers, standings)
def test_never_more_than_the_pool_nor_the_cycle(terms: Offer, found: list[Standing]) -> None:
    """Σ payouts ≤ pool ≤ what a cycle is worth, and all cycles together are never more than the fund."""
    paid = payouts(terms, found)
    pool = pool_units(terms, found)
    assert sum(paid.values()) <= pool <= cycle_units(terms)
    assert cycle_units(terms) * terms.cycles <= terms.fund_units
    assert all(units > 0 for units in paid.values())


@settings(max_examples=50)
@given(offers, standings.filter(len), st.integers(1, 10**24))
def test_more_score_never_pays_less(terms: Offer, found: list[Standing], more: int) -> None:
    """Whoever adds volume as a maker is not paid less, the others being the same."""
    first = found[0]
    if terms.measure in {Measure.THRESHOLD_VOLUME, Measure.THRESHOLD_BALANCE}:
        better = Standing(first.address, 1, first.result_units + more)
        found = [replace(one, score=min(1, one.score)) for one in found]
    else:
        better = Standing(first.address, first.score + more * 100, first.result_units + more)
    before = payouts(terms, found).get(first.address, 0)
    after = payouts(terms, [better, *found[1:]]).get(first.address, 0)
    shared = terms.measure in {Measure.THRESHOLD_VOLUME, Measure.THRESHOLD_BALANCE}
    if shared and len(found) > (terms.max_participants or 1):
        return  # beyond the slots more people share the same pool
    assert after >= before


@settings(max_examples=50)
@given(offers, standings)
def test_order_of_participants_does_not_matter(terms: Offer, found: list[Standing]) -> None:
    """The same people in another order are paid the same."""
    assert payouts(terms, found) == payouts(terms, list(reversed(found)))


@given(st.lists(st.tuples(st.integers(-5, 130_000), st.integers(0, 10**20), st.booleans(), st.booleans())))
def test_cycles_divide_the_trades(rows: list[tuple[int, int, bool, bool]]) -> None:
    """The tallies of all cycles add up to that of the whole campaign: no trade twice, none missing."""
    trades = [TradeMade(START_MS + at, maker, buy, cost) for at, cost, maker, buy in rows]
    terms = changed(offer(), end_ms=START_MS + 2 * CYCLE_MS + 500)
    parts = [tally(trades, terms.cycle(number), 0) for number in range(terms.cycles)]
    whole = tally(trades, Span(terms.start_ms, terms.end_ms), 0)
    assert sum(part.score for part in parts) == whole.score
    assert sum(part.volume_units for part in parts) == whole.volume_units
