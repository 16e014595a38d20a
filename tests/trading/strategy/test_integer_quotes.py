"""Pure market making in integers against the same in decimals: nothing may differ, not even a word."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from decimal_quotes import decimal_quotes
from fake_exchange import btc_usdt
from mrmarket.core.instrument import Instrument
from mrmarket.core.side import Side
from mrmarket.trading.execution.targets import Quote, TargetQuotes, Term
from mrmarket.trading.strategy.lattice import nearest
from mrmarket.trading.strategy.parameters import OrderOverride, Parameters, PriceSource
from mrmarket.trading.strategy.port import NEVER_NS, MarketView
from mrmarket.trading.strategy.pure_market_making import PureMarketMaking, quotes
from mrmarket.trading.strategy.state import HangingOrder, PureMarketMakingState

GRIDS = (
    btc_usdt(),
    replace(btc_usdt(), tick_size=Decimal("0.05"), lot_size=Decimal("0.003"), min_notional=Decimal("7.77")),
    replace(btc_usdt(), tick_size=Decimal(5), lot_size=Decimal(1), min_lots=3, maker_fee=Decimal("-0.0001")),
)


def fractions(low: str, high: str, places: int = 6) -> st.SearchStrategy[Decimal]:
    """Decimals as people write them."""
    return st.decimals(low, high, places=places, allow_nan=False)


@st.composite
def parameter_sets(draw: st.DrawFn) -> Parameters:
    """Every parameter that has a say in a quote."""
    low = draw(fractions("0", "0.01"))
    overrides = st.builds(
        OrderOverride,
        side=st.sampled_from(Side),
        spread=fractions("0.0001", "0.5"),
        amount=fractions("0.001", "5"),
    )
    changes: dict[str, Any] = {
        "bid_spread": draw(fractions("0.000001", "0.05")),
        "ask_spread": draw(fractions("0.000001", "0.05")),
        "order_amount": draw(fractions("0.00001", "3", 8)),
        "number_of_layers": draw(st.integers(1, 4)),
        "price_source": draw(st.sampled_from(PriceSource)),
        "amount_change_per_layer": draw(fractions("0", "2", 3)),
        "amount_change_type": draw(st.sampled_from(["fixed", "percentage"])),
        "ceiling_price": draw(st.none() | fractions("59000", "70000", 2)),
        "floor_price": draw(st.none() | fractions("10", "61000", 2)),
        "minimum_spread": low,
        "maximum_spread": draw(st.none() | fractions("0.000001", "0.1").map(lambda more: low + more)),
        "hanging_orders_enabled": True,
        "ping_pong_enabled": draw(st.booleans()),
        "moving_price_band_enabled": draw(st.booleans()),
        "order_override": tuple(draw(st.lists(overrides, max_size=3))),
        "inventory_skew_enabled": draw(st.booleans()),
        "inventory_target_ratio": draw(fractions("0", "1", 3)),
        "inventory_range": draw(fractions("0.001", "1", 3)),
        "inventory_price_skew": draw(fractions("0", "0.1")),
        "inventory_pivot": draw(st.none() | fractions("0.01", "1", 3)),
        "sigma_multiplier": draw(fractions("0", "10", 3)),
        "imbalance_weight": draw(fractions("0", "1", 3)),
        "toxicity_multiplier": draw(fractions("0", "10", 3)),
        "filled_order_delay": draw(st.sampled_from([0.0, 1.5])),
        "post_only": draw(st.booleans()),
    }
    ceiling, bottom = changes["ceiling_price"], changes["floor_price"]
    if ceiling is not None and bottom is not None and ceiling < bottom:
        changes["floor_price"] = None
    return Parameters(**changes)


@st.composite
def views(draw: st.DrawFn) -> MarketView:
    """A market and an account."""
    bid = draw(st.integers(1, 7_000_000))
    sizes = st.integers(1, 10**9)
    measured = st.none() | st.floats(-0.01, 0.05)
    return MarketView(
        draw(st.sampled_from(GRIDS)),
        draw(st.integers(0, 3 * 10**9)),
        (bid, draw(sizes)),
        (bid + draw(st.integers(1, 2_000)), draw(sizes)),
        draw(fractions("0", "100", 8)),
        draw(fractions("0", "1000000", 8)),
        draw(st.none() | st.integers(1, 7_000_000)),
        draw(measured),
        draw(measured),
        micro_offset_ticks=draw(st.none() | st.floats(-500, 500)),
    )


@st.composite
def states(draw: st.DrawFn) -> PureMarketMakingState:
    """What fills may have left."""
    hanging = st.builds(
        HangingOrder,
        slot=st.sampled_from(["b1", "s2"]),
        side=st.sampled_from(Side),
        price_ticks=st.integers(1, 7_000_000),
        size_lots=st.integers(1, 10**6),
    )
    held = draw(st.integers(0, 10**6))
    return PureMarketMakingState(
        last_fill_ticks=draw(st.none() | st.integers(1, 7_000_000)),
        held_lots=held,
        held_cost_grains=held * draw(st.integers(1, 7_000_000)),
        filled_balance=draw(st.integers(-2, 2)),
        quiet_until_ns=draw(st.integers(0, 3 * 10**9)),
        band_reference=draw(st.none() | fractions("50000", "70000", 2)),
        hanging=tuple(draw(st.lists(hanging, max_size=2, unique_by=lambda order: order.slot))),
        generations=draw(st.sampled_from([(), (("b1", 2), ("s1", 37))])),
    )


def whole(targets: TargetQuotes) -> tuple[Any, ...]:
    """All of it, the explanations too, as text."""
    return targets.reason, targets.hold, [_all(quote) for quote in targets.quotes]


def _all(quote: Quote) -> tuple[Any, ...]:
    told = [(term.name, term.value, term.unit) for term in quote.terms]
    return quote, told, quote.why


@settings(max_examples=400, deadline=None)
@given(view=views(), parameters=parameter_sets(), state=states())
def test_integers_say_what_decimals_say(
    view: MarketView, parameters: Parameters, state: PureMarketMakingState
) -> None:
    """Prices, sizes, limits, pauses, terms and sentences are those of the same formula in decimals."""
    assert whole(quotes(view, parameters, state)) == whole(decimal_quotes(view, parameters, state))


@given(st.integers(-(10**30), 10**30), st.integers(1, 10**12))
def test_divisions_round_as_decimals_do(numerator: int, denominator: int) -> None:
    """The nearest whole number, and of two the even one."""
    assert nearest(numerator, denominator) == round(Fraction(numerator, denominator))


@pytest.mark.parametrize(("numerator", "expected"), [(5, 2), (7, 4), (-5, -2), (-7, -4), (6, 3), (-1, 0)])
def test_halves_go_to_the_even_neighbour(numerator: int, expected: int) -> None:
    """As the decimals did, for buys and sells alike."""
    assert nearest(numerator, 2) == expected


def a_view(grid: Instrument, **changes: Any) -> MarketView:
    """60,000.00 ± 0.50."""
    made = MarketView(
        grid, 0, (5_999_950, 100_000), (6_000_050, 300_000), Decimal(10), Decimal(600_000), sigma=0.001
    )
    return msgspec.structs.replace(made, **changes)


@pytest.mark.parametrize(
    ("settings_", "changes", "same"),
    [
        ({}, {"bid": (5_999_950, 7)}, True),
        ({}, {"sigma": 0.002, "markout": 0.1, "last_trade_ticks": 5}, True),
        ({}, {"now_ns": 10**12}, True),
        ({}, {"bid": (5_999_951, 100_000)}, False),
        ({}, {"base": Decimal(11)}, False),
        ({"imbalance_weight": "0.5"}, {"bid": (5_999_950, 7)}, False),
        ({"price_source": "MICROPRICE"}, {"ask": (6_000_050, 7)}, False),
        ({"sigma_multiplier": "1"}, {"sigma": 0.002}, False),
        ({"toxicity_multiplier": "1"}, {"markout": 0.002}, False),
        ({"price_source": "LAST_PRICE"}, {"last_trade_ticks": 5_999_000}, False),
    ],
)
def test_the_same_answer_is_the_same_object(
    settings_: dict[str, Any], changes: dict[str, Any], same: bool
) -> None:
    """What has no say in a quote leads to no new answer; what has one does."""
    grid = btc_usdt()
    strategy = PureMarketMaking(msgspec.convert(settings_, Parameters))
    first = strategy.quotes(a_view(grid))
    second = strategy.quotes(a_view(grid, **changes))
    assert (second is first) is same
    fresh = PureMarketMaking(msgspec.convert(settings_, Parameters)).quotes(a_view(grid, **changes))
    assert whole(second) == whole(fresh)


def test_time_has_a_say_where_parameters_give_it_one() -> None:
    """Without a pause, a band or a last price it never does; with them it does when they end."""
    grid = btc_usdt()
    view = a_view(grid, now_ns=5)

    def until(**changes: Any) -> int:
        strategy = PureMarketMaking(msgspec.convert(changes, Parameters))
        strategy.state = msgspec.structs.replace(strategy.state, quiet_until_ns=77)
        strategy.quotes(view)
        return strategy.steady_until_ns(view)

    assert until() == NEVER_NS
    assert until(filled_order_delay=1) == 77
    assert until(price_source="LAST_PRICE") == 5
    assert until(moving_price_band_enabled=True, price_band_refresh_time=2) == 5 + 2 * 10**9


def test_an_explanation_is_told_once_and_kept_when_a_quote_is_resized() -> None:
    """Whoever looks first has it told; a resized quote tells the same."""
    told: list[int] = []

    def explain() -> tuple[tuple[Term, ...], str]:
        told.append(1)
        return (Term("price", Decimal("1.50"), "quote"),), "because"

    quote = Quote("b1", Side.BUY, 150, 7, explain=explain)
    smaller = quote.resized(3)
    assert (smaller.size_lots, smaller.why, told) == (3, "because", [1])
    assert [term.value for term in quote.terms] == ["1.5"]
    assert (quote.why, told) == ("because", [1, 1])
    assert quote == Quote("b1", Side.BUY, 150, 7, why="for another reason")
    assert hash(quote) == hash(Quote("b1", Side.BUY, 150, 7))
    assert quote != smaller
    assert quote != "b1"
    assert repr(smaller) == "Quote('b1', buy, 3 lots at 150 ticks)"
