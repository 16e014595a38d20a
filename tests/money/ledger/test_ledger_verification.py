"""`verify` trusts nobody: every altered row, page and total is found."""

from __future__ import annotations

import random
import sqlite3
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from money.ledger_samples import ALICE, BOB, BTC, WORLD, ask, deposit, move, opened
from mrmarket.money.ledger.account import Account, AccountKind
from mrmarket.money.ledger.chain import chained
from mrmarket.money.ledger.group import Group, Transfer
from mrmarket.money.ledger.sqlite_store import SqliteStore
from mrmarket.money.ledger.verification import verify_ledger
from mrmarket.store.errors import DatabaseForeignError, DatabaseMissingError, StoreError

INSERT = "INSERT INTO transfers (group_seq, position, debit, credit, asset, units, kind) VALUES"


@pytest.fixture
def closed(path: Path) -> Path:
    """A ledger file at rest: opening, three deposits, a payment, a rejection."""
    ledger = opened(SqliteStore.open(path, "test"))
    ask(ledger, deposit("a", 100))
    ask(
        ledger, Group("b", (move(WORLD, BOB, 7_777_777, BTC), move(BOB, ALICE, 1_234_567, BTC)), memo="lunch")
    )
    ask(ledger, Group("c", (move(ALICE, BOB, 1_000),)))
    ask(ledger, Group("d", (move(ALICE, BOB, 25),)))
    ledger.close()
    return path


def tamper(path: Path, *statements: str) -> None:
    """Change the file as somebody would who knows SQL and removes the guards first."""
    connection = sqlite3.connect(path)
    for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        connection.execute(f"DROP TRIGGER {name}")
    connection.execute("PRAGMA ignore_check_constraints = ON")
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


def test_sound_books_verify_in_the_documented_form(closed: Path) -> None:
    """The result's JSON has exactly the documented keys; every asset sums to zero."""
    before = closed.read_bytes()
    check = verify_ledger(closed)
    assert msgspec.json.decode(msgspec.json.encode(check)) == {
        "ok": True,
        "groups": 5,
        "entries": 8,
        "first_bad_seq": None,
        "reason": None,
        "assets": {"sim:BTC": "0", "sim:USD": "0"},
    }
    assert closed.read_bytes() == before
    assert [file.name for file in closed.parent.iterdir()] == [closed.name]


@pytest.mark.parametrize(
    ("statement", "seq", "reason"),
    [
        ("UPDATE transfers SET units = '26' WHERE group_seq = 5", 5, "hash"),
        ("UPDATE transfers SET credit = 'external:world' WHERE group_seq = 5", 5, "hash"),
        ("UPDATE transfers SET kind = 'FEE' WHERE group_seq = 2", 2, "hash"),
        ("DELETE FROM transfers WHERE group_seq = 3 AND position = 0", 3, "missing"),
        ("DELETE FROM transfers WHERE group_seq = 3", 3, "hash"),
        (
            INSERT + " (4, 0, 'user:bob', 'user:alice', 'sim:USD', '1', 'FEE')",
            4,
            "hash",
        ),
        (
            INSERT + " (9, 0, 'user:bob', 'user:alice', 'sim:USD', '1', 'FEE')",
            9,
            "not exist",
        ),
        (
            INSERT + " (0, 0, 'user:bob', 'user:alice', 'sim:USD', '1', 'FEE')",
            0,
            "posted none",
        ),
        ("UPDATE groups SET memo = 'dinner' WHERE seq = 3", 3, "hash"),
        ("UPDATE groups SET outcome = 'posted', message = '' WHERE seq = 4", 4, "hash"),
        ("UPDATE groups SET at_ms = at_ms + 1 WHERE seq = 2", 2, "hash"),
        ("UPDATE groups SET epoch = 2 WHERE seq = 2", 2, "hash"),
        ("UPDATE groups SET key = 'z' WHERE seq = 2", 2, "hash"),
        ("UPDATE groups SET content_hash = zeroblob(32) WHERE seq = 2", 2, "hash"),
        ("UPDATE groups SET hash = zeroblob(32) WHERE seq = 5", 5, "hash"),
        ("DELETE FROM groups WHERE seq = 4", 4, "missing"),
        ("UPDATE accounts SET floor = NULL WHERE id = 'user:alice'", 1, "hash"),
        ("UPDATE accounts SET kind = 'pool' WHERE id = 'user:alice'", 1, "hash"),
        ("UPDATE assets SET decimals = 6 WHERE id = 'sim:USD'", 1, "hash"),
        (
            "UPDATE balances SET units = '76' WHERE account = 'user:alice' AND asset = 'sim:USD'",
            None,
            "user:alice",
        ),
        ("DELETE FROM balances WHERE account = 'user:bob' AND asset = 'sim:USD'", None, "user:bob"),
        ("INSERT INTO balances VALUES ('user:eve', 'sim:USD', '5')", None, "balance"),
    ],
)
def test_a_changed_row_is_found_and_named(closed: Path, statement: str, seq: int | None, reason: str) -> None:
    """Each table's alteration is reported at its group, or by the account it concerns."""
    tamper(closed, statement)
    check = verify_ledger(closed)
    assert (check.ok, check.first_bad_seq) == (False, seq)
    assert reason in (check.reason or "")


