"""What anybody may ask: pools and the state of the books."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from mrmarket.core.clock import NS_PER_MS
from mrmarket.money.ledger.seal import SealDocument, Signed, opened
from mrmarket.money.ledger.seal_rows import SealRows
from mrmarket.money.ledger.verification import LedgerCheck
from mrmarket.money.pool.errors import UnknownPoolError
from mrmarket.services import views
from mrmarket.services.api import money_schema as money
from mrmarket.services.api.refusals import NotFoundError
from mrmarket.services.api.schema import EquityPoint
from mrmarket.services.money import mapping
from mrmarket.services.money.desk_figures import TradingFigures
from mrmarket.services.money.offices import Offices
from mrmarket.store.sql import Sql

T = TypeVar("T")


class Counter:
    """The ways to the books that all counters share."""

    def __init__(
        self,
        offices: Offices,
        trading: TradingFigures | None = None,
        check: Callable[[], LedgerCheck | None] = lambda: None,
    ) -> None:
        """`check` gives the last verification of the ledger."""
        self._offices = offices
        self._trading = trading
        self._check = check
        self._decimals_by_asset: dict[str, int] = {}

    async def _read(self, question: Callable[[Sql], T]) -> T:
        """Ask one snapshot, beside the event loop."""

        def ask() -> T:
            with self._offices.treasury.reader.snapshot() as sql:
                return question(sql)

        return await asyncio.to_thread(ask)

    def _decimals(self, sql: Sql) -> mapping.AssetDecimals:
        """Decimals by asset id; registered assets never change, so they are kept."""

        def decimals(asset: str) -> int:
            known = self._decimals_by_asset.get(asset)
            if known is None:
                rows = sql.rows("SELECT decimals FROM assets WHERE id = ?", asset)
                known = int(rows[0][0]) if rows else 0
                if rows:
                    self._decimals_by_asset[asset] = known
            return known

        return decimals

    def _now_ms(self) -> int:
        return self._offices.clock.now_ns() // NS_PER_MS

    @property
    def _pair(self) -> str | None:
        return None if self._trading is None else self._trading.pair


class PublicCounter(Counter):
    """Pools, the ledger's head, seals."""

    async def pools(self) -> list[money.PoolCard]:
        """Every pool, as anybody may see it."""
        cards = await asyncio.to_thread(self._offices.treasury.figures.cards)
        return [mapping.pool_card(card, self._pair) for card in cards]

    async def pool_card(self, pool: str) -> money.PoolCard:
        """One pool, as anybody may see it."""
        card = await asyncio.to_thread(known_pool(pool, self._offices.treasury.figures.card))
        return mapping.pool_card(card, self._pair)

    async def pool_equity(self, pool: str, limit: int) -> list[EquityPoint]:
        """The pool's worth over time, oldest first."""
        treasury = self._offices.treasury
        points = await asyncio.to_thread(known_pool(pool, lambda name: treasury.equity(limit, name)))
        return views.equity_points(points)

    async def pool_risk(self, pool: str) -> money.RiskView:
        """How the pool's money is placed and how it has behaved."""
        figures = self._offices.treasury.figures
        risk = await asyncio.to_thread(known_pool(pool, figures.risk))
        first = self._offices.treasury.plans[0].name
        trading = self._trading if pool == first else None
        return money.RiskView(
            allocation=[mapping.place_share(place) for place in risk.allocation],
            volatility_year=risk.volatility_year,
            max_drawdown=risk.max_drawdown,
            service_level=None if trading is None else trading.quote_uptime,
            inventory_share=None if trading is None else trading.inventory_share,
            inventory_target=None if trading is None else trading.inventory_target,
        )

    async def pool_periods(self, pool: str, period: money.Period, limit: int) -> list[money.PeriodFigures]:
        """Volume, fees and result of the pool by day, week or month."""
        figures = self._offices.treasury.figures
        rows = await asyncio.to_thread(known_pool(pool, lambda name: figures.periods(name, period, limit)))
        return [mapping.period(row) for row in rows]

    async def ledger_head(self) -> money.LedgerHead:
        """Where the books stand."""
        check = self._check()

        def head(sql: Sql) -> money.LedgerHead:
            rows = sql.rows("SELECT seq, hash FROM groups ORDER BY seq DESC LIMIT 1")
            last = SealRows(sql).last_seal()
            return money.LedgerHead(
                seq=rows[0][0] if rows else 0,
                hash=bytes(rows[0][1]).hex() if rows else "",
                verified=None if check is None else check.ok,
                seal=opened(last).number if last else None,
            )

        return await self._read(head)

    async def seals(self, limit: int, before_number: int | None) -> list[money.SealView]:
        """Signed seals, newest first."""

        def newest(sql: Sql) -> list[money.SealView]:
            found = [view for signed in SealRows(sql).all() if (view := seal_view(signed)) is not None]
            below = [view for view in found if before_number is None or view.number < before_number]
            return below[::-1][:limit]

        return await self._read(newest)


def seal_view(signed: Signed) -> money.SealView | None:
    """A seal as the API tells it; None for a hand-over between keys."""
    document = opened(signed)
    if not isinstance(document, SealDocument):
        return None
    return money.SealView(
        number=document.number,
        at_ms=document.at_ms,
        seq=document.seq,
        head=document.head,
        public_key=document.public_key,
        signature=signed.signature,
        document=signed.document,
    )


def known_pool(pool: str, ask: Callable[[str], T]) -> Callable[[], T]:
    """Ask about a pool; one that does not exist is not found, like everything else."""

    def asked() -> T:
        try:
            return ask(pool)
        except UnknownPoolError:
            raise NotFoundError("pool", pool) from None

    return asked
