"""Checking a ledger from its log alone, without trusting whoever wrote it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec

from mrmarket.money.ledger.derivation import Derived, Fault, Stream, derive
from mrmarket.money.ledger.errors import LedgerError
from mrmarket.money.ledger.lease import check_lease
from mrmarket.money.ledger.seal import RotationDocument, SealChain, SealDocument, SealError, Signed
from mrmarket.money.ledger.seal_claims import GATES
from mrmarket.money.ledger.seal_rows import SealRows
from mrmarket.money.ledger.verification_file import (
    check_catalogue,
    check_header,
    check_pages,
    unreadable_group,
    unreadable_row,
)
from mrmarket.money.ledger.verification_records import check_records
from mrmarket.store.errors import DatabaseForeignError, Place
from mrmarket.store.migration import MONEY_SCHEMA, check_version
from mrmarket.store.sql import Sql, SqliteSql
from mrmarket.store.sqlite import connect, is_at_rest

__all__ = ["Derived", "Fault", "LedgerCheck", "SideCheck", "verify_database", "verify_ledger"]

_PAGE: Final = 5_000


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


class LedgerOutdatedError(LedgerError):
    """An older version wrote the database, and it was not brought up to date."""

    code = "ledger_outdated"

    def __init__(self, path: Place, found: str) -> None:
        self.path = path
        self.found = found
        super().__init__(f"{path} has schema {found}; start an instance on it once, which upgrades it")


SideCheck = Callable[[Sql, Derived], None]
"""Checks tables that a room keeps beside the log; raises `Fault`."""


def verify_ledger(path: Path, side_checks: tuple[SideCheck, ...] = ()) -> LedgerCheck:
    """Check the file, re-derive the chain, the accounts and every balance, walk the seals. Changes nothing.

    May run while an instance writes: it sees one snapshot.

    Raises:
        DatabaseMissingError: if there is no such file.
        DatabaseTooNewError: if a newer version wrote it.
        LedgerOutdatedError: if an older version wrote it.
        DatabaseForeignError: if it is no ledger.
    """
    found = check_version(path, MONEY_SCHEMA)
    if found is None:
        raise DatabaseForeignError(path, MONEY_SCHEMA.name)
    at_rest = is_at_rest(path)
    check = _verify_file(path, found, side_checks, at_rest=at_rest)
    if at_rest and not is_at_rest(path):
        # An instance has started meanwhile and may have written under the reader's feet.
        check = _verify_file(path, found, side_checks, at_rest=False)
    return check


def verify_database(sql: Sql, side_checks: tuple[SideCheck, ...] = ()) -> LedgerCheck:
    """Check everything but files and pages, in one snapshot of any database."""
    derived = Derived(gates=GATES)
    try:
        _check_books(_paged(sql), sql, derived, side_checks)
    except Fault as fault:
        return _answer(derived, fault)
    return _answer(derived, None)


def _verify_file(
    path: Path, schema: str, side_checks: tuple[SideCheck, ...], *, at_rest: bool
) -> LedgerCheck:
    derived = Derived(gates=GATES)
    connection = connect(path, read_only=True, at_rest=at_rest)
    beside = ThreadPoolExecutor(1)
    try:
        # SQLite checks pages without Python's lock. A file at rest is the same for everybody who reads it;
        # beside a running instance one thread is enough to take time from.
        pages = beside.submit(_check_pages_of, path).result if at_rest else partial(check_pages, connection)
        connection.execute("BEGIN")
        if schema != MONEY_SCHEMA.head:
            _check_is_older(path, schema, connection)
        # The log comes first, so that a damaged record is named by its group and not only by its page.
        sql = SqliteSql(path, connection)
        try:
            _check_books(partial(_scan, connection), sql, derived, side_checks)
            _guarded(pages)
            _guarded(partial(check_catalogue, connection))
            if at_rest:
                _guarded(partial(check_header, path))
                _guarded(partial(check_records, path, connection))
        except Unreadable as found:
            raise _named(connection, found) from found
    except Fault as fault:
        return _answer(derived, fault)
    finally:
        beside.shutdown()
        connection.close()
    return _answer(derived, None)


def _check_pages_of(path: Path) -> None:
    with closing(connect(path, read_only=True, at_rest=True)) as connection:
        check_pages(connection)


class Unreadable(Fault):
    """What a damaged row or page makes the reader stumble over is itself the finding."""


def _check_books(stream: Stream, sql: Sql, derived: Derived, side_checks: tuple[SideCheck, ...]) -> None:
    documents: list[SealDocument] = []
    broken: Fault | None = None
    try:
        _guarded(lambda: documents.extend(_walk(SealRows(sql).all())))
    except Fault as fault:
        # The log is looked at first: a fault in a group is named before one in a seal.
        broken = fault
    covered = {document.seq for document in documents}
    _guarded(lambda: derive(stream, derived, covered), lambda: derived.groups + 1)
    _guarded(lambda: _check_balances(sql, derived))
    _guarded(lambda: _check_holds(sql, derived))
    if broken is not None:
        raise broken
    _check_seals(documents, derived)
    _guarded(lambda: _check_seal_columns(sql, documents))
    _guarded(lambda: check_lease(sql, derived))
    for check in side_checks:
        _guarded(partial(check, sql, derived))


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
        raise Unreadable(seq(), f"cannot be read: {error}") from error


def _named(connection: sqlite3.Connection, fault: Unreadable) -> Fault:
    """The same fault with the row that cannot be read, if one can be found."""
    if fault.seq is not None:
        seq = unreadable_group(connection, fault.seq)
        return Fault(seq, f"group {seq} {fault.reason}")
    where = unreadable_row(connection)
    return fault if where is None else Fault(None, where)


def _check_is_older(path: Path, schema: str, connection: sqlite3.Connection) -> None:
    """An older version's tables are as that version made them; today's under an older name are damage."""
    try:
        check_catalogue(connection)
    except Fault as older:
        raise LedgerOutdatedError(path, schema) from older
    raise Fault(None, f"the file says that it has schema {schema}, and has {MONEY_SCHEMA.head}")


def _scan(connection: sqlite3.Connection, query: str) -> Iterator[tuple[Any, ...]]:
    """Rows as the table has them, not as an index has them: the log is what is in the table."""
    if " FROM transfers " not in query:
        query = query.replace("ORDER BY group_seq", "ORDER BY +group_seq")  # a sum is in no index
    return connection.execute(query)


def _paged(sql: Sql) -> Stream:
    """Rows in the order of their group, a range of groups at a time."""

    def stream(query: str) -> Iterator[tuple[Any, ...]]:
        select, _, order = query.partition(" ORDER BY ")
        key = order.partition(",")[0]
        ((first, last),) = sql.rows(f"SELECT min({key}), max({key}) FROM ({select}) AS everything")  # noqa: S608 - our own
        if first is None:
            return
        page = f"{select} WHERE {key} >= ? AND {key} < ? ORDER BY {order}"
        for low in range(first, last + 1, _PAGE):
            yield from sql.rows(page, low, low + _PAGE)

    return lambda query: _bytes_in(stream(query))


def _bytes_in(rows: Iterator[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
    for row in rows:
        yield tuple(bytes(value) if isinstance(value, memoryview) else value for value in row)


def _check_balances(sql: Sql, derived: Derived) -> None:
    stored = {
        (account, asset): int(units)
        for account, asset, units in sql.rows("SELECT account, asset, units FROM balances")
    }
    wrong = () if stored == derived.balances else sorted(stored.keys() | derived.balances.keys())
    for holding in wrong:
        if stored.get(holding) != derived.balances.get(holding):
            raise Fault(None, f"balance of {holding[0]} in {holding[1]} is not the sum of its entries")
    for asset, total in derived.sums().items():
        if total != "0":
            raise Fault(None, f"the entries of {asset} sum to {total}, not to 0")


def _check_holds(sql: Sql, derived: Derived) -> None:
    stored = {
        row[0]: row[1:] for row in sql.rows("SELECT id, group_seq, position, state, settled_seq FROM holds")
    }
    for name in sorted(stored.keys() | derived.holds.keys()):
        hold = derived.holds.get(name)
        wanted = hold and (hold.seq, hold.position, hold.state, hold.settled_seq)
        if stored.get(name) != wanted:
            raise Fault(hold.seq if hold else None, f"hold {name} is not as the log has it")


def _walk(seals: list[Signed]) -> list[SealDocument]:
    """The seals of a chain of signed documents, if every one follows."""
    chain = SealChain()
    documents = []
    for signed in seals:
        try:
            document = chain.follow(signed)
        except SealError as error:
            raise Fault(None, f"seal {chain.number + 1}: {error.problem}") from error
        if not isinstance(document, RotationDocument):
            documents.append(document)
    return documents


def _check_seals(documents: list[SealDocument], derived: Derived) -> None:
    for document in documents:
        name = f"seal {document.number}"
        milestone = derived.milestones.get(document.seq)
        if milestone is None:
            raise Fault(
                derived.groups, f"{name} covers group {document.seq}; the log ends at {derived.groups}"
            )
        if milestone.head.hex() != document.head:
            raise Fault(document.seq, f"{name} has another hash of group {document.seq} than the log")
        sealed = {asset.id: int(asset.sum) for asset in document.assets}
        for asset in sorted(sealed.keys() | milestone.owed.keys()):
            said, was = sealed.get(asset, 0), milestone.owed.get(asset, 0)
            if said != was:
                reason = f"{name} says that {said} units of {asset} were owed, and {was} were"
                raise Fault(document.seq, reason)


def _check_seal_columns(sql: Sql, documents: list[SealDocument]) -> None:
    stored = sql.rows("SELECT number, at_ms, seq FROM seals WHERE seq > 0 ORDER BY number")
    if stored != [(document.number, document.at_ms, document.seq) for document in documents]:
        raise Fault(None, "seals: a number, time or group beside a document is not the document's")
