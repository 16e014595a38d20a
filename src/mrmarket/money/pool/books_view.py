"""The books as the pool's reckoning sees them: inside a unit of work, or in a snapshot of the last commit."""

from __future__ import annotations

from typing import Protocol

from mrmarket.core.money import Asset
from mrmarket.store.sql import Sql


class BooksView(Protocol):
    """What is read of the ledger and of the tables beside it. A `Draft` is one."""

    @property
    def at_ms(self) -> int:
        """Now; UTC ms."""
        ...

    @property
    def sql(self) -> Sql:
        """The tables beside the ledger."""
        ...

    def asset(self, asset_id: str) -> Asset | None:
        """A registered asset."""
        ...

    def balance(self, account_id: str, asset_id: str) -> int:
        """Credits less debits, in base units. What is held for others is still in it."""
        ...

    def available(self, account_id: str, asset_id: str) -> int:
        """What an account can spend: its balance less what is held."""
        ...

    def holdings(self, account_id: str) -> dict[str, int]:
        """Every asset id that an account has ever held, and its balance."""
        ...


class SnapshotView:
    """The books as of one commit."""

    def __init__(self, sql: Sql, at_ms: int) -> None:
        self.sql = sql
        self.at_ms = at_ms

    def asset(self, asset_id: str) -> Asset | None:
        """A registered asset."""
        rows = self.sql.rows("SELECT decimals FROM assets WHERE id = ?", asset_id)
        namespace, _, code = asset_id.partition(":")
        return Asset(namespace, code, int(rows[0][0])) if rows else None

    def balance(self, account_id: str, asset_id: str) -> int:
        """Credits less debits, in base units."""
        rows = self.sql.rows(
            "SELECT units FROM balances WHERE account = ? AND asset = ?", account_id, asset_id
        )
        return int(rows[0][0]) if rows else 0

    def available(self, account_id: str, asset_id: str) -> int:
        """What an account can spend: its balance less what is held."""
        rows = self.sql.rows(
            "SELECT transfers.units FROM holds JOIN transfers"
            " ON transfers.group_seq = holds.group_seq AND transfers.position = holds.position"
            " WHERE holds.state = 'pending' AND transfers.debit = ? AND transfers.asset = ?",
            account_id,
            asset_id,
        )
        return self.balance(account_id, asset_id) - sum(int(units) for (units,) in rows)

    def holdings(self, account_id: str) -> dict[str, int]:
        """Every asset id that an account has ever held, and its balance."""
        rows = self.sql.rows("SELECT asset, units FROM balances WHERE account = ? ORDER BY asset", account_id)
        return {asset: int(units) for asset, units in rows}
