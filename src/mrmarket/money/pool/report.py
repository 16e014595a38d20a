"""The pool's figures for people, read from one snapshot."""

from __future__ import annotations

from functools import cached_property

from mrmarket.core.decimals import format_units, parse_units
from mrmarket.core.errors import InvalidInputError
from mrmarket.money.ledger.account import AccountKind
from mrmarket.money.pool.appraisal import Appraisal, widened
from mrmarket.money.pool.book import PoolBook
from mrmarket.money.pool.books_view import BooksView
from mrmarket.money.pool.performance import (
    Period,
    PricePoint,
    Window,
    max_drawdown,
    period_return,
    volatility_year,
    windows,
)
from mrmarket.money.pool.plan import ASSET_DECIMALS, SHARE_DECIMALS
from mrmarket.money.pool.repository import BalanceRow, EquityRow, PoolRepository
from mrmarket.money.pool.share_repository import ShareRepository
from mrmarket.money.pool.shares import price_of_one, value_of
from mrmarket.money.pool.valuation import Basis, worth
from mrmarket.money.pool.view import (
    DepositorFigures,
    EquityFigures,
    HoldingFigures,
    PeriodFigures,
    PlaceFigures,
    PoolFigures,
    ReconciliationLine,
    RiskFigures,
)


class PoolReport:
    """Figures of one pool as of the view's moment."""

    def __init__(self, book: PoolBook, view: BooksView) -> None:
        self._book = book
        self._plan = book.plan
        self._view = view
        self._repository = PoolRepository(view.sql)

    @cached_property
    def now(self) -> Appraisal:
        """What the pool holds and is worth."""
        return self._book.appraise(self._view)

    def pool(self, log_head_seq: int) -> PoolFigures:
        """Everything at once."""
        now, plan = self.now, self._plan
        head_seq, head_hash = self._repository.head()
        nav = now.nav(Basis.MID)
        stream = plan.stream
        return PoolFigures(
            id=plan.name,
            quote=plan.quote,
            nav=amount(nav),
            nav_low=amount(now.nav(Basis.LOW)),
            nav_high=amount(now.nav(Basis.HIGH)),
            shares=format_units(now.supply, SHARE_DECIMALS),
            nav_per_share=amount(price_of_one(now.supply, nav, SHARE_DECIMALS)),
            pnl=amount(now.pnl),
            holdings=[
                HoldingFigures(code, amount(units), amount(self._worth(code, units)))
                for code, units in sorted(now.holdings.items())
            ],
            depositors=self.depositors(),
            parked_fills=0 if stream is None else len(self._repository.parked(stream)),
            ledger_seq=head_seq,
            ledger_head=head_hash.hex(),
            settled_through_seq=0 if stream is None else self._repository.cursor(stream).seq,
            log_head_seq=log_head_seq,
        )

    def depositors(self) -> list[DepositorFigures]:
        """Who owns how much, by name."""
        now = self.now
        nav = now.nav(Basis.MID)
        stakes = self._repository.stakes(self._plan.name)
        figures = []
        for account, shares in self._repository.holders(self._plan.share.id, AccountKind.USER).items():
            value = value_of(shares, now.supply, nav)
            figures.append(
                DepositorFigures(
                    name=account.removeprefix(f"{AccountKind.USER}:"),
                    shares=format_units(shares, SHARE_DECIMALS),
                    share=shares / now.supply if now.supply else 0.0,
                    value=amount(value),
                    earned=amount(value - stakes.get(account, 0)),
                )
            )
        return figures

    def equity(self, limit: int) -> list[EquityFigures]:
        """The newest points of the equity curve, oldest first."""
        return [
            EquityFigures(
                at_ms=row.at_s * 1_000,
                nav=amount(row.nav),
                nav_per_share=amount(price_of_one(row.shares, row.nav, SHARE_DECIMALS)),
                pnl=amount(row.pnl),
            )
            for row in self._repository.equity(self._plan.name, limit)
        ]

    def curve(self, start_ms: int, end_ms: int) -> list[PricePoint]:
        """Share prices from the last before `start_ms` to `end_ms`, oldest first."""
        rows = self._repository.equity_between(self._plan.name, start_ms // 1_000, end_ms // 1_000)
        return [PricePoint(row.at_s * 1_000, _price(row)) for row in rows]

    def reconciliation(self) -> list[ReconciliationLine]:
        """Observed against expected, by place and asset."""
        return [line for place in self._plan.places for line in self._reconcile(place)]

    def returns(self) -> dict[Period, float | None]:
        """What one share has gained in the last day, week and month."""
        at_ms = self._view.at_ms
        spans: dict[Period, int] = {"day": 1, "week": 7, "month": 30}
        longest_ms = at_ms - spans["month"] * 86_400_000
        curve = self.curve(longest_ms, at_ms)
        return {
            period: period_return(curve, Window(at_ms - days * 86_400_000, at_ms + 1))
            for period, days in spans.items()
        }

    def periods(self, period: Period, count: int) -> list[PeriodFigures]:
        """Volume, fees, result and return of the last days, weeks or months, oldest first."""
        spans = windows(period, self._view.at_ms, count)
        first, last = spans[0].start_ms, spans[-1].end_ms
        shares = ShareRepository(self._view.sql)
        days = shares.days(self._plan.name, first, last)
        fees = shares.fees(self._plan.name, first, last)
        points = self._repository.equity_between(self._plan.name, first // 1_000, last // 1_000)
        curve = [PricePoint(row.at_s * 1_000, _price(row)) for row in points]
        figures = []
        for span in spans:
            own = [day for day in days if span.start_ms <= day.start_ms < span.end_ms]
            charged = [fee for fee in fees if span.start_ms <= fee.end_ms < span.end_ms]
            flows = sum(day.brought_units - day.taken_units for day in own)
            figures.append(
                PeriodFigures(
                    start_ms=span.start_ms,
                    end_ms=span.end_ms,
                    volume=amount(sum(day.volume_units for day in own)),
                    fills=sum(day.fills for day in own),
                    venue_fees=amount(sum(day.venue_fee_units for day in own)),
                    pool_fees=amount(sum(fee.value_units for fee in charged)),
                    result=amount(_nav_change(points, span) - flows),
                    return_fraction=period_return(curve, span),
                )
            )
        return figures

    def risk(self, days: int) -> RiskFigures:
        """Where the money is, and how the share price has moved in the last `days` days."""
        at_ms = self._view.at_ms
        curve = self.curve(at_ms - days * 86_400_000, at_ms)
        return RiskFigures(self._allocation(), volatility_year(curve), max_drawdown(curve))

    def _allocation(self) -> list[PlaceFigures]:
        total = self.now.nav(Basis.MID)
        places = []
        for asset_id, units in sorted(self._view.holdings(self._plan.pool.id).items()):
            place, _, code = asset_id.partition(":")
            asset = self._view.asset(asset_id)
            if asset is None or not units or place not in self._plan.places:
                continue
            wide = widened(units, asset.decimals)
            value = self._worth(code, wide)
            places.append(
                PlaceFigures(place, code, amount(wide), amount(value), value / total if total else 0.0)
            )
        return places

    def _reconcile(self, place: str) -> list[ReconciliationLine]:
        observed = {row.asset: row for row in self._repository.balances(place)}
        expected = self._repository.outside(place)
        leaving = self._repository.leaving(place)
        lines = []
        for code in sorted({*observed, *(code for code, units in expected.items() if units), *leaving}):
            asset = self._view.asset(f"{place}:{code}")
            decimals = ASSET_DECIMALS if asset is None else asset.decimals
            row = observed.get(code)
            seen = _observed(row, decimals)
            out = leaving.get(code, 0)
            off = None if seen is None else seen - expected.get(code, 0)
            # Money on its way out may have left or not: between the two nothing needs explaining.
            rest = None if off is None else off + out if off < -out else max(off, 0)
            lines.append(
                ReconciliationLine(
                    asset=code,
                    observed=None if seen is None else format_units(seen, decimals),
                    expected=format_units(expected.get(code, 0), decimals),
                    difference=None if off is None else format_units(off, decimals),
                    observed_at_ns=row.at_ns if row else None,
                    place=place,
                    leaving=format_units(out, decimals),
                    unexplained=None if rest is None else format_units(rest, decimals),
                )
            )
        return lines

    def _worth(self, code: str, units: int) -> int:
        mark = self.now.marks.get(code)
        return worth(units, mark, Basis.MID) if mark else 0


def amount(units: int) -> str:
    """Units of 18 decimals as text."""
    return format_units(units, ASSET_DECIMALS)


def _observed(row: BalanceRow | None, decimals: int) -> int | None:
    """Free and locked together, in base units; None where it was not told, or has digits that are none."""
    if row is None:
        return None
    try:
        return parse_units(row.free, decimals) + parse_units(row.locked, decimals)
    except InvalidInputError:
        return None


def _price(row: EquityRow) -> int:
    return price_of_one(row.shares, row.nav, SHARE_DECIMALS)


def _nav_change(points: list[EquityRow], span: Window) -> int:
    """Net asset value at the end of a window less that at its start, by the points nearest before."""
    before = [row for row in points if row.at_s * 1_000 <= span.start_ms]
    until = [row for row in points if row.at_s * 1_000 < span.end_ms]
    return (until[-1].nav if until else 0) - (before[-1].nav if before else 0)
