"""Cross-exchange arbitrage decides, sizes and explains."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

import msgspec
import pytest

from mrmarket.core.clock import NS_PER_S
from mrmarket.core.instrument import Instrument
from mrmarket.core.side import Side
from mrmarket.trading.strategy.arbitrage.cross_exchange import CrossExchangeArbitrage
from mrmarket.trading.strategy.arbitrage.parameters import CrossExchangeParameters
from mrmarket.trading.strategy.cross_port import (
    CrossDecision,
    CrossView,
    VenueBook,
    WashTradeRefusedError,
)


def market(name: str, fee: str = "0.001", **changes: Any) -> Instrument:
    """BTC/BRL with a cent and a satoshi-like lot."""
    return Instrument(
        **{
            "venue": name,
            "symbol": "BTC/BRL",
            "base": "BTC",
            "quote": "BRL",
            "tick_size": Decimal("0.01"),
            "lot_size": Decimal("0.001"),
            "taker_fee": Decimal(fee),
            "maker_fee": Decimal(fee),
            **changes,
        }
    )


def book(name: str, bid: int, ask: int, **changes: Any) -> VenueBook:
    """A book with one level a side of 100 lots, and plenty of money."""
    values: dict[str, Any] = {
        "market": name,
        "instrument": market(name),
        "bids": [(bid, 100)],
        "asks": [(ask, 100)],
        "age_ns": 0,
        "base_free": Decimal(10),
        "quote_free": Decimal(1_000_000),
    }
    return VenueBook(**{**values, **changes})


def decided(one: VenueBook, two: VenueBook, **parameters: Any) -> CrossDecision:
    """What the strategy says of two books."""
    table = {"pair": "BTC/BRL", "depth_share": "1", **parameters}
    strategy = CrossExchangeArbitrage(msgspec.convert(table, CrossExchangeParameters, strict=False))
    return strategy.decide(CrossView(1, (one, two)))


DEAR = book("two", 101_000, 101_100)
CHEAP = book("one", 99_900, 100_000)


def test_it_buys_cheap_and_sells_dear() -> None:
    """The plan buys on the venue with the low ask and sells on the other; profit is after both fees."""
    found = decided(CHEAP, DEAR, fees_in="quote")
    assert found.opportunity is not None
    chance = found.opportunity
    legs = {leg.side: leg for leg in (chance.plan.first, chance.plan.second)}
    assert (legs[Side.BUY].venue, legs[Side.BUY].price_ticks, legs[Side.BUY].size_lots) == (0, 100_000, 100)
    assert (legs[Side.SELL].venue, legs[Side.SELL].price_ticks) == (1, 101_000)
    assert chance.profit == Decimal("0.1") * (1010 - 1000) - Decimal("0.001") * Decimal("0.1") * (1010 + 1000)
    assert chance.expected < chance.profit
    assert [reading.code for reading in found.readings] == ["taken", "no_edge"]
    assert "earns 0.7990" in chance.why
    assert {term.name for term in chance.terms} >= {"edge", "fees", "profit", "bounded by"}
    turned = decided(DEAR, CHEAP, fees_in="quote").opportunity
    assert turned is not None
    assert turned.buy_at == 1
    assert turned.profit == chance.profit


def test_a_fee_in_base_buys_a_little_more() -> None:
    """Where the venue keeps its fee back from what is bought, what arrives is what is sold."""
    found = decided(CHEAP, DEAR, fees_in="received").opportunity
    assert found is not None
    legs = {leg.side: leg for leg in (found.plan.first, found.plan.second)}
    buy, sell = legs[Side.BUY], legs[Side.SELL]
    assert (buy.size_lots, sell.size_lots) == (100, 99)
    assert buy.fee_in_base == Fraction(1, 1000)
    assert buy.size_lots * (1 - buy.fee_in_base) >= sell.size_lots


@pytest.mark.parametrize(
    ("one", "two", "code", "words"),
    [
        (CHEAP, book("two", 100_100, 100_200), "no_edge", "no edge after fees"),
        (replace(CHEAP, age_ns=NS_PER_S), DEAR, "book_old", "book too old"),
        (replace(CHEAP, unfit="the user stream is down"), DEAR, "unfit", "one: the user stream is down"),
        (replace(CHEAP, quote_free=Decimal(0)), DEAR, "no_quote", "no quote"),
        (CHEAP, replace(DEAR, base_free=Decimal(0)), "no_base", "no base"),
        (replace(CHEAP, asks=[]), DEAR, "empty_book", "empty"),
        (
            replace(CHEAP, instrument=market("one", min_notional=Decimal(1000))),
            DEAR,
            "min_notional",
            "worth less",
        ),
        (replace(CHEAP, instrument=market("one", min_lots=1000)), DEAR, "lot", "less than a lot"),
        (
            replace(CHEAP, instrument=replace(market("one"), symbol="BTC/EUR")),
            DEAR,
            "pair",
            "different pairs",
        ),
    ],
)
def test_every_refusal_says_why(one: VenueBook, two: VenueBook, code: str, words: str) -> None:
    """No edge, old book, unfit venue, balances, lots and least notionals: each by its code and in words."""
    found = decided(one, two)
    assert found.opportunity is None
    assert found.readings[0].code == code
    assert words in found.readings[0].why
    assert words in found.why


def test_books_of_different_ages_are_not_compared() -> None:
    """Two books within their age but far apart from each other are no pair."""
    found = decided(replace(CHEAP, age_ns=2 * NS_PER_S), DEAR, max_book_age=3, max_book_gap=1)
    assert found.readings[0].code == "book_old"
    assert "2.0 s apart" in found.why


def test_a_missed_second_leg_is_paid_for_beforehand() -> None:
    """A small profit that a few misses would eat is not taken; a wide spread makes a miss dear."""
    thin = book("two", 100_250, 100_350)
    wide = replace(CHEAP, bids=[(90_000, 100)])
    assert decided(wide, thin, miss_share="0").opportunity is not None
    found = decided(wide, thin, miss_share="0.1")
    assert found.opportunity is None
    assert found.readings[0].code == "expected"


def test_the_thinner_venue_goes_first() -> None:
    """What is scarce is taken first, unless the parameters name a side."""
    thin = replace(DEAR, bids=[(101_000, 50)])
    orders = {}
    for first in ("thinner", "buy", "sell"):
        found = decided(CHEAP, thin, first_leg=first).opportunity
        assert found is not None
        orders[first] = found.plan.first.side
    assert orders == {"thinner": Side.SELL, "buy": Side.BUY, "sell": Side.SELL}


def test_our_own_accounts_do_not_trade_with_each_other() -> None:
    """Two books of one market are refused before anything is looked at: that would be wash trading."""
    with pytest.raises(WashTradeRefusedError, match="wash trading"):
        CrossView(1, (CHEAP, replace(DEAR, market="one")))


@pytest.mark.parametrize(
    "table",
    [{"min_profit": "0.6"}, {"depth_share": "0"}, {"leg_band": "0.2"}, {"miss_share": "2"}, {"pair": "x"}],
)
def test_parameters_out_of_range_are_refused(table: dict[str, str]) -> None:
    """Each with its name."""
    with pytest.raises(msgspec.ValidationError, match=next(iter(table))):
        msgspec.convert(table, CrossExchangeParameters, strict=False)
