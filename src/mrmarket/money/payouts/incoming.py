"""Reads the rails' feeds and sees every payment to its end, one bounded round at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import msgspec
from msgspec.structs import replace

from mrmarket.core.crash import reach
from mrmarket.money.ledger.draft import Draft
from mrmarket.money.ledger.writer import LedgerWriter
from mrmarket.money.payouts.calls import perform, perform_or_note, read, said, side_by_side
from mrmarket.money.payouts.intake import Intake
from mrmarket.money.payouts.payment import FeedCursor, Incident, Payment, Standing
from mrmarket.money.payouts.port import IncomingPage, PaymentRail
from mrmarket.money.payouts.pursuit import Jitter, Patience
from mrmarket.money.payouts.repository import PaymentRepository
from mrmarket.store.sql import Sql, SqlReader


class FeedSettings(msgspec.Struct, frozen=True):
    """Bounds of one round."""

    page: int = 100
    """At most so many updates are asked for at once."""
    pages: int = 8
    """At most so many pages are read of each rail."""
    decisions: int = 100
    """At most so many payments are decided on."""
    call_timeout_s: float = 10.0


class Taken(msgspec.Struct, frozen=True):
    """What one round came to."""

    updates: int
    decided: int
    stumbled: int
    """Payments on which a claimer could not decide; the rows say why."""
    failures: int
    """Rails that did not answer; `FeedCursor.reason` says why."""


class IncomingPayments:
    """Drives the intake. It keeps nothing: dropped at any moment, the next one goes on from the tables.

    A page's payments and the cursor behind it are one transaction. A page that is read twice is harmless.
    """

    def __init__(
        self,
        writer: LedgerWriter,
        reader: SqlReader,
        rails: Mapping[str, PaymentRail],
        intake: Intake,
        patience: Patience,
        jitter: Jitter,
        settings: FeedSettings | None = None,
    ) -> None:
        self._writer = writer
        self._reader = reader
        self._rails = rails
        self._intake = intake
        self._patience = patience
        self._jitter = jitter
        self._settings = settings or FeedSettings()
        self._stepping = asyncio.Lock()

    async def step(self, now_ms: int) -> Taken:
        """Read every feed that is due, decide on what was received, and try to cover what was retracted.

        Raises:
            StoreError, LedgerStoppedError: if the books cannot be read or written.
        """
        async with self._stepping:
            read_rails = await side_by_side(
                [self._follow(rail, now_ms) for rail in self._rails.values()], len(self._rails) or 1
            )
            undecided, incidents = await read(self._reader, lambda sql: self._due(sql, now_ms))
            if undecided:
                reach("payments.booked")
            # Side by side they share a commit, and keep their order, in which the writer takes them.
            decided = await side_by_side(
                [self._decide(payment, now_ms) for payment in undecided], self._settings.decisions
            )
            for incident in incidents:
                await self._cover(incident)
        return Taken(
            updates=sum(updates for updates in read_rails if updates is not None),
            decided=sum(1 for payment in decided if payment and payment.standing is not Standing.RECEIVED),
            stumbled=decided.count(None),
            failures=read_rails.count(None),
        )

    def _due(self, sql: Sql, now_ms: int) -> tuple[list[Payment], list[Incident]]:
        repository = PaymentRepository(sql)
        rails, most = list(self._rails), self._settings.decisions
        open_ones = repository.incidents("open", most)
        retracted = [incident for incident in open_ones if incident.kind == "retraction"]
        return repository.undecided(rails, now_ms, most), retracted

    async def _follow(self, rail: PaymentRail, now_ms: int) -> int | None:
        """Updates read from one rail; None where it did not answer."""
        cursor = await read(self._reader, lambda sql: PaymentRepository(sql).cursor(rail.name))
        if cursor.due_ms > now_ms:
            return 0
        updates = 0
        for _ in range(self._settings.pages):
            page = await self._page(rail, cursor.cursor)
            if isinstance(page, str):
                await self._note_failure(cursor, page, now_ms)
                return None
            if not page.updates and page.next_cursor == cursor.cursor and not cursor.failures:
                return updates
            reach("payments.fetched")
            updates += len(page.updates)
            after = FeedCursor(rail.name, page.next_cursor, 0, "", 0, now_ms)
            failure = await self._book(cursor, page, after)
            if failure is not None:
                await self._note_failure(cursor, failure, now_ms)
                return None
            if not page.updates or page.next_cursor == cursor.cursor:
                return updates
            cursor = after
        return updates

    async def _page(self, rail: PaymentRail, cursor: str) -> IncomingPage | str:
        try:
            async with asyncio.timeout(self._settings.call_timeout_s):
                page = await rail.incoming(cursor, self._settings.page)
        except TimeoutError:
            return f"no answer within {self._settings.call_timeout_s:g} s"
        except Exception as error:  # noqa: BLE001 - whatever a rail does; the cursor's row keeps what it said
            return said(error)
        if any(update.rail != rail.name for update in page.updates):
            return "it told of another rail's payments"
        return page

    async def _book(self, before: FeedCursor, page: IncomingPage, after: FeedCursor) -> str | None:
        """Keep a page and the cursor behind it; what stands against it, if anything does."""

        def work(draft: Draft) -> None:
            repository = PaymentRepository(draft.sql)
            if repository.cursor(before.rail).cursor != before.cursor:
                return  # another reader was here first
            for update in page.updates:
                self._intake.book(draft, update)
            repository.put_cursor(after)

        failures: list[str] = []

        def stumble(draft: Draft, reason: str) -> None:  # noqa: ARG001 - the cursor's row keeps the reason
            failures.append(reason)

        await perform_or_note(self._writer, work, stumble)
        return failures[0] if failures else None

    async def _note_failure(self, cursor: FeedCursor, reason: str, now_ms: int) -> None:
        due_ms = now_ms + self._patience.pause_ms(cursor.failures, self._jitter)
        after = replace(cursor, failures=cursor.failures + 1, reason=reason, due_ms=due_ms)
        await perform(self._writer, lambda draft: PaymentRepository(draft.sql).put_cursor(after))

    async def _decide(self, payment: Payment, now_ms: int) -> Payment | None:
        due_ms = now_ms + self._patience.pause_ms(payment.attempts, self._jitter)

        def decide(draft: Draft) -> Payment:
            return self._intake.decide(draft, payment.rail, payment.id, due_ms)

        def stumble(draft: Draft, reason: str) -> None:
            self._intake.stumble(draft, payment.rail, payment.id, reason, due_ms)

        decided = await perform_or_note(self._writer, decide, stumble)
        reach("payments.disposed")
        return decided

    async def _cover(self, incident: Incident) -> None:
        await perform(self._writer, lambda draft: self._intake.cover(draft, incident.id))
