"""Which process chooses: one at a time, under a lease of the trading store, as runs have them."""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

from mrmarket.core.clock import NS_PER_S, Clock
from mrmarket.core.errors import MrMarketError
from mrmarket.services.engine.database_line import DatabaseLine
from mrmarket.services.engine.ports import LeaseStore
from mrmarket.store.errors import StoreError
from mrmarket.trading.execution.lease_guard import LeaseGuard

NAME: Final = "selection:turns"
"""No run can have that name."""
_TTL_S: Final = 6.0
_RENEW_S: Final = 2.0
_log = structlog.get_logger("mrmarket.selection.lease")


class TurnsElsewhereError(MrMarketError):
    """Another process chooses between strategies."""

    code = "turns_elsewhere"
    retryable = True

    def __init__(self) -> None:
        super().__init__("another process chooses between strategies now; ask that one, or try again")


class TurnLease:
    """Takes the lease whenever it is to be had, and knows by its own clock whether it still holds."""

    def __init__(self, leases: LeaseStore, line: DatabaseLine, node: str, clock: Clock) -> None:
        """`node` owns it; no two processes may share that name."""
        self.fence = 0
        """Of the lease that was last ours."""
        self._leases = leases
        self._line = line
        self._node = node
        self._clock = clock
        self._guard = LeaseGuard(clock)

    @property
    def is_ours(self) -> bool:
        """Whether this process chooses."""
        return self._guard.is_valid

    async def keep(self) -> None:
        """Take it or renew it until cancelled, then let others in."""
        try:
            while True:
                try:
                    await self.ask()
                except StoreError as error:
                    _log.warning("the lease of the choice was not renewed", error=str(error))
                await asyncio.sleep(_RENEW_S)
        finally:
            await self._give_back()

    async def ask(self) -> None:
        """Renew what is ours, or take what is free. Raises a StoreError."""
        asked_ns, ttl_ns = self._clock.monotonic_ns(), int(_TTL_S * NS_PER_S)
        now_ns = self._clock.now_ns()
        if self.is_ours:
            lost = await self._line.call(
                self._leases.renew_leases, [NAME], ttl_ns, now_ns, name="selection renew"
            )
            if lost:
                self._guard.lost()
            else:
                self._guard.renewed(asked_ns, ttl_ns)
            return
        taken = await self._line.call(
            self._leases.acquire_leases, [NAME], self._node, ttl_ns, now_ns, name="selection lease"
        )
        if NAME in taken:
            self.fence = taken[NAME]
            self._guard.renewed(asked_ns, ttl_ns)
            _log.info("this process chooses between strategies", node=self._node, fence=self.fence)

    async def _give_back(self) -> None:
        if not self.is_ours:
            return
        self._guard.lost()
        try:
            await self._line.call(self._leases.release_lease, NAME, name="selection release")
        except StoreError as error:
            _log.warning("the lease of the choice runs out by itself", error=str(error))
