"""The quoting models as strategies: where quotes go, how they lean, what they wait for."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fake_exchange import btc_usdt
from model_stage import ARRIVALS, at, by_slot, later, shown, strategy, terms, view
from mrmarket.core.side import Side
from mrmarket.trading.strategy.estimates import Estimate, wanted_by
from mrmarket.trading.strategy.formulas.glft import glft_gamma, glft_terms
from mrmarket.trading.venue.port import OrderKind

MODELS = ("avellaneda_stoikov", "as_normalised", "glft")
HELD_MORE = {"base": Decimal("10.1"), "quote": Decimal(594_000)}
"""Ten orders of 0.01 more than half of the account's worth."""


@pytest.mark.parametrize("name", MODELS)
def test_nothing_is_quoted_before_the_market_is_known(name: str) -> None:
    """A model says what it waits for instead of guessing."""
    made = strategy(name)
    result = made.quotes(view(sigma=None))
    assert (result.quotes, result.reason) == ((), "warming up: the volatility is not known yet")
    result = made.quotes(view(intensity=None))
    assert result.quotes == ()
    assert "arrivals of trades are not measured yet" in result.reason
    assert Estimate.ARRIVALS in wanted_by(made)


@pytest.mark.parametrize("name", MODELS)
def test_arrivals_given_by_hand_need_no_measuring(name: str) -> None:
    """A and k of the parameters stand in for the measured ones."""
    made = strategy(name, arrivals_per_s=1.0, arrivals_decay=1.2, fair_value="mid")
    assert set(by_slot(made.quotes(view(intensity=None)))) == {"b1", "s1"}


@pytest.mark.parametrize("name", MODELS)
def test_at_the_target_both_sides_are_equally_far(name: str) -> None:
    """Without inventory the quotes are symmetric about the fair value."""
    quotes = by_slot(strategy(name, fair_value="mid").quotes(view()))
    assert 6_000_000 - quotes["b1"].price_ticks == quotes["s1"].price_ticks - 6_000_000 > 0
    assert (quotes["b1"].side, quotes["s1"].side) == (Side.BUY, Side.SELL)


@pytest.mark.parametrize("name", MODELS)
def test_what_is_held_pushes_both_quotes_down(name: str) -> None:
    """The side that reduces comes nearer, the side that adds goes away."""
    made = (
        strategy(name, fair_value="mid", max_inventory=50, gamma=1.0)
        if name != "glft"
        else strategy(name, fair_value="mid", max_inventory=50)
    )
    level, long = by_slot(made.quotes(view())), by_slot(made.quotes(view(**HELD_MORE)))
    assert long["b1"].price_ticks < level["b1"].price_ticks
    assert long["s1"].price_ticks < level["s1"].price_ticks
    assert float(terms(long["b1"])["inventory"]) == pytest.approx(10, abs=0.1)
    assert Decimal(terms(long["b1"])["inventory skew"]) < 0


@pytest.mark.parametrize("name", MODELS)
def test_at_the_maximum_only_the_reducing_side_is_quoted(name: str) -> None:
    """And the reason says so."""
    result = strategy(name, max_inventory=5).quotes(view(**HELD_MORE))
    assert [quote.side for quote in result.quotes] == [Side.SELL]
    assert result.reason.startswith("nothing is bought: the inventory is 10.0 orders, at most 5")
    short = strategy(name, max_inventory=5).quotes(view(base=Decimal("9.9"), quote=Decimal(606_000)))
    assert [quote.side for quote in short.quotes] == [Side.BUY]


def test_avellaneda_stoikov_quotes_the_papers_numbers() -> None:
    """Sigma 600 ticks/√s, gamma 0.02/bp = 1/30,000 a tick, 60 s, k 0.002 a tick, no inventory."""
    half = (60 * 600**2 / 30_000 + 2 * 30_000 * math.log(1 + 1 / 30_000 / 0.002)) / 2
    quotes = by_slot(strategy("avellaneda_stoikov").quotes(view()))
    assert quotes["b1"].price_ticks == int(6_000_000 - half)
    assert terms(quotes["b1"])["half spread"] == f"{round(half / 600, 4)}"


