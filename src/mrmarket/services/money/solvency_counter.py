"""What the owner may ask about assets and liabilities, and the seal over both."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from mrmarket.money.ledger.draft import Draft
from mrmarket.money.payouts.repository import PayoutRepository
from mrmarket.money.solvency import view as solvency
from mrmarket.money.solvency.errors import UnknownIncidentError
from mrmarket.money.solvency.repository import SolvencyRepository
from mrmarket.money.solvency.watch import lines_of, release
from mrmarket.services.api import money_schema as money
from mrmarket.services.api.refusals import NotFoundError
from mrmarket.services.money import mapping
from mrmarket.services.money.public_counter import Counter, seal_view
from mrmarket.services.money.watch import SolvencyWatch
from mrmarket.store.sql import Sql

_MANY = 10_000


async def _nothing() -> None:
    """Without an instance there is nobody to ask."""


class SolvencyCounter(Counter):
    """Treasury, incidents, reconciliation, seals."""

    def __init__(
        self,
        *parameters: Any,
        watch: SolvencyWatch,
        look: Callable[[], Awaitable[None]] = _nothing,
        **named: Any,
    ) -> None:
        """`look` asks every place what it holds, and compares."""
        super().__init__(*parameters, **named)
        self._watch = watch
        self._look = look

    async def treasury(self) -> money.TreasuryView:
        """What the instance holds for everybody, and what it owes."""
        places, now_ms = self._watch.places(), self._now_ms()

        def question(sql: Sql) -> money.TreasuryView:
            lines = lines_of(sql, places, now_ms)
            figures = solvency.asset_figures(sql, lines, now_ms)
            decimals = self._decimals(sql)
            report = solvency.latest_report(sql)
            ages = [each.age_ms for each in figures if each.age_ms is not None]
            return money.TreasuryView(
                lines=[
                    money.TreasuryLine(
                        place=each.place,
                        asset=each.asset.partition(":")[2],
                        observed=each.seen,
                        expected=each.owed,
                        in_transit=each.in_transit or "0",
                        difference=each.difference,
                        age_s=None if each.age_ms is None else each.age_ms / 1_000,
                        incident=each.incident,
                    )
                    for each in figures
                ],
                liabilities=[
                    money.Balance(asset=asset, amount=mapping.signed(units, decimals(asset)), held="0")
                    for asset, units in sorted(SolvencyRepository(sql).owed().items())
                ],
                blocked={block.asset_code: block.reason for block in PayoutRepository(sql).blocks()},
                solvent=all(line.is_sound for line in lines) if lines else None,
                checked_at_ms=report.at_ms if not ages and report else now_ms - min(ages) if ages else None,
            )

        return await self._read(question)

    async def incidents(self, limit: int, before_ms: int | None) -> list[money.IncidentView]:
        """What did not add up, newest first."""

        def question(sql: Sql) -> list[money.IncidentView]:
            rows = solvency.incidents(sql, _MANY if before_ms is not None else limit)
            older = [row for row in rows if before_ms is None or row.opened_ms < before_ms]
            return [
                money.IncidentView(
                    id=row.id,
                    asset=row.asset.partition(":")[2],
                    place=row.place,
                    opened_at_ms=row.opened_ms,
                    closed_at_ms=row.closed_ms or None,
                    reason=row.why if row.state == "open" else f"{row.why}; {row.closed_why}",
                )
                for row in older[:limit]
            ]

        return await self._read(question)

    async def release_incident(self, incident: str, request: money.ReleaseRequest) -> money.TreasuryView:
        """Take a difference as it is: the incident is closed and payouts go on."""

        def work(draft: Draft) -> None:
            release(draft, incident, "owner", request.reason)

        def carry_out() -> None:
            self._offices.treasury.writer.perform(work).result()

        try:
            await asyncio.to_thread(carry_out)
        except UnknownIncidentError:
            raise NotFoundError("open incident", incident) from None
        return await self.treasury()

    async def reconcile(self) -> money.TreasuryView:
        """Compare what is held with what is owed, now."""
        await self._look()
        return await self.treasury()

    async def seal(self) -> money.SealView:
        """Seal the books now, and sign what is held against what is owed."""
        view = seal_view(await asyncio.to_thread(self._watch.seal))
        if view is None:
            raise RuntimeError("what was sealed is no seal")
        return view
