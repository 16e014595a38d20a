"""All SQL of rewards that are paid out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from mrmarket.money.payouts.sealed_table import SealedTable
from mrmarket.money.rewards.rows import CarriedRow, DeliveryRow, Preference
from mrmarket.store.sql import Sql

_PREFERENCES: Final = SealedTable("reward_preferences", Preference, ("account", "asset"))
_DELIVERIES: Final = SealedTable("reward_deliveries", DeliveryRow, ("id",))
_CARRIED: Final = SealedTable("reward_delivery_rows", CarriedRow, ("run", "account"))

CREDITED: Final = "NOT EXISTS (SELECT 1 FROM reward_open_runs o WHERE o.run = q.id)"
"""Of a run `q`: all of it is posted."""

_UNPAID: Final = (
    "SELECT p.account, p.asset, q.id, r.units, r.chunk FROM reward_preferences p"  # noqa: S608 - a constant
    " JOIN reward_rows r ON r.account = p.account AND r.chunk >= 0"
    " JOIN reward_runs q ON q.id = r.run AND q.asset = p.asset AND q.at_ms >= p.since_ms"
    " WHERE (p.account, p.asset) >= (?, ?) AND (p.account, p.asset) <= (?, ?)"
    " AND NOT EXISTS (SELECT 1 FROM reward_delivery_rows d WHERE d.run = r.run AND d.account = r.account)"
    f" AND {CREDITED} ORDER BY p.account, p.asset, q.at_ms, q.id"
)


class Owed(NamedTuple):
    """One allocation that has credited an account and is in no payout."""

    run: str
    units: int
    chunk: int
    """The run's group of credits that it is in."""


class DeliveryRepository:
    """Preferences, payouts of rewards, and what they carry."""

    def __init__(self, sql: Sql) -> None:
        self._sql = sql

    def preferences(self, after: Preference | None = None, limit: int = 2**31) -> list[Preference]:
        """Everybody who wants rewards paid out, by account and asset, from behind one of them on."""
        if after is None:
            return _PREFERENCES.select(self._sql, "ORDER BY account, asset LIMIT ?", limit)
        tail = "WHERE (account, asset) > (?, ?) ORDER BY account, asset LIMIT ?"
        return _PREFERENCES.select(self._sql, tail, after.account, after.asset, limit)

    def preference(self, account: str, asset: str) -> Preference | None:
        """An account's wish for an asset."""
        return _PREFERENCES.find(self._sql, account, asset)

    def put_preference(self, preference: Preference) -> None:
        """Keep a wish."""
        _PREFERENCES.put(self._sql, preference)

    def drop_preference(self, account: str, asset: str) -> None:
        """Forget a wish."""
        self._sql.run("DELETE FROM reward_preferences WHERE account = ? AND asset = ?", account, asset)

    def unpaid(self, page: Sequence[Preference], most: int) -> list[list[Owed]]:
        """For each wish what runs have credited to the account and is in no payout.

        Args:
            page: all wishes from the first to the last of them, as `preferences` gives them.
            most: runs of one wish, the oldest first.
        """
        if not page:
            return []
        found: dict[tuple[str, str], list[Owed]] = {(wish.account, wish.asset): [] for wish in page}
        for account, asset, run, units, chunk in self._sql.rows(
            _UNPAID, page[0].account, page[0].asset, page[-1].account, page[-1].asset
        ):
            runs = found[account, asset]
            if len(runs) < most:
                runs.append(Owed(run, int(units), chunk))
        return list(found.values())

    def add_deliveries(self, deliveries: Iterable[DeliveryRow]) -> None:
        """Keep payouts of rewards."""
        _DELIVERIES.add_many(self._sql, deliveries)

    def add_carried(self, carried: Iterable[CarriedRow]) -> None:
        """Note which allocations payouts carry."""
        _CARRIED.add_many(self._sql, carried)

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
