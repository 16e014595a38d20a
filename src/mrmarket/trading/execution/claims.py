"""Trades on our account whose order nobody here knows: the venue is asked whose they are."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import Final

import msgspec

from mrmarket.store.errors import DuplicateIntentError
from mrmarket.trading.execution.desk import OrderDesk
from mrmarket.trading.venue.port import FillReport, UnknownOrderError, Venue, VenueError

_REMEMBERED: Final = 100_000


class Claims:
    """After a power cut the journal may lack its last intents, and a trade names only the venue's order id.

    The order behind such a trade is queried once: if its client order id is of our making it is taken
    over with its trades, else the trades are somebody else's and are not looked into again.
    """

    def __init__(self, venue: Venue, desk: OrderDesk) -> None:
        self._venue = venue
        self._desk = desk
        self._waiting: dict[str, dict[str, FillReport]] = {}
        self._settled: dict[str, None] = {}

    @property
    def are_settled(self) -> bool:
        """Whether nobody has to be asked."""
        return not self._waiting

    def know(self, trade_ids: Iterable[str]) -> None:
        """Trades that need no question: they are in the event log, or not ours."""
        self._settled.update(dict.fromkeys(trade_ids))
        while len(self._settled) > _REMEMBERED:
            del self._settled[next(iter(self._settled))]

    def note(self, fill: FillReport) -> None:
        """Keep a trade that the venue has listed, if nobody here knows its order."""
        if fill.client_order_id or fill.trade_id in self._settled or self._is_known(fill.venue_order_id):
            return
        self._waiting.setdefault(fill.venue_order_id, {})[fill.trade_id] = fill

    async def settle(self, limit: int) -> None:
        """Ask for at most so many orders, the oldest first.

        Raises:
            VenueError: once the venue does not answer at all; the rest is asked for another time.
        """
        for venue_order_id in list(self._waiting)[:limit]:
            try:
                if not self._is_known(venue_order_id):  # else its acknowledgement has brought them together
                    await self._ask(venue_order_id)
            except VenueError as error:
                if error.retryable:
                    raise
                continue  # an answer that nobody can read; asked for again
            self.know(self._waiting.pop(venue_order_id))

    async def _ask(self, venue_order_id: str) -> None:
        try:
            report = await self._venue.query(self._desk.instrument.symbol, "", venue_order_id)
        except UnknownOrderError:
            return
        if not self._desk.owns(report.client_order_id):
            return
        # Written before, as closed or in doubt: its trades are taken in by its name all the same.
        with suppress(DuplicateIntentError):
            self._desk.adopt(report)
        for fill in self._waiting[venue_order_id].values():
            self._desk.fill(msgspec.structs.replace(fill, client_order_id=report.client_order_id))

    def _is_known(self, venue_order_id: str) -> bool:
        return self._desk.table.find("", venue_order_id) is not None
