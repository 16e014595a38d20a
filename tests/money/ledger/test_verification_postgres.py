"""On PostgreSQL seals, proofs, statements, exports and the check of everything work as on SQLite."""

from __future__ import annotations

import io
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from money.ledger_samples import ALICE, BOB, BTC, WORLD, ask, deposit, move, opened
from mrmarket.core.clock import ManualClock
from mrmarket.money.ledger.export.beancount import write_beancount
from mrmarket.money.ledger.export.books import ExportedBooks
from mrmarket.money.ledger.group import Group, Phase, Transfer, TransferKind
from mrmarket.money.ledger.port import LedgerStore
from mrmarket.money.ledger.postgres_store import PostgresStore
from mrmarket.money.ledger.proof import ProofBook, check_proof
from mrmarket.money.ledger.seal_key import SealKey
from mrmarket.money.ledger.seal_office import KeyRing, seal_now
from mrmarket.money.ledger.sqlite_store import SqliteStore
from mrmarket.money.ledger.statement import draw_statement
from mrmarket.money.ledger.verification import verify_database
from mrmarket.money.ledger.writer import LedgerWriter
from mrmarket.money.solvency.audit import faults
from mrmarket.money.solvency.comparison import Place
from mrmarket.money.solvency.report import write_report
from mrmarket.money.solvency.repository import Observation
from mrmarket.money.solvency.watch import look, observe
from mrmarket.store.postgres import PostgresReader, connect
from mrmarket.store.sql import SqliteReader, SqlReader

KEY = SealKey(bytes(32), bytes(32))


class Books:
    """The same books on any store."""

    def __init__(self, store: LedgerStore, reader: SqlReader, folder: Path) -> None:
        ledger = opened(store)
        ask(ledger, deposit("a", 10_000))
        ask(ledger, Group("b", (move(ALICE, BOB, 2_500), move(WORLD, BOB, 7, BTC)), memo="lunch"))
        held = Transfer(ALICE.id, BOB.id, "sim:USD", 30, TransferKind.LOCK, phase=Phase.PENDING)
        ask(ledger, Group("held", (held,)))
        ask(ledger, Group("refused", (move(BOB, ALICE, 10**9),)))
        self.writer = LedgerWriter(ledger)
        self.reader = reader
        self.ring = KeyRing(folder)

    def close(self) -> None:
        """End both."""
        self.reader.close()
        self.writer.close()


@pytest.fixture
def books(postgres: str, tmp_path: Path) -> Iterator[Books]:
    """On a server."""
    books = Books(PostgresStore.open(postgres, "test"), PostgresReader(postgres), tmp_path)
    yield books
    books.close()


def test_sound_books_verify(books: Books) -> None:
    """Without files and pages to look at, everything else is derived again."""
    seal_now(books.reader, books.writer, KEY, ManualClock())
    with books.reader.snapshot() as sql:
        check = verify_database(sql)
    assert (check.ok, check.groups, check.entries, set(check.assets.values())) == (True, 5, 8, {"0"})


@pytest.mark.parametrize(
    ("table", "change", "seq", "reason"),
    [
        ("transfers", "units = 2501 WHERE group_seq = 3 AND position = 0", 3, "hash"),
        ("groups", "memo = 'dinner' WHERE seq = 3", 3, "hash"),
        ("holds", "state = 'voided', settled_seq = 5", 4, "hold held#0"),
        ("balances", "units = units + 1 WHERE account = 'user:bob'", None, "user:bob"),
        ("seals", "at_ms = 5", None, "seals"),
        ("leases", "fence = 7", None, "leases"),
    ],
)
def test_a_changed_row_is_named(
    books: Books, postgres: str, table: str, change: str, seq: int | None, reason: str
) -> None:
    """By its group, or by what it is."""
    seal_now(books.reader, books.writer, KEY, ManualClock())
    connection = connect(postgres)
    connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER".encode())
    connection.execute(f"UPDATE {table} SET {change}".encode())  # noqa: S608 - the table of cases
    connection.close()
    with books.reader.snapshot() as sql:
        check = verify_database(sql)
    assert (check.ok, check.first_bad_seq) == (False, seq)
    assert reason in (check.reason or "")


def test_seals_proofs_statements_and_exports_are_those_of_sqlite(books: Books, tmp_path: Path) -> None:
    """The same groups on both stores give the same text everywhere."""
    path = tmp_path / "money.db"
    other = Books(SqliteStore.open(path, "test"), SqliteReader(path), tmp_path)
    told = []
    for one in (books, other):
        signed = seal_now(one.reader, one.writer, KEY, ManualClock())
        with one.reader.snapshot() as sql:
            proof = ProofBook.of(sql, KEY).proof(BOB.id)
            statement = draw_statement(sql, ALICE.id, 0, 2 * 10**12)
            out = io.StringIO()
            write_beancount(ExportedBooks(sql), out)
        told.append((signed, check_proof(proof, KEY.public), statement, out.getvalue()))
    assert told[0] == told[1]
    other.close()


def test_keys_are_handed_over(books: Books) -> None:
    """Rotation and the next seal."""
    with books.reader.snapshot() as sql:
        key = books.ring.key(sql)
    seal_now(books.reader, books.writer, key, ManualClock())
    new = books.ring.rotate(books.reader, books.writer, ManualClock())
    seal_now(books.reader, books.writer, new, ManualClock())
    with books.reader.snapshot() as sql:
        assert verify_database(sql).ok


def test_assets_are_watched_and_reported(books: Books) -> None:
    """Observations, looks, incidents and signed reports live in the same tables."""
    seal_now(books.reader, books.writer, KEY, ManualClock())
    places = {"sim": Place("sim", 10**9)}
    for units, at_ms in ((10_000, 1_700_000_001_000), (9_999, 1_700_000_002_000)):
        words = [Observation("sim", "USD", units, 2, at_ms), Observation("sim", "BTC", 7, 8, at_ms)]
        books.writer.perform(partial(observe, observations=words)).result()
        found = books.writer.perform(partial(look, places=places)).result()
        books.writer.perform(partial(write_report, key=KEY, lines=found.lines)).result()
    assert [row.difference_units for row in found.opened] == [-1]
    with books.reader.snapshot() as sql:
        assert list(faults(sql)) == []
        assert verify_database(sql).ok
