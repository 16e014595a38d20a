"""Shares, values and splits: exact, and never against those who stay."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from money.pool_samples import PLAN, fill
from mrmarket.core.errors import InvalidInputError
from mrmarket.core.side import Side
from mrmarket.money.ledger.group import Transfer, TransferKind
from mrmarket.money.pool.fill_posting import effect, fill_group, fill_key, signed_units
from mrmarket.money.pool.plan import DEMO_FOUNDERS, Founder, PoolPlan
from mrmarket.money.pool.shares import VIRTUAL, payout_for, price_of_one, shares_for, value_of
from mrmarket.money.pool.stakes import split
from mrmarket.money.pool.valuation import PAR, Basis, Mark, net_value, worth

WHOLE = 10**18
UNITS = st.integers(0, 10**30)


def test_the_first_share_costs_one() -> None:
    """In an empty pool one quote buys one share, and one share is worth one."""
    assert shares_for(5 * WHOLE, 0, 0) == 5 * WHOLE
    assert price_of_one(0, 0, 18) == WHOLE


@given(UNITS, UNITS, UNITS)
def test_in_and_out_at_once_never_gains(value: int, supply: int, nav: int) -> None:
    """Whoever deposits and withdraws at the same price gets at most what was put in."""
    shares = shares_for(value, supply, nav)
    assert value_of(shares, supply + shares, nav + value) <= value


@given(UNITS, UNITS, UNITS, UNITS)
def test_others_never_lose_by_a_deposit_or_withdrawal(value: int, supply: int, nav: int, mine: int) -> None:
    """The price of a share does not fall when somebody comes or goes."""
    before = Fraction(nav + VIRTUAL, supply + VIRTUAL)
    minted = shares_for(value, supply, nav)
    assert Fraction(nav + value + VIRTUAL, supply + minted + VIRTUAL) >= before
    burned = min(mine, supply)
    paid = payout_for(burned, supply, nav)
    assert Fraction(nav - paid + VIRTUAL, supply - burned + VIRTUAL) >= before


@given(UNITS, UNITS)
def test_the_last_to_leave_is_never_owed_more_than_there_is(supply: int, nav: int) -> None:
    """Also where a share is worth less than one, everybody can go."""
    assert payout_for(supply, supply, nav) <= nav


def test_an_inflated_share_price_hardly_robs_the_next_depositor() -> None:
    """A million donated to a pool of one unit costs a newcomer's 1,000 less than a tenth of a cent."""
    attacker = shares_for(1, 0, 0)
    nav = 1 + 1_000_000 * WHOLE
    shares = shares_for(1_000 * WHOLE, attacker, nav)
    kept = value_of(shares, attacker + shares, nav + 1_000 * WHOLE)
    assert 1_000 * WHOLE - kept < WHOLE // 1_000


@given(st.integers(-(10**30), 10**30), st.integers(1, 10**24), st.integers(0, 10**22))
def test_low_mid_and_high_are_in_order_and_exact(units: int, bid: int, spread: int) -> None:
    """Rounding goes down for low and up for high, for shorts as for longs, and never by a whole unit."""
    quote = Mark(bid, bid + spread)
    low, mid, high = (worth(units, quote, basis) for basis in (Basis.LOW, Basis.MID, Basis.HIGH))
    assert low <= mid <= high
    exact_low = Fraction(units * (quote.bid if units >= 0 else quote.ask), WHOLE)
    exact_high = Fraction(units * (quote.ask if units >= 0 else quote.bid), WHOLE)
    assert 0 <= exact_low - low < 1
    assert 0 <= high - exact_high < 1


def test_what_has_no_price_counts_nothing() -> None:
    """Only marked assets enter the sum; the quote is worth itself."""
    marks = {"USDT": PAR, "BTC": Mark.parse("59999.99", "60000.01")}
    holdings = {"USDT": 5 * WHOLE, "BTC": 2 * WHOLE, "DUST": 10**30}
    assert net_value(holdings, marks, Basis.MID) == 120_005 * WHOLE
    assert net_value(holdings, marks, Basis.LOW) == 120_005 * WHOLE - WHOLE // 50


