"""Charging the owner's fees, window after window, inside a unit of work."""

from __future__ import annotations

from mrmarket.money.ledger.draft import Draft
from mrmarket.money.ledger.group import Group, Transfer, TransferKind
from mrmarket.money.pool.appraisal import Appraisal
from mrmarket.money.pool.book import PoolBook
from mrmarket.money.pool.fees import (
    Performance,
    hurdle_price,
    management_shares,
    performance_fee,
    price_up,
    rate_integral,
)
from mrmarket.money.pool.plan import OWNER_FEES
from mrmarket.money.pool.rows import EntryKind, FeeRow, LotRow
from mrmarket.money.pool.share_repository import ShareRepository
from mrmarket.money.pool.shares import value_of
from mrmarket.money.pool.terms import Terms, TermsVersion, version_at
from mrmarket.money.pool.valuation import Basis


class FeeMeter:
    """Charges one pool up to now. A window is charged once: the next begins where the last ended."""

    def __init__(self, book: PoolBook) -> None:
        self._book = book

    def accrue(self, draft: Draft, *, fresh: bool) -> FeeRow | None:
        """Charge what is due since the last window; None where the terms charge nothing.

        Args:
            draft: the unit of work.
            fresh: whether the prices are of now. Without that the management fee is charged alone, and
                the performance fee with the next fresh price.
        """
        shares = ShareRepository(draft.sql)
        plan = self._book.plan
        last = shares.last_fees(plan.name)
        versions = self._book.versions(draft)
        if last is None and not any(_charges(version) for version in versions):
            return None
        start_ms = draft.at_ms if last is None else last.end_ms
        if last is not None and draft.at_ms <= start_ms:
            return last
        now = self._book.appraise(draft)
        owned = draft.balance(OWNER_FEES.id, plan.share.id)
        base = now.supply - owned
        management, carry = management_shares(
            base, rate_integral(versions, start_ms, draft.at_ms), last.carry if last else 0
        )
        supply = now.supply + management
        nav_low = now.nav(Basis.LOW)
        # The terms that held when the window began: what is announced for later touches no earlier gain.
        terms = version_at(versions, start_ms).terms
        fresh = fresh and supply > 0
        performance = _performance(draft, terms, last, supply, nav_low, fresh=fresh)
        high_water, high_water_ms = _high_water(draft, terms, last, performance, fresh=fresh)
        total = management + performance.share_units
        row = FeeRow(
            pool=plan.name,
            end_ms=draft.at_ms,
            start_ms=start_ms,
            management_units=management,
            performance_units=performance.share_units,
            value_units=value_of(total, now.supply + total, nav_low) if now.supply else 0,
            carry=carry,
            supply_units=base,
            price_units=performance.price_units if fresh else 0,
            high_water_units=high_water,
            high_water_ms=high_water_ms,
        )
        shares.add_fees(row)
        if total:
            self._mint(draft, row, now)
        return row

    def _mint(self, draft: Draft, row: FeeRow, now: Appraisal) -> None:
        plan = self._book.plan
        self._book.open_accounts(draft, accounts=[OWNER_FEES])
        kinds = {
            TransferKind.MANAGEMENT_FEE: row.management_units,
            TransferKind.PERFORMANCE_FEE: row.performance_units,
        }
        transfers = tuple(
            Transfer(plan.issuer.id, OWNER_FEES.id, plan.share.id, units, kind)
            for kind, units in kinds.items()
            if units
        )
        prices = "".join(
            f", {code} {now.marks[code].bid} {now.marks[code].ask} {source}"
            for code, source in sorted(now.sources.items())
        )
        memo = f"price {row.price_units}, high water {row.high_water_units}, supply {now.supply}{prices}"
        self._book.require(
            draft, Group(f"fees:{plan.name}:{row.start_ms}-{row.end_ms}", transfers, memo=memo)
        )
        total = row.management_units + row.performance_units
        lot = LotRow(fee_lot(plan.name), plan.name, OWNER_FEES.id, "", total, 0, draft.at_ms, 0, 0, 1, 0)
        self._book.note_mint(draft, lot, EntryKind.FEE, value=row.value_units)


def fee_lot(pool: str) -> str:
    """The one lot of the owner's fee shares in a pool."""
    return f"fees:{pool}"


def _charges(version: TermsVersion) -> bool:
    return version.terms.management_fee_bps > 0 or version.terms.performance_fee_bps > 0


def _performance(
    draft: Draft, terms: Terms, last: FeeRow | None, supply: int, nav_low: int, *, fresh: bool
) -> Performance:
    if not fresh or last is None or last.high_water_units == 0 or supply == 0:
        return Performance(0, 0, price_up(supply, nav_low) if supply else 0)
    threshold = hurdle_price(last.high_water_units, terms.hurdle_bps, draft.at_ms - last.high_water_ms)
    return performance_fee(supply, nav_low, threshold, terms.performance_fee_bps)


def _high_water(
    draft: Draft, terms: Terms, last: FeeRow | None, performance: Performance, *, fresh: bool
) -> tuple[int, int]:
    known = (last.high_water_units, last.high_water_ms) if last else (0, draft.at_ms)
    # Without a performance fee the mark follows the price, so that none is charged later for gains of now.
    moves = performance.share_units > 0 or known[0] == 0 or terms.performance_fee_bps == 0
    if not fresh or not moves:
        return known
    return (max(known[0], performance.price_units), draft.at_ms)
