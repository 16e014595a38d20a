"""Cross-exchange market making: every quote can be hedged at a profit, and is no better than it need be."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrmarket.core.instrument import Instrument
from mrmarket.core.side import Side
from mrmarket.trading.market.event import Level
from mrmarket.trading.strategy.cross_making.maker import Bound, bound, maker_quotes, vwap
from mrmarket.trading.strategy.cross_making.parameters import CrossMakingParameters
from mrmarket.trading.strategy.cross_port import VenueBook, WashTradeRefusedError

HERE = Instrument(
    venue="here",
    symbol="BTC/USDT",
    base="BTC",
    quote="USDT",
    tick_size=Decimal("0.1"),
    lot_size=Decimal("0.001"),
    min_notional=Decimal(5),
    maker_fee=Decimal("0.001"),
)
THERE = replace(HERE, venue="there", tick_size=Decimal("0.5"), taker_fee=Decimal("0.002"))


def book(instrument: Instrument, bids: list[Level], asks: list[Level], **changes: Any) -> VenueBook:
    """A venue with plenty of money."""
    values: dict[str, Any] = {"age_ns": 0, "base_free": Decimal(10), "quote_free": Decimal(10**6), **changes}
    return VenueBook(instrument.venue, instrument, bids, asks, **values)


MAKER = book(HERE, [(990_00, 500)], [(1_020_00, 500)])
TAKER = book(THERE, [(20_000, 100), (19_990, 100)], [(20_010, 100), (20_020, 100)])


def parameters(**table: Any) -> CrossMakingParameters:
    """No allowance for what the price does, unless asked for."""
    return msgspec.convert(
        {"adverse_sigmas": 0, "min_profit": "0.001", "depth_share": "1", "order_amount": "0.15", **table},
        CrossMakingParameters,
        strict=False,
    )


@given(
    bids=st.lists(st.tuples(st.integers(18_000, 21_000), st.integers(1, 90)), min_size=1, max_size=4),
    asks=st.lists(st.tuples(st.integers(21_001, 23_000), st.integers(1, 90)), min_size=1, max_size=4),
    amount=st.integers(10, 200),
    profit=st.integers(0, 50),
)
def test_every_quote_earns_its_least_profit_when_hedged_at_once(
    bids: list[Level], asks: list[Level], amount: int, profit: int
) -> None:
    """Filled at its bound and hedged against the taker's book it earns what was asked; a tick further not."""
    rho = Fraction(profit, 10_000)
    setting = parameters(
        order_amount=str(Decimal(amount) / 1000),
        min_profit=str(Decimal(profit) / 10_000),
        slippage_band="0.5",
    )
    taker = book(THERE, sorted(bids, reverse=True), sorted(asks))
    for side in Side:
        found = bound(side, setting, MAKER, taker, 0.0)
        if isinstance(found, str):
            continue
        levels = taker.bids if side is Side.BUY else taker.asks
        mean = vwap(levels, found.size_lots)
        assert mean is not None

        def gains(ticks: int, side: Side = side, mean: Fraction = mean) -> bool:
            price, other = Fraction(ticks, 10), mean / 2
            if side is Side.BUY:
                return other * (1 - Fraction(2, 1000)) >= price * (1 + Fraction(1, 1000)) * (1 + rho)
            return price * (1 - Fraction(1, 1000)) >= other * (1 + Fraction(2, 1000)) * (1 + rho)

        assert gains(found.price_ticks)
        assert not gains(found.price_ticks + side.sign)


def test_quotes_stand_one_tick_before_the_others() -> None:
    """A bound far inside the spread is not used up: one tick better than the best is enough."""
    found = maker_quotes(parameters(), MAKER, TAKER, 0.0)
    prices = {quote.side: quote.price_ticks for quote in found.quotes}
    worst = {quote.side: quote.worst_ticks for quote in found.quotes}
    assert prices == {Side.BUY: 99_001, Side.SELL: 101_999}
    low, high = (
        bound(Side.BUY, parameters(), MAKER, TAKER, 0.0),
        bound(Side.SELL, parameters(), MAKER, TAKER, 0.0),
    )
    assert isinstance(low, Bound)
    assert isinstance(high, Bound)
    assert worst == {Side.BUY: low.worst_ticks, Side.SELL: high.worst_ticks}
    assert low.worst_ticks > low.price_ticks
    assert high.worst_ticks < high.price_ticks
    assert all(quote.terms and quote.why for quote in found.quotes)
    assert [quote.size_lots for quote in found.quotes] == [150, 150]


