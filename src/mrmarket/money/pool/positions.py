"""What a user has, what it has earned, and how that came about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction

from mrmarket.core.decimals import format_units
from mrmarket.money.pool.book import PoolBook
from mrmarket.money.pool.books_view import BooksView
from mrmarket.money.pool.history import weight_at
from mrmarket.money.pool.performance import PricePoint, price_at
from mrmarket.money.pool.plan import SHARE_DECIMALS
from mrmarket.money.pool.report import PoolReport, amount
from mrmarket.money.pool.repository import PoolRepository
from mrmarket.money.pool.rows import EntryRow, LotRow
from mrmarket.money.pool.share_repository import ShareRepository
from mrmarket.money.pool.shares import payout_for
from mrmarket.money.pool.valuation import Basis
from mrmarket.money.pool.view import LotFigures, PortfolioFigures, PositionFigures

_ONE = 10**SHARE_DECIMALS


def positions(books: Mapping[str, PoolBook], view: BooksView, account: str) -> list[PositionFigures]:
    """What an account has, or had, in every pool."""
    entries = ShareRepository(view.sql).entries_of(account)
    pools = sorted({entry.pool for entry in entries})
    return [
        _position(books[pool], view, account, [entry for entry in entries if entry.pool == pool])
        for pool in pools
        if pool in books
    ]


def portfolio(
    books: Mapping[str, PoolBook], view: BooksView, account: str, times_ms: Sequence[int]
) -> list[PortfolioFigures]:
    """An account's worth at given times, oldest first, by the last share prices known then."""
    entries = ShareRepository(view.sql).entries_of(account)
    if not times_ms:
        return []
    curves: dict[str, list[PricePoint]] = {
        pool: PoolReport(books[pool], view).curve(times_ms[0], times_ms[-1])
        for pool in sorted({entry.pool for entry in entries})
        if pool in books
    }
    figures = []
    for at_ms in times_ms:
        value = 0
        known = [entry for entry in entries if entry.at_ms <= at_ms]
        for pool, curve in curves.items():
            shares = sum(entry.share_units for entry in known if entry.pool == pool)
            value += shares * (price_at(curve, at_ms) or 0) // _ONE
        figures.append(
            PortfolioFigures(at_ms, amount(value), amount(sum(entry.value_units for entry in known)))
        )
    return figures


def _position(book: PoolBook, view: BooksView, account: str, entries: Sequence[EntryRow]) -> PositionFigures:
    plan = book.plan
    now = book.appraise(view)
    lots = ShareRepository(view.sql).lots(plan.name, account)
    shares = view.balance(account, plan.share.id)
    value = payout_for(shares, now.supply, now.nav(Basis.LOW))
    paid_in = PoolRepository(view.sql).stake(plan.name, account) or 0
    brought = sum(entry.value_units for entry in entries if entry.value_units > 0)
    taken = -sum(entry.value_units for entry in entries if entry.value_units < 0)
    locked = [lot for lot in lots if lot.locked_until_ms > view.at_ms]
    last = max(lots, key=lambda lot: (lot.locked_until_ms, lot.opened_ms), default=None)
    weighed = sum((lot.share_units * Fraction(*weight_at(lot, view.at_ms)) for lot in lots), Fraction(0))
    return PositionFigures(
        pool=plan.name,
        quote=plan.quote,
        shares=format_units(shares, SHARE_DECIMALS),
        held_shares=format_units(sum(lot.held_units for lot in lots), SHARE_DECIMALS),
        share=shares / now.supply if now.supply else 0.0,
        value=amount(value),
        paid_in=amount(paid_in),
        earned=amount(value - paid_in),
        brought=amount(brought),
        taken=amount(taken),
        result=amount(value + taken - brought),
        fees_paid=amount(sum(entry.fee_units for entry in entries)),
        tier=last.tier if last else "",
        weight=str(weighed / shares) if shares else "1",
        locked_until_ms=max((lot.locked_until_ms for lot in locked), default=None),
        lots=[_lot(lot, view.at_ms) for lot in lots],
    )


def _lot(lot: LotRow, at_ms: int) -> LotFigures:
    return LotFigures(
        id=lot.id,
        tier=lot.tier,
        shares=format_units(lot.share_units, SHARE_DECIMALS),
        held=format_units(lot.held_units, SHARE_DECIMALS),
        weight=str(Fraction(*weight_at(lot, at_ms))),
        opened_ms=lot.opened_ms,
        locked_until_ms=lot.locked_until_ms if lot.locked_until_ms > at_ms else None,
        exit_fee_bps=lot.exit_fee_bps,
    )
