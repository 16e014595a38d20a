"""Checking a ledger file from its log alone, without trusting whoever wrote it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

import msgspec

from mrmarket.core.money import MAX_UNITS
from mrmarket.money.ledger.chain import GENESIS, POSTED, link
from mrmarket.store.errors import DatabaseForeignError
from mrmarket.store.migration import MONEY_SCHEMA, check_version
from mrmarket.store.sqlite import connect, is_at_rest

_BATCH = 2_000


class LedgerCheck(msgspec.Struct, frozen=True, kw_only=True):
    """What a check has shown. Its JSON form is what `ledger verify --json` prints."""

    ok: bool
    groups: int
    """Groups re-derived before the first fault, or all."""
    entries: int
    """Two a transfer."""
    first_bad_seq: int | None
    """Group that does not hold; null where none or where the fault is not in a group."""
    reason: str | None
    assets: dict[str, str]
    """Sum over all accounts by asset id, in base units: `0` for each where the books are right."""


class Fault(Exception):  # noqa: N818 - a finding, not an error
    """Something that is not as it was written."""

    def __init__(self, seq: int | None, reason: str) -> None:
        self.seq = seq
        self.reason = reason
        super().__init__(reason)


@dataclass(slots=True)
class Derived:
    """The books, rebuilt from the log."""

    groups: int = 0
    entries: int = 0
    balances: dict[tuple[str, str], int] = field(default_factory=dict)
    floors: dict[str, int | None] = field(default_factory=dict)
    assets: set[str] = field(default_factory=set)
    memos: list[str] = field(default_factory=list)
    """Of posted groups, in order; empty ones left out."""

    def sums(self) -> dict[str, str]:
        """By asset id, over all accounts."""
        totals = dict.fromkeys(sorted(self.assets), 0)
        for (_, asset), units in self.balances.items():
            totals[asset] += units
        return {asset: str(total) for asset, total in totals.items()}


SideCheck = Callable[[sqlite3.Connection, Derived], None]
"""Checks tables that another room keeps in the same file; raises `Fault`."""


def verify_ledger(path: Path, side_checks: tuple[SideCheck, ...] = ()) -> LedgerCheck:
    """Check the file's structure, re-derive the chain, the accounts and every balance. Changes nothing.

    May run while an instance writes: it sees one snapshot.

    Raises:
        DatabaseMissingError: if there is no such file.
        DatabaseTooNewError: if a newer version wrote it.
        DatabaseForeignError: if it is no ledger.
    """
    if check_version(path, MONEY_SCHEMA) is None:
        raise DatabaseForeignError(path, MONEY_SCHEMA.name)
    at_rest = is_at_rest(path)
    check = _verify(path, side_checks, at_rest=at_rest)
    if at_rest and not is_at_rest(path):
        # An instance has started meanwhile and may have written under the reader's feet.
        check = _verify(path, side_checks, at_rest=False)
    return check


def _verify(path: Path, side_checks: tuple[SideCheck, ...], *, at_rest: bool) -> LedgerCheck:
    derived = Derived()
    connection = connect(path, read_only=True, at_rest=at_rest)
    try:
        connection.execute("BEGIN")
        # The log comes first, so that a damaged record is named by its group and not only by its page.
        _guarded(lambda: _derive(connection, derived), lambda: derived.groups + 1)
        _guarded(lambda: _check_structure(connection))
        _guarded(lambda: _check_balances(connection, derived))
        for check in side_checks:
            _guarded(partial(check, connection, derived))
    except Fault as fault:
        return _answer(derived, fault)
    finally:
        connection.close()
    return _answer(derived, None)


def _answer(derived: Derived, fault: Fault | None) -> LedgerCheck:
    return LedgerCheck(
        ok=fault is None,
        groups=derived.groups,
        entries=derived.entries,
        first_bad_seq=fault.seq if fault else None,
        reason=fault.reason if fault else None,
        assets=derived.sums(),
    )


def _guarded(check: Callable[[], None], seq: Callable[[], int | None] = lambda: None) -> None:
    try:
        check()
    except Fault:
        raise
    except Exception as error:
        # Whatever a damaged row makes the reader stumble over is itself the finding.
        raise Fault(seq(), f"cannot be read: {error}") from error


def _check_structure(connection: sqlite3.Connection) -> None:
    damage = [row[0] for row in connection.execute("PRAGMA integrity_check(3)")]
    if damage != ["ok"]:
        raise Fault(None, "; ".join(damage))
    if connection.execute("PRAGMA foreign_key_check").fetchone() is not None:
        raise Fault(None, "a balance belongs to no account or asset")


class _Members:
    """Rows of one table in group order, handed out group by group."""

    def __init__(self, connection: sqlite3.Connection, table: str, columns: str) -> None:
        self._table = table
        rows = connection.execute(
            f"SELECT group_seq, position, {columns} FROM {table} ORDER BY group_seq, position"  # noqa: S608 - constants
        )
        self._groups: Iterator[tuple[int, Iterator[tuple[Any, ...]]]] = groupby(rows, key=lambda row: row[0])
        self._next = self._read()

    def of(self, seq: int) -> list[tuple[Any, ...]]:
        """Rows of a group, without seq and position."""
        if self._next is None or self._next[0] > seq:
            return []
        found, rows = self._next
        if found < seq:
            raise Fault(found, f"{self._table} has rows of a group that posted none")
        self._next = self._read()
        if [row[1] for row in rows] != list(range(len(rows))):
            raise Fault(seq, f"a row of {self._table} is missing")
        return [row[2:] for row in rows]

    def end(self) -> None:
        """There must be nothing left."""
        if self._next is not None:
            raise Fault(self._next[0], f"{self._table} has rows of a group that does not exist")

    def _read(self) -> tuple[int, list[tuple[Any, ...]]] | None:
        for seq, rows in self._groups:
            return seq, list(rows)
        return None


def _derive(connection: sqlite3.Connection, derived: Derived) -> None:
    assets = _Members(connection, "assets", "id, decimals")
    accounts = _Members(connection, "accounts", "id, kind, floor")
    transfers = _Members(connection, "transfers", "debit, credit, asset, units, kind")
    previous = GENESIS
    rows = connection.execute(
        "SELECT seq, key, content_hash, at_ms, epoch, outcome, message, memo, reverses, hash"
        " FROM groups ORDER BY seq"
    )
    for seq, key, content_hash, at_ms, epoch, outcome, message, memo, reverses, digest in rows:
        wanted = derived.groups + 1
        if seq != wanted:
            raise Fault(wanted, f"group {wanted} is missing")
        own = (assets.of(seq), accounts.of(seq), transfers.of(seq))
        if (
            link(previous, seq, key, content_hash, at_ms, epoch, outcome, message, memo, reverses, *own)
            != digest
        ):
            raise Fault(seq, f"group {seq} ({key}): hash does not match the content")
        if outcome != POSTED and any(own):
            raise Fault(seq, f"group {seq} ({key}): rejected, yet something moved")
        _apply(derived, seq, *own)
        if memo and outcome == POSTED:
            derived.memos.append(memo)
        previous = digest
        derived.groups += 1
    for members in (assets, accounts, transfers):
        members.end()


def _apply(
    derived: Derived,
    seq: int,
    assets: list[tuple[Any, ...]],
    accounts: list[tuple[Any, ...]],
    transfers: list[tuple[Any, ...]],
) -> None:
    derived.assets.update(asset[0] for asset in assets)
    for account_id, _, floor in accounts:
        derived.floors[account_id] = None if floor is None else int(floor)
    falling = set()
    balances = derived.balances
    for debit, credit, asset, text, _ in transfers:
        units = int(text)
        if asset not in derived.assets or debit not in derived.floors or credit not in derived.floors:
            raise Fault(seq, f"group {seq} moves an asset or names an account that was never opened")
        balances[debit, asset] = balances.get((debit, asset), 0) - units
        balances[credit, asset] = balances.get((credit, asset), 0) + units
        falling.add((debit, asset))
        derived.entries += 2
    for holding in falling:
        floor = derived.floors[holding[0]]
        if (floor is not None and balances[holding] < floor) or balances[holding] <= -MAX_UNITS:
            raise Fault(seq, f"group {seq} takes {holding[0]} below its floor")


def _check_balances(connection: sqlite3.Connection, derived: Derived) -> None:
    stored = {
        (row[0], row[1]): int(row[2])
        for row in connection.execute("SELECT account, asset, units FROM balances")
    }
    for holding in sorted(stored.keys() | derived.balances.keys()):
        if stored.get(holding) != derived.balances.get(holding):
            raise Fault(None, f"balance of {holding[0]} in {holding[1]} is not the sum of its entries")
    for asset, total in derived.sums().items():
        if total != "0":
            raise Fault(None, f"the entries of {asset} sum to {total}, not to 0")
