"""The business core's public face: one object that owns `money.db`."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final, Self, TypeVar

from mrmarket.core.clock import Clock
from mrmarket.core.decimals import format_units, parse_units
from mrmarket.core.errors import InvalidInputError
from mrmarket.money.ledger.draft import Draft
from mrmarket.money.ledger.errors import IdempotencyConflictError
from mrmarket.money.ledger.group import Answer, Group, Posted, TransferKind
from mrmarket.money.ledger.ledger import Ledger
from mrmarket.money.ledger.sqlite_store import SqliteStore
from mrmarket.money.ledger.verification import LedgerCheck
from mrmarket.money.ledger.writer import LedgerWriter
from mrmarket.money.pool.audit import verify
from mrmarket.money.pool.errors import NoPriceError, StreamBrokenError, UnknownDepositorError
from mrmarket.money.pool.plan import PoolPlan
from mrmarket.money.pool.report import PoolReport
from mrmarket.money.pool.repository import PoolRepository
from mrmarket.money.pool.settlement import FactReader, Progress, Settlement
from mrmarket.money.pool.stakes import deposit_group, withdrawal_group
from mrmarket.money.pool.view import (
    DepositorFigures,
    EquityFigures,
    PoolFigures,
    ReconciliationLine,
    SettlementReport,
)
from mrmarket.store.event_log import LoggedFact
from mrmarket.store.sqlite import connect, store_error

_BATCH: Final = 1_000

T = TypeVar("T")


class Treasury:
    """Settles facts into the ledger and says what the pool is worth and who owns it.

    Methods are synchronous and may be called from any thread; call them through a thread from async
    code, since those that write wait for the disk. Every method raises a `StoreError` when the database
    refuses, and then it had no effect.
    """

    def __init__(self, plan: PoolPlan, facts: FactReader, store: SqliteStore, clock: Clock) -> None:
        self._plan = plan
        self._facts = facts
        self._path = store.path
        self._settlement = Settlement(plan, PoolRepository(lambda: store.connection))
        self._writer_repository = PoolRepository(lambda: store.connection)
        self._writer = LedgerWriter(Ledger(store, clock))
        self._settle_lock = threading.Lock()
        self._read_lock = threading.Lock()
        self._reader = connect(store.path, read_only=True)

    @classmethod
    def open(
        cls, path: Path, facts: FactReader, plan: PoolPlan, clock: Clock, *, owner: str = "treasury"
    ) -> Self:
        """Open `money.db`, creating or upgrading it, and become its only writer.

        Raises:
            DatabaseTooNewError: if a newer version wrote it; nothing is changed.
        """
        return cls(plan, facts, SqliteStore.open(path, owner), clock)

    def close(self) -> None:
        """Finish what is under way and release the database; closing twice is harmless."""
        with self._read_lock:
            self._reader.close()
        self._writer.close()

    def settle(self) -> SettlementReport:
        """Bring everything the event log holds into the ledger.

        Raises:
            StreamBrokenError: if the log's chain does not hold; what came before is settled.
        """
        with self._settle_lock:
            return self._settle()

    def _settle(self) -> SettlementReport:
        stream = self._plan.stream
        total = Progress()
        replayed = self._rewind_if_foreign()
        cursor = self._read(lambda repository: repository.cursor(stream))
        while facts := self._facts.read_facts(stream, cursor.seq, _BATCH):
            progress = self._apply(facts)
            total.facts += progress.facts
            total.posted += progress.posted
            total.repeated += progress.repeated
            total.parked += progress.parked
            total.ignored += progress.ignored
            total.founded |= progress.founded
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

    def deposit(self, user: str, amounts: Mapping[str, str], key: str) -> Answer:
        """Take a deposit in kind that has reached the venue account, and mint shares for it.

        Args:
            user: the depositor's name.
            amounts: decimal strings by asset code.
            key: derived from what caused the deposit; repeating it is harmless.

        Raises:
            InvalidInputError: if an amount is no exact decimal, or nothing is deposited.
            NoPriceError: if something deposited or held has no price yet.
            IdempotencyConflictError: if the key was used for another deposit.
        """
        brought = {
            code: parse_units(text, self._plan.asset(code).decimals, field=code)
            for code, text in amounts.items()
        }
        brought = {code: units for code, units in sorted(brought.items()) if units}
        if not brought:
            raise InvalidInputError("amounts", dict(amounts), "at least one amount above zero")

        def work(draft: Draft) -> Answer:
            account = self._plan.depositor(user).id
            wanted = {self._plan.asset(code).id: units for code, units in brought.items()}
            known = _repeat(draft, f"deposit:{key}", account, TransferKind.DEPOSIT, wanted)
            if known is not None:
                return known
            now = self._settlement.appraise(draft)
            unpriced = sorted(
                code
                for code in {*brought, *(c for c, held in now.holdings.items() if held)}
                if code not in now.marks
            )
            if unpriced:
                raise NoPriceError(unpriced)
            self._settlement.open_accounts(draft, sorted(brought), [user])
            return self._post_stake(draft, deposit_group(self._plan, f"deposit:{key}", user, brought, now))

        return self._perform(work)

    def withdraw(self, user: str, shares: str, key: str) -> Answer:
        """Burn shares and pay their low value out in quote.

        Raises:
            InvalidInputError: if the number of shares is no exact decimal, or zero.
            UnknownDepositorError: if the user never had shares.
            IdempotencyConflictError: if the key was used for another withdrawal.
        """
        units = parse_units(shares, self._plan.share.decimals, field="shares")
        if units == 0:
            raise InvalidInputError("shares", shares, "a number above zero")

        def work(draft: Draft) -> Answer:
            account = self._plan.depositor(user).id
            wanted = {self._plan.share.id: units}
            known = _repeat(draft, f"withdraw:{key}", account, TransferKind.BURN_SHARES, wanted)
            if known is not None:
                return known
            paid_in = self._writer_repository.stakes(self._plan.name).get(account)
            if paid_in is None:
                raise UnknownDepositorError(user)
            now = self._settlement.appraise(draft)
            held = draft.balance(account, self._plan.share.id)
            group = withdrawal_group(self._plan, f"withdraw:{key}", user, units, held, paid_in, now)
            return self._post_stake(draft, group)

        return self._perform(work)

    def pool_view(self) -> PoolFigures:
        """The pool as of the last commit."""
        log_head = self._facts.head(self._plan.stream).seq
        return self._read(lambda repository: PoolReport(self._plan, repository).pool(log_head))

    def depositors(self) -> list[DepositorFigures]:
        """Who owns how much, by name."""
        return self._read(lambda repository: PoolReport(self._plan, repository).depositors())

    def equity(self, limit: int = 1_000) -> list[EquityFigures]:
        """The newest points of the equity curve, oldest first; at most one a second, older ones thinned."""
        return self._read(lambda repository: PoolReport(self._plan, repository).equity(limit))

    def reconciliation(self) -> list[ReconciliationLine]:
        """What the venue says we hold, against what the ledger says it must hold."""
        return self._read(lambda repository: PoolReport(self._plan, repository).reconciliation())

    def balances(self, account: str) -> dict[str, str]:
        """Everything an account holds, as decimal strings by asset id (all of this pool's assets)."""
        held = self._read(lambda repository: repository.holdings(account))
        return {asset: format_units(units, self._plan.share.decimals) for asset, units in held.items()}

    def verify(self) -> LedgerCheck:
        """Re-derive everything in `money.db` from its log."""
        return verify(self._path)

    def _apply(self, facts: Sequence[LoggedFact]) -> Progress:
        try:
            return self._perform(partial(self._settlement.apply, facts=facts))
        except StreamBrokenError as broken:
            sound = [logged for logged in facts if logged.seq < broken.seq]
            if sound:
                self._perform(partial(self._settlement.apply, facts=sound))
            raise

    def _rewind_if_foreign(self) -> bool:
        cursor = self._read(lambda repository: repository.cursor(self._plan.stream))
        if cursor.seq == 0:
            return False
        last = self._facts.read_facts(cursor.stream, cursor.seq - 1, 1)
        if last and (last[0].seq, last[0].epoch, last[0].hash) == (cursor.seq, cursor.epoch, cursor.hash):
            return False
        self._perform(self._settlement.rewind)
        return True

    def _post_stake(self, draft: Draft, group: Group) -> Answer:
        answer = draft.post(group)
        if isinstance(answer, Posted):
            self._settlement.remember_stakes(group)
        return answer

    def _perform(self, work: Callable[[Draft], T]) -> T:
        return self._writer.perform(work).result()

    def _read(self, query: Callable[[PoolRepository], T]) -> T:
        """Run queries on one snapshot of the last commit."""
        with self._read_lock:
            try:
                self._reader.execute("BEGIN")
                try:
                    return query(PoolRepository(lambda: self._reader))
                finally:
                    self._reader.execute("COMMIT")
            except sqlite3.Error as error:
                raise store_error(self._path, error) from error


def _repeat(
    draft: Draft, key: str, account: str, kind: TransferKind, wanted: Mapping[str, int]
) -> Answer | None:
    """The answer a request got before, if it is the same request: prices may have moved since.

    Raises:
        IdempotencyConflictError: if the key belongs to another request.
    """
    known = draft.record(key)
    if known is None:
        return None
    asked = {
        transfer.asset: transfer.units
        for transfer in known.transfers
        if transfer.kind is kind and account in (transfer.debit, transfer.credit)
    }
    if known.transfers and asked != wanted:
        raise IdempotencyConflictError(key, known.seq)
    return known.answer
