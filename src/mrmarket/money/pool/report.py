"""The pool's figures for people, read from one snapshot."""

from __future__ import annotations

from functools import cached_property

from mrmarket.core.decimals import format_units
from mrmarket.money.ledger.account import AccountKind
from mrmarket.money.pool.appraisal import Appraisal, appraise
from mrmarket.money.pool.plan import ASSET_DECIMALS, SHARE_DECIMALS, PoolPlan
from mrmarket.money.pool.repository import PoolRepository
from mrmarket.money.pool.settlement import observed_units
from mrmarket.money.pool.shares import price_of_one, value_of
from mrmarket.money.pool.valuation import Basis, worth
from mrmarket.money.pool.view import (
    DepositorFigures,
    EquityFigures,
    HoldingFigures,
    PoolFigures,
    ReconciliationLine,
)


class PoolReport:
    """Figures of one pool as of the repository's snapshot."""

    def __init__(self, plan: PoolPlan, repository: PoolRepository) -> None:
        self._plan = plan
        self._repository = repository

    @cached_property
    def _now(self) -> Appraisal:
        return appraise(self._plan, self._repository.holdings, self._repository.marks(self._plan.venue))

    def pool(self, log_head_seq: int) -> PoolFigures:
        """Everything at once."""
        now, plan = self._now, self._plan
        head_seq, head_hash = self._repository.head()
        nav = now.nav(Basis.MID)
        return PoolFigures(
            id=plan.name,
            quote=plan.quote,
            nav=_amount(nav),
            nav_low=_amount(now.nav(Basis.LOW)),
            nav_high=_amount(now.nav(Basis.HIGH)),
            shares=format_units(now.supply, SHARE_DECIMALS),
            nav_per_share=_amount(price_of_one(now.supply, nav, SHARE_DECIMALS)),
            pnl=_amount(now.pnl),
            holdings=[
                HoldingFigures(code, _amount(units), _amount(self._worth(code, units)))
                for code, units in sorted(now.holdings.items())
            ],
            depositors=self.depositors(),
            parked_fills=len(self._repository.parked(plan.stream)),
            ledger_seq=head_seq,
            ledger_head=head_hash.hex(),
            settled_through_seq=self._repository.cursor(plan.stream).seq,
            log_head_seq=log_head_seq,
        )

    def depositors(self) -> list[DepositorFigures]:
        """Who owns how much, by name."""
        now = self._now
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
                    value=_amount(value),
                    earned=_amount(value - stakes.get(account, 0)),
                )
            )
        return figures

    def equity(self, limit: int) -> list[EquityFigures]:
        """The newest points of the equity curve, oldest first."""
        return [
            EquityFigures(
                at_ms=row.at_s * 1_000,
                nav=_amount(row.nav),
                nav_per_share=_amount(price_of_one(row.shares, row.nav, SHARE_DECIMALS)),
                pnl=_amount(row.pnl),
            )
            for row in self._repository.equity(self._plan.name, limit)
        ]

    def reconciliation(self) -> list[ReconciliationLine]:
        """Observed against expected, by asset."""
        observed = {row.asset: row for row in self._repository.balances(self._plan.venue)}
        lines = []
        for code in sorted({*observed, *(code for code, units in self._now.custody.items() if units)}):
            expected = self._now.custody.get(code, 0)
            row = observed.get(code)
            seen = observed_units(self._plan, row) if row else None
            lines.append(
                ReconciliationLine(
                    asset=code,
                    observed=None if seen is None else _amount(seen),
                    expected=_amount(expected),
                    difference=None if seen is None else _amount(seen - expected),
                    observed_at_ns=row.at_ns if row else None,
                )
            )
        return lines

    def _worth(self, code: str, units: int) -> int:
        mark = self._now.marks.get(code)
        return worth(units, mark, Basis.MID) if mark else 0


def _amount(units: int) -> str:
    return format_units(units, ASSET_DECIMALS)
