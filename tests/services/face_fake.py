"""An instance that answers from memory; it implements the API's port, nothing of ours is replaced."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Literal

from mrmarket.core.errors import InvalidInputError
from mrmarket.services.api import schema
from mrmarket.services.api.face import Update


class FakeFace:
    """Holds one status and hands out what it is told to."""

    def __init__(self) -> None:
        self.state: Literal["running", "paused"] = "running"
        self.pending: asyncio.Queue[Update | None] = asyncio.Queue()
        self.depositors: list[str] = []

    def heartbeat(self) -> schema.Heartbeat:
        """Alive."""
        return schema.Heartbeat(node="n", role="all", seq=7, started_ms=1, at_ms=2)

    def status(self) -> schema.InstanceStatus:
        """The status, by the switch."""
        return schema.InstanceStatus(
            name="test", version="0", state=self.state, state_reason="", venue="sim", symbol="BTC/USDT",
            market="generator", simulated=True, paper=False, speed=1.0, started_at_ms=0, now_ms=1,
            book_age_ms=None, user_stream_connected=True, open_orders=0, ledger_verified=None,
        )  # fmt: skip

    async def start(self) -> schema.InstanceStatus:
        """Switch on."""
        self.state = "running"
        return self.status()

    async def stop(self) -> schema.InstanceStatus:
        """Switch off."""
        self.state = "paused"
        return self.status()

    def config(self) -> schema.ConfigView:
        """Nothing is configured."""
        return schema.ConfigView(sections=[])

    def market(self, levels: int) -> schema.MarketView:
        """An empty book, as wide as asked for."""
        instrument = schema.InstrumentView(
            symbol="BTC/USDT", base="BTC", quote="USDT", tick_size="0.01", lot_size="0.00001",
            min_notional="5", maker_fee="0.001", taker_fee="0.001",
        )  # fmt: skip
        level = schema.BookLevel(price="1", size="1", own="0")
        book = schema.BookView(bids=[level] * levels, asks=[], at_ms=0, stale=False)
        return schema.MarketView(instrument=instrument, book=book, last_price=None, mid=None, spread_bps=None)

    def candles(self, interval_s: int, limit: int) -> list[schema.Candle]:
        """None."""
        return []

    def quotes(self) -> schema.QuotesView:
        """None, with a reason."""
        return schema.QuotesView(strategy="pure_market_making", reason="no book", quotes=[], at_ms=0)

    async def orders(self, state: Literal["open", "all"], limit: int) -> list[schema.OrderView]:
        """None."""
        return []

    async def fills(self, limit: int) -> list[schema.FillView]:
        """A refusal, to see how it is answered."""
        raise InvalidInputError("limit", limit, "something else")

    async def events(self, after_seq: int | None, limit: int) -> list[schema.EventView]:
        """One row that echoes the cursor."""
        return [schema.EventView(seq=(after_seq or 0) + 1, at_ms=0, kind="mark", summary="", hash="")]

    async def pool(self) -> schema.PoolView:
        """An empty pool."""
        return schema.PoolView(
            id="main", quote="USDT", nav="0", shares="0", nav_per_share="1", holdings=[],
            depositors=[
                schema.DepositorView(name=name, shares="0", share=0.0, value="0", earned="0")
                for name in self.depositors
            ],
            ledger_seq=0, ledger_head="", settled_through_seq=0, log_head_seq=0,
        )  # fmt: skip

    async def equity(self, limit: int) -> list[schema.EquityPoint]:
        """None."""
        return []

    def performance(self) -> schema.PerformanceView:
        """Nothing done yet."""
        return schema.PerformanceView(
            orders_placed=0, orders_cancelled=0, fills=0, maker_fills=0, volume_quote="0", fees_quote="0",
            inventory_base="0", inventory_share=None, inventory_target=0.5, pnl_quote="0",
            spread_captured_bps=None, spread_captured_histogram=[0] * 12, quote_uptime=None,
            quote_latency_us_p50=None, quote_latency_us_p99=None,
        )  # fmt: skip

    async def updates(self, topics: frozenset[schema.Topic]) -> AsyncIterator[Update]:
        """What the test puts in, until it puts in None."""
        while (update := await self.pending.get()) is not None:
            yield update
