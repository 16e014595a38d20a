"""What was seen and what came of it, as rows; and what the books owe."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from mrmarket.money.ledger.account import AccountKind
from mrmarket.money.ledger.history import seq_at
from mrmarket.money.ledger.seal import Signed
from mrmarket.money.ledger.seal_claims import GATES
from mrmarket.money.payouts.sealed_table import SealedTable
from mrmarket.money.solvency.comparison import Seen, Span
from mrmarket.store.sql import Sql


class Observation(msgspec.Struct, frozen=True):
    """What a place said it holds of an asset."""

    place: str
    code: str
    units: int
    decimals: int
    at_ms: int

    @property
    def asset(self) -> str:
        """Asset id."""
        return f"{self.place}:{self.code}"


class LookRow(msgspec.Struct, frozen=True):
    """How an asset has fared in the last looks."""

    asset: str
    good: int
    """Looks in a row that added up."""
    bad: int
    """Looks in a row that did not."""
    at_ms: int
    """Time of the observation that was looked at last; 0 for none."""
    why: str


class IncidentRow(msgspec.Struct, frozen=True):
    """An asset that did not add up."""

    id: str
    asset: str
    place: str
    why: str
    difference_units: int
    """What nothing on its way accounted for."""
    state: str
    """`open` or `closed`."""
    opened_ms: int
    closed_ms: int
    """0 while open."""
    closed_by: str
    """`reconciliation` where it added up again, else who closed it."""
    closed_why: str


_OBSERVATIONS: Final = SealedTable("asset_observations", Observation, ("place", "code"))
_LOOKS: Final = SealedTable("solvency_looks", LookRow, ("asset",))
_INCIDENTS: Final = SealedTable("solvency_incidents", IncidentRow, ("id",))
_GATES: Final = ", ".join(f"'{kind}'" for kind in sorted(GATES))


class SolvencyRepository:
    """Rows of this room in somebody else's transaction."""

    def __init__(self, sql: Sql) -> None:
        self._sql = sql

    def observe(self, observation: Observation) -> None:
        """Remember what a place said; an earlier word than the last is forgotten."""
        known = _OBSERVATIONS.find(self._sql, observation.place, observation.code)
        if known is None or known.at_ms <= observation.at_ms:
            _OBSERVATIONS.put(self._sql, observation)

    def observations(self) -> list[Observation]:
        """The last word of every place on every asset."""
        return _OBSERVATIONS.select(self._sql, "ORDER BY place, code")

    def seen(self) -> dict[str, Seen]:
        """The same by asset id, in the base units that the books use."""
        decimals = dict(self._sql.rows("SELECT id, decimals FROM assets"))
        return {
            row.asset: Seen(
                _rescaled(row.units, row.decimals, decimals.get(row.asset, row.decimals)), row.at_ms
            )
            for row in self.observations()
        }

    def owed(self) -> dict[str, int]:
        """What all claims come to by asset id; shares, which pools owe in other assets, are left out."""
        shares = {
            row[0]
            for row in self._sql.rows(
                "SELECT DISTINCT b.asset FROM balances AS b JOIN accounts AS a ON a.id = b.account"
                " WHERE a.kind = ?",
                AccountKind.ISSUER.value,
            )
        }
        totals: dict[str, int] = {}
        for asset, units in self._sql.rows(
            "SELECT b.asset, b.units FROM balances AS b JOIN accounts AS a ON a.id = b.account"  # noqa: S608 - our own kinds
            f" WHERE a.kind IN ({_GATES})"
        ):
            if asset not in shares:
                totals[asset] = totals.get(asset, 0) - int(units)
        return totals

    def moved_since(self, asset: str, at_ms: int) -> Span | None:
        """What has come in and gone out since a time: what was seen then may not show it yet, or may."""
        came = went = count = 0
        for credited, units in self._sql.rows(
            "SELECT CASE WHEN d.kind IN (" + _GATES + ") THEN 1 ELSE 0 END, t.units FROM transfers AS t"  # noqa: S608 - our own kinds
            " JOIN accounts AS d ON d.id = t.debit JOIN accounts AS c ON c.id = t.credit"
            " WHERE t.group_seq > ? AND t.asset = ? AND (t.phase IS NULL OR t.phase = 'post')"
            f" AND (d.kind IN ({_GATES})) <> (c.kind IN ({_GATES}))",
            seq_at(self._sql, at_ms),
            asset,
        ):
            count += 1
            if credited:
                came += int(units)
            else:
                went += int(units)
        if not count:
            return None
        return Span(asset, -came, went, f"{count} movements since it was looked at")

    def look(self, asset: str) -> LookRow:
        """How an asset has fared."""
        return _LOOKS.find(self._sql, asset) or LookRow(asset, 0, 0, 0, "")

    def put_look(self, row: LookRow) -> None:
        """Remember how an asset has fared."""
        _LOOKS.put(self._sql, row)

    def incident(self, incident_id: str) -> IncidentRow | None:
        """One incident."""
        return _INCIDENTS.find(self._sql, incident_id)

    def open_incidents(self) -> list[IncidentRow]:
        """Those that are not over, oldest first."""
        return _INCIDENTS.select(self._sql, "WHERE state = 'open' ORDER BY opened_ms, id")

    def incidents(self, limit: int) -> list[IncidentRow]:
        """All, the newest first."""
        return _INCIDENTS.select(self._sql, "ORDER BY opened_ms DESC, id LIMIT ?", limit)

    def last_closed(self, asset: str) -> IncidentRow | None:
        """The asset's incident that was closed last."""
        rows = _INCIDENTS.select(
            self._sql, "WHERE asset = ? AND state = 'closed' ORDER BY closed_ms DESC, id LIMIT 1", asset
        )
        return rows[0] if rows else None

    def put_incident(self, row: IncidentRow) -> None:
        """Keep an incident as it stands."""
        _INCIDENTS.put(self._sql, row)

    def reports(self, limit: int) -> list[Signed]:
        """Signed reports, the newest first."""
        rows = self._sql.rows(
            "SELECT document, signature FROM solvency_reports ORDER BY number DESC LIMIT ?", limit
        )
        return [_signed(row) for row in rows]

    def every_report(self) -> Iterator[tuple[int, int, Signed]]:
        """Number, time and document of each report, in order."""
        for number, at_ms, *rest in self._sql.rows(
            "SELECT number, at_ms, document, signature FROM solvency_reports ORDER BY number"
        ):
            yield number, at_ms, _signed(tuple(rest))

    def add_report(self, number: int, at_ms: int, signed: Signed) -> None:
        """Append a report."""
        self._sql.run(
            "INSERT INTO solvency_reports (number, at_ms, document, signature) VALUES (?, ?, ?, ?)",
            number,
            at_ms,
            signed.document,
            bytes.fromhex(signed.signature),
        )

    def altered(self) -> Iterator[str]:
        """Sentences about rows that are not what was written."""
        for table in (_OBSERVATIONS, _LOOKS, _INCIDENTS):
            yield from table.altered(self._sql)


def _signed(row: tuple[Any, ...]) -> Signed:
    return Signed(row[0], bytes(row[1]).hex())


def _rescaled(units: int, from_decimals: int, to_decimals: int) -> int:
    """Units of another number of decimals; digits that the books do not keep are left off."""
    if to_decimals >= from_decimals:
        return int(units * 10 ** (to_decimals - from_decimals))
    return int(units // 10 ** (from_decimals - to_decimals))
