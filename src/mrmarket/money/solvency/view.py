"""Plain figures for pages and commands."""

from __future__ import annotations

import msgspec

from mrmarket.core.decimals import format_units
from mrmarket.money.solvency.comparison import Line, Standing
from mrmarket.money.solvency.report import ReportDocument, open_report
from mrmarket.money.solvency.repository import IncidentRow, SolvencyRepository
from mrmarket.store.sql import Sql


class AssetFigures(msgspec.Struct, frozen=True, kw_only=True):
    """One asset at one place, in whole units as exact text."""

    asset: str
    place: str
    owed: str
    seen: str | None
    age_ms: int | None
    difference: str | None
    """Seen less owed."""
    in_transit: str
    """How far what is on its way lets them differ: `low … high`; empty for nothing."""
    unexplained: str
    standing: Standing
    why: str
    incident: str | None
    """Id of the open incident."""


def asset_figures(sql: Sql, lines: list[Line], now_ms: int) -> list[AssetFigures]:
    """Lines of a comparison with their incidents."""
    decimals = dict(sql.rows("SELECT id, decimals FROM assets"))
    incidents = {row.asset: row.id for row in SolvencyRepository(sql).open_incidents()}
    observed = {row.asset: row.decimals for row in SolvencyRepository(sql).observations()}

    def amount(line: Line, units: int) -> str:
        return format_units(units, decimals.get(line.asset, observed.get(line.asset, 0)))

    return [
        AssetFigures(
            asset=line.asset,
            place=line.place,
            owed=amount(line, line.owed),
            seen=None if line.seen is None else amount(line, line.seen),
            age_ms=None if line.seen_at_ms is None else now_ms - line.seen_at_ms,
            difference=None if line.difference is None else amount(line, line.difference),
            in_transit=" … ".join(
                amount(line, sum(getattr(span, end) for span in line.spans)) for end in ("low", "high")
            )
            if line.spans
            else "",
            unexplained=amount(line, line.unexplained),
            standing=line.standing,
            why=line.why,
            incident=incidents.get(line.asset),
        )
        for line in lines
    ]


def incidents(sql: Sql, limit: int) -> list[IncidentRow]:
    """All incidents, the newest first."""
    return SolvencyRepository(sql).incidents(limit)


def latest_report(sql: Sql) -> ReportDocument | None:
    """The newest signed report."""
    reports = SolvencyRepository(sql).reports(1)
    return open_report(reports[0]) if reports else None