def test_a_session_runs_down_and_begins_again() -> None:
    """The nearer its end, the narrower; the next one begins as wide as the first."""
    made = strategy("avellaneda_stoikov", session=True, horizon_s=100)
    ticks = [by_slot(made.quotes(later(seconds)))["b1"].price_ticks for seconds in (0, 50, 99, 100)]
    assert ticks[0] < ticks[1] < ticks[2]
    assert ticks[3] == ticks[0]
    normal = strategy("as_normalised", session_s=100.0, gamma=5.0)
    wide, narrow = (by_slot(normal.quotes(later(seconds)))["b1"].price_ticks for seconds in (0, 99))
    assert wide < narrow


def test_glft_quotes_its_closed_form_with_the_fee() -> None:
    """Arrivals are halved for the queue; the fee of 1 bp (600 ticks) is taken into them and added back."""
    made = strategy("glft", fair_value="mid", max_inventory=10)
    seen = view(instrument=btc_usdt(maker_fee=Decimal("0.0001")))
    a = 0.5 * 2.718281828459045 ** (-0.002 * 600)
    gamma = glft_gamma(10.0, 600.0, a, 0.002, 1.0, model_a=True)
    half, _ = glft_terms(gamma, gamma, 600.0, a, 0.002, 1.0)
    bid = by_slot(made.quotes(seen))["b1"]
    assert bid.price_ticks == int(6_000_000 - half - 600)
    assert bid.worst_ticks == 6_000_000 - 600


def test_glft_takes_a_risk_aversion_too() -> None:
    """More of it skews more; model b (xi → 0) differs from model a."""
    held = view(**HELD_MORE)
    low, high = (
        by_slot(strategy("glft", fair_value="mid", gamma=gamma, max_inventory=99).quotes(held))["s1"]
        for gamma in (0.001, 0.1)
    )
    assert high.price_ticks < low.price_ticks
    other = by_slot(strategy("glft", fair_value="mid", gamma=5.0, max_inventory=99, model="b").quotes(view()))
    same = by_slot(strategy("glft", fair_value="mid", gamma=5.0, max_inventory=99).quotes(view()))
    assert other["b1"].price_ticks != same["b1"].price_ticks


def test_layers_and_sizes() -> None:
    """Each layer is a step further out; with size_skew the side that adds shrinks."""
    made = strategy("glft", number_of_layers=3, layer_step="0.001", size_skew=True, max_inventory=20)
    quotes = by_slot(made.quotes(view(**HELD_MORE)))
    assert set(quotes) == {"b1", "b2", "b3", "s1", "s2", "s3"}
    assert quotes["b1"].price_ticks - quotes["b2"].price_ticks == pytest.approx(6_000, abs=1)
    assert quotes["b1"].size_lots == pytest.approx(500, abs=5)
    assert quotes["s1"].size_lots == 1_000
    assert Decimal(terms(quotes["b1"])["size for the inventory"]) == pytest.approx(
        Decimal("0.5"), abs=Decimal("0.01")
    )


def test_spreads_widen_and_are_clamped() -> None:
    """Volatility and toxicity are added, and the result stays between minimum and maximum."""
    plain = by_slot(strategy("glft").quotes(view()))["b1"]
    wide = by_slot(strategy("glft", sigma_multiplier=3, toxicity_multiplier=1).quotes(view(markout=0.0002)))[
        "b1"
    ]
    assert plain.price_ticks - wide.price_ticks == pytest.approx(3 * 600 + 1_200, abs=2)
    assert terms(wide)["widened for toxicity"] == "2"
    low = by_slot(strategy("glft", minimum_spread="0.01").quotes(view()))["s1"]
    assert low.price_ticks == 6_060_000
    assert "clamped to the minimum spread" in terms(low)
    high = by_slot(strategy("glft", maximum_spread="0.00001").quotes(view()))["s1"]
    assert "clamped to the maximum spread" in terms(high)
    assert high.price_ticks == 6_000_060


def test_the_half_spread_covers_what_fills_have_cost() -> None:
    """A markout of 5 bps is a half spread of at least 5 bps, within the maximum; or it is ignored."""
    bid = by_slot(strategy("glft", fair_value="mid").quotes(view(markout=0.0005)))["b1"]
    assert bid.price_ticks == 5_997_000
    assert terms(bid)["clamped to what fills have cost"] == "5"
    ignored = by_slot(strategy("glft", fair_value="mid", cover_markout=False).quotes(view(markout=0.0005)))
    assert (
        ignored["b1"].price_ticks
        == by_slot(strategy("glft", fair_value="mid").quotes(view()))["b1"].price_ticks
    )
    most = strategy("glft", fair_value="mid", maximum_spread="0.0003").quotes(view(markout=0.0005))
    assert by_slot(most)["b1"].price_ticks == 5_998_200


