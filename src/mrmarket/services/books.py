"""The business core beside a run: settles what the run writes, and keeps its figures at hand."""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

from mrmarket.money.ledger.verification import LedgerCheck
from mrmarket.money.pool.treasury import Treasury
from mrmarket.money.pool.view import PoolFigures
from mrmarket.services import views
from mrmarket.services.hub import UpdateHub
from mrmarket.store.trading_store import TradingStore

_SETTLE_EVERY_S: Final = 0.5
_VERIFY_EVERY: Final = 120
_EVENTS_AT_ONCE: Final = 200

_log = structlog.get_logger("mrmarket.books")


class Books:
    """Settles twice a second, verifies once a minute. All SQL runs in threads."""

    def __init__(self, treasury: Treasury, store: TradingStore, stream: str, hub: UpdateHub) -> None:
        self.treasury = treasury
        self.figures: PoolFigures | None = None
        """As of the last settlement."""
        self.check: LedgerCheck | None = None
        """Result of the last verification."""
        self._store = store
        self._stream = stream
        self._hub = hub
        self._shown_seq = 0

    async def settle(self) -> None:
        """Bring every durable fact into the ledger and publish what changed."""
        await asyncio.to_thread(self.treasury.settle)
        self.figures = figures = await asyncio.to_thread(self.treasury.pool_view)
        if self._hub.wants("pool"):
            self._hub.publish("pool", views.pool_view(figures))
        if self._hub.wants("equity"):
            for point in views.equity_points(await asyncio.to_thread(self.treasury.equity, 1)):
                self._hub.publish("equity", point)
        await self._show_events(figures.log_head_seq)

    async def verify(self) -> LedgerCheck:
        """Re-derive the ledger from its log."""
        self.check = await asyncio.to_thread(self.treasury.verify)
        if not self.check.ok:
            _log.error("the ledger does not verify", reason=self.check.reason, seq=self.check.first_bad_seq)
        return self.check

    async def keep(self) -> None:
        """Settle and verify until cancelled; a failure stops it and is raised."""
        beat = 0
        while True:
            await self.settle()
            if beat % _VERIFY_EVERY == 0:
                await self.verify()
            beat += 1
            await asyncio.sleep(_SETTLE_EVERY_S)

    async def _show_events(self, head_seq: int) -> None:
        if not self._hub.wants("event"):
            self._shown_seq = head_seq
            return
        after = max(self._shown_seq, head_seq - _EVENTS_AT_ONCE)
        for logged in await asyncio.to_thread(self._store.read_facts, self._stream, after, _EVENTS_AT_ONCE):
            self._hub.publish("event", views.event_view(logged))
            self._shown_seq = logged.seq
