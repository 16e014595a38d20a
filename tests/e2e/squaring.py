"""Whether an instance's own books and the venue's agree to the last digit, once it has ended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path

from e2e.loopback_venue import LoopbackVenue
from mrmarket.core.clock import SystemClock
from mrmarket.core.events import BalanceObserved, Fact, Filled
from mrmarket.money.pool.plan import PoolPlan
from mrmarket.money.pool.treasury import Treasury
from mrmarket.services.audit import verify_money
from mrmarket.store.trading_store import TradingStore

_PAGE = 5_000


def facts_of(data: Path) -> list[Fact]:
    """The whole event log, oldest first; its chain is checked."""
    store = TradingStore.open(data / "trading.db")
    try:
        assert store.verify_log().ok
        (stream,) = store.streams()
        facts: list[Fact] = []
        after = 0
        while rows := store.read_facts(stream, after, _PAGE):
            facts += [row.fact for row in rows]
            after = rows[-1].seq
        return facts
    finally:
        store.close()


def assert_square(data: Path, venue: LoopbackVenue, floor: int) -> list[Fact]:
    """Nothing of ours stands at the venue, and every trade after `floor` is logged and settled once.

    Returns the event log.
    """
    facts = facts_of(data)
    assert venue.open_orders() == []
    assert unsettled_orders(data) == []
    logged = [fact for fact in facts if isinstance(fact, Filled)]
    assert [key for key, count in Counter(fill.trade_id for fill in logged).items() if count > 1] == []
    ours = {
        fill.trade_id: (Decimal(fill.price), Decimal(fill.size), Decimal(fill.fee), fill.fee_asset)
        for fill in logged
    }
    theirs = {
        str(trade["id"]): (
            Decimal(trade["price"]),
            Decimal(trade["qty"]),
            Decimal(trade["commission"]),
            trade["commissionAsset"],
        )
        for trade in venue.trades(floor)
    }
    assert ours == theirs
    assert_holdings(
        data,
        {asset: Decimal(free) + Decimal(locked) for asset, (free, locked) in venue.balances().items()},
    )
    return facts


def unsettled_orders(data: Path) -> list[tuple[str, str]]:
    """Orders that the journal does not hold as closed, with their states."""
    store = TradingStore.open(data / "trading.db")
    try:
        return [
            (order.client_order_id, order.state)
            for stream in store.streams()
            for order in store.open_intents(stream)
        ]
    finally:
        store.close()


def observed_balances(facts: Sequence[Fact]) -> dict[str, Decimal]:
    """What the venue last said we hold, by the event log."""
    return {
        fact.asset: Decimal(fact.free) + Decimal(fact.locked)
        for fact in facts
        if isinstance(fact, BalanceObserved)
    }


def assert_holdings(data: Path, owed: Mapping[str, Decimal]) -> None:
    """The ledger verifies, has settled the whole log, and holds what the venue owes us."""
    assert verify_money(data).ok
    store = TradingStore.open(data / "trading.db")
    (stream,) = store.streams()
    plan = PoolPlan(stream=stream, venue=stream.split(".")[0], quote="USDT")
    treasury = Treasury.open(data / "money.db", store, plan, SystemClock())
    try:
        figures = treasury.pool_view()
    finally:
        treasury.close()
        store.close()
    assert figures.parked_fills == 0
    assert figures.settled_through_seq == figures.log_head_seq
    held = {holding.asset: Decimal(holding.amount) for holding in figures.holdings}
    for asset in ("BTC", "USDT"):
        assert held[asset] == owed[asset], asset
