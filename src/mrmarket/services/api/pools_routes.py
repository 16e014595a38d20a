"""`/api/v1/pools` and `/api/v1/ledger`: what anybody may see of the money."""

from __future__ import annotations

from collections.abc import Sequence

from litestar import Controller, get

from mrmarket.services.api import money_schema as money
from mrmarket.services.api.guards import ANYBODY
from mrmarket.services.api.parameters import BeforeSeq, Id, Limit, Money, PeriodChoice, PointLimit
from mrmarket.services.api.schema import EquityPoint


class PoolsRoutes(Controller):
    """Every pool's public side."""

    path = "/pools"
    tags: Sequence[str] | None = ("pools",)
    opt = ANYBODY

    @get(operation_id="pools")
    async def pools(self, money_face: Money) -> list[money.PoolCard]:
        """Every pool: worth, returns and terms."""
        return await money_face.pools()

    @get("/{pool:str}", operation_id="pool_card")
    async def pool_card(self, money_face: Money, pool: Id) -> money.PoolCard:
        """One pool."""
        return await money_face.pool_card(pool)

    @get("/{pool:str}/equity", operation_id="pool_equity")
    async def pool_equity(self, money_face: Money, pool: Id, limit: PointLimit = 600) -> list[EquityPoint]:
        """Its worth over time, oldest first."""
        return await money_face.pool_equity(pool, limit)

    @get("/{pool:str}/risk", operation_id="pool_risk")
    async def pool_risk(self, money_face: Money, pool: Id) -> money.RiskView:
        """Where its money is, volatility, drawdown and service level."""
        return await money_face.pool_risk(pool)

    @get("/{pool:str}/periods", operation_id="pool_periods")
    async def pool_periods(
        self, money_face: Money, pool: Id, period: PeriodChoice = "day", limit: Limit = 30
    ) -> list[money.PeriodFigures]:
        """Volume, fees and result by day, week or month, newest first."""
        return await money_face.pool_periods(pool, period, limit)


class LedgerRoutes(Controller):
    """The books' public side: enough to check a proof with."""

    path = "/ledger"
    tags: Sequence[str] | None = ("ledger",)
    opt = ANYBODY

    @get("/head", operation_id="ledger_head")
    async def head(self, money_face: Money) -> money.LedgerHead:
        """Where the books stand."""
        return await money_face.ledger_head()

    @get("/seals", operation_id="seals")
    async def seals(
        self, money_face: Money, limit: Limit = 100, before_number: BeforeSeq = None
    ) -> list[money.SealView]:
        """Signed seals, newest first."""
        return await money_face.seals(limit, before_number)
