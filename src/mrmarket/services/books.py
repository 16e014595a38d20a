"""The business core beside a run: settles what the run writes, and keeps its figures at hand."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Final

import structlog

from mrmarket.money.ledger.verification import LedgerCheck
from mrmarket.money.pool.treasury import Treasury
from mrmarket.money.pool.view import PoolFigures
from mrmarket.services import views
from mrmarket.services.audit import verify_store
from mrmarket.services.data_directory import DataDirectory, LedgerBrokenError
from mrmarket.services.hub import UpdateHub
from mrmarket.services.outage import through_outages
from mrmarket.store.errors import Place
from mrmarket.store.trading_port import TradingLog

_PATIENCE_S: Final = 2.0
"""How long a start waits for the books to be verified; a longer ledger is verified while it trades; until
that is over no money moves."""
_SETTLE_EVERY_S: Final = 0.5
_VERIFY_EVERY_S: Final = 60.0
_VERIFY_SHARE: Final = 0.02
"""Most of its time that an instance spends on verifying: a long ledger is verified less often."""
_EVENTS_AT_ONCE: Final = 200

_log = structlog.get_logger("mrmarket.books")


async def begin_check(directory: DataDirectory) -> asyncio.Task[LedgerCheck] | None:
    """Verify the books of an earlier run before anything is touched; None if there are none.

    Raises:
        LedgerBrokenError: they were found not to add up within a short time; a longer check goes on.
        StoreError: they cannot be read.
    """
    address = directory.store
    if not await asyncio.to_thread(address.has_books):
        return None
    # Only today's tables can be verified; the steps from older ones are one transaction.
    await asyncio.to_thread(address.prepare_books)
    check = asyncio.create_task(asyncio.to_thread(verify_store, address))
    await asyncio.wait({check}, timeout=_PATIENCE_S)
    if check.done():
        require_sound(address.money_place, check.result())
    return check


def require_sound(path: Place, check: LedgerCheck) -> None:
    """Raise LedgerBrokenError if a ledger did not verify."""
    if not check.ok:
        raise LedgerBrokenError(path, check.reason or "no reason given")


async def when_sound(check: asyncio.Task[LedgerCheck] | None, work: Coroutine[Any, Any, None]) -> None:
    """Carry out what moves money once the first check is over; never where the books do not add up.

    That they do not is raised by whoever settles.
    """
    try:
        if check is None or (await asyncio.shield(check)).ok:
            await work
    finally:
        work.close()  # it may not have begun


def verify_pause_s(took_s: float) -> float:
    """From the begin of one verification to the next, by how long the last one took."""
    return max(_VERIFY_EVERY_S, took_s / _VERIFY_SHARE)


class Books:
    """Settles twice a second, verifies once a minute, or as often as 2 % of the time allow.

    All SQL runs in threads.

    Nothing is settled into a ledger that does not verify.
    """

    def __init__(
        self,
        treasury: Treasury,
        path: Place,
        store: TradingLog,
        stream: str,
        hub: UpdateHub,
        first_check: asyncio.Task[LedgerCheck] | None = None,
    ) -> None:
        """`first_check` is what `begin_check` gave; nothing is settled before it is over."""
        self.treasury = treasury
        self._path = path
        self.figures: PoolFigures | None = None
        """As of the last settlement."""
        self.check: LedgerCheck | None = None
        """Result of the last verification."""
        self._store = store
        self._stream = stream
        self._hub = hub
        self._shown_seq = 0
        self._first_check = first_check

    async def settle(self) -> None:
        """Bring every durable fact into the ledger and publish what changed; nothing into a broken one."""
        if self.check is not None and not self.check.ok:
            return
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
        return self._note(await asyncio.to_thread(self.treasury.verify))

    async def keep(self) -> None:
        """Settle and verify until cancelled; a failure stops it and is raised. A database may restart."""
        loop = asyncio.get_running_loop()
        if self._first_check is not None:
            require_sound(self._path, self._note(await self._first_check))
        due = loop.time()
        while True:
            await through_outages("settlement", self.settle)
            if (begun := loop.time()) >= due:
                require_sound(self._path, await through_outages("verification", self.verify))
                due = begun + verify_pause_s(loop.time() - begun)
            await asyncio.sleep(_SETTLE_EVERY_S)

    def _note(self, check: LedgerCheck) -> LedgerCheck:
        self.check = check
        if not check.ok:
            _log.error("the ledger does not verify", reason=check.reason, seq=check.first_bad_seq)
        return check

    async def _show_events(self, head_seq: int) -> None:
        if not self._hub.wants("event"):
            self._shown_seq = head_seq
            return
        after = max(self._shown_seq, head_seq - _EVENTS_AT_ONCE)
        for logged in await asyncio.to_thread(self._store.read_facts, self._stream, after, _EVENTS_AT_ONCE):
            self._hub.publish("event", views.event_view(logged))
            self._shown_seq = logged.seq
