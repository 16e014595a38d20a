"""Deposits and withdrawals, as rows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from mrmarket.money.payouts.sealed_table import SealedTable
from mrmarket.money.pool.rows import DepositRow, DepositState, WithdrawalRow, WithdrawalState
from mrmarket.store.sql import Sql

DEPOSITS: Final = SealedTable("pool_deposits", DepositRow, ("id",))
WITHDRAWALS: Final = SealedTable("pool_withdrawals", WithdrawalRow, ("id",))

_EVER: Final = 2**62


class RequestRepository:
    """What people have asked for."""

    def __init__(self, sql: Sql) -> None:
        self._sql = sql

    def deposit(self, deposit_id: str) -> DepositRow | None:
        """A deposit."""
        return DEPOSITS.find(self._sql, deposit_id)

    def deposit_by_memo(self, memo: str) -> DepositRow | None:
        """The deposit that a payment's memo names."""
        rows = DEPOSITS.select(self._sql, "WHERE memo = ?", memo)
        return rows[0] if rows else None

    def put_deposit(self, row: DepositRow) -> None:
        """Keep a deposit as it stands."""
        DEPOSITS.put(self._sql, row)

    def deposits_in(self, pool: str, states: Iterable[DepositState], limit: int) -> list[DepositRow]:
        """Deposits of a pool by state, oldest first."""
        wanted = [state.value for state in states]
        marks = ", ".join("?" * len(wanted))
        tail = f"WHERE pool = ? AND state IN ({marks}) ORDER BY created_ms, id LIMIT ?"
        return DEPOSITS.select(self._sql, tail, pool, *wanted, limit)

    def open_intents(self, account: str) -> int:
        """How many of a user's deposits wait for a payment."""
        rows = self._sql.rows(
            "SELECT count(*) FROM pool_deposits WHERE account = ? AND state IN ('waiting', 'seen')", account
        )
        return int(rows[0][0])

    def fees_charged(self, pool: str) -> list[tuple[str, int]]:
        """Deposit fees of a pool: asset id and units of each deposit that paid one."""
        rows = self._sql.rows(
            "SELECT asset, fee_units FROM pool_deposits WHERE pool = ? AND fee_units <> '0'", pool
        )
        return [(asset, int(units)) for asset, units in rows]

    def overdue(self, at_ms: int, limit: int) -> list[DepositRow]:
        """Intents whose time has run out without a payment being seen."""
        tail = "WHERE state = 'waiting' AND expires_ms < ? ORDER BY expires_ms, id LIMIT ?"
        return DEPOSITS.select(self._sql, tail, at_ms, limit)

    def deposits_of(self, account: str, limit: int, before_ms: int | None = None) -> list[DepositRow]:
        """A user's deposits that were asked for before a time, newest first."""
        tail = "WHERE account = ? AND created_ms < ? ORDER BY created_ms DESC, id DESC LIMIT ?"
        return DEPOSITS.select(self._sql, tail, account, _EVER if before_ms is None else before_ms, limit)

    def withdrawal(self, withdrawal_id: str) -> WithdrawalRow | None:
        """A withdrawal."""
        return WITHDRAWALS.find(self._sql, withdrawal_id)

    def withdrawal_of_payout(self, payout: str) -> WithdrawalRow | None:
        """The withdrawal that a payout pays."""
        rows = WITHDRAWALS.select(self._sql, "WHERE payout = ?", payout)
        return rows[0] if rows else None

    def put_withdrawal(self, row: WithdrawalRow) -> None:
        """Keep a withdrawal as it stands."""
        WITHDRAWALS.put(self._sql, row)

    def withdrawals_in(self, pool: str, states: Iterable[WithdrawalState], limit: int) -> list[WithdrawalRow]:
        """Withdrawals from a pool by state, oldest first."""
        wanted = [state.value for state in states]
        marks = ", ".join("?" * len(wanted))
        tail = f"WHERE pool = ? AND state IN ({marks}) ORDER BY ready_ms, created_ms, id LIMIT ?"
        return WITHDRAWALS.select(self._sql, tail, pool, *wanted, limit)

    def queued_withdrawals(self) -> list[WithdrawalRow]:
        """Every withdrawal whose shares are held."""
        return WITHDRAWALS.select(self._sql, "WHERE state IN ('held', 'unwinding')")

    def withdrawals_of(self, account: str, limit: int, before_ms: int | None = None) -> list[WithdrawalRow]:
        """A user's withdrawals that were asked for before a time, newest first."""
        tail = "WHERE account = ? AND created_ms < ? ORDER BY created_ms DESC, id DESC LIMIT ?"
        return WITHDRAWALS.select(self._sql, tail, account, _EVER if before_ms is None else before_ms, limit)
