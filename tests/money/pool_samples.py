"""Facts of a small day at the simulated venue."""

from __future__ import annotations

from typing import Final

from mrmarket.core.clock import NS_PER_S
from mrmarket.core.events import BalanceObserved, Fact, Filled, MarkObserved
from mrmarket.core.side import Side
from mrmarket.money.pool.plan import PoolPlan

STREAM: Final = "run/1"
PLAN: Final = PoolPlan(stream=STREAM, venue="sim", quote="USDT")
DAY: Final = 1_700_000_000
"""Second at which the facts begin."""


def mark(second: int, bid: str = "59999.99", ask: str = "60000.01", base: str = "BTC") -> MarkObserved:
    """Prices of a pair."""
    at_ns = (DAY + second) * NS_PER_S
    return MarkObserved(
        venue="sim", at_ns=at_ns, symbol=f"{base}/USDT", base=base, quote="USDT", bid=bid, ask=ask
    )


def balance(asset: str, free: str, locked: str = "0", second: int = 0) -> BalanceObserved:
    """What the venue says we hold."""
    return BalanceObserved(
        venue="sim", at_ns=(DAY + second) * NS_PER_S, asset=asset, free=free, locked=locked
    )


def fill(
    trade_id: str,
    side: Side = Side.BUY,
    size: str = "0.1",
    quote_size: str = "6000",
    fee: str = "6",
    *,
    fee_asset: str = "USDT",
    second: int = 1,
    venue: str = "sim",
) -> Filled:
    """A trade of ours; the price follows from the sizes only where a test looks at it."""
    return Filled(
        venue=venue,
        at_ns=(DAY + second) * NS_PER_S,
        symbol="BTC/USDT",
        base="BTC",
        quote="USDT",
        trade_id=trade_id,
        client_order_id="mm-1",
        venue_order_id="77",
        side=side,
        price="60000",
        size=size,
        quote_size=quote_size,
        fee=fee,
        fee_asset=fee_asset,
        maker=True,
    )


def opening() -> list[Fact]:
    """The default account of the simulated venue: 10 BTC and 1,000,000 USDT, seen and priced."""
    return [balance("BTC", "9.5", "0.5"), balance("USDT", "1000000"), mark(0)]


def trades(count: int) -> list[Fact]:
    """Buys and sells in turn, each earning 2 and paying 0.5, with a mark after every fifth."""
    facts: list[Fact] = []
    for number in range(count):
        side, value = (Side.SELL, "6001") if number % 2 else (Side.BUY, "5999")
        facts.append(fill(f"t{number}", side, quote_size=value, fee="0.5", second=number + 1))
        if number % 5 == 4:
            facts.append(mark(number + 1))
    return facts
