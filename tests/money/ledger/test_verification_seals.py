"""`verify` holds seals against the log, the catalogue against the program, the lease against itself."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from msgspec.structs import replace

from money.ledger_samples import ALICE, BOB, ask, deposit, move, opened
from mrmarket.core.clock import ManualClock
from mrmarket.money.ledger.chain import chained
from mrmarket.money.ledger.group import Group
from mrmarket.money.ledger.ledger import Ledger
from mrmarket.money.ledger.seal import SealDocument, sign
from mrmarket.money.ledger.seal import opened as opened_seal
from mrmarket.money.ledger.seal_key import SealKey
from mrmarket.money.ledger.seal_office import draw_up, seal_now
from mrmarket.money.ledger.seal_rows import SealRows
from mrmarket.money.ledger.sqlite_store import SqliteStore
from mrmarket.money.ledger.verification import LedgerOutdatedError, verify_database, verify_ledger
from mrmarket.money.ledger.writer import LedgerWriter
from mrmarket.store.errors import DatabaseForeignError
from mrmarket.store.sql import SqliteReader, SqliteSql

KEY = SealKey(bytes(32), bytes(32))


@pytest.fixture
def sealed(path: Path) -> Path:
    """A closed ledger of four groups with a seal after the third and one after the fourth."""
    writer = LedgerWriter(opened(SqliteStore.open(path, "test")))
    reader = SqliteReader(path)
    for group in (deposit("a", 100), Group("b", (move(ALICE, BOB, 10),))):
        writer.submit(group).result()
    seal_now(reader, writer, KEY, ManualClock())
    writer.submit(Group("c", (move(ALICE, BOB, 1),))).result()
    seal_now(reader, writer, KEY, ManualClock())
    reader.close()
    writer.close()
    return path


def tamper(path: Path, *statements: str) -> None:
    """Change a file behind the triggers' back and put them in place again."""
    connection = sqlite3.connect(path)
    guards = connection.execute(
        "SELECT name, tbl_name, sql FROM sqlite_master WHERE type = 'trigger'"
    ).fetchall()
    for name, _, _ in guards:
        connection.execute(f"DROP TRIGGER {name}")
    for statement in statements:
        connection.execute(statement)
    kept = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    for _, table, sql in guards:
        if table in kept:
            connection.execute(sql)
    connection.commit()
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def reseal(path: Path, place: int, /, **changes: object) -> None:
    """Put another document, signed by the true key, in the place of a seal."""
    connection = sqlite3.connect(path)
    signed = SealRows(SqliteSql(path, connection)).find(place)
    assert signed is not None
    document = opened_seal(signed)
    fields = {name: getattr(document, name) for name in document.__struct_fields__}
    forged = sign(SealDocument(**{**fields, **changes}), KEY)
    connection.close()
    tamper(
        path,
        f"UPDATE seals SET document = '{forged.document}', signature = x'{forged.signature}'"  # noqa: S608 - our own
        f" WHERE number = {place}",
    )


def test_a_sealed_ledger_verifies_and_is_not_changed(sealed: Path) -> None:
    """Both seals hold."""
    before = sealed.read_bytes()
    assert verify_ledger(sealed).ok
    assert sealed.read_bytes() == before


def test_a_tail_that_was_cut_off_with_its_balances_is_found(sealed: Path) -> None:
    """Books that end before a sealed group are sound in themselves; the seal says what is missing."""
    tamper(
        sealed,
        "DELETE FROM transfers WHERE group_seq = 4",
        "DELETE FROM groups WHERE seq = 4",
        "UPDATE balances SET units = '90' WHERE account = 'user:alice'",
        "UPDATE balances SET units = '10' WHERE account = 'user:bob'",
    )
    check = verify_ledger(sealed)
    assert (check.ok, check.first_bad_seq) == (False, 3)
    assert check.reason == "seal 2 covers group 4; the log ends at 3"


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("DELETE FROM seals WHERE number = 1", "seal 1: seal 1 is missing"),
        ("UPDATE seals SET signature = zeroblob(64) WHERE number = 2", "seal 2: the signature"),
        ("UPDATE seals SET document = replace(document, '100', '101') WHERE number = 1", "seal 1"),
        ("UPDATE seals SET at_ms = at_ms + 1 WHERE number = 2", "a number, time or group beside"),
        ("UPDATE seals SET seq = 3 WHERE number = 2", "a number, time or group beside"),
        ("UPDATE leases SET fence = 9", "leases: the row of 'ledger-writer'"),
        ("UPDATE leases SET owner = 'eve'", "leases: the row of 'ledger-writer'"),
        ("UPDATE leases SET expires_ns = 1", "leases: the row of 'ledger-writer'"),
        ("DROP TRIGGER groups_never_delete", "is missing"),
        ("CREATE TABLE spare (x TEXT)", "that this program does not make"),
    ],
)
def test_what_stands_beside_the_log_is_checked(sealed: Path, statement: str, reason: str) -> None:
    """Seals, the lease and the catalogue: each alteration has its sentence."""
    if statement.startswith("DROP"):
        connection = sqlite3.connect(sealed)
        connection.execute(statement)
        connection.close()
    else:
        tamper(sealed, statement)
    check = verify_ledger(sealed)
    assert not check.ok
    assert reason in (check.reason or "")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"head": "00" * 32}, "another hash of group 4"),
        ({"assets": []}, "says that 0 units of sim:USD were owed, and 100 were"),
        ({"seq": 9}, "covers group 9; the log ends at 4"),
        ({"previous": "00" * 32}, "does not follow"),
        ({"number": 3}, "seal 2 is missing"),
    ],
)
def test_a_false_seal_by_the_true_key_is_found(sealed: Path, changes: dict[str, object], reason: str) -> None:
    """Whoever holds the key cannot state another head or sum than the log has."""
    reseal(sealed, 2, **changes)
    check = verify_ledger(sealed)
    assert not check.ok
    assert reason in (check.reason or "")


