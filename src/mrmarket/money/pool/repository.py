"""What the pool remembers beside the ledger, as hand-written SQL; every row carries a seal over itself."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

import msgspec

from mrmarket.store.event_log import genesis_hash

_encode: Final = msgspec.json.Encoder(order="deterministic").encode


@dataclass(frozen=True, slots=True)
class Cursor:
    """The last fact of a stream that is in the ledger; `seq` 0 before the first."""

    stream: str
    epoch: int
    seq: int
    hash: bytes

    @classmethod
    def start(cls, stream: str) -> Cursor:
        """Before the first fact."""
        return cls(stream, 0, 0, genesis_hash(stream))


@dataclass(frozen=True, slots=True)
class ParkedFill:
    """A trade that a rule keeps out of the ledger for now."""

    key: str
    stream: str
    seq: int
    payload: bytes
    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class MarkRow:
    """Last observed prices of a pair."""

    venue: str
    symbol: str
    base: str
    quote: str
    bid: str
    ask: str
    at_ns: int


@dataclass(frozen=True, slots=True)
class BalanceRow:
    """What a venue last said we hold of an asset."""

    venue: str
    asset: str
    free: str
    locked: str
    at_ns: int


@dataclass(frozen=True, slots=True)
class EquityRow:
    """The pool's worth in one second, in units."""

    pool: str
    at_s: int
    nav: int
    shares: int
    pnl: int


def seal(table: str, values: tuple[object, ...]) -> bytes:
    """SHA-256 over the table's name and a row's values, as canonical JSON."""
    return sha256(_encode((table, values))).digest()


SEALED: Final = {
    "settlement_cursors": ("stream", "epoch", "seq", "hash"),
    "parked_fills": ("key", "stream", "seq", "payload", "code", "reason"),
    "marks": ("venue", "symbol", "base", "quote", "bid", "ask", "at_ns"),
    "observed_balances": ("venue", "asset", "free", "locked", "at_ns"),
    "equity_points": ("pool", "at_s", "nav", "shares", "pnl"),
}
"""Columns that each table's seal covers, in order."""


def _select(table: str) -> str:
    return f"SELECT {', '.join(SEALED[table])} FROM {table} "  # noqa: S608 - constants


def _replace(table: str) -> str:
    columns = SEALED[table]
    marks = ", ".join("?" * (len(columns) + 1))
    return f"INSERT OR REPLACE INTO {table} ({', '.join(columns)}, seal) VALUES ({marks})"  # noqa: S608 - constants


class PoolRepository:
    """Rows of the pool's tables, through a connection that somebody else's transaction owns."""

    def __init__(self, connection: Callable[[], sqlite3.Connection]) -> None:
        self._connection = connection

    def cursor(self, stream: str) -> Cursor:
        """How far a stream is settled."""
        rows = self._rows(_select("settlement_cursors") + "WHERE stream = ?", stream)
        return Cursor(*rows[0]) if rows else Cursor.start(stream)

    def put_cursor(self, cursor: Cursor) -> None:
        """Remember how far a stream is settled."""
        self._put("settlement_cursors", cursor.stream, cursor.epoch, cursor.seq, cursor.hash)

    def parked(self, stream: str) -> list[ParkedFill]:
        """Trades of a stream that are not in the ledger, oldest first."""
        rows = self._rows(_select("parked_fills") + "WHERE stream = ? ORDER BY seq", stream)
        return [ParkedFill(*row) for row in rows]

    def park(self, fill: ParkedFill) -> None:
        """Keep a trade for later."""
        self._put("parked_fills", fill.key, fill.stream, fill.seq, fill.payload, fill.code, fill.reason)

    def unpark(self, key: str) -> None:
        """A trade has found its way into the ledger."""
        self._connection().execute("DELETE FROM parked_fills WHERE key = ?", (key,))

    def marks(self, venue: str) -> list[MarkRow]:
        """Last prices of every pair of a venue."""
        return [MarkRow(*row) for row in self._rows(_select("marks") + "WHERE venue = ?", venue)]

    def put_mark(self, row: MarkRow) -> None:
        """Remember a pair's prices."""
        self._put("marks", row.venue, row.symbol, row.base, row.quote, row.bid, row.ask, row.at_ns)

    def balances(self, venue: str) -> list[BalanceRow]:
        """Last observed balances at a venue, by asset."""
        rows = self._rows(_select("observed_balances") + "WHERE venue = ? ORDER BY asset", venue)
        return [BalanceRow(*row) for row in rows]

    def put_balance(self, row: BalanceRow) -> None:
        """Remember an observed balance."""
        self._put("observed_balances", row.venue, row.asset, row.free, row.locked, row.at_ns)

    def equity(self, pool: str, limit: int) -> list[EquityRow]:
        """The newest points of the equity curve, oldest first."""
        rows = self._rows(_select("equity_points") + "WHERE pool = ? ORDER BY at_s DESC LIMIT ?", pool, limit)
        return [EquityRow(row[0], row[1], int(row[2]), int(row[3]), int(row[4])) for row in reversed(rows)]

    def put_equity(self, row: EquityRow, most: int) -> None:
        """Add a point. Above `most` points the older half loses every second one."""
        self._put("equity_points", row.pool, row.at_s, str(row.nav), str(row.shares), str(row.pnl))
        (count,) = self._rows("SELECT count(*) FROM equity_points WHERE pool = ?", row.pool)[0]
        if count > most:
            self._connection().execute(
                "DELETE FROM equity_points WHERE pool = ?1 AND at_s IN (SELECT at_s FROM (SELECT at_s,"
                " row_number() OVER (ORDER BY at_s) AS place FROM equity_points WHERE pool = ?1)"
                " WHERE place % 2 = 0 AND place <= ?2)",
                (row.pool, count // 2),
            )

    def stakes(self, pool: str) -> dict[str, int]:
        """What each depositor's present shares have cost, in quote units."""
        rows = self._rows("SELECT account, paid_in FROM stakes WHERE pool = ? ORDER BY account", pool)
        return {account: int(paid_in) for account, paid_in in rows}

    def put_stake(self, pool: str, account: str, paid_in: int) -> None:
        """Remember what a depositor's shares have cost."""
        self._connection().execute(
            "INSERT OR REPLACE INTO stakes (pool, account, paid_in) VALUES (?, ?, ?)",
            (pool, account, str(paid_in)),
        )

    def head(self) -> tuple[int, bytes]:
        """Sequence number and hash of the ledger's last group; 0 and nothing where it is empty."""
        rows = self._rows("SELECT seq, hash FROM groups ORDER BY seq DESC LIMIT 1")
        return (rows[0][0], rows[0][1]) if rows else (0, b"")

    def holdings(self, account: str) -> dict[str, int]:
        """Every asset id that an account has held, and how many units of it now."""
        rows = self._rows("SELECT asset, units FROM balances WHERE account = ? ORDER BY asset", account)
        return {asset: int(units) for asset, units in rows}

    def holders(self, asset: str, prefix: str) -> dict[str, int]:
        """Accounts of one kind that have held an asset, and how many units each has now."""
        rows = self._rows(
            "SELECT account, units FROM balances WHERE asset = ? AND account GLOB ? ORDER BY account",
            asset,
            f"{prefix}:*",
        )
        return {account: int(units) for account, units in rows}

    def _rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        return self._connection().execute(statement, values).fetchall()

    def _put(self, table: str, *values: object) -> None:
        self._connection().execute(_replace(table), (*values, seal(table, values)))
