"""What settlement remembers beside the ledger, and what it reads there; every row carries a seal over itself.

With `request_repository` and `share_repository` all SQL of this room.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

import msgspec

from mrmarket.store.event_log import genesis_hash
from mrmarket.store.sql import Sql

_encode: Final = msgspec.json.Encoder(order="deterministic").encode


class Cursor(msgspec.Struct, frozen=True):
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


class MarkRow(msgspec.Struct, frozen=True):
    """Last observed prices of a pair."""

    venue: str
    symbol: str
    base: str
    quote: str
    bid: str
    ask: str
    at_ns: int


class BalanceRow(msgspec.Struct, frozen=True):
    """What a place of custody last said we hold of an asset."""

    venue: str
    asset: str
    free: str
    locked: str
    at_ns: int


class EquityRow(msgspec.Struct, frozen=True):
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

_KEYS: Final = {
    "settlement_cursors": ("stream",),
    "parked_fills": ("key",),
    "marks": ("venue", "symbol"),
    "observed_balances": ("venue", "asset"),
    "equity_points": ("pool", "at_s"),
}
_AMOUNTS: Final = frozenset({"nav", "shares", "pnl"})


def _select(table: str) -> str:
    return f"SELECT {', '.join(SEALED[table])} FROM {table} "  # noqa: S608 - constants


def _upsert(table: str) -> str:
    columns = (*SEALED[table], "seal")
    marks = ", ".join("?" * len(columns))
    key = _KEYS[table]
    changes = ", ".join(f"{column} = excluded.{column}" for column in columns if column not in key)
    return (
        f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})"  # noqa: S608 - constants
        f" ON CONFLICT ({', '.join(key)}) DO UPDATE SET {changes}"
    )


_SELECTS: Final = {table: _select(table) for table in SEALED}
_UPSERTS: Final = {table: _upsert(table) for table in SEALED}


def altered_rows(sql: Sql) -> Iterator[str]:
    """Sentences about these tables' rows that are not what was written."""
    for table, columns in SEALED.items():
        for row in sql.rows(f"SELECT {', '.join(columns)}, seal FROM {table}"):  # noqa: S608 - constants
            values = tuple(
                str(int(value)) if column in _AMOUNTS else value
                for column, value in zip(columns, row[:-1], strict=True)
            )
            if seal(table, values) != bytes(row[-1]):
                yield f"{table}: the row of {row[0]!r}, {row[1]!r} is not what was written"


