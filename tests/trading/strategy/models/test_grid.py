"""The grid: levels that stand still, an empty one that follows fills, and what bounds it."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from fake_exchange import btc_usdt
from model_stage import at, by_slot, filled, shown, strategy, view
from mrmarket.core.clock import NS_PER_S
from mrmarket.core.side import Side
from mrmarket.trading.strategy.past import TakesPast
from mrmarket.trading.venue.port import OrderKind

PLAIN = {"step": "0.001", "levels": 2, "anchor_price": "60000"}


def levels(result: object) -> list[str]:
    """The slots, lowest price first."""
    quotes = sorted(by_slot(result).values(), key=lambda quote: quote.price_ticks)  # type: ignore[arg-type]  # what `quotes` gave
    return [quote.slot for quote in quotes]


def test_levels_stand_around_the_empty_one() -> None:
    """Buys below, sells above, each a step of ten basis points from the next."""
    assert shown(strategy("grid", **PLAIN).quotes(view())) == [
        ("d1", "buy", "59940.05", "0.01"),
        ("d2", "buy", "59880.17", "0.01"),
        ("u1", "sell", "60060", "0.01"),
        ("u2", "sell", "60120.06", "0.01"),
    ]


def test_levels_do_not_move_with_the_price() -> None:
    """A level that the price comes near keeps its order; without that it would never be filled."""
    made = strategy("grid", **PLAIN)
    before = by_slot(made.quotes(view()))
    near = by_slot(made.quotes(at(5_994_100)))
    assert near["d1"].price_ticks == before["d1"].price_ticks
    assert set(near) == set(before)


def test_what_is_bought_on_a_level_is_sold_on_the_next() -> None:
    """The level of the fill becomes the empty one."""
    made = strategy("grid", **PLAIN)
    made.quotes(view())
    filled(made, Side.BUY, 5_994_005, 500, slot="d1", closes=False)
    assert levels(made.quotes(at(5_994_000))) == ["d2", "d1", "u1", "u2"]
    filled(made, Side.BUY, 5_994_005, 500, slot="d1")
    result = made.quotes(at(5_994_000))
    assert levels(result) == ["d3", "d2", "u0", "u1"]
    assert by_slot(result)["u0"].side is Side.SELL
    assert by_slot(result)["u0"].price_ticks == 6_000_000


def test_after_a_jump_the_grid_stands_around_the_price() -> None:
    """Two levels away and more, the price decides where nothing stands."""
    made = strategy("grid", **PLAIN)
    made.quotes(view())
    assert levels(made.quotes(at(6_100_000))) == ["u15", "u16", "u18", "u19"]


def test_a_level_that_the_market_has_passed_waits() -> None:
    """A buy is never placed at or above the best ask."""
    made = strategy("grid", **PLAIN)
    made.quotes(view())
    assert levels(made.quotes(at(5_993_900))) == ["d2", "u1", "u2"]


def test_bounds_end_the_grid() -> None:
    """No level outside the given prices."""
    made = strategy("grid", **PLAIN, lower_price="59900", upper_price="60100")
    assert levels(made.quotes(view())) == ["d1", "u1"]


def test_a_new_life_goes_on_at_the_last_fill() -> None:
    """By a fill of the log, or by what a fold says of it."""
    replayed, folded = strategy("grid", **PLAIN), strategy("grid", **PLAIN)
    replayed.on_past_fill(Side.BUY, 5_994_005, 1_000)
    assert isinstance(folded, TakesPast)
    folded.restore_past(5_994_005, 1_000, 5_994_005_000)
    assert levels(replayed.quotes(at(5_995_000))) == levels(folded.quotes(at(5_995_000)))
    assert levels(folded.quotes(at(5_995_000))) == ["d3", "d2", "u0", "u1"]


def test_without_an_anchor_it_is_the_first_mid() -> None:
    """And stays there."""
    made = strategy("grid", step="0.001", levels=1)
    assert by_slot(made.quotes(at(5_000_000)))["u1"].price_ticks == 5_005_000
    assert by_slot(made.quotes(at(5_000_900)))["u1"].price_ticks == 5_005_000


def test_what_the_engine_asks_of_it() -> None:
    """Kind, rules, pair and where it is brought to."""
    made = strategy("grid", **PLAIN, order_refresh_time=7.0, pair="ETH/USDT")
    assert (made.name, made.symbol, made.order_kind) == ("grid", "ETH/USDT", OrderKind.POST_ONLY)
    assert (made.rules.refresh_ns, made.inventory_target) == (7 * NS_PER_S, Decimal("0.5"))
    assert btc_usdt().symbol == "BTC/USDT"


def test_bounds_the_wrong_way_round_are_refused() -> None:
    """With the field that is wrong."""
    with pytest.raises(msgspec.ValidationError, match="less than upper_price"):
        strategy("grid", lower_price="2", upper_price="1")
