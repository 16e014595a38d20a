"""Who may bring what: the rules that a deposit meets when it is announced and again when it is paid."""

from __future__ import annotations

from collections.abc import Mapping

from mrmarket.core.decimals import format_units
from mrmarket.money.pool.appraisal import widened
from mrmarket.money.pool.book import PoolBook
from mrmarket.money.pool.books_view import BooksView
from mrmarket.money.pool.errors import DepositRefusedError
from mrmarket.money.pool.plan import ASSET_DECIMALS
from mrmarket.money.pool.request_repository import RequestRepository
from mrmarket.money.pool.rows import DepositState
from mrmarket.money.pool.share_repository import ShareRepository
from mrmarket.money.pool.valuation import Basis, worth

_AT_ONCE = 100_000


class Admission:
    """The door of every pool, and of the instance as a whole."""

    def __init__(self, books: Mapping[str, PoolBook], instance_capacity: int | None = None) -> None:
        """`instance_capacity`: most that all pools together may be worth, in quote units."""
        self._books = books
        self._instance_capacity = instance_capacity

    def require(
        self, view: BooksView, book: PoolBook, account: str, asset: str, units: int, *, intent: bool = False
    ) -> None:
        """Let a deposit in, or say which rule keeps it out.

        Args:
            view: the books.
            book: the pool's.
            account: who brings it.
            asset: asset id on the rail.
            units: how much.
            intent: it is announced, not yet paid. The minimum is asked then only: a price that falls on
                the way sends nobody's money back.

        Raises:
            DepositRefusedError: with the rule.
        """
        pool = book.plan.name
        shares = ShareRepository(view.sql)
        paused = shares.flags(pool).deposits_paused
        if paused:
            raise DepositRefusedError(pool, "paused", f"deposits are paused: {paused}")
        terms = book.terms(view).terms
        if terms.permissioned and not shares.is_member(pool, account):
            raise DepositRefusedError(pool, "not_a_member", "only members may deposit; ask the owner")
        value = self._value(view, book, asset, units)
        if intent and value < terms.minimum_units:
            raise DepositRefusedError(
                pool, "below_minimum", f"the least deposit is {terms.minimum_deposit} {book.plan.quote}"
            )
        left = self.capacity_left(view, book)
        if left is not None and value > left:
            raise DepositRefusedError(
                pool,
                "capacity",
                f"there is room for {format_units(left, ASSET_DECIMALS)} {book.plan.quote} more",
            )

    def capacity_left(self, view: BooksView, book: PoolBook) -> int | None:
        """What may still come in, in quote units; None where nothing limits it."""
        limits = []
        capacity = book.terms(view).terms.capacity_units
        if capacity is not None:
            limits.append(capacity - self._size(view, book))
        if self._instance_capacity is not None:
            limits.append(
                self._instance_capacity - sum(self._size(view, each) for each in self._books.values())
            )
        return max(0, min(limits)) if limits else None

    def _size(self, view: BooksView, book: PoolBook) -> int:
        """What a pool is worth, with what is paid and not yet minted."""
        now = book.appraise(view)
        coming = RequestRepository(view.sql).deposits_in(book.plan.name, [DepositState.CREDITED], _AT_ONCE)
        return now.nav(Basis.MID) + sum(self._value(view, book, row.asset, row.units) for row in coming)

    def _value(self, view: BooksView, book: PoolBook, asset_id: str, units: int) -> int:
        asset = view.asset(asset_id)
        if (
            asset is None
            or asset.namespace != book.plan.rail
            or asset.decimals > ASSET_DECIMALS
            or not book.plan.takes(asset.code)
        ):
            raise DepositRefusedError(
                book.plan.name, "asset", f"{asset_id} cannot be deposited; see the pool's deposit assets"
            )
        mark = book.appraise(view).marks.get(asset.code)
        if mark is None:
            raise DepositRefusedError(
                book.plan.name, "no_price", f"no price of {asset.code} is known yet; try again later"
            )
        return worth(widened(units, asset.decimals), mark, Basis.LOW)
