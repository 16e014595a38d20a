"""The account's own stream: orders, fills and balances as they change, and whether it is up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from mrmarket.trading.venue.ccxt_adapter.backoff import Backoff
from mrmarket.trading.venue.ccxt_adapter.client import Entry, drop, follows_account
from mrmarket.trading.venue.ccxt_adapter.dialects.generic import Dialect
from mrmarket.trading.venue.ccxt_adapter.reports import ReportReader
from mrmarket.trading.venue.event_queue import EventQueue
from mrmarket.trading.venue.port import BalanceReport, StreamState, UserEvent

Explain = Callable[[Exception], str]


class AccountFeed:
    """Follows the account through ccxt.pro and hands every event to a queue, dropping none.

    Orders and fills are taken where ccxt parses them, one by one, not from its caches. The stream
    counts as connected once the exchange has confirmed the subscription.
    """

    def __init__(
        self, exchange: Any, dialect: Dialect, reader: ReportReader, backoff: Backoff, explain: Explain
    ) -> None:
        """`explain` turns whatever ended the stream into a sentence without secrets."""
        self.queue: EventQueue[UserEvent] = EventQueue()
        self.connected = False
        self._exchange = exchange
        self._dialect = dialect
        self._reader = reader
        self._backoff = backoff
        self._explain = explain
        self._connection: Any = None
        self._balances: dict[str, BalanceReport] = {}

    def take_order(self, raw: Entry) -> None:
        """An order as ccxt has just parsed it."""
        if self._reader.follows(raw):
            self.queue.put(self._reader.order(raw))

    def take_fill(self, raw: Entry) -> None:
        """A trade of ours as ccxt has just parsed it."""
        if self._reader.follows(raw):
            self.queue.put(self._reader.fill(raw))

    def subscribed(self, connection: Any) -> None:
        """A subscription was sent on a connection."""
        if connection is None:
            return
        self._connection = connection
        if not self._dialect.confirms_streams:
            connection.connected.add_done_callback(self._when_connected)

    def offer(self, connection: Any, frame: bytes) -> None:
        """See a frame of any connection; ccxt parses it afterwards."""
        if not self.connected and connection is self._connection and self._dialect.stream_is_ready(frame):
            self._up()

    def leave(self, reason: str = "") -> None:
        """Drop the connection, so that the next subscription begins anew."""
        connection, self._connection = self._connection, None
        drop(self._exchange, connection, ConnectionError(reason))

    async def run(self) -> None:
        """Follow the account until cancelled."""
        follows_account.set(True)
        while True:
            try:
                await self._follow()
            except Exception as error:  # noqa: BLE001 - whatever ended it, the stream must come back
                self._down(self._explain(error))
            await asyncio.sleep(self._backoff.next_s())

    async def _follow(self) -> None:
        has = self._exchange.has
        jobs: list[Coroutine[Any, Any, None]] = [self._watch("watch_orders")]
        if has.get("watchMyTrades"):
            jobs.append(self._watch("watch_my_trades"))
        if has.get("watchBalance"):
            jobs.append(self._watch_balances())
        tasks = [asyncio.ensure_future(job) for job in jobs]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
        failures = [end for end in ended if isinstance(end, Exception)]
        raise failures[0] if failures else ConnectionError("the connection was closed")

    async def _watch(self, method: str) -> None:
        while True:
            await getattr(self._exchange, method)()

    async def _watch_balances(self) -> None:
        while True:
            answer = await self._exchange.watch_balance()
            for report in self._reader.balances(answer):
                if self._balances.get(report.asset) != report:
                    self._balances[report.asset] = report
                    self.queue.put(report)

    def _when_connected(self, future: Any) -> None:
        if not future.cancelled() and future.exception() is None:
            self._up()

    def _up(self) -> None:
        if not self.connected:
            self.connected = True
            self._backoff.reset()
            self.queue.put(StreamState(connected=True))

    def _down(self, reason: str) -> None:
        self.connected = False
        self.leave(reason)
        self.queue.put(StreamState(connected=False, reason=reason))
