"""Figures of every pool and every user, each from one snapshot of the last commit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from mrmarket.core.clock import NS_PER_MS, Clock
from mrmarket.core.decimals import format_units
from mrmarket.money.ledger.account import AccountKind
from mrmarket.money.payouts.outbox import Outbox
from mrmarket.money.pool.admission import Admission
from mrmarket.money.pool.appraisal import narrowed, widened
from mrmarket.money.pool.book import PoolBook
from mrmarket.money.pool.books_view import SnapshotView
from mrmarket.money.pool.deposit import DepositAsk, asset_value, deposit_fee
from mrmarket.money.pool.errors import PoolError, UnknownPoolError, WithdrawalRefusedError
from mrmarket.money.pool.lots import divide
from mrmarket.money.pool.performance import Period
from mrmarket.money.pool.plan import OWNER_FEES, SHARE_DECIMALS
from mrmarket.money.pool.positions import portfolio, positions
from mrmarket.money.pool.report import PoolReport, amount
from mrmarket.money.pool.repository import PoolRepository
from mrmarket.money.pool.request_repository import RequestRepository
from mrmarket.money.pool.rows import DepositRow, WithdrawalRow
from mrmarket.money.pool.share_repository import ShareRepository
from mrmarket.money.pool.shares import payout_for, price_of_one, shares_for
from mrmarket.money.pool.terms import TermsVersion
from mrmarket.money.pool.valuation import Basis
from mrmarket.money.pool.view import (
    DepositQuote,
    OwnerFees,
    PeriodFigures,
    PoolCard,
    PortfolioFigures,
    PositionFigures,
    RiskFigures,
    WithdrawalQuote,
)
from mrmarket.money.pool.withdrawal import WithdrawalAsk, Withdrawals, net_units, rail_asset, select_parts
from mrmarket.store.sql import SqlReader

T = TypeVar("T")


class Figures:
    """Answers questions. Changes nothing, waits for no writer, may be asked from any thread."""

    def __init__(
        self, reader: SqlReader, books: Mapping[str, PoolBook], clock: Clock, admission: Admission
    ) -> None:
        self._reader = reader
        self._books = books
        self._clock = clock
        self._admission = admission
        self._withdrawals = Withdrawals(books, Outbox())

    # Pools.

    def cards(self) -> list[PoolCard]:
        """Every pool as anybody may see it."""
        return self._ask(lambda view: [self._card(book, view) for book in self._books.values()])

    def card(self, pool: str) -> PoolCard:
        """One pool as anybody may see it."""
        book = self._book(pool)
        return self._ask(lambda view: self._card(book, view))

    def terms(self, pool: str) -> list[TermsVersion]:
        """Every version of a pool's terms, in order."""
        book = self._book(pool)
        return self._ask(book.versions)

    def members(self, pool: str) -> list[str]:
        """Accounts that may enter a permissioned pool."""
        self._book(pool)
        return self._ask(lambda view: [row.account for row in ShareRepository(view.sql).members(pool)])

    def periods(self, pool: str, period: Period, count: int) -> list[PeriodFigures]:
        """Volume, fees, result and return of the last days, weeks or months, oldest first."""
        book = self._book(pool)
        return self._ask(lambda view: PoolReport(book, view).periods(period, count))

    def risk(self, pool: str, days: int = 30) -> RiskFigures:
        """Where a pool's money is, and how its share price has moved."""
        book = self._book(pool)
        return self._ask(lambda view: PoolReport(book, view).risk(days))

    def owner_fees(self, pool: str) -> OwnerFees:
        """What the owner has earned."""
        book = self._book(pool)
        return self._ask(lambda view: _owner_fees(book, view))

    # Users.

    def positions(self, account: str) -> list[PositionFigures]:
        """What an account has, or had, in every pool."""
        return self._ask(lambda view: positions(self._books, view, account))

    def portfolio(self, account: str, times_ms: Sequence[int]) -> list[PortfolioFigures]:
        """What an account was worth at given times, oldest first."""
        return self._ask(lambda view: portfolio(self._books, view, account, times_ms))

    def accounts(self, pool: str) -> dict[str, int]:
        """Every user that ever had shares of a pool, and share units now."""
        share = self._book(pool).plan.share.id
        return self._ask(lambda view: PoolRepository(view.sql).holders(share, AccountKind.USER))

    def deposit(self, deposit_id: str) -> DepositRow | None:
        """A deposit, whoever's."""
        return self._ask(lambda view: RequestRepository(view.sql).deposit(deposit_id))

    def deposits(self, account: str, limit: int = 100, before_ms: int | None = None) -> list[DepositRow]:
        """A user's deposits, newest first; with `before_ms` those asked for before that time."""
        return self._ask(lambda view: RequestRepository(view.sql).deposits_of(account, limit, before_ms))

    def withdrawal(self, withdrawal_id: str) -> WithdrawalRow | None:
        """A withdrawal, whoever's."""
        return self._ask(lambda view: RequestRepository(view.sql).withdrawal(withdrawal_id))

    def withdrawals(
        self, account: str, limit: int = 100, before_ms: int | None = None
    ) -> list[WithdrawalRow]:
        """A user's withdrawals, newest first; with `before_ms` those asked for before that time."""
        return self._ask(lambda view: RequestRepository(view.sql).withdrawals_of(account, limit, before_ms))

    def preview_deposit(self, ask: DepositAsk) -> DepositQuote:
        """What a deposit would come to now, and why it would be refused, if it would.

        Raises:
            UnknownTierError: if the pool has no such tier.
        """
        book = self._book(ask.pool)
        return self._ask(lambda view: self._preview_deposit(book, view, ask))

    def preview_withdrawal(self, ask: WithdrawalAsk) -> WithdrawalQuote:
        """What a withdrawal would come to now, and why it would be refused, if it would."""
        book = self._book(ask.pool)
        return self._ask(lambda view: self._preview_withdrawal(book, view, ask))

    def _card(self, book: PoolBook, view: SnapshotView) -> PoolCard:
        plan = book.plan
        report = PoolReport(book, view)
        now = report.now
        versions = book.versions(view)
        flags = ShareRepository(view.sql).flags(plan.name)
        left = self._admission.capacity_left(view, book)
        returns = report.returns()
        holders = PoolRepository(view.sql).holders(plan.share.id, AccountKind.USER)
        nav = now.nav(Basis.MID)
        return PoolCard(
            id=plan.name,
            quote=plan.quote,
            stream=plan.stream,
            rail=plan.rail,
            nav=amount(nav),
            shares=format_units(now.supply, SHARE_DECIMALS),
            nav_per_share=amount(price_of_one(now.supply, nav, SHARE_DECIMALS)),
            depositors=sum(1 for units in holders.values() if units),
            terms=book.terms(view),
            announced=[version for version in versions if version.effective_ms > view.at_ms],
            capacity_left=None if left is None else amount(left),
            deposits_paused=flags.deposits_paused or None,
            withdrawals_paused=flags.withdrawals_paused or None,
            deposit_assets=[
                f"{plan.rail}:{code}"
                for code in sorted(now.marks)
                if plan.takes(code) and view.asset(f"{plan.rail}:{code}")
            ],
            return_day=returns["day"],
            return_week=returns["week"],
            return_month=returns["month"],
        )

    def _preview_deposit(self, book: PoolBook, view: SnapshotView, ask: DepositAsk) -> DepositQuote:
        version = book.terms(view)
        tier = version.terms.tier(ask.tier)
        refusal = None
        try:
            self._admission.require(view, book, ask.account, ask.asset, ask.units, intent=True)
        except PoolError as error:
            refusal = str(error)
        now = book.appraise(view)
        asset = view.asset(ask.asset)
        fee = deposit_fee(ask.units, version.terms.deposit_fee_bps)
        value = asset_value(view, ask.asset, ask.units - fee, now)
        nav = now.nav(Basis.HIGH)
        return DepositQuote(
            shares=format_units(shares_for(value, now.supply, nav), SHARE_DECIMALS),
            share_price=amount(price_of_one(now.supply, nav, SHARE_DECIMALS)),
            value=amount(value),
            fee=format_units(fee, asset.decimals) if asset else "0",
            tier=tier,
            locked_until_ms=tier.locked_until_ms(view.at_ms) if tier.lock_days else None,
            terms_version=version.version,
            refusal=refusal,
        )

    def _preview_withdrawal(self, book: PoolBook, view: SnapshotView, ask: WithdrawalAsk) -> WithdrawalQuote:
        ready_ms = view.at_ms + book.terms(view).terms.redeem_period_s * 1_000
        try:
            self._withdrawals.require_open(view, book, ask)
            parts = select_parts(view, ask).parts
            rail = rail_asset(view, book)
        except WithdrawalRefusedError as error:
            shares = format_units(ask.share_units or 0, SHARE_DECIMALS)
            return WithdrawalQuote(shares, "0", "0", error.until_ms or ready_ms, False, str(error))
        units = sum(part.share_units for part in parts)
        now = book.appraise(view)
        leaving = divide(payout_for(units, now.supply, now.nav(Basis.LOW)), parts)
        paid = narrowed(net_units(leaving), rail.decimals)
        return WithdrawalQuote(
            shares=format_units(units, SHARE_DECIMALS),
            value=amount(widened(paid, rail.decimals)),
            fee=amount(sum(each.fee_units for each in leaving)),
            available_at_ms=ready_ms,
            queued=view.available(book.plan.pool.id, rail.id) < paid,
            refusal=None,
        )

    def _book(self, pool: str) -> PoolBook:
        book = self._books.get(pool)
        if book is None:
            raise UnknownPoolError(pool, list(self._books))
        return book

    def _ask(self, question: Callable[[SnapshotView], T]) -> T:
        with self._reader.snapshot() as sql:
            return question(SnapshotView(sql, self._clock.now_ns() // NS_PER_MS))


def _owner_fees(book: PoolBook, view: SnapshotView) -> OwnerFees:
    plan = book.plan
    shares = ShareRepository(view.sql)
    windows = shares.fees(plan.name, 0, 2**62)
    held = view.balance(OWNER_FEES.id, plan.share.id)
    now = book.appraise(view)
    deposit: dict[str, int] = {}
    for asset, units in RequestRepository(view.sql).fees_charged(plan.name):
        deposit[asset] = deposit.get(asset, 0) + units
    return OwnerFees(
        pool=plan.name,
        shares=format_units(held, SHARE_DECIMALS),
        value=amount(payout_for(held, now.supply, now.nav(Basis.LOW))),
        balances=_texts(view, view.holdings(OWNER_FEES.id)),
        management=format_units(sum(row.management_units for row in windows), SHARE_DECIMALS),
        performance=format_units(sum(row.performance_units for row in windows), SHARE_DECIMALS),
        deposit=_texts(view, deposit),
        charged_through_ms=windows[-1].end_ms if windows else None,
    )


def _texts(view: SnapshotView, held: Mapping[str, int]) -> dict[str, str]:
    """Units by asset id as decimal strings, without shares."""
    known = {asset_id: view.asset(asset_id) for asset_id in held if not asset_id.startswith("pool:")}
    return {
        asset_id: format_units(held[asset_id], asset.decimals)
        for asset_id, asset in known.items()
        if asset is not None
    }