class PoolRepository:
    """What settlement knows, and what the ledger holds, inside somebody else's transaction or snapshot."""

    def __init__(self, sql: Sql) -> None:
        self._sql = sql

    def cursor(self, stream: str) -> Cursor:
        """How far a stream is settled."""
        rows = self._sql.rows(_SELECTS["settlement_cursors"] + "WHERE stream = ?", stream)
        return Cursor(*rows[0]) if rows else Cursor.start(stream)

    def put_cursor(self, cursor: Cursor) -> None:
        """Remember how far a stream is settled."""
        self._put("settlement_cursors", cursor.stream, cursor.epoch, cursor.seq, cursor.hash)

    def parked(self, stream: str) -> list[ParkedFill]:
        """Trades of a stream that are not in the ledger, oldest first."""
        rows = self._sql.rows(_SELECTS["parked_fills"] + "WHERE stream = ? ORDER BY seq", stream)
        return [ParkedFill(*row) for row in rows]

    def park(self, fill: ParkedFill) -> None:
        """Keep a trade for later."""
        self._put("parked_fills", fill.key, fill.stream, fill.seq, fill.payload, fill.code, fill.reason)

    def unpark(self, key: str) -> None:
        """A trade has found its way into the ledger."""
        self._sql.run("DELETE FROM parked_fills WHERE key = ?", key)

    def marks(self, venue: str) -> list[MarkRow]:
        """Last prices of every pair of a venue."""
        return [MarkRow(*row) for row in self._sql.rows(_SELECTS["marks"] + "WHERE venue = ?", venue)]

    def put_mark(self, row: MarkRow) -> None:
        """Remember a pair's prices."""
        self._put("marks", row.venue, row.symbol, row.base, row.quote, row.bid, row.ask, row.at_ns)

    def balances(self, venue: str) -> list[BalanceRow]:
        """Last observed balances at a place, by asset."""
        rows = self._sql.rows(_SELECTS["observed_balances"] + "WHERE venue = ? ORDER BY asset", venue)
        return [BalanceRow(*row) for row in rows]

    def put_balance(self, row: BalanceRow) -> None:
        """Remember an observed balance."""
        self._put("observed_balances", row.venue, row.asset, row.free, row.locked, row.at_ns)

    def equity(self, pool: str, limit: int) -> list[EquityRow]:
        """The newest points of the equity curve, oldest first."""
        return self._equity("WHERE pool = ? ORDER BY at_s DESC LIMIT ?", pool, limit)[::-1]

    def equity_between(self, pool: str, start_s: int, end_s: int) -> list[EquityRow]:
        """Points from `start_s` to `end_s`, both included, and the last before, oldest first."""
        before = self._equity("WHERE pool = ? AND at_s < ? ORDER BY at_s DESC LIMIT 1", pool, start_s)
        within = self._equity(
            "WHERE pool = ? AND at_s >= ? AND at_s <= ? ORDER BY at_s", pool, start_s, end_s
        )
        return before + within

    def put_equity(self, row: EquityRow, most: int) -> None:
        """Add a point. Above `most` points the older half loses every second one."""
        self._put("equity_points", row.pool, row.at_s, str(row.nav), str(row.shares), str(row.pnl))
        (count,) = self._sql.rows("SELECT count(*) FROM equity_points WHERE pool = ?", row.pool)[0]
        if count > most:
            self._sql.run(
                "DELETE FROM equity_points WHERE pool = ? AND at_s IN (SELECT at_s FROM (SELECT at_s,"
                " row_number() OVER (ORDER BY at_s) AS place FROM equity_points WHERE pool = ?) AS placed"
                " WHERE place % 2 = 0 AND place <= ?)",
                row.pool,
                row.pool,
                count // 2,
            )

    def stakes(self, pool: str) -> dict[str, int]:
        """What each depositor's present shares have cost, in quote units."""
        rows = self._sql.rows("SELECT account, paid_in FROM stakes WHERE pool = ? ORDER BY account", pool)
        return {account: int(paid_in) for account, paid_in in rows}

    def stake(self, pool: str, account: str) -> int | None:
        """What a depositor's present shares have cost; None for who never had any."""
        rows = self._sql.rows("SELECT paid_in FROM stakes WHERE pool = ? AND account = ?", pool, account)
        return int(rows[0][0]) if rows else None

    def put_stake(self, pool: str, account: str, paid_in: int) -> None:
        """Remember what a depositor's shares have cost."""
        self._sql.run(
            "INSERT INTO stakes (pool, account, paid_in) VALUES (?, ?, ?)"
            " ON CONFLICT (pool, account) DO UPDATE SET paid_in = excluded.paid_in",
            pool,
            account,
            str(paid_in),
        )

    def head(self) -> tuple[int, bytes]:
        """Sequence number and hash of the ledger's last group; 0 and nothing where it is empty."""
        rows = self._sql.rows("SELECT seq, hash FROM groups ORDER BY seq DESC LIMIT 1")
        return (rows[0][0], bytes(rows[0][1])) if rows else (0, b"")

    def holders(self, asset: str, kind: str) -> dict[str, int]:
        """Accounts of one kind that have held an asset, and how many units each has now."""
        rows = self._sql.rows(
            "SELECT balances.account, balances.units FROM balances"
            " JOIN accounts ON accounts.id = balances.account"
            " WHERE balances.asset = ? AND accounts.kind = ? ORDER BY balances.account",
            asset,
            kind,
        )
        return {account: int(units) for account, units in rows}

    def outside(self, namespace: str) -> dict[str, int]:
        """What must be in custody at a place, by asset code: what the world beyond the books has given."""
        rows = self._sql.rows(
            "SELECT balances.asset, balances.units FROM balances"
            " JOIN accounts ON accounts.id = balances.account"
            " WHERE accounts.kind IN ('venue', 'fees', 'external', 'rail') AND balances.asset LIKE ?",
            f"{namespace}:%",
        )
        held: dict[str, int] = {}
        for asset, units in rows:
            place, _, code = asset.partition(":")
            if place == namespace:
                held[code] = held.get(code, 0) - int(units)
        return held

    def leaving(self, namespace: str) -> dict[str, int]:
        """What open holds are about to give to the world beyond the books, by asset code."""
        rows = self._sql.rows(
            "SELECT transfers.asset, transfers.units FROM holds"
            " JOIN transfers ON transfers.group_seq = holds.group_seq"
            " AND transfers.position = holds.position"
            " JOIN accounts ON accounts.id = transfers.credit"
            " WHERE holds.state = 'pending' AND accounts.kind IN ('venue', 'fees', 'external', 'rail')"
        )
        held: dict[str, int] = {}
        for asset, units in rows:
            place, _, code = asset.partition(":")
            if place == namespace:
                held[code] = held.get(code, 0) + int(units)
        return held

    def _equity(self, tail: str, *values: object) -> list[EquityRow]:
        rows: list[tuple[Any, ...]] = self._sql.rows(_SELECTS["equity_points"] + tail, *values)
        return [EquityRow(row[0], row[1], int(row[2]), int(row[3]), int(row[4])) for row in rows]

    def _put(self, table: str, *values: object) -> None:
        self._sql.run(_UPSERTS[table], *values, seal(table, values))
