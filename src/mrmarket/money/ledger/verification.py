"""Checking a ledger file from its log alone, without trusting whoever wrote it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec

from mrmarket.money.ledger.derivation import Derived, Fault, derive
from mrmarket.store.errors import DatabaseForeignError
from mrmarket.store.migration import MONEY_SCHEMA, check_version
from mrmarket.store.sqlite import connect, is_at_rest

__all__ = ["Derived", "Fault", "LedgerCheck", "SideCheck", "verify_ledger"]


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
        _guarded(lambda: derive(connection.execute, derived), lambda: derived.groups + 1)
        _guarded(lambda: _check_structure(connection))
        _guarded(lambda: _check_balances(connection, derived))
        _guarded(lambda: _check_holds(connection, derived))
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


def _check_holds(connection: sqlite3.Connection, derived: Derived) -> None:
    stored = {
        row[0]: row[1:]
        for row in connection.execute("SELECT id, group_seq, position, state, settled_seq FROM holds")
    }
    for name in sorted(stored.keys() | derived.holds.keys()):
        hold = derived.holds.get(name)
        wanted = hold and (hold.seq, hold.position, hold.state, hold.settled_seq)
        if stored.get(name) != wanted:
            raise Fault(hold.seq if hold else None, f"hold {name} is not as the log has it")