@pytest.mark.parametrize(
    ("bid", "ask"), [("0", "1"), ("2", "1"), ("-1", "1"), ("1e3", "2000"), ("", "1"), ("nan", "1")]
)
def test_a_mark_that_is_none_is_refused(bid: str, ask: str) -> None:
    """Zero, crossed, negative and unreadable prices value nothing."""
    with pytest.raises(InvalidInputError):
        Mark.parse(bid, ask)


@given(st.integers(0, 10**30), st.lists(st.integers(1, 1_000), min_size=1, max_size=6))
def test_a_split_is_exact_and_odd_units_go_to_the_first(units: int, weights: list[int]) -> None:
    """The parts sum to the whole; only the first may have more than its rounded part."""
    founders = [Founder(f"f{number}", weight) for number, weight in enumerate(weights)]
    parts = split(units, founders)
    assert sum(parts) == units
    assert parts[1:] == [units * weight // sum(weights) for weight in weights[1:]]
    assert 0 <= parts[0] - units * weights[0] // sum(weights) < len(weights)


def test_the_demo_is_split_in_halves_and_fifths() -> None:
    """Alice, Bob and Carol bring 50, 30 and 20 percent."""
    assert split(1_000_001, DEMO_FOUNDERS) == [500_001, 300_000, 200_000]


def test_a_buy_is_three_legs() -> None:
    """Base comes in, quote goes out, the fee goes to the venue's fee account."""
    group = fill_group(PLAN, fill("t1", Side.BUY, "0.1", "6000", "0.6"))
    assert group.key == fill_key(fill("t1")) == '["filled","sim","BTC/USDT","t1"]'
    assert group.transfers == (
        Transfer("venue:sim", "pool:main", "sim:BTC", WHOLE // 10, TransferKind.SETTLE_MM_PNL),
        Transfer("pool:main", "venue:sim", "sim:USDT", 6_000 * WHOLE, TransferKind.SETTLE_MM_PNL),
        Transfer("pool:main", "fees:sim", "sim:USDT", 6 * WHOLE // 10, TransferKind.FEE),
    )
    assert effect(PLAN, group) == {"sim:BTC": WHOLE // 10, "sim:USDT": -6_000 * WHOLE - 6 * WHOLE // 10}


def test_a_sale_with_a_rebate_brings_quote_and_the_rebate() -> None:
    """A negative fee comes back from the fee account, in whatever asset it is paid."""
    group = fill_group(PLAN, fill("t1", Side.SELL, "0.1", "6000", "-0.0002", fee_asset="BNB"))
    assert effect(PLAN, group) == {
        "sim:BTC": -WHOLE // 10,
        "sim:USDT": 6_000 * WHOLE,
        "sim:BNB": 2 * WHOLE // 10_000,
    }


def test_the_same_trade_reported_at_another_time_has_the_same_content() -> None:
    """Time, order ids and the maker flag are no part of what is posted."""
    assert (
        fill_group(PLAN, fill("t1", second=1)).content_hash
        == fill_group(PLAN, fill("t1", second=9)).content_hash
    )


@pytest.mark.parametrize(
    "bad",
    [
        fill("t", size="0"),
        fill("t", quote_size="0"),
        fill("t", size="0.0000000000000000001"),
        fill("t", size="1e-3"),
        fill("t", size="-1"),
        fill("t", fee="--1"),
        fill("t", fee="0.1", fee_asset="B:NB"),
    ],
)
def test_a_trade_that_cannot_be_exact_is_refused(bad: object) -> None:
    """Nothing is rounded, guessed or posted as zero."""
    with pytest.raises(InvalidInputError):
        fill_group(PLAN, bad)  # type: ignore[arg-type]  # a table of facts


def test_signed_text_is_exact() -> None:
    """A minus sign is allowed for rebates only, once and in front."""
    assert (signed_units("-0.5", 1), signed_units("0.5", 1), signed_units("0", 1)) == (-5, 5, 0)


def test_a_plan_with_impossible_names_is_refused_at_once() -> None:
    """Names that make no account or asset, and founders without weight, never reach a settlement."""
    for plan in ({"venue": "si:m"}, {"quote": "US DT"}, {"name": ""}, {"founders": (Founder("a", 0),)}):
        with pytest.raises(InvalidInputError):
            PoolPlan(**{"stream": "run/1", "venue": "sim", "quote": "USDT", **plan})  # type: ignore[arg-type]  # one bad field each