def test_post_only_quotes_keep_off_the_other_side() -> None:
    """A long maker who wants out asks one tick above the bid and says why; without post_only it takes."""
    held = view(base=Decimal("10.15"), quote=Decimal(591_000))
    kept = by_slot(strategy("glft", fair_value="mid", gamma=5.0).quotes(held))["s1"]
    assert kept.price_ticks == 5_999_951
    assert "kept off the other side" in terms(kept)
    taking = strategy("glft", fair_value="mid", gamma=5.0, post_only=False)
    assert by_slot(taking.quotes(held))["s1"].price_ticks < 5_999_950
    assert (taking.order_kind, strategy("glft").order_kind) == (OrderKind.LIMIT, OrderKind.POST_ONLY)


def test_orders_that_the_venue_refuses_are_not_wanted() -> None:
    """Too small, or at no positive price."""
    result = strategy("glft", order_amount="0.00005", inventory_target_ratio="0.5").quotes(view())
    assert result.quotes == ()
    assert "b1 is smaller than fake takes; s1 is smaller than fake takes" in result.reason
    deep = strategy("glft", number_of_layers=20, layer_step="0.1", fair_value="mid").quotes(view())
    assert "b11 has no positive price" in deep.reason


@given(
    mid=st.integers(10_000, 50_000_000),
    base=st.decimals("0", "20", places=3),
    quote=st.decimals("0", "1000000", places=2),
    sigma=st.floats(0, 0.01),
    decay=st.floats(1e-5, 1),
    name=st.sampled_from(MODELS),
)
def test_bids_stay_below_asks_and_off_the_market(
    mid: int, base: Decimal, quote: Decimal, sigma: float, decay: float, name: str
) -> None:
    """Whatever is held, seen and believed: our bids are below our asks, neither crosses the book."""
    seen = at(mid, base=base, quote=quote, sigma=sigma, intensity=type(ARRIVALS)(1.0, decay, 99))
    result = strategy(name).quotes(seen)
    bids = [each.price_ticks for each in result.quotes if each.side is Side.BUY]
    asks = [each.price_ticks for each in result.quotes if each.side is Side.SELL]
    assert max(bids, default=0) < min(asks, default=10**18)
    assert all(0 < price < seen.ask[0] for price in bids)
    assert all(price > seen.bid[0] for price in asks)


def test_an_empty_account_is_no_inventory() -> None:
    """Nothing held is nothing to lean against."""
    result = strategy("glft", fair_value="mid").quotes(view(base=Decimal(0), quote=Decimal(0)))
    assert terms(by_slot(result)["b1"])["inventory"] == "0"


@pytest.mark.parametrize(
    ("name", "given", "word"),
    [
        ("glft", {"max_inventory": 0.5}, "> 0.5"),
        ("glft", {"fair_value": "oracle_exchange"}, "one of mid, weighted_mid"),
        ("glft", {"minimum_spread": "0.1", "maximum_spread": "0.01"}, "at least minimum_spread"),
        ("glft", {"schema_version": 2}, "Invalid enum value 2"),
        ("glft", {"model": "c"}, "Invalid enum value"),
        ("glft", {"pair": "BTCUSDT"}, "BASE/QUOTE"),
        ("glft", {"order_amount": "NaN"}, "above 0"),
        ("glft", {"kind": "grid"}, "grid"),
        ("avellaneda_stoikov", {"gamma": -1}, ">= 0"),
        ("avellaneda_stoikov", {"oracle_exchange": "x"}, "unknown field"),
        ("as_normalised", {"session_s": 0}, "> 0"),
    ],
)
def test_parameters_out_of_range_are_refused(name: str, given: dict[str, Any], word: str) -> None:
    """With the field and what would be accepted."""
    with pytest.raises(msgspec.ValidationError, match=word):
        strategy(name, **given)


def test_a_layer_of_each_side_stands_in_the_table() -> None:
    """Prices are rounded away from the market: bids down, asks up."""
    rows = shown(strategy("glft", fair_value="mid", minimum_spread="0.00012345").quotes(view()))
    assert rows == [("b1", "buy", "59992.59", "0.01"), ("s1", "sell", "60007.41", "0.01")]
