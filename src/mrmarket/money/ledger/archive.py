"""Reading the log back: the same SQL on every database."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final

from mrmarket.money.ledger import rows
from mrmarket.money.ledger.chain import Record
from mrmarket.money.ledger.group import Hold
from mrmarket.money.ledger.port import State
from mrmarket.store.sql import Sql

SELECT_GROUP: Final = f"SELECT {rows.GROUP_COLUMNS} FROM groups "  # noqa: S608 - constants
"""What `records_of` needs of a group; a WHERE follows."""

_AT_ONCE: Final = 500


def load_state(sql: Sql) -> State:
    """Everything the rules need in memory."""
    state = State()
    for row in sql.rows("SELECT id, decimals FROM assets"):
        state.assets[row[0]] = rows.asset_of(*row)
    for row in sql.rows("SELECT id, kind, floor, ceiling FROM accounts"):
        state.accounts[row[0]] = rows.account_of(*row)
    for account, asset, units in sql.rows("SELECT account, asset, units FROM balances"):
        state.balances[account, asset] = int(units)
    for row in sql.rows(f"{rows.SELECT_HOLD} WHERE h.state = 'pending'"):
        state.open_hold(rows.hold_of(*row))
    for seq, at_ms, digest in sql.rows("SELECT seq, at_ms, hash FROM groups ORDER BY seq DESC LIMIT 1"):
        state.seq, state.at_ms, state.hash = seq, at_ms, digest
    return state


def find_record(sql: Sql, key: str) -> Record | None:
    """The committed record of a key."""
    found = records_of(sql, sql.rows(SELECT_GROUP + "WHERE key = ?", key))
    return found[0] if found else None


def find_hold(sql: Sql, hold_id: str) -> Hold | None:
    """A committed hold, pending or settled."""
    found = sql.rows(f"{rows.SELECT_HOLD} WHERE h.id = ?", hold_id)
    return rows.hold_of(*found[0]) if found else None


def find_reversal(sql: Sql, key: str) -> str | None:
    """Key of the committed group that reverses another."""
    found = sql.rows("SELECT key FROM groups WHERE reverses = ?", key)
    return str(found[0][0]) if found else None


def read_records(sql: Sql, after_seq: int, limit: int) -> list[Record]:
    """Committed records in order."""
    return records_of(sql, sql.rows(SELECT_GROUP + "WHERE seq > ? ORDER BY seq LIMIT ?", after_seq, limit))


def records_of(sql: Sql, groups: Sequence[tuple[Any, ...]]) -> list[Record]:
    """Records from rows of `SELECT_GROUP`, in the order of those."""
    found: list[Record] = []
    for first in range(0, len(groups), _AT_ONCE):
        some = groups[first : first + _AT_ONCE]
        sequences = [group[0] for group in some]
        assets, accounts, transfers = (
            _members(sql, select, sequences)
            for select in (rows.SELECT_ASSETS, rows.SELECT_ACCOUNTS, rows.SELECT_TRANSFERS)
        )
        found += [
            rows.record_of(group, assets[group[0]], accounts[group[0]], transfers[group[0]]) for group in some
        ]
    return found


def _members(sql: Sql, select: str, sequences: list[int]) -> dict[int, list[tuple[Any, ...]]]:
    members: dict[int, list[tuple[Any, ...]]] = defaultdict(list)
    marks = ", ".join("?" * len(sequences))
    for seq, *row in sql.rows(
        f"{select} WHERE group_seq IN ({marks}) ORDER BY group_seq, position", *sequences
    ):
        members[seq].append(tuple(row))
    return members
