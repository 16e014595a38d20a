"""`/api/v1`: the instance, its market, orders, fills, events and pool."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from litestar import Controller, get, post
from litestar.params import QueryParameter

from mrmarket.services.api import schema
from mrmarket.services.api.guards import ADMIN, DESK
from mrmarket.services.api.parameters import Asked, Face, Limit, PointLimit
from mrmarket.services.api.pool_privacy import for_eyes_of


class InstanceRoutes(Controller):
    """The instance itself."""

    path = "/instance"
    tags: Sequence[str] | None = ("instance",)
    opt = DESK

    @get(operation_id="instance_status", sync_to_thread=False)
    def status(self, face: Face) -> schema.InstanceStatus:
        """How the instance is doing right now."""
        return face.status()

    @post("/start", operation_id="instance_start", status_code=200, opt=ADMIN)
    async def start(self, face: Face) -> schema.InstanceStatus:
        """Resume quoting."""
        return await face.start()

    @post("/stop", operation_id="instance_stop", status_code=200, opt=ADMIN)
    async def stop(self, face: Face) -> schema.InstanceStatus:
        """Cancel every quote and stay paused."""
        return await face.stop()

    @get("/config", operation_id="instance_config", opt=ADMIN, sync_to_thread=False)
    def config(self, face: Face) -> schema.ConfigView:
        """The configuration in force; secrets are masked."""
        return face.config()


class TradingRoutes(Controller):
    """Market, quotes, orders and fills."""

    tags: Sequence[str] | None = ("trading",)
    opt = DESK

    @get("/market", operation_id="market", sync_to_thread=False)
    def market(
        self, face: Face, levels: Annotated[int, QueryParameter(ge=1, le=100)] = 15
    ) -> schema.MarketView:
        """Book with our own quotes in it, last price, instrument."""
        return face.market(levels)

    @get("/market/candles", operation_id="candles", sync_to_thread=False)
    def candles(
        self,
        face: Face,
        interval_s: Annotated[int, QueryParameter(ge=1, le=86_400)] = 5,
        limit: Limit = 300,
    ) -> list[schema.Candle]:
        """Bars from the trades seen, oldest first."""
        return face.candles(interval_s, limit)

    @get("/quotes", operation_id="quotes", sync_to_thread=False)
    def quotes(self, face: Face) -> schema.QuotesView:
        """What the strategy wants, and why each quote has its price."""
        return face.quotes()

    @get("/orders", operation_id="orders")
    async def orders(
        self,
        face: Face,
        wanted: Annotated[Literal["open", "all"], QueryParameter(name="state")] = "open",
        limit: Limit = 100,
    ) -> list[schema.OrderView]:
        """Our orders, newest first."""
        return await face.orders(wanted, limit)

    @get("/fills", operation_id="fills")
    async def fills(self, face: Face, limit: Limit = 100) -> list[schema.FillView]:
        """Our trades, newest first."""
        return await face.fills(limit)

    @get("/performance", operation_id="performance", sync_to_thread=False)
    def performance(self, face: Face) -> schema.PerformanceView:
        """What trading has done."""
        return face.performance()

    @get("/events", operation_id="events")
    async def events(
        self,
        face: Face,
        after_seq: Annotated[int | None, QueryParameter(ge=0)] = None,
        limit: Limit = 100,
    ) -> list[schema.EventView]:
        """Rows of the event log, oldest first; without `after_seq` the newest `limit` of them."""
        return await face.events(after_seq, limit)


class PoolRoutes(Controller):
    """The pool by the ledger."""

    path = "/pool"
    tags: Sequence[str] | None = ("pool",)
    opt = DESK

    @get(operation_id="pool")
    async def pool(self, request: Asked, face: Face) -> schema.PoolView:
        """Worth, shares and holdings; the depositors for the owner alone."""
        return for_eyes_of(request.user, await face.pool())

    @get("/equity", operation_id="equity")
    async def equity(self, face: Face, limit: PointLimit = 600) -> list[schema.EquityPoint]:
        """The pool's worth over time, oldest first."""
        return await face.equity(limit)
