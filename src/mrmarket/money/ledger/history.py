"""The books at any point in time, and what happened to an account: plain reads over a snapshot.

Every function takes the `Sql` of a snapshot or of the writer's transaction. Times are those of the ledger,
which never go back: the state at a time is the state after the last group recorded at or before it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from mrmarket.money.ledger.archive import SELECT_GROUP, records_of
from mrmarket.money.ledger.chain import POSTED, Record
from mrmarket.money.ledger.group import TransferKind
from mrmarket.store.sql import Sql

_MOVED: Final = "(t.phase IS NULL OR t.phase = 'post')"
_ENTRY_COLUMNS: Final = (
    "t.group_seq, t.position, g.at_ms, g.key, t.kind, t.debit, t.credit, t.asset, t.units, g.memo, g.hash"
)


class Entry(msgspec.Struct, frozen=True, gc=False):
    """One side of a transfer that moved units."""

    seq: int
    position: int
    """Place in the group, from 0."""
    at_ms: int
    key: str
    kind: TransferKind
    counterparty: str
    """Account id of the other side."""
    asset: str
    units: int
    """Positive where the account received, negative where it gave."""
    balance_after: int
    """Of the account in this asset, after this entry."""
    memo: str
    hash: bytes
    """Of the group; what a statement quotes."""


def seq_at(sql: Sql, at_ms: int) -> int:
    """The last group recorded at or before a time; 0 where there is none."""
    low, high = 0, _last_seq(sql)
    while low < high:
        middle = (low + high + 1) // 2
        if sql.rows("SELECT at_ms FROM groups WHERE seq = ?", middle)[0][0] <= at_ms:
            low = middle
        else:
            high = middle - 1
    return low


def balance_at(sql: Sql, account: str, asset: str, at_ms: int) -> int:
    """What an account held at a time, in units; what was only set aside counts as held."""
    return balance_after(sql, account, asset, seq_at(sql, at_ms))


def balance_after(sql: Sql, account: str, asset: str, seq: int) -> int:
    """What an account held after a group, in units."""
    last = _last_seq(sql)
    if seq * 2 < last:
        return _moved(sql, account, asset, 1, seq)
    # Recent times are reached sooner from today's balance backwards.
    now = sql.rows("SELECT units FROM balances WHERE account = ? AND asset = ?", account, asset)
    return (int(now[0][0]) if now else 0) - _moved(sql, account, asset, seq + 1, last)


def balances_at(sql: Sql, account: str, at_ms: int) -> dict[str, int]:
    """Every asset that an account holds now or has held, and how much of it at a time."""
    seq = seq_at(sql, at_ms)
    held = sql.rows("SELECT asset FROM balances WHERE account = ? ORDER BY asset", account)
    return {asset: balance_after(sql, account, asset, seq) for (asset,) in held}


def entries(
    sql: Sql,
    account: str,
    asset: str | None = None,
    after_seq: int = 0,
    limit: int = 100,
    *,
    before_seq: int | None = None,
    newest_first: bool = False,
) -> list[Entry]:
    """What moved in and out of an account, in order, or from the newest back.

    Args:
        sql: a snapshot.
        account: account id.
        asset: asset id, or None for all.
        after_seq: groups after this one only; with the last entry's `seq` it gives the next page.
        limit: how many at most; the entries of the last group come whole, though, so that a page never
            ends in the middle of one.
        before_seq: groups before this one only; turns pages where the newest come first.
        newest_first: order.
    """
    upper = before_seq if before_seq is not None else _last_seq(sql) + 1
    found = _sides(sql, account, asset, after_seq + 1, upper - 1, limit, newest_first=newest_first)
    if len(found) == limit:
        last = found[-1][0]
        whole = _sides(sql, account, asset, last, last, None, newest_first=newest_first)
        found = [row for row in found if row[0] != last] + whole
    ordered = found[::-1] if newest_first else found
    running: dict[str, int] = {}
    told: list[Entry] = []
    for seq, position, at_ms, key, kind, debit, credit, code, text, memo, digest in ordered:
        units = -int(text) if debit == account else int(text)
        before = running.get(code)
        if before is None:
            before = balance_after(sql, account, code, seq - 1)
        running[code] = before + units
        other = credit if debit == account else debit
        told.append(
            Entry(
                seq,
                position,
                at_ms,
                key,
                TransferKind(kind),
                other,
                code,
                units,
                running[code],
                memo,
                digest,
            )
        )
    return told[::-1] if newest_first else told


def posted_keys(sql: Sql, *beginnings: str) -> list[str]:
    """Keys of posted groups that begin in one of these ways, in order: what must have a row elsewhere."""
    wanted = " OR ".join(["key LIKE ?"] * len(beginnings))
    rows = sql.rows(
        f"SELECT key FROM groups WHERE ({wanted}) AND outcome = ? ORDER BY seq",  # noqa: S608 - marks only
        *(f"{beginning}%" for beginning in beginnings),
        POSTED,
    )
    return [key for (key,) in rows]


def group(sql: Sql, seq: int) -> Record | None:
    """A recorded group, posted or rejected."""
    found = records_of(sql, sql.rows(SELECT_GROUP + "WHERE seq = ?", seq))
    return found[0] if found else None


def groups(
    sql: Sql,
    *,
    after_seq: int = 0,
    before_seq: int | None = None,
    account: str | None = None,
    asset: str | None = None,
    kind: TransferKind | None = None,
    limit: int = 50,
) -> list[Record]:
    """Recorded groups between two others, the newest first.

    With a filter only groups are returned that have a transfer to which all of it applies, so none that
    were rejected.
    """
    upper = before_seq if before_seq is not None else _last_seq(sql) + 1
    terms, values = _filter(asset, kind)
    if account is not None:
        # Each side is read in the order of its index and no further than the page.
        sides = (
            sql.rows(
                f"SELECT DISTINCT t.group_seq FROM transfers AS t WHERE t.{side} = ? AND t.group_seq > ?"  # noqa: S608 - constants
                f" AND t.group_seq < ?{terms} ORDER BY t.group_seq DESC LIMIT ?",
                account,
                after_seq,
                upper,
                *values,
                limit,
            )
            for side in ("debit", "credit")
        )
        newest = sorted({row[0] for rows in sides for row in rows}, reverse=True)[:limit]
        return _by_seq(sql, newest)
    where = "WHERE seq > ? AND seq < ?"
    if terms:
        where += f" AND EXISTS (SELECT 1 FROM transfers AS t WHERE t.group_seq = groups.seq{terms})"  # noqa: S608 - constants
    found = sql.rows(f"{SELECT_GROUP}{where} ORDER BY seq DESC LIMIT ?", after_seq, upper, *values, limit)
    return records_of(sql, found)


def _by_seq(sql: Sql, sequences: list[int]) -> list[Record]:
    if not sequences:
        return []
    marks = ", ".join("?" * len(sequences))
    return records_of(sql, sql.rows(f"{SELECT_GROUP}WHERE seq IN ({marks}) ORDER BY seq DESC", *sequences))


def _last_seq(sql: Sql) -> int:
    found = sql.rows("SELECT seq FROM groups ORDER BY seq DESC LIMIT 1")
    return int(found[0][0]) if found else 0


def _filter(asset: str | None, kind: TransferKind | None) -> tuple[str, list[str]]:
    terms, values = "", []
    if asset is not None:
        terms += " AND t.asset = ?"
        values.append(asset)
    if kind is not None:
        terms += " AND t.kind = ?"
        values.append(kind.value)
    return terms, values


def _sides(
    sql: Sql,
    account: str,
    asset: str | None,
    first: int,
    last: int,
    limit: int | None,
    *,
    newest_first: bool,
) -> list[tuple[Any, ...]]:
    """Moving transfers that an account gave or received in a range of groups, in order."""
    terms, values = _filter(asset, None)
    down = " DESC" if newest_first else ""
    stop = "" if limit is None else f" LIMIT {int(limit)}"
    found: list[tuple[Any, ...]] = []
    for side in ("debit", "credit"):
        found += sql.rows(
            f"SELECT {_ENTRY_COLUMNS} FROM transfers AS t JOIN groups AS g ON g.seq = t.group_seq"  # noqa: S608 - constants
            f" WHERE t.{side} = ? AND t.group_seq >= ? AND t.group_seq <= ?{terms} AND {_MOVED}"
            f" ORDER BY t.group_seq{down}, t.position{down}{stop}",
            account,
            first,
            last,
            *values,
        )
    found.sort(key=lambda row: (row[0], row[1]), reverse=newest_first)
    return found[:limit]


def _moved(sql: Sql, account: str, asset: str, first: int, last: int) -> int:
    """What an account received less what it gave in a range of groups."""

    def total(side: str) -> int:
        units: Iterable[tuple[Any, ...]] = sql.rows(
            f"SELECT t.units FROM transfers AS t WHERE t.{side} = ? AND t.group_seq >= ?"  # noqa: S608 - constants
            f" AND t.group_seq <= ? AND t.asset = ? AND {_MOVED}",
            account,
            first,
            last,
            asset,
        )
        return sum(int(row[0]) for row in units)

    return total("credit") - total("debit")
