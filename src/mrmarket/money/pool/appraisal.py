"""The pool's figures at one moment, from the books and the last prices."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mrmarket.core.clock import NS_PER_MS
from mrmarket.money.pool.books_view import BooksView
from mrmarket.money.pool.plan import ASSET_DECIMALS, PoolPlan
from mrmarket.money.pool.repository import MarkRow
from mrmarket.money.pool.valuation import PAR, Basis, Mark, PriceSource, net_value


@dataclass(frozen=True, slots=True)
class Appraisal:
    """What the pool holds, what trading has changed, and the prices that value both.

    By asset code, over all places, in units of 18 decimals. What is on its way from one place to
    another is held in the books until it has arrived, and so is counted once.
    """

    holdings: dict[str, int]
    traded: dict[str, int]
    """What trades and fees have added to the pool since it began."""
    marks: dict[str, Mark]
    sources: dict[str, PriceSource]
    """Who told each price, and when; the quote has none."""
    supply: int
    """Share units outstanding."""

    def nav(self, basis: Basis) -> int:
        """Net asset value in quote units."""
        return net_value(self.holdings, self.marks, basis)

    @property
    def pnl(self) -> int:
        """What trading has earned, in quote units: cash flows, and what was traded at today's mid.

        What depositors brought is not revalued, so a falling market alone is no loss here.
        """
        return net_value(self.traded, self.marks, Basis.MID)

    def unpriced(self, brought: Iterable[str] = ()) -> list[str]:
        """Codes that are held, or to be brought, and have no price."""
        held = {code for code, units in self.holdings.items() if units}
        return sorted(code for code in held | set(brought) if code not in self.marks)


def appraise(plan: PoolPlan, books: BooksView, marks: Iterable[MarkRow]) -> Appraisal:
    """Put the pool's figures together."""
    traded: dict[str, int] = {}
    for account in (plan.counterparty, plan.fees):
        for code, units in _by_code(plan, books, account.id).items():
            traded[code] = traded.get(code, 0) - units
    prices = {plan.quote: PAR}
    sources: dict[str, PriceSource] = {}
    for mark in marks:
        if mark.quote == plan.quote:
            prices[mark.base] = Mark.parse(mark.bid, mark.ask)
            sources[mark.base] = PriceSource(mark.venue, mark.symbol, mark.at_ns // NS_PER_MS)
    return Appraisal(
        holdings=_by_code(plan, books, plan.pool.id),
        traded=traded,
        marks=prices,
        sources=sources,
        supply=-books.holdings(plan.issuer.id).get(plan.share.id, 0),
    )


def widened(units: int, decimals: int) -> int:
    """Units of an asset as units of 18 decimals; finer digits than that are cut off."""
    return _scaled(units, ASSET_DECIMALS - decimals)


def narrowed(units: int, decimals: int) -> int:
    """Units of 18 decimals as units of an asset, rounded down."""
    return _scaled(units, decimals - ASSET_DECIMALS)


def _scaled(units: int, digits: int) -> int:
    scale: int = 10 ** abs(digits)
    return units * scale if digits >= 0 else units // scale


def _by_code(plan: PoolPlan, books: BooksView, account: str) -> dict[str, int]:
    held: dict[str, int] = {}
    for asset, units in sorted(books.holdings(account).items()):
        place, _, code = asset.partition(":")
        if place in plan.places:
            known = books.asset(asset)
            decimals = ASSET_DECIMALS if known is None else known.decimals
            held[code] = held.get(code, 0) + widened(units, decimals)
    return held