def test_a_key_that_nobody_handed_over_to_is_found(sealed: Path) -> None:
    """A chain that goes on with another key is broken, however well each document is signed."""
    other = SealKey(bytes([1]) * 32, bytes(32))
    connection = sqlite3.connect(sealed)
    sql = SqliteSql(sealed, connection)
    rows = SealRows(sql)
    number, previous, _ = rows.next()
    last = rows.last_seal()
    assert last is not None
    sound = opened_seal(last)
    assert isinstance(sound, SealDocument)
    document = SealDocument(
        number=number,
        previous=previous,
        public_key=other.public,
        at_ms=1,
        seq=sound.seq,
        head=sound.head,
        assets=sound.assets,
    )
    rows.append(sign(document, other), document)
    connection.commit()
    connection.close()
    check = verify_ledger(sealed)
    assert "nobody handed over to" in (check.reason or "")


def test_a_seal_is_drawn_up_from_the_books_as_they_are(sealed: Path) -> None:
    """The next seal names the last as its predecessor and the log's head."""
    reader = SqliteReader(sealed)
    with reader.snapshot() as sql:
        document = draw_up(sql, KEY, 7)
        last = SealRows(sql).last()
    reader.close()
    assert last is not None
    assert (document.number, document.previous, document.seq, document.at_ms) == (3, last.hash, 4, 7)


def test_any_database_is_checked_through_the_port(sealed: Path) -> None:
    """Without pages and files: the same answer for sound books, and for a changed row."""
    reader = SqliteReader(sealed)
    with reader.snapshot() as sql:
        assert verify_database(sql) == verify_ledger(sealed)
    reader.close()
    tamper(sealed, "UPDATE transfers SET units = '2' WHERE group_seq = 4")
    reader = SqliteReader(sealed)
    with reader.snapshot() as sql:
        check = verify_database(sql)
    reader.close()
    assert (check.ok, check.first_bad_seq) == (False, 4)


def test_an_empty_ledger_verifies(path: Path) -> None:
    """Nothing was ever posted: nothing is wrong."""
    SqliteStore.open(path, "test").close()
    reader = SqliteReader(path)
    with reader.snapshot() as sql:
        assert verify_database(sql).ok
    reader.close()
    assert verify_ledger(path).groups == 0


def test_a_file_that_pretends_to_be_older_is_found(sealed: Path) -> None:
    """Today's tables under an older version's name are damage, not an old file."""
    tamper(sealed, "UPDATE schema_version SET version_num = 'money_0001'")
    assert "says that it has schema money_0001" in (verify_ledger(sealed).reason or "")


def test_an_older_file_is_to_be_upgraded_first(sealed: Path) -> None:
    """Its tables are not these; the error says what to do."""
    tamper(sealed, "DROP TABLE seals", "UPDATE schema_version SET version_num = 'money_0002'")
    with pytest.raises(LedgerOutdatedError, match="start an instance on it once"):
        verify_ledger(sealed)


def test_a_header_that_is_cut_off_is_no_ledger(path: Path) -> None:
    """A file of a few bytes is refused before anything is read."""
    path.write_bytes(b"")
    with pytest.raises(DatabaseForeignError):
        verify_ledger(path)


def test_epochs_never_go_back(sealed: Path) -> None:
    """A record of an older writer after a newer one's is a fault, though the chain holds."""
    store = SqliteStore.open(sealed, "second")
    ledger = Ledger(store, ManualClock())
    ask(ledger, deposit("later", 1))
    last = list(store.records(0, 10))[-1]
    late = replace(last, seq=last.seq + 1, key="late", epoch=1, transfers=(move(ALICE, BOB, 1),))
    store.begin()
    store.commit([replace(late, hash=chained(last.hash, late))], {})
    ledger.close()
    check = verify_ledger(sealed)
    assert check.first_bad_seq == last.seq + 1
    assert "fence 1 after 2" in (check.reason or "")


def test_a_lease_behind_the_log_is_found(sealed: Path) -> None:
    """Somebody who puts an older lease back would let an older writer in again."""
    connection = sqlite3.connect(sealed)
    (row,) = connection.execute("SELECT owner FROM leases").fetchall()
    connection.close()
    ledger = Ledger(SqliteStore.open(sealed, "second"), ManualClock())
    ask(ledger, deposit("later", 1))
    ledger.close()
    tamper(sealed, f"UPDATE leases SET fence = 1, owner = '{row[0]}'")  # noqa: S608 - what was there
    assert "a writer with fence 2, the lease says 1" in (verify_ledger(sealed).reason or "")
