"""The business core's public face: one object that owns the books of every pool."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final, Self, TypeVar

from mrmarket.core.clock import NS_PER_MS, Clock
from mrmarket.core.crash import reach
from mrmarket.core.decimals import format_units, parse_units
from mrmarket.core.errors import InvalidInputError
from mrmarket.money.ledger.draft import Draft
from mrmarket.money.ledger.group import Answer
from mrmarket.money.ledger.ledger import Ledger
from mrmarket.money.ledger.port import LedgerStore
from mrmarket.money.ledger.sqlite_store import SqliteStore
from mrmarket.money.ledger.verification import LedgerCheck, verify_database
from mrmarket.money.ledger.writer import LedgerWriter
from mrmarket.money.pool.audit import SIDE_CHECKS, verify
from mrmarket.money.pool.book import PoolBook
from mrmarket.money.pool.books_view import SnapshotView
from mrmarket.money.pool.desk import PoolDesk
from mrmarket.money.pool.errors import StreamBrokenError, UnknownPoolError
from mrmarket.money.pool.figures import Figures
from mrmarket.money.pool.in_kind import InKind
from mrmarket.money.pool.plan import ASSET_DECIMALS, PoolPlan
from mrmarket.money.pool.report import PoolReport
from mrmarket.money.pool.repository import BalanceRow, PoolRepository
from mrmarket.money.pool.settlement import FactReader, Progress, Settlement
from mrmarket.money.pool.view import (
    DepositorFigures,
    EquityFigures,
    PoolFigures,
    ReconciliationLine,
    SettlementReport,
)
from mrmarket.money.pool.wanted_moves import MovePolicy
from mrmarket.store.event_log import LoggedFact
from mrmarket.store.sql import SqliteReader, SqlReader

_BATCH: Final = 1_000

T = TypeVar("T")


class Treasury:
    """Settles facts into the ledger and says what pools are worth and who owns them.

    Methods are synchronous and may be called from any thread; call them through a thread from async
    code, since those that write wait for the disk. Every method raises a `StoreError` when the database
    refuses, and then it had no effect. Where a method takes a pool's name, None is the first.
    """

    def __init__(
        self,
        plans: Sequence[PoolPlan],
        facts: FactReader,
        store: LedgerStore,
        reader: SqlReader,
        clock: Clock,
        *,
        instance_capacity: int | None = None,
        moves: MovePolicy | None = None,
        check: Callable[[], LedgerCheck] | None = None,
        writer: Callable[[Ledger], LedgerWriter] = LedgerWriter,
    ) -> None:
        """Become the writer of a store's ledger, whatever database it is in.

        Args:
            plans: every pool; the first is the one that is meant where none is named.
            facts: the event log.
            store: the ledger's, opened for writing.
            reader: of the same database.
            clock: stamps what is posted.
            instance_capacity: most that all pools together may be worth, in units of 18 decimals.
            moves: how much stays on the payment rail.
            check: verifies the database; by default all of it that can be read through `reader`.
            writer: drives the ledger; by default a thread.
        """
        _require_distinct(plans)
        self._facts = facts
        self._clock = clock
        self.reader = reader
        self._check = check
        self._books = {plan.name: PoolBook(plan) for plan in plans}
        self._first = plans[0].name
        self._settlements = {
            plan.name: Settlement(self._books[plan.name], plan.stream) for plan in plans if plan.stream
        }
        self._settle_lock = threading.Lock()
        self.writer = writer(Ledger(store, clock))
        try:
            self._perform(self._adopt)
        except BaseException:
            self.close()
            raise
        self.desk = PoolDesk(
            self.writer, self._books, clock, instance_capacity=instance_capacity, moves=moves
        )
        self.figures = Figures(reader, self._books, clock, self.desk.admission)

    @classmethod
    def open(
        cls,
        path: Path,
        facts: FactReader,
        plan: PoolPlan | Sequence[PoolPlan],
        clock: Clock,
        *,
        owner: str = "treasury",
        instance_capacity: int | None = None,
        moves: MovePolicy | None = None,
    ) -> Self:
        """Open `money.db` in SQLite, creating or upgrading it, and become its only writer.

        Raises:
            DatabaseTooNewError: if a newer version wrote it; nothing is changed.
        """
        plans = [plan] if isinstance(plan, PoolPlan) else plan
        _require_distinct(plans)
        store = SqliteStore.open(path, owner)
        return cls(
            plans,
            facts,
            store,
            SqliteReader.open(path),
            clock,
            instance_capacity=instance_capacity,
            moves=moves,
            check=partial(verify, path),
        )

    def close(self) -> None:
        """Finish what is under way and release the database; closing twice is harmless."""
        self.reader.close()
        self.writer.close()

    @property
    def plans(self) -> list[PoolPlan]:
        """Every pool, the first one first."""
        return [book.plan for book in self._books.values()]

    def settle(self, pool: str | None = None) -> SettlementReport:
        """Bring everything that the event log holds into the ledger, for one pool.

        Raises:
            StreamBrokenError: if the log's chain does not hold; what came before is settled.
        """
        with self._settle_lock:
            return self._settle(self._book(pool).plan)

    def _settle(self, plan: PoolPlan) -> SettlementReport:
        total = Progress()
        settlement = self._settlements.get(plan.name)
        stream = plan.stream
        if settlement is None or stream is None:
            return SettlementReport(0, 0, 0, 0, 0, founded=False, replayed=False, settled_through_seq=0)
        replayed = self._rewind_if_foreign(settlement, stream)
        cursor = self._read(lambda repository: repository.cursor(stream))
        while facts := self._facts.read_facts(stream, cursor.seq, _BATCH):
            total.add(self._apply(settlement, facts))
            reach("pool.settled")
            cursor = self._read(lambda repository: repository.cursor(stream))
        return SettlementReport(
            facts=total.facts,
            posted=total.posted,
            repeated=total.repeated,
            parked=total.parked,
            ignored=total.ignored,
            founded=total.founded,
            replayed=replayed,
            settled_through_seq=cursor.seq,
        )

    def deposit(self, user: str, amounts: Mapping[str, str], key: str, *, pool: str | None = None) -> Answer:
        """Take a deposit in kind that has reached the venue account, and mint shares for it at once.

        For the owner's own bookkeeping; people deposit through the desk.

        Args:
            user: the depositor's name.
            amounts: decimal strings by asset code.
            key: derived from what caused the deposit; repeating it is harmless.
            pool: which pool.

        Raises:
            InvalidInputError: if an amount is no exact decimal, or nothing is deposited.
            NoPriceError: if something deposited or held has no price yet.
            IdempotencyConflictError: if the key was used for another deposit.
        """
        book = self._book(pool)
        brought = {
            code: parse_units(text, book.plan.asset(code).decimals, field=code)
            for code, text in amounts.items()
        }
        brought = {code: units for code, units in sorted(brought.items()) if units}
        if not brought:
            raise InvalidInputError("amounts", dict(amounts), "at least one amount above zero")
        return self._perform(partial(InKind(book).deposit, user=user, brought=brought, key=key))

    def withdraw(self, user: str, shares: str, key: str, *, pool: str | None = None) -> Answer:
        """Burn shares at once and pay their low value out in quote through the venue account.

        For the owner's own bookkeeping; people withdraw through the desk.

        Raises:
            InvalidInputError: if the number of shares is no exact decimal, or zero.
            UnknownDepositorError: if the user never had shares.
            WithdrawalRefusedError: if the shares are locked.
            IdempotencyConflictError: if the key was used for another withdrawal.
        """
        book = self._book(pool)
        units = parse_units(shares, book.plan.share.decimals, field="shares")
        if units == 0:
            raise InvalidInputError("shares", shares, "a number above zero")
        return self._perform(partial(InKind(book).withdraw, user=user, shares=units, key=key))

    def observe(self, place: str, balances: Mapping[str, int], at_ns: int) -> None:
        """Note what a place of custody says we hold, in base units by asset code. Never a posting."""

        def work(draft: Draft) -> None:
            repository = PoolRepository(draft.sql)
            for code, units in balances.items():
                asset = draft.asset(f"{place}:{code}")
                decimals = ASSET_DECIMALS if asset is None else asset.decimals
                repository.put_balance(BalanceRow(place, code, format_units(units, decimals), "0", at_ns))

        self._perform(work)

    def pool_view(self, pool: str | None = None) -> PoolFigures:
        """A pool as of the last commit."""
        stream = self._book(pool).plan.stream
        log_head = 0 if stream is None else self._facts.head(stream).seq
        return self._report(pool, lambda report: report.pool(log_head))

    def depositors(self, pool: str | None = None) -> list[DepositorFigures]:
        """Who owns how much, by name."""
        return self._report(pool, lambda report: report.depositors())

    def equity(self, limit: int = 1_000, pool: str | None = None) -> list[EquityFigures]:
        """The newest points of the equity curve, oldest first; at most one a second, older ones thinned."""
        return self._report(pool, lambda report: report.equity(limit))

    def reconciliation(self, pool: str | None = None) -> list[ReconciliationLine]:
        """What each of a pool's places says we hold, against what the ledger says it must hold."""
        return self._report(pool, lambda report: report.reconciliation())

    def balances(self, account: str) -> dict[str, str]:
        """Everything an account holds, as decimal strings by asset id."""
        with self.reader.snapshot() as sql:
            view = SnapshotView(sql, 0)
            return {
                asset: format_units(units, known.decimals)
                for asset, units in view.holdings(account).items()
                if (known := view.asset(asset)) is not None
            }

    def verify(self) -> LedgerCheck:
        """Re-derive everything in the database from its log."""
        if self._check is not None:
            return self._check()
        with self.reader.snapshot() as sql:
            return verify_database(sql, SIDE_CHECKS)

    def _adopt(self, draft: Draft) -> None:
        for book in self._books.values():
            book.adopt(draft)

    def _apply(self, settlement: Settlement, facts: Sequence[LoggedFact]) -> Progress:
        try:
            return self._perform(partial(settlement.apply, facts=facts))
        except StreamBrokenError as broken:
            sound = [logged for logged in facts if logged.seq < broken.seq]
            if sound:
                self._perform(partial(settlement.apply, facts=sound))
            raise

    def _rewind_if_foreign(self, settlement: Settlement, stream: str) -> bool:
        cursor = self._read(lambda repository: repository.cursor(stream))
        if cursor.seq == 0:
            return False
        last = self._facts.read_facts(cursor.stream, cursor.seq - 1, 1)
        if last and (last[0].seq, last[0].epoch, last[0].hash) == (cursor.seq, cursor.epoch, cursor.hash):
            return False
        self._perform(settlement.rewind)
        return True

    def _book(self, pool: str | None) -> PoolBook:
        book = self._books.get(self._first if pool is None else pool)
        if book is None:
            raise UnknownPoolError(str(pool), list(self._books))
        return book

    def _perform(self, work: Callable[[Draft], T]) -> T:
        return self.writer.perform(work).result()

    def _read(self, query: Callable[[PoolRepository], T]) -> T:
        """Run queries on one snapshot of the last commit."""
        with self.reader.snapshot() as sql:
            return query(PoolRepository(sql))

    def _report(self, pool: str | None, ask: Callable[[PoolReport], T]) -> T:
        book = self._book(pool)
        with self.reader.snapshot() as sql:
            return ask(PoolReport(book, SnapshotView(sql, self._clock.now_ns() // NS_PER_MS)))


def _require_distinct(plans: Sequence[PoolPlan]) -> None:
    names = [plan.name for plan in plans]
    if not plans or len(set(names)) != len(names):
        raise InvalidInputError("pools", names, "at least one pool, each name once")
    founded = [plan.venue for plan in plans if plan.stream and plan.founders]
    if len(set(founded)) != len(founded):
        raise InvalidInputError("founders", names, "founders for one pool at a venue: its account is one")
