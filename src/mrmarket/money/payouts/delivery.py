"""Carries payouts to their rails and finds out what became of them, one bounded round at a time."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from mrmarket.core.crash import reach
from mrmarket.money.ledger.draft import Draft
from mrmarket.money.ledger.writer import LedgerWriter
from mrmarket.money.payouts.calls import perform, perform_or_note, read, reported, side_by_side
from mrmarket.money.payouts.clearing import Clearing
from mrmarket.money.payouts.payout import PayoutRow, PayoutState
from mrmarket.money.payouts.port import PaymentRail, SendReport, SendRequest
from mrmarket.money.payouts.repository import PayoutRepository
from mrmarket.store.sql import Sql, SqlReader


class DeliverySettings(msgspec.Struct, frozen=True):
    """Bounds of one round."""

    batch: int = 32
    """At most so many payouts are sent, and so many looked up."""
    at_once: int = 8
    call_timeout_s: float = 10.0


class Delivered(msgspec.Struct, frozen=True):
    """What one round came to."""

    sent: int
    """Payouts that a rail was asked for."""
    looked_up: int
    confirmed: int
    refused: int
    stumbled: int
    """Answers that the books or the cause's own rules refused; the rows say why."""


class Deliverer:
    """Drives the outbox. It keeps nothing: dropped at any moment, the next one goes on from the tables.

    The row says `sending` before the rail is called. Whoever finds it so later cannot know whether the call
    was made, so it looks the payment up and never just calls again.
    """

    def __init__(
        self,
        writer: LedgerWriter,
        reader: SqlReader,
        rails: Mapping[str, PaymentRail],
        clearing: Clearing,
        settings: DeliverySettings | None = None,
    ) -> None:
        self._writer = writer
        self._reader = reader
        self._rails = rails
        self._clearing = clearing
        self._settings = settings or DeliverySettings()
        self._in_flight: set[str] = set()

    async def step(self, now_ms: int) -> Delivered:
        """Send what is due and look up what is unclear, once each.

        Raises:
            StoreError, LedgerStoppedError: if the books cannot be read or written.
        """
        unsettled, ready = await read(self._reader, lambda sql: self._due(sql, now_ms))
        mine = {row.id for row in (*unsettled, *ready)} - self._in_flight
        self._in_flight |= mine
        try:
            sendable = [row.id for row in ready if row.id in mine]
            taken = await self._take(sendable, now_ms) if sendable else []
            found = [row for row in unsettled if row.id in mine]
            rows = await side_by_side(
                [
                    *(self._deliver(row, now_ms, looked_up=True) for row in found),
                    *(self._deliver(row, now_ms, looked_up=False) for row in taken),
                ],
                self._settings.at_once,
            )
        finally:
            self._in_flight -= mine
        states = [row.state for row in rows if row is not None]
        return Delivered(
            sent=len(taken),
            looked_up=len(found),
            confirmed=states.count(PayoutState.CONFIRMED),
            refused=states.count(PayoutState.REFUSED),
            stumbled=rows.count(None),
        )

    def _due(self, sql: Sql, now_ms: int) -> tuple[list[PayoutRow], list[PayoutRow]]:
        repository = PayoutRepository(sql)
        rails, batch = list(self._rails), self._settings.batch
        return repository.unsettled(rails, now_ms, batch), repository.ready(rails, now_ms, batch)

    async def _take(self, payout_ids: list[str], now_ms: int) -> list[PayoutRow]:
        reach("payouts.enqueued")
        taken = await perform(self._writer, lambda draft: self._clearing.take(draft, payout_ids, now_ms))
        reach("payouts.taken")
        return taken

    async def _deliver(self, row: PayoutRow, now_ms: int, *, looked_up: bool) -> PayoutRow | None:
        report = await self._ask(row, looked_up=looked_up)
        reach("payouts.answered")

        def note(draft: Draft) -> PayoutRow:
            return self._clearing.note(draft, row, report, now_ms, looked_up=looked_up)

        def stumble(draft: Draft, reason: str) -> None:
            self._clearing.stumble(draft, row.id, reason, now_ms)

        settled = await perform_or_note(self._writer, note, stumble)
        reach("payouts.settled")
        return settled

    async def _ask(self, row: PayoutRow, *, looked_up: bool) -> SendReport:
        rail = self._rails[row.rail]
        if looked_up:
            call = rail.find(row.key)
        else:
            call = rail.send(SendRequest(row.key, row.asset_code, row.units, row.destination, row.memo))
        return await reported(call, self._settings.call_timeout_s)
