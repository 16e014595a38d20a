"""Our own trades out of the event log: what they cost, and what they gained against the fair value."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from itertools import count
from pathlib import Path

import pytest

from mrmarket.campaigns.offer import Measure, Offer, RewardToken
from mrmarket.core.clock import NS_PER_MS
from mrmarket.core.events import Fact, Filled, MarkObserved
from mrmarket.core.side import Side
from mrmarket.partners.hufi.estimate import CostModel
from mrmarket.services.partners.own_trades import OwnTradeReader, spent_on, volume_of
from mrmarket.services.partners.progress import LEAST_TRADES, cost_by, own_cycle
from mrmarket.store.trading_store import TradingStore

ASSUMED = CostModel(0, 1_000, 1_000_000, 200)
OFFER = Offer(
    id="hufi-1-0xaa",
    partner="hufi",
    chain_id=1,
    address="0xaa",
    measure=Measure.VOLUME,
    exchange="mexc",
    market="ETH/USDT",
    start_ms=0,
    end_ms=300_000,
    token=RewardToken(1, "0xbb", "HMT", 18),
    fund_units=900,
    target=Decimal(1_000),
    cycle_ms=100_000,
)
numbers = count()


def fill(at_ms: int, side: Side, price: str, size: str, *, fee: str = "0", asset: str = "USDT") -> Filled:
    """A trade of ours as maker."""
    return Filled(
        venue="v", at_ns=at_ms * NS_PER_MS, symbol="ETH/USDT", base="ETH", quote="USDT",
        trade_id=str(next(numbers)), client_order_id="c", venue_order_id="o", side=side, price=price,
        size=size, quote_size=str(Decimal(price) * Decimal(size)), fee=fee, fee_asset=asset, maker=True,
    )  # fmt: skip


def mark(at_ms: int, mid: int) -> MarkObserved:
    """Best prices around a mid."""
    return MarkObserved(
        venue="v", at_ns=at_ms * NS_PER_MS, symbol="ETH/USDT", base="ETH", quote="USDT",
        bid=str(mid - 1), ask=str(mid + 1),
    )  # fmt: skip


@pytest.fixture
def log(tmp_path: Path) -> Iterator[TradingStore]:
    """An event log."""
    made = TradingStore.open(tmp_path / "trading.db")
    with closing(made):
        yield made


def put(log: TradingStore, *facts: Fact) -> None:
    """Append to the run's stream."""
    log.append_facts("run-1", facts)


def test_a_trade_is_valued_at_the_first_mid_a_while_after_it(log: TradingStore) -> None:
    """Bought at 99, worth 97 after 15 s: two lost; the mids before and after do not count."""
    put(
        log,
        mark(900, 100),
        fill(1_000, Side.BUY, "99", "1"),
        mark(9_000, 105),
        mark(16_000, 97),
        mark(40_000, 200),
    )
    (found,) = OwnTradeReader(log).read("run-1", "ETH/USDT", 0, 100_000)
    assert (found.at_ms, found.trade.cost, found.trade.edge) == (1_000, Decimal(99), Decimal(-2))


def test_a_fresh_trade_is_valued_at_the_newest_mid_until_its_time_has_passed(log: TradingStore) -> None:
    """Sold at 101: one gained by the newest mid, and four lost when it is known."""
    reader = OwnTradeReader(log)
    put(log, fill(1_000, Side.SELL, "101", "1"))
    assert reader.read("run-1", "ETH/USDT", 0, 100_000)[0].trade.edge == Decimal(0)
    put(log, mark(2_000, 100))
    assert reader.read("run-1", "ETH/USDT", 0, 100_000)[0].trade.edge == Decimal(1)
    put(log, mark(16_000, 105))
    assert reader.read("run-1", "ETH/USDT", 0, 100_000)[0].trade.edge == Decimal(-4)


def test_a_fee_is_counted_in_quote_whatever_it_was_paid_in(log: TradingStore) -> None:
    """Base at the trade's price; a third asset at a tenth of a per cent, because nobody knows its price."""
    put(
        log,
        fill(1, Side.BUY, "100", "2", fee="0.5"),
        fill(2, Side.BUY, "100", "2", fee="0.01", asset="ETH"),
        fill(3, Side.BUY, "100", "2", fee="0.001", asset="BNB"),
        fill(4, Side.BUY, "100", "2", fee="-0.1"),
    )
    trades = OwnTradeReader(log).read("run-1", "ETH/USDT", 0, 100)
    assert [each.trade.fee for each in trades] == [
        Decimal("0.5"), Decimal(1), Decimal("0.2"), Decimal("-0.1"),
    ]  # fmt: skip
    assert (volume_of(trades), spent_on(trades)) == (Decimal(800), Decimal("1.6"))


def test_a_reader_that_starts_anew_finds_the_same(log: TradingStore) -> None:
    """It keeps nothing of its own; and each look reads only what is new."""
    first = OwnTradeReader(log)
    for at in range(1, 40):
        put(log, fill(at * 1_000, Side.BUY, "99", "1"), mark(at * 1_000 + 500, 100 + at))
        first.read("run-1", "ETH/USDT", 0, 100_000)
    again = OwnTradeReader(log).read("run-1", "ETH/USDT", 0, 100_000)
    assert again == first.read("run-1", "ETH/USDT", 0, 100_000)
    assert len(again) == 39


def test_times_are_the_worlds(log: TradingStore) -> None:
    """At four times the wall's speed a trade of the second 25 belongs to the world's second 100."""
    put(log, fill(24_999, Side.BUY, "99", "1"), fill(25_000, Side.BUY, "98", "1"))
    reader = OwnTradeReader(log, lambda wall_ns: wall_ns * 4)
    found = reader.read_all(["run-1", "nobody"], "ETH/USDT", 100_000, 200_000)
    assert [each.at_ms for each in found] == [100_000]


def test_a_cycle_counts_what_was_traded_in_it_after_we_joined(log: TradingStore) -> None:
    """Not what was before, nor of the next cycle; the model is that of all of them."""
    put(
        log,
        *(fill(at, Side.BUY, "100", "1", fee="0.1") for at in range(90_000, 210_000, 5_000)),
        mark(300_000, 99),
    )
    trades = OwnTradeReader(log).read("run-1", "ETH/USDT", 0, 300_000)
    found = own_cycle(OFFER, 120_000, 1, trades, ASSUMED)
    assert (found.volume, found.spent) == (Decimal(1_600), Decimal("17.6"))
    assert len(trades) >= LEAST_TRADES
    assert (found.model.maker_fee_ppm, found.model.spread_cost_ppm, found.model.is_measured) == (
        1_000,
        10_000,
        True,
    )


def test_too_few_trades_say_nothing_of_the_cost(log: TradingStore) -> None:
    """Then what is assumed counts."""
    put(log, *(fill(at, Side.BUY, "100", "1", fee="9") for at in range(LEAST_TRADES - 1)))
    trades = OwnTradeReader(log).read("run-1", "ETH/USDT", 0, 300_000)
    assert cost_by(trades, ASSUMED) is ASSUMED
