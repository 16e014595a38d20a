"""Looks at what the instance holds, and writes a signed report with each seal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from mrmarket.core.clock import NS_PER_MS
from mrmarket.core.decimals import parse_units
from mrmarket.core.errors import InvalidInputError
from mrmarket.core.notice import Notice, NoticeSink, Severity, Unheard
from mrmarket.money.ledger.draft import Draft
from mrmarket.money.ledger.seal import Signed
from mrmarket.money.ledger.seal_office import seal_now
from mrmarket.money.pool.plan import ASSET_DECIMALS
from mrmarket.money.pool.repository import PoolRepository
from mrmarket.money.solvency.comparison import Place
from mrmarket.money.solvency.report import write_report
from mrmarket.money.solvency.repository import IncidentRow, Observation
from mrmarket.money.solvency.watch import Look, lines_of, look, observe
from mrmarket.services.money.offices import Offices
from mrmarket.store.sql import Sql

_RAIL_AGE_MS: Final = 120_000
_VENUE_AGE_MS: Final = 86_400_000
"""A venue tells every change of a balance; between two changes it has nothing to say."""
_SLACK_MS: Final = 5_000
_LOOKS: Final = 3
"""Looks in a row: one may fall between a trade and its place in the books."""


class SolvencyWatch:
    """Compares what is owed with what was seen, and keeps payouts of what does not add up in."""

    def __init__(
        self,
        offices: Offices,
        notices: NoticeSink | None = None,
        world_ns: Callable[[int], int] = lambda wall_ns: wall_ns,
    ) -> None:
        """`notices` hears of every incident that begins or ends.

        `world_ns` makes the wall time at which a venue spoke the time that the books go by.
        """
        self._offices = offices
        self._world_ns = world_ns
        self._notices = notices or Unheard()

    def places(self) -> dict[str, Place]:
        """Where money may be, by the namespace of its assets."""
        found = {
            plan.venue: Place(plan.venue, _VENUE_AGE_MS, slack_ms=_SLACK_MS, looks_to_open=_LOOKS)
            for plan in self._offices.treasury.plans
        }
        for rail in self._offices.world.rails:
            found[rail] = Place(rail, _RAIL_AGE_MS, slack_ms=_SLACK_MS, looks_to_open=_LOOKS)
        return found

    def look(self, rails: Mapping[str, Mapping[str, int]]) -> Look:
        """One look, with what each rail has just said it holds, in base units by asset code."""
        offices = self._offices
        with offices.treasury.reader.snapshot() as sql:
            seen = self._at_venues(sql)
        now_ms = self._now_ms()
        for name, balances in rails.items():
            decimals = {asset.code: asset.decimals for asset in offices.world.rails[name].assets()}
            seen += [
                Observation(name, code, units, decimals[code], now_ms)
                for code, units in balances.items()
                if code in decimals
            ]
        places = self.places()

        def work(draft: Draft) -> Look:
            observe(draft, seen)
            return look(draft, places)

        found = offices.treasury.writer.perform(work).result()
        for row in found.opened:
            self._notices.notify(incident_notice(row))
        for row in found.closed:
            self._notices.notify(incident_notice(row))
        return found

    def seal(self) -> Signed:
        """Seal the books and sign what is held against what is owed."""
        offices, places = self._offices, self.places()
        with offices.treasury.reader.snapshot() as sql:
            key = offices.keys.key(sql)
        signed = seal_now(offices.treasury.reader, offices.treasury.writer, key, offices.clock)

        def report(draft: Draft) -> None:
            write_report(draft, key, lines_of(draft.sql, places, draft.at_ms))

        offices.treasury.writer.perform(report).result()
        return signed

    def _at_venues(self, sql: Sql) -> list[Observation]:
        seen = []
        for venue in sorted({plan.venue for plan in self._offices.treasury.plans}):
            for row in PoolRepository(sql).balances(venue):
                try:
                    units = parse_units(row.free, ASSET_DECIMALS) + parse_units(row.locked, ASSET_DECIMALS)
                except InvalidInputError:
                    continue  # settlement has counted it as ignored; the last good one stands
                at_ms = self._world_ns(row.at_ns) // NS_PER_MS
                seen.append(Observation(venue, row.asset, units, ASSET_DECIMALS, at_ms))
        return seen

    def _now_ms(self) -> int:
        return self._offices.clock.now_ns() // NS_PER_MS


def incident_notice(incident: IncidentRow) -> Notice:
    """What the owner is told of an incident: which asset and where; the amounts stay at home."""
    code = incident.asset.partition(":")[2]
    if incident.state == "open":
        return Notice(
            key=f"solvency.{incident.asset}",
            kind="solvency",
            severity=Severity.CRITICAL,
            title=f"{code} at {incident.place} does not add up",
            text=f"Held and owed differ. Payouts of {code} are stopped; see the treasury page.",
            at_ms=incident.opened_ms,
        )
    return Notice(
        key=f"solvency.{incident.id}.over",
        kind="solvency",
        severity=Severity.WARNING,
        title=f"{code} at {incident.place} adds up again",
        text=f"Closed by {incident.closed_by}; payouts of {code} go on.",
        at_ms=incident.closed_ms,
    )
