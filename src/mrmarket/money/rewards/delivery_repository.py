"""All SQL of rewards that are paid out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from mrmarket.money.payouts.sealed_table import SealedTable
from mrmarket.money.rewards.rows import CarriedRow, DeliveryRow, Preference
from mrmarket.store.sql import Sql

_PREFERENCES: Final = SealedTable("reward_preferences", Preference, ("account", "asset"))
_DELIVERIES: Final = SealedTable("reward_deliveries", DeliveryRow, ("id",))
_CARRIED: Final = SealedTable("reward_delivery_rows", CarriedRow, ("run", "account"))

CREDITED: Final = "NOT EXISTS (SELECT 1 FROM reward_open_runs o WHERE o.run = q.id)"
"""Of a run `q`: all of it is posted."""


class DeliveryRepository:
    """Preferences, payouts of rewards, and what they carry."""

    def __init__(self, sql: Sql) -> None:
        self._sql = sql

    def preferences(self) -> list[Preference]:
        """Everybody who wants rewards paid out."""
        return _PREFERENCES.select(self._sql, "ORDER BY account, asset")

    def preference(self, account: str, asset: str) -> Preference | None:
        """An account's wish for an asset."""
        return _PREFERENCES.find(self._sql, account, asset)

    def put_preference(self, preference: Preference) -> None:
        """Keep a wish."""
        _PREFERENCES.put(self._sql, preference)

    def drop_preference(self, account: str, asset: str) -> None:
        """Forget a wish."""
        self._sql.run("DELETE FROM reward_preferences WHERE account = ? AND asset = ?", account, asset)

    def unpaid(self, preference: Preference, limit: int) -> list[tuple[str, int]]:
        """Runs that have credited the account and are in no payout, oldest first, and the units."""
        rows = self._sql.rows(
            "SELECT q.id, r.units FROM reward_rows r JOIN reward_runs q ON q.id = r.run"  # noqa: S608 - a constant
            " WHERE r.account = ? AND q.asset = ? AND q.at_ms >= ? AND r.chunk >= 0"
            " AND NOT EXISTS (SELECT 1 FROM reward_delivery_rows d"
            f" WHERE d.run = r.run AND d.account = r.account) AND {CREDITED}"
            " ORDER BY q.at_ms, q.id LIMIT ?",
            preference.account,
            preference.asset,
            preference.since_ms,
            limit,
        )
        return [(run, int(units)) for run, units in rows]

    def add_delivery(self, delivery: DeliveryRow) -> None:
        """Keep a payout of rewards."""
        _DELIVERIES.add(self._sql, delivery)

    def add_carried(self, carried: CarriedRow) -> None:
        """Note that a payout carries an allocation."""
        _CARRIED.add(self._sql, carried)

    def delivery_of(self, run: str, account: str) -> DeliveryRow | None:
        """The payout that carries an allocation."""
        carried = _CARRIED.find(self._sql, run, account)
        return None if carried is None else _DELIVERIES.find(self._sql, carried.delivery)

    def deliveries(self, account: str) -> list[DeliveryRow]:
        """Payouts of an account's rewards, oldest first."""
        return _DELIVERIES.select(self._sql, "WHERE account = ? ORDER BY at_ms, id", account)

    def newest(self, limit: int) -> list[DeliveryRow]:
        """The newest payouts of rewards."""
        return _DELIVERIES.select(self._sql, "ORDER BY at_ms DESC, id LIMIT ?", limit)


def altered_deliveries(sql: Sql) -> Iterator[str]:
    """Sentences about rows that are not what was written."""
    for table in (_PREFERENCES, _DELIVERIES, _CARRIED):
        yield from table.altered(sql)