def test_volatility_widens_the_bound() -> None:
    """What the price may do before the hedge is asked for on top of the least profit."""
    calm = bound(Side.BUY, parameters(adverse_sigmas=2), MAKER, TAKER, 0.0)
    wild = bound(Side.BUY, parameters(adverse_sigmas=2, hedge_time=4), MAKER, TAKER, 0.001)
    assert isinstance(calm, Bound)
    assert isinstance(wild, Bound)
    assert calm.price_ticks - wild.price_ticks == pytest.approx(0.004 * 100_000, rel=0.02)


@pytest.mark.parametrize(
    ("side", "maker", "taker", "lots"),
    [
        (Side.BUY, {}, {"base_free": Decimal("0.05")}, 50),
        (Side.SELL, {}, {"quote_free": Decimal(1003)}, 100),
        (Side.BUY, {"quote_free": Decimal(1100)}, {}, 107),
        (Side.SELL, {"base_free": Decimal("0.07")}, {}, 70),
    ],
)
def test_balances_of_both_venues_bound_the_size(
    side: Side, maker: dict[str, Any], taker: dict[str, Any], lots: int
) -> None:
    """A quote is no larger than what can be paid for here and hedged there."""
    found = bound(
        side, parameters(slippage_band="0.0001"), replace(MAKER, **maker), replace(TAKER, **taker), 0.0
    )
    assert isinstance(found, Bound)
    assert found.size_lots == min(lots, 100)


def test_what_cannot_be_hedged_is_not_quoted() -> None:
    """No book there, too little depth, too little money, an unfit venue, no volatility: each says so."""
    assert (
        bound(Side.BUY, parameters(), MAKER, replace(TAKER, bids=[]), 0.0) == "the other venue has no price"
    )
    poor = bound(Side.BUY, parameters(), MAKER, replace(TAKER, base_free=Decimal("0.0005")), 0.0)
    assert poor == "less than the other venue takes can be hedged"
    small = bound(
        Side.BUY,
        parameters(),
        MAKER,
        replace(TAKER, instrument=replace(THERE, min_notional=Decimal(10**5))),
        0.0,
    )
    assert small == "the hedge would be worth less than the other venue takes"
    here = replace(MAKER, instrument=replace(HERE, min_lots=1000))
    assert bound(Side.BUY, parameters(), here, TAKER, 0.0) == "less than this venue takes can be quoted"
    assert maker_quotes(parameters(), MAKER, replace(TAKER, unfit="down"), 0.0).reason == "there: down"
    wary = parameters(adverse_sigmas=1)
    assert maker_quotes(wary, MAKER, TAKER, None).reason == "the volatility is not known yet"
    old = maker_quotes(parameters(), MAKER, replace(TAKER, age_ns=6 * 10**9), 0.0)
    assert old.reason == "there: the book was last heard of 6.0 s ago"
    assert (
        maker_quotes(parameters(), replace(MAKER, bids=[]), TAKER, 0.0).reason == "nobody quotes both sides"
    )
    one = maker_quotes(parameters(), MAKER, replace(TAKER, bids=[]), 0.0)
    assert [quote.side for quote in one.quotes] == [Side.SELL]
    assert one.reason == "buy: the other venue has no price"
    with pytest.raises(WashTradeRefusedError):
        bound(Side.BUY, parameters(), MAKER, replace(TAKER, market="here"), 0.0)
    with pytest.raises(msgspec.ValidationError, match="depth_share"):
        parameters(depth_share="0")
    assert vwap([(1, 1)], 0) is None
    with pytest.raises(msgspec.ValidationError, match="cancel_profit"):
        parameters(cancel_profit="NaN")


def test_small_orders_at_the_top_are_not_outbid() -> None:
    """Up to the tolerance others may stand in front; behind everybody the quote stands at its bound."""
    thin = replace(MAKER, bids=[(990_00, 5), (985_00, 500)])
    for tolerance, ticks in (("0", 990_01), ("0.004", 990_01), ("0.005", 985_01)):
        found = maker_quotes(parameters(top_depth_tolerance=tolerance), thin, TAKER, 0.0)
        assert found.quotes[0].price_ticks == ticks
    alone = maker_quotes(parameters(top_depth_tolerance="1"), thin, TAKER, 0.0).quotes[0]
    low = bound(Side.BUY, parameters(), thin, TAKER, 0.0)
    assert isinstance(low, Bound)
    assert alone.price_ticks == low.price_ticks


def test_a_quote_is_never_acceptable_beyond_its_own_price() -> None:
    """With a `cancel_profit` above `min_profit` the latter holds, so that no quote is cancelled at once."""
    found = bound(Side.BUY, parameters(cancel_profit="0.01"), MAKER, TAKER, 0.0)
    assert isinstance(found, Bound)
    assert found.worst_ticks == found.price_ticks
