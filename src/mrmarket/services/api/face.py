"""What the API needs of an instance."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Literal, Protocol, runtime_checkable

import msgspec

from mrmarket.services.api import schema


class Update(msgspec.Struct, frozen=True):
    """Something that changed: a topic and its new value."""

    topic: schema.Topic
    data: object


@runtime_checkable
class InstanceFace(Protocol):
    """Read-only views of a running instance, and its two switches. Views never block on trading."""

    def heartbeat(self) -> schema.Heartbeat:
        """A sign of life, for whoever watches from elsewhere."""
        ...

    def status(self) -> schema.InstanceStatus:
        """How the instance is doing."""
        ...

    async def start(self) -> schema.InstanceStatus:
        """Resume quoting."""
        ...

    async def stop(self) -> schema.InstanceStatus:
        """Cancel every quote and stay paused."""
        ...

    def config(self) -> schema.ConfigView:
        """The configuration in force, secrets masked."""
        ...

    def market(self, levels: int) -> schema.MarketView:
        """Book, last price and instrument."""
        ...

    def candles(self, interval_s: int, limit: int) -> list[schema.Candle]:
        """Bars from the trades seen, oldest first."""
        ...

    def quotes(self) -> schema.QuotesView:
        """What the strategy wants, and why."""
        ...

    async def orders(self, state: Literal["open", "all"], limit: int) -> list[schema.OrderView]:
        """Orders, newest first."""
        ...

    async def fills(self, limit: int) -> list[schema.FillView]:
        """Fills, newest first."""
        ...

    async def events(self, after_seq: int | None, limit: int) -> list[schema.EventView]:
        """Rows of the event log, oldest first; without `after_seq` the newest `limit` of them."""
        ...

    async def pool(self) -> schema.PoolView:
        """The pool by the ledger."""
        ...

    async def equity(self, limit: int) -> list[schema.EquityPoint]:
        """The pool's worth over time, oldest first."""
        ...

    def performance(self) -> schema.PerformanceView:
        """What trading has done."""
        ...

    def updates(self, topics: frozenset[schema.Topic]) -> AsyncIterator[Update]:
        """Changes from now on; values are conflated, rows (`fill`, `event`, …) are not."""
        ...
