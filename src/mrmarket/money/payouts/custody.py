"""Moves a pool's money between a rail and a venue, one bounded round at a time."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from mrmarket.core.crash import reach
from mrmarket.money.ledger.draft import Draft
from mrmarket.money.ledger.rules import Rejection
from mrmarket.money.ledger.writer import LedgerWriter
from mrmarket.money.payouts.calls import perform, perform_or_note, read, reported, side_by_side
from mrmarket.money.payouts.move import Direction, Move, MoveRow, MoveState
from mrmarket.money.payouts.move_book import MoveBook
from mrmarket.money.payouts.port import PaymentRail, SendReport, VenueFunding
from mrmarket.money.payouts.repository import MoveRepository
from mrmarket.store.sql import SqlReader


class MoveSettings(msgspec.Struct, frozen=True):
    """Bounds of one round."""

    batch: int = 16
    call_timeout_s: float = 10.0


class CustodyMoves:
    """Drives moves. It keeps nothing: dropped at any moment, the next one goes on from the tables.

    To a venue the outbox carries the money. From a venue the venue is asked once under the move's id and
    looked up until it is known what came of it; the move ends when the payment arrives on the rail.
    """

    def __init__(
        self,
        writer: LedgerWriter,
        reader: SqlReader,
        rails: Mapping[str, PaymentRail],
        venues: Mapping[str, VenueFunding],
        book: MoveBook,
        settings: MoveSettings | None = None,
    ) -> None:
        self._writer = writer
        self._reader = reader
        self._rails = rails
        self._venues = venues
        self._book = book
        self._settings = settings or MoveSettings()
        self._in_flight: set[str] = set()

    async def start(self, move: Move) -> MoveRow | Rejection:
        """Plan a move; asking again for the same one gives its row as it stands.

        Raises:
            PayoutConflictError, InexactAmountError: as `MoveBook.plan`.
            KeyError: if the venue has no way to the rail.
        """
        destination = ""
        if move.direction is Direction.TO_VENUE:
            destination = await self._venues[move.venue_asset.namespace].deposit_address(move.rail_asset.code)
        planned = await perform(self._writer, lambda draft: self._book.plan(draft, move, destination))
        reach("moves.planned")
        return planned

    async def step(self, now_ms: int) -> int:
        """Ask venues for what is planned and look up what is unclear, once each; how many moves.

        Raises:
            StoreError, LedgerStoppedError: if the books cannot be read or written.
        """
        venues, batch = list(self._venues), self._settings.batch
        due = await read(self._reader, lambda sql: MoveRepository(sql).due(venues, now_ms, batch))
        mine = [row for row in due if row.id not in self._in_flight]
        names = {row.id for row in mine}
        self._in_flight |= names
        try:
            await side_by_side([self._pursue(row, now_ms) for row in mine], batch)
        finally:
            self._in_flight -= names
        return len(mine)

    async def _pursue(self, row: MoveRow, now_ms: int) -> None:
        looked_up = row.state is not MoveState.PLANNED
        if not looked_up:
            taken = await perform(self._writer, lambda draft: self._book.take(draft, row.id, now_ms))
            if taken is None:
                return
            row = taken
            reach("moves.taken")
        report = await self._ask(row, looked_up=looked_up)
        reach("moves.answered")

        def note(draft: Draft) -> MoveRow:
            return self._book.note(draft, row, report, now_ms, looked_up=looked_up)

        def stumble(draft: Draft, reason: str) -> None:
            self._book.stumble(draft, row.id, reason, now_ms)

        await perform_or_note(self._writer, note, stumble)
        reach("moves.noted")

    async def _ask(self, row: MoveRow, *, looked_up: bool) -> SendReport:
        venue = self._venues[row.venue]
        if looked_up:
            return await reported(venue.find(row.id), self._settings.call_timeout_s)
        return await reported(self._withdrawal(venue, row), self._settings.call_timeout_s)

    async def _withdrawal(self, venue: VenueFunding, row: MoveRow) -> SendReport:
        pay_to = await self._rails[row.rail].instructions("", row.memo)
        decimals = await read(self._reader, lambda sql: MoveRepository(sql).decimals(row.venue_asset))
        return await venue.withdraw(
            row.id, row.asset_code, row.venue_units, decimals, pay_to.address, row.memo
        )