def test_a_flipped_byte_in_any_record_is_found_and_named(closed: Path) -> None:
    """One changed byte of a record in the closed file fails the check, and the group is named."""
    data = closed.read_bytes()
    targets = {b"lunch": 3, b"insufficient_funds": 4, b"7777777DEPOSIT": 3, b"1234567DEPOSIT": 3}
    for text, seq in targets.items():
        place = data.rindex(text)
        flipped = bytearray(data)
        flipped[place] ^= 1
        closed.write_bytes(flipped)
        check = verify_ledger(closed)
        assert (check.ok, check.first_bad_seq) == (False, seq), (text, check)


def test_random_damage_never_passes_for_sound(closed: Path) -> None:
    """Whatever bit is flipped, the check answers or names the damage; what it calls sound reads the same."""
    data = closed.read_bytes()
    whole, content = verify_ledger(closed), dump(closed)
    rng = random.Random(20_240_808)  # noqa: S311 - a seed reproduces the run
    found = 0
    for _ in range(150):
        flipped = bytearray(data)
        flipped[rng.randrange(100, len(data))] ^= 1 << rng.randrange(8)
        closed.write_bytes(flipped)
        try:
            check = verify_ledger(closed)
        except StoreError:
            found += 1  # the damage hit the schema: refused before any row is read
            continue
        found += not check.ok
        assert not check.ok or (check == whole and dump(closed) == content)
    assert found > 0


def dump(path: Path) -> list[tuple[object, ...]]:
    """Every row of the log and of its read model."""
    connection = sqlite3.connect(f"{path.as_uri()}?immutable=1", uri=True)
    tables = ("groups", "transfers", "accounts", "assets", "balances")
    rows = [row for table in tables for row in connection.execute(f"SELECT * FROM {table}")]  # noqa: S608 - constants
    connection.close()
    return rows


def test_a_forgery_with_a_right_hash_still_breaks_the_rules(closed: Path) -> None:
    """Somebody who re-derives the hash of a rejected group cannot make it move anything."""
    store = SqliteStore.open(closed, "forger")
    records = list(store.records(0, 10))
    store.close()
    forged = replace(records[3], transfers=(move(ALICE, BOB, 1_000),))
    link = chained(records[2].hash, forged).hex()
    tamper(
        closed,
        INSERT + " (4, 0, 'user:alice', 'user:bob', 'sim:USD', '1000', 'DEPOSIT')",
        f"UPDATE groups SET hash = x'{link}' WHERE seq = 4",  # noqa: S608 - hex digits
    )
    check = verify_ledger(closed)
    assert check.first_bad_seq == 4
    assert "rejected, yet something moved" in (check.reason or "")


@pytest.mark.parametrize(
    ("transfer", "reason"),
    [
        (move(ALICE, BOB, 1_000), "below its floor"),
        (move(Account.of(AccountKind.USER, "eve"), BOB, 1), "never opened"),
    ],
)
def test_a_posting_that_no_rule_allows_is_found(path: Path, transfer: Transfer, reason: str) -> None:
    """A writer that skips the rules leaves a valid chain, and is found by re-deriving the balances."""
    store = SqliteStore.open(path, "test")
    ledger = opened(store)
    ask(ledger, deposit("a", 5))
    last = list(store.records(0, 10))[-1]
    lawless = replace(last, seq=3, key="x", transfers=(transfer,))
    store.begin()
    store.commit([replace(lawless, hash=chained(last.hash, lawless))], {})
    store.close()
    check = verify_ledger(path)
    assert check.first_bad_seq == 3
    assert reason in (check.reason or "")


def test_verifying_beside_a_running_writer_sees_one_snapshot(path: Path) -> None:
    """A check during operation reads what is committed and disturbs nobody."""
    ledger = opened(SqliteStore.open(path, "test"))
    ask(ledger, deposit("a", 1))
    assert verify_ledger(path).groups == 2
    ask(ledger, deposit("b", 1))
    assert verify_ledger(path).groups == 3
    ledger.close()


def test_an_instance_that_starts_during_a_check_does_not_spoil_it(
    path: Path, closed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the file came to life while it was read as one at rest, it is read again as a live one."""
    looks = iter([True, True, False])
    monkeypatch.setattr("mrmarket.money.ledger.verification.is_at_rest", lambda path: next(looks))
    monkeypatch.setattr("mrmarket.store.migration.is_at_rest", lambda path: next(looks))
    assert verify_ledger(closed).ok
    assert next(looks, None) is None


def test_what_is_no_ledger_is_said_so(tmp_path: Path) -> None:
    """A missing file and an empty one are errors, not sound books."""
    with pytest.raises(DatabaseMissingError):
        verify_ledger(tmp_path / "money.db")
    sqlite3.connect(tmp_path / "money.db").close()
    (tmp_path / "money.db").touch()
    with pytest.raises(DatabaseForeignError):
        verify_ledger(tmp_path / "money.db")
