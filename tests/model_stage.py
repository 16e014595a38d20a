"""What the tests of strategies have in common: a view of the market, and the strategy's answers as text."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from msgspec.structs import replace

from fake_exchange import btc_usdt
from mrmarket.core.clock import NS_PER_S
from mrmarket.core.side import Side
from mrmarket.trading.execution.desk import OwnFill
from mrmarket.trading.execution.targets import Quote, TargetQuotes
from mrmarket.trading.market.estimators.intensity import Intensity
from mrmarket.trading.strategy.port import MarketView, Strategy
from mrmarket.trading.strategy.registry import Registry
from mrmarket.trading.venue.port import FillReport

ARRIVALS = Intensity(1.0, 0.002, 2_400)
"""One a second at the mid, e times rarer each 500 ticks."""


def view(**changes: Any) -> MarketView:
    """60,000.00 ± 0.50, half of the account in base, volatility a basis point, no fee."""
    made = MarketView(
        btc_usdt(maker_fee=Decimal(0)),
        0,
        (5_999_950, 100_000),
        (6_000_050, 100_000),
        Decimal(10),
        Decimal(600_000),
        sigma=0.0001,
        intensity=ARRIVALS,
    )
    return replace(made, **changes)


def later(seconds: float, **changes: Any) -> MarketView:
    """The same after a while."""
    return view(now_ns=int(seconds * NS_PER_S), **changes)


def at(mid_ticks: int, *, seconds: float = 0.0, **changes: Any) -> MarketView:
    """The same around another mid."""
    return later(seconds, bid=(mid_ticks - 50, 100_000), ask=(mid_ticks + 50, 100_000), **changes)


def strategy(name: str, **parameters: Any) -> Strategy:
    """A strategy of ours."""
    registry = Registry(plugins=lambda: ())
    return registry.make(registry.parameters(name, parameters))


def by_slot(result: TargetQuotes) -> dict[str, Quote]:
    """The quotes by their slots."""
    return {quote.slot: quote for quote in result.quotes}


def shown(result: TargetQuotes) -> list[tuple[str, str, str, str]]:
    """(slot, side, price, size) of each quote."""
    grid = btc_usdt()
    return [
        (each.slot, each.side.value, grid.price_text(each.price_ticks), grid.size_text(each.size_lots))
        for each in result.quotes
    ]


def terms(quote: Quote) -> dict[str, str]:
    """The explanation as name → value."""
    return {term.name: term.value for term in quote.terms}


def filled(
    made: Strategy, side: Side, price_ticks: int, size_lots: int, *, slot: str = "b1", closes: bool = True
) -> None:
    """Tell the strategy of a fill."""
    report = FillReport(
        symbol="BTC/USDT",
        client_order_id="mm",
        venue_order_id="1",
        trade_id="1",
        side=side,
        price_ticks=price_ticks,
        size_lots=size_lots,
        fee="0",
        fee_asset="USDT",
        maker=True,
        venue_ns=1,
    )
    made.on_fill(OwnFill(report, slot, closes, 2 * price_ticks, 1), 1, [])
