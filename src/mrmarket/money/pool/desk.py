"""Where people come and go: terms, deposits, withdrawals and fees of every pool."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final, Literal, TypeVar
from uuid import UUID

from msgspec.structs import replace

from mrmarket.core.clock import NS_PER_MS, Clock
from mrmarket.core.crash import reach
from mrmarket.core.errors import MrMarketError
from mrmarket.core.ids import uuid7
from mrmarket.money.ledger.draft import Draft
from mrmarket.money.ledger.errors import LedgerError, LedgerStoppedError
from mrmarket.money.ledger.writer import LedgerWriter
from mrmarket.money.payouts.errors import PayoutsError
from mrmarket.money.payouts.outbox import Outbox
from mrmarket.money.payouts.payment import Payment, Verdict
from mrmarket.money.payouts.payout import Settler, derived_id
from mrmarket.money.pool.accrual import FeeMeter
from mrmarket.money.pool.admission import Admission
from mrmarket.money.pool.book import PoolBook
from mrmarket.money.pool.deposit import DepositAsk, Deposits
from mrmarket.money.pool.errors import (
    NoticeTooShortError,
    PoolError,
    UnknownPoolError,
    UnknownRequestError,
)
from mrmarket.money.pool.nav_point import waiting_for
from mrmarket.money.pool.plan import OWNER_FEES
from mrmarket.money.pool.request_repository import RequestRepository
from mrmarket.money.pool.rows import (
    DepositRow,
    DepositState,
    FeeRow,
    FlagsRow,
    MemberRow,
    WithdrawalRow,
    WithdrawalState,
)
from mrmarket.money.pool.share_repository import ShareRepository
from mrmarket.money.pool.terms import Terms, TermsVersion
from mrmarket.money.pool.view import AdvanceReport
from mrmarket.money.pool.wanted_moves import MovePolicy, WantedMove, wanted_moves
from mrmarket.money.pool.withdrawal import CAUSES, QUEUED, WithdrawalAsk, Withdrawals

PauseWhat = Literal["deposits", "withdrawals", "both"]

T = TypeVar("T")

_ROUND: Final = 200
"""Deposits, and withdrawals, that one round looks at in each pool."""
_EQUITY_EVERY_S: Final = 60


class PoolDesk:
    """Carries requests of people and of the owner into the ledger, and moves them along.

    Methods are synchronous, may be called from any thread and wait for the disk. Nothing is kept in memory:
    a desk may be dropped and rebuilt at any time. `deposit_claimer`, `deposit_releaser` and
    `deposit_observer` are for the incoming payments, `settlers` for the outbox's deliverer.
    """

    def __init__(
        self,
        writer: LedgerWriter,
        books: Mapping[str, PoolBook],
        clock: Clock,
        *,
        instance_capacity: int | None = None,
        moves: MovePolicy | None = None,
        new_id: Callable[[], UUID] | None = None,
    ) -> None:
        self._writer = writer
        self._books = books
        self._new_id = new_id or (lambda: uuid7(clock))
        self._moves = moves or MovePolicy()
        self.admission = Admission(books, instance_capacity)
        self._deposits = Deposits(books, self.admission)
        self._withdrawals = Withdrawals(books, Outbox())
        self._clock = clock

    # What the payments call.

    def deposit_claimer(self, draft: Draft, payment: Payment) -> Verdict:
        """Take in a payment whose memo is a deposit's; None for others."""
        return self._deposits.claim(draft, payment)

    def deposit_releaser(self, draft: Draft, payment: Payment) -> bool:
        """Give a retracted payment back while its shares are not minted."""
        return self._deposits.release(draft, payment)

    def deposit_observer(self, draft: Draft, payment: Payment) -> None:
        """Follow a payment that is not final yet, or that is sent back."""
        self._deposits.observe(draft, payment)

    @property
    def settlers(self) -> dict[str, Settler]:
        """What follows the end of a payout, by its cause."""
        return dict.fromkeys(CAUSES, self._withdrawals.settle_payout)

    # What the owner decides.

    def change_terms(self, pool: str, terms: Terms, effective_ms: int | None = None) -> TermsVersion:
        """Announce a new version of a pool's terms; without a time it holds as soon as it may.

        Who deposited under older terms keeps the fee, lock and exit rule that were agreed. Management and
        performance fees and the redeem period are those in effect at each moment, for everybody; terms that
        raise them hold after the notice that the present terms promise.

        Raises:
            NoticeTooShortError: if they shall hold earlier than that.
        """
        book = self._book(pool)

        def work(draft: Draft) -> TermsVersion:
            versions = book.versions(draft)
            present = book.terms(draft).terms
            earliest_ms = draft.at_ms
            # Compared with what is announced too: a rise cannot be hidden behind an announced fall.
            if terms.costs_more_than(versions[-1].terms) or terms.costs_more_than(present):
                earliest_ms += present.notice_s * 1_000
            at_ms = earliest_ms if effective_ms is None else effective_ms
            if at_ms < earliest_ms:
                raise NoticeTooShortError(pool, earliest_ms)
            # Fees until now are charged by the terms that held until now.
            FeeMeter(book).accrue(draft, fresh=False)
            return book.add_terms(draft, terms, at_ms)

        return self._perform(work)

    def pause(self, pool: str, what: PauseWhat, reason: str) -> FlagsRow:
        """Let nobody in, or out, until resumed. What is under way waits; nothing is lost."""
        text = reason.strip() or "paused by the owner"
        return self._set_flags(pool, what, text)

    def resume(self, pool: str, what: PauseWhat = "both") -> FlagsRow:
        """Open again."""
        return self._set_flags(pool, what, "")

    def add_member(self, pool: str, account: str) -> MemberRow:
        """Let somebody deposit in a permissioned pool."""
        book = self._book(pool)

        def work(draft: Draft) -> MemberRow:
            row = MemberRow(book.plan.name, account, draft.at_ms)
            ShareRepository(draft.sql).put_member(row)
            return row

        return self._perform(work)

    def remove_member(self, pool: str, account: str) -> None:
        """Let somebody no longer deposit; what is in the pool stays, and may leave."""
        book = self._book(pool)
        self._perform(lambda draft: ShareRepository(draft.sql).remove_member(book.plan.name, account))

    # What people ask.

    def open_deposit(self, ask: DepositAsk, key: str = "") -> DepositRow:
        """Announce a deposit; pay with the row's memo within 15 minutes.

        `key` is the caller's own: repeating the request with it is harmless.

        Raises:
            RequestConflictError: if the key was used for another deposit.
            TermsChangedError, UnknownTierError, DepositRefusedError: by what keeps it out.
        """
        self._book(ask.pool)
        deposit_id = self._id("deposit", ask.account, key)
        return self._perform(lambda draft: self._deposits.intend(draft, deposit_id, ask))

    def cancel_deposit(self, deposit_id: str, account: str) -> DepositRow:
        """Take a deposit back that is not minted yet. See `Deposits.cancel`."""
        return self._perform(lambda draft: self._deposits.cancel(draft, deposit_id, account))

    def request_withdrawal(self, ask: WithdrawalAsk, key: str = "") -> WithdrawalRow:
        """Ask for shares to be burned and paid. See `Withdrawals.request`."""
        self._book(ask.pool)
        withdrawal_id = self._id("withdrawal", ask.account, key)
        return self._perform(lambda draft: self._withdrawals.request(draft, withdrawal_id, ask))

    def withdraw_balance(
        self, account: str, asset: str, units: int, destination: str, key: str = ""
    ) -> WithdrawalRow:
        """Pay out money that is in no pool. See `Withdrawals.request_balance`."""
        withdrawal_id = self._id("withdrawal", account, key)
        return self._perform(
            lambda draft: self._withdrawals.request_balance(
                draft, withdrawal_id, account, asset, units, destination
            )
        )

    def withdraw_fees(
        self, pool: str, destination: str, share_units: int | None = None, key: str = ""
    ) -> WithdrawalRow:
        """The owner redeems fee shares, on the terms and at the prices of everybody."""
        return self.request_withdrawal(WithdrawalAsk(OWNER_FEES.id, pool, destination, share_units), key)

    def cancel_withdrawal(self, withdrawal_id: str, account: str) -> WithdrawalRow:
        """Have shares back that are not burned yet. See `Withdrawals.cancel`."""
        return self._perform(lambda draft: self._withdrawals.cancel(draft, withdrawal_id, account))

    def resend_withdrawal(self, withdrawal_id: str, account: str, destination: str) -> WithdrawalRow:
        """Send what the rail refused elsewhere. See `Withdrawals.resend`."""
        return self._perform(
            lambda draft: self._withdrawals.resend(draft, withdrawal_id, account, destination)
        )

    # What time brings.

    def advance(self) -> AdvanceReport:
        """One round: end what is overdue, mint and burn whatever a net asset value lets through.

        Each step is a commit of its own and safe to repeat. To be called after every settlement. A request
        that the books refuse is among the report's failures, and everybody else's goes on.
        """
        expired = self._perform(lambda draft: self._deposits.expire(draft, _ROUND))
        report = AdvanceReport([row.id for row in expired], [], [], {}, {})
        reach("pool.expired")
        for pool, book in self._books.items():
            for deposit_id in self._perform(partial(_credited, pool=pool)):
                self._mint(report, deposit_id)
                reach("pool.minted")
            for withdrawal_id in self._perform(partial(_ready, pool=pool)):
                self._burn(report, withdrawal_id)
                reach("pool.burned")
            if book.plan.stream is None:
                self._add_equity_point(book)
        return report

    def accrue_fees(self, pool: str) -> FeeRow | None:
        """Charge the owner's fees up to now; None where the terms charge nothing. Safe to repeat."""
        book = self._book(pool)

        def work(draft: Draft) -> FeeRow | None:
            last = ShareRepository(draft.sql).last_fees(pool)
            after_ms = last.end_ms if last else 0
            fresh = waiting_for(draft, book.plan, book.appraise(draft), after_ms) is None
            return FeeMeter(book).accrue(draft, fresh=fresh)

        row = self._perform(work)
        reach("pool.accrued")
        return row

    def wanted_moves(self) -> list[WantedMove]:
        """What should be moved between rail and venue now, over all pools."""
        return self._perform(
            lambda draft: [
                move
                for book in self._books.values()
                for move in wanted_moves(draft, book, self._withdrawals, self._moves)
            ]
        )

    def _mint(self, report: AdvanceReport, deposit_id: str) -> None:
        try:
            row = self._perform(partial(self._deposits.mint, deposit_id=deposit_id))
        except (PoolError, LedgerError) as error:
            _note_failure(report, deposit_id, error)
            return
        if row.state is DepositState.MINTED:
            report.minted.append(row.id)
        elif row.state is DepositState.CREDITED:
            report.waiting[row.id] = row.reason

    def _burn(self, report: AdvanceReport, withdrawal_id: str) -> None:
        try:
            row = self._perform(partial(self._withdrawals.settle, withdrawal_id=withdrawal_id))
        except (PoolError, PayoutsError, LedgerError) as error:
            _note_failure(report, withdrawal_id, error)
            return
        if row.state in {WithdrawalState.SENDING, WithdrawalState.CONFIRMED}:
            report.burned.append(row.id)
        elif row.state in QUEUED:
            report.waiting[row.id] = row.reason

    def _set_flags(self, pool: str, what: PauseWhat, reason: str) -> FlagsRow:
        book = self._book(pool)

        def work(draft: Draft) -> FlagsRow:
            shares = ShareRepository(draft.sql)
            flags = replace(shares.flags(book.plan.name), changed_ms=draft.at_ms)
            if what in {"deposits", "both"}:
                flags = replace(flags, deposits_paused=reason)
            if what in {"withdrawals", "both"}:
                flags = replace(flags, withdrawals_paused=reason)
            shares.put_flags(flags)
            return flags

        return self._perform(work)

    def _add_equity_point(self, book: PoolBook) -> None:
        at_s = self._clock.now_ns() // NS_PER_MS // 1_000
        at_s -= at_s % _EQUITY_EVERY_S
        self._perform(lambda draft: book.add_equity_point(draft, at_s))

    def _id(self, what: str, account: str, key: str) -> str:
        return derived_id(what, account, key) if key else str(self._new_id())

    def _book(self, pool: str) -> PoolBook:
        book = self._books.get(pool)
        if book is None:
            raise UnknownPoolError(pool, list(self._books))
        return book

    def _perform(self, work: Callable[[Draft], T]) -> T:
        return self._writer.perform(work).result()


def own_deposit(row: DepositRow | None, deposit_id: str, account: str) -> DepositRow:
    """A deposit, to its owner only. Raises UnknownRequestError."""
    if row is None or row.account != account:
        raise UnknownRequestError("deposit", deposit_id)
    return row


def own_withdrawal(row: WithdrawalRow | None, withdrawal_id: str, account: str) -> WithdrawalRow:
    """A withdrawal, to its owner only. Raises UnknownRequestError."""
    if row is None or row.account != account:
        raise UnknownRequestError("withdrawal", withdrawal_id)
    return row


def _note_failure(report: AdvanceReport, request: str, error: MrMarketError) -> None:
    """One request that cannot be carried out must not keep everybody else's from it."""
    if isinstance(error, LedgerStoppedError):
        raise error
    report.failed[request] = str(error)


def _credited(draft: Draft, pool: str) -> list[str]:
    rows = RequestRepository(draft.sql).deposits_in(pool, [DepositState.CREDITED], _ROUND)
    return [row.id for row in rows]


def _ready(draft: Draft, pool: str) -> list[str]:
    rows = RequestRepository(draft.sql).withdrawals_in(pool, QUEUED, _ROUND)
    return [row.id for row in rows if row.ready_ms <= draft.at_ms]
