"""The pool's figures at one moment, from the books and the last prices."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from mrmarket.money.pool.plan import PoolPlan
from mrmarket.money.pool.repository import MarkRow
from mrmarket.money.pool.valuation import PAR, Basis, Mark, net_value

Holdings = Callable[[str], dict[str, int]]
"""Asset ids and units that an account id holds."""


@dataclass(frozen=True, slots=True)
class Appraisal:
    """What the pool holds, what trading has changed, and the prices that value both. By asset code."""

    holdings: dict[str, int]
    traded: dict[str, int]
    """What trades and fees have added to the pool since it began."""
    custody: dict[str, int]
    """What the venue must hold for us if the books are right."""
    marks: dict[str, Mark]
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


def appraise(plan: PoolPlan, holdings: Holdings, marks: Iterable[MarkRow]) -> Appraisal:
    """Put the pool's figures together."""
    traded: dict[str, int] = {}
    custody: dict[str, int] = {}
    for account in (plan.counterparty, plan.fees, plan.outside):
        for code, units in _venue_assets(plan, holdings(account.id)).items():
            custody[code] = custody.get(code, 0) - units
            if account != plan.outside:
                traded[code] = traded.get(code, 0) - units
    prices = {plan.quote: PAR}
    for mark in marks:
        if mark.quote == plan.quote:
            prices[mark.base] = Mark.parse(mark.bid, mark.ask)
    return Appraisal(
        holdings=_venue_assets(plan, holdings(plan.pool.id)),
        traded=traded,
        custody=custody,
        marks=prices,
        supply=-holdings(plan.issuer.id).get(plan.share.id, 0),
    )


def _venue_assets(plan: PoolPlan, balances: dict[str, int]) -> dict[str, int]:
    namespace = f"{plan.venue}:"
    return {
        asset.removeprefix(namespace): units
        for asset, units in balances.items()
        if asset.startswith(namespace)
    }
