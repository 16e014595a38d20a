"""Terms, lots, every change of shares, fees and days, as rows."""

from __future__ import annotations

from typing import Final

from mrmarket.money.ledger.account import AccountKind
from mrmarket.money.payouts.sealed_table import SealedTable
from mrmarket.money.pool.rows import (
    DayRow,
    DepositState,
    EntryRow,
    FeeRow,
    FlagsRow,
    LotRow,
    MemberRow,
    TermsRow,
)
from mrmarket.store.sql import Sql

TERMS: Final = SealedTable("pool_terms", TermsRow, ("pool", "version"))
FLAGS: Final = SealedTable("pool_flags", FlagsRow, ("pool",))
MEMBERS: Final = SealedTable("pool_members", MemberRow, ("pool", "account"))
LOTS: Final = SealedTable("pool_lots", LotRow, ("id",))
ENTRIES: Final = SealedTable("share_entries", EntryRow, ("pool", "number"))
FEES: Final = SealedTable("fee_windows", FeeRow, ("pool", "end_ms"))
DAYS: Final = SealedTable("pool_days", DayRow, ("pool", "start_ms"))


class ShareRepository:
    """Terms, lots, every change of shares, fees and days."""

    def __init__(self, sql: Sql) -> None:
        self._sql = sql

    def terms(self, pool: str) -> list[TermsRow]:
        """Every version, in order."""
        return TERMS.select(self._sql, "WHERE pool = ? ORDER BY version", pool)

    def add_terms(self, row: TermsRow) -> None:
        """Add a version."""
        TERMS.add(self._sql, row)

    def flags(self, pool: str) -> FlagsRow:
        """What is paused."""
        return FLAGS.find(self._sql, pool) or FlagsRow(pool)

    def put_flags(self, row: FlagsRow) -> None:
        """Pause or resume."""
        FLAGS.put(self._sql, row)

    def members(self, pool: str) -> list[MemberRow]:
        """Who may enter a permissioned pool, by account."""
        return MEMBERS.select(self._sql, "WHERE pool = ? ORDER BY account", pool)

    def is_member(self, pool: str, account: str) -> bool:
        """Whether somebody may enter."""
        return MEMBERS.find(self._sql, pool, account) is not None

    def put_member(self, row: MemberRow) -> None:
        """Let somebody enter."""
        MEMBERS.put(self._sql, row)

    def remove_member(self, pool: str, account: str) -> None:
        """No longer let somebody enter; what they have in the pool stays theirs."""
        self._sql.run("DELETE FROM pool_members WHERE pool = ? AND account = ?", pool, account)

    def lot(self, lot_id: str) -> LotRow | None:
        """A lot."""
        return LOTS.find(self._sql, lot_id)

    def put_lot(self, row: LotRow) -> None:
        """Keep a lot as it stands; history needs it also without shares."""
        LOTS.put(self._sql, row)

    def lots(self, pool: str, account: str) -> list[LotRow]:
        """A user's lots in a pool that have shares, oldest first."""
        tail = "WHERE pool = ? AND account = ? AND share_units <> '0' ORDER BY opened_ms, id"
        return LOTS.select(self._sql, tail, pool, account)

    def every_lot(self, pool: str) -> list[LotRow]:
        """Every lot that a pool ever had."""
        return LOTS.select(self._sql, "WHERE pool = ?", pool)

    def entry_sums(self) -> dict[tuple[str, str], int]:
        """Share units that the history comes to, by pool and account."""
        sums: dict[tuple[str, str], int] = {}
        for pool, account, units in self._sql.rows("SELECT pool, account, share_units FROM share_entries"):
            sums[pool, account] = sums.get((pool, account), 0) + int(units)
        return sums

    def lot_sums(self) -> dict[tuple[str, str], int]:
        """Share units in lots, by pool and account."""
        sums: dict[tuple[str, str], int] = {}
        for pool, account, units in self._sql.rows("SELECT pool, account, share_units FROM pool_lots"):
            sums[pool, account] = sums.get((pool, account), 0) + int(units)
        return sums

    def inhabited(self) -> list[str]:
        """Pools that somebody has shares in, or has paid into, by name."""
        owned = self._sql.rows(
            "SELECT DISTINCT b.asset FROM balances AS b JOIN accounts AS a ON a.id = b.account"
            " WHERE a.kind = ? AND b.units <> '0'",
            AccountKind.ISSUER.value,
        )
        coming = self._sql.rows(
            "SELECT DISTINCT pool FROM pool_deposits WHERE state IN (?, ?)",
            DepositState.SEEN.value,
            DepositState.CREDITED.value,
        )
        return sorted({asset.partition(":")[2] for (asset,) in owned} | {pool for (pool,) in coming})

    def last_entry(self, pool: str) -> EntryRow | None:
        """The newest change of shares."""
        rows = ENTRIES.select(self._sql, "WHERE pool = ? ORDER BY number DESC LIMIT 1", pool)
        return rows[0] if rows else None

    def add_entry(self, row: EntryRow) -> None:
        """Add a change of shares."""
        ENTRIES.add(self._sql, row)

    def entries_before(self, pool: str, end_ms: int) -> list[EntryRow]:
        """Every change of shares before a time, in order."""
        return ENTRIES.select(self._sql, "WHERE pool = ? AND at_ms < ? ORDER BY number", pool, end_ms)

    def entries_of(self, account: str) -> list[EntryRow]:
        """Every change of a user's shares, by pool and in order."""
        return ENTRIES.select(self._sql, "WHERE account = ? ORDER BY pool, number", account)

    def last_fees(self, pool: str) -> FeeRow | None:
        """The newest window."""
        rows = FEES.select(self._sql, "WHERE pool = ? ORDER BY end_ms DESC LIMIT 1", pool)
        return rows[0] if rows else None

    def add_fees(self, row: FeeRow) -> None:
        """Add a window."""
        FEES.add(self._sql, row)

    def fees(self, pool: str, start_ms: int, end_ms: int) -> list[FeeRow]:
        """Windows that end in `[start_ms, end_ms)`, in order."""
        tail = "WHERE pool = ? AND end_ms >= ? AND end_ms < ? ORDER BY end_ms"
        return FEES.select(self._sql, tail, pool, start_ms, end_ms)

    def day(self, pool: str, start_ms: int) -> DayRow:
        """A day's figures."""
        rows = DAYS.select(self._sql, "WHERE pool = ? AND start_ms = ?", pool, start_ms)
        return rows[0] if rows else DayRow(pool, start_ms)

    def put_day(self, row: DayRow) -> None:
        """Keep a day's figures."""
        DAYS.put(self._sql, row)

    def days(self, pool: str, start_ms: int, end_ms: int) -> list[DayRow]:
        """Days that start in `[start_ms, end_ms)`, in order."""
        tail = "WHERE pool = ? AND start_ms >= ? AND start_ms < ? ORDER BY start_ms"
        return DAYS.select(self._sql, tail, pool, start_ms, end_ms)
