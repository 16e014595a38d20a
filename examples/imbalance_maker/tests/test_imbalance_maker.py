"""The example, tried without an exchange."""

from __future__ import annotations

from decimal import Decimal

from imbalance_maker import KIND
from imbalance_maker.fair_value import LastTrade
from mrmarket.core.instrument import Instrument
from mrmarket.core.side import Side
from mrmarket.trading.strategy.port import MarketView

BTC = Instrument(
    venue="paper",
    symbol="BTC/USDT",
    base="BTC",
    quote="USDT",
    tick_size=Decimal("0.01"),
    lot_size=Decimal("0.00001"),
)


def seen(**more: object) -> MarketView:
    """60,000.00 ± 0.50."""
    return MarketView(BTC, 0, (5_999_950, 1_000), (6_000_050, 1_000), Decimal(1), Decimal(60_000), **more)  # type: ignore[arg-type]  # fields of the view


def test_it_leans_with_the_trades() -> None:
    """Three basis points around the mid; buyers alone move it up by half of that."""
    made = KIND.make(KIND.schema())
    calm = {quote.side: quote.price_ticks for quote in made.quotes(seen()).quotes}
    assert calm == {Side.BUY: 5_998_200, Side.SELL: 6_001_800}
    pressed = {quote.side: quote.price_ticks for quote in made.quotes(seen(trade_imbalance=1.0)).quotes}
    assert pressed == {Side.BUY: 5_999_100, Side.SELL: 6_002_700}


def test_its_fair_value_stays_inside_the_spread() -> None:
    """A trade far away is cut at the best ask."""
    assert LastTrade().price(seen(last_trade_ticks=6_100_000)).ticks == 6_000_050
    assert LastTrade().price(seen()).says == "mid (nobody has traded yet)"
