"""A writer that skips the rules leaves a valid chain, and is found by rebuilding the books."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from msgspec.structs import replace

from money.ledger_samples import ALICE, BOB, OPENING, USD, WORLD, ask, deposit, move
from mrmarket.core.clock import NS_PER_MS, ManualClock
from mrmarket.money.ledger.account import Account, AccountKind
from mrmarket.money.ledger.chain import chained
from mrmarket.money.ledger.derivation import Derived, Fault, derive
from mrmarket.money.ledger.draft import Draft
from mrmarket.money.ledger.group import (
    Group,
    Hold,
    Phase,
    Transfer,
    TransferKind,
    expire_hold,
    post_hold,
    void_hold,
)
from mrmarket.money.ledger.ledger import Ledger
from mrmarket.money.ledger.postgres_store import PostgresStore
from mrmarket.money.ledger.sqlite_store import SqliteStore
from mrmarket.money.ledger.verification import verify_ledger
from mrmarket.store.postgres import connect

START_MS = 1_700_000_000_000
PURSE = Account("user:purse", AccountKind.USER, 0, 50)
KIND = TransferKind.DEBIT_WITHDRAW


def pending(units: int, expires_ms: int | None = None) -> Transfer:
    """Alice sets units aside for Bob."""
    return Transfer(ALICE.id, BOB.id, USD.id, units, KIND, Phase.PENDING, expires_ms=expires_ms)


def tell_story(ledger: Ledger) -> None:
    """Alice has 100, all set aside: 30 for a while, 20 for ever, the rest to fill a purse; 5 were voided."""
    ask(ledger, OPENING)
    ask(ledger, Group("purse", accounts=(PURSE,)))
    ask(ledger, deposit("d", 100))
    ask(ledger, Group("h", (pending(30, START_MS + 10), pending(20), pending(5))))

    def settle(draft: Draft) -> None:
        hold = draft.hold("h#2")
        assert hold is not None
        draft.post(Group("v", (void_hold(hold),)))

    ledger.drain([settle])
    inward = Transfer(ALICE.id, PURSE.id, USD.id, 1_000, KIND, Phase.PENDING, clamp=True)
    ask(ledger, Group("saved", (inward,)))
    ask(ledger, Group("swept", (Transfer(BOB.id, ALICE.id, USD.id, 9, KIND, clamp=True),)))


def hold(position: int, **changes: object) -> Hold:
    """A hold of the group `h`, as somebody may misremember it."""
    units = {0: 30, 1: 20, 2: 5}[position]
    expires_ms = START_MS + 10 if position == 0 else None
    found = Hold(f"h#{position}", ALICE.id, BOB.id, USD.id, units, KIND, expires_ms, "pending")  # type: ignore[arg-type]  # a name as in the database
    return replace(found, **changes)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The story in a file."""
    ledger = Ledger(SqliteStore.open(tmp_path / "money.db", "test"), ManualClock(START_MS * NS_PER_MS))
    tell_story(ledger)
    ledger.close()
    return tmp_path / "money.db"


def test_the_story_itself_is_sound(path: Path) -> None:
    """Holds made, voided and clamped are what the rules allow."""
    check = verify_ledger(path)
    assert (check.ok, check.groups, check.reason) == (True, 7, None)


@pytest.mark.parametrize(
    ("transfer", "at_ms", "reason"),
    [
        (move(ALICE, BOB, 51), 0, "below its floor"),
        (pending(51), 0, "below its floor"),
        (move(WORLD, PURSE, 1), 0, "above its ceiling"),
        (pending(1, START_MS), 0, "a time that has passed"),
        (post_hold(hold(0)), 10, "at a time when that could not be"),
        (expire_hold(hold(0)), 9, "at a time when that could not be"),
        (expire_hold(hold(1)), 99, "at a time when that could not be"),
        (post_hold(hold(2)), 0, "was voided before"),
        (void_hold(hold(2)), 0, "was voided before"),
        (post_hold(hold(1, units=21)), 0, "with other units"),
        (void_hold(hold(1, units=19)), 0, "with other units"),
        (post_hold(hold(1, credit=WORLD.id)), 0, "no such hold"),
        (post_hold(hold(1, kind=TransferKind.FEE)), 0, "no such hold"),
        (post_hold(hold(1, id="h#9")), 0, "no such hold"),
        (Transfer(ALICE.id, BOB.id, USD.id, 7, KIND, clamp=True, asked_units=8), 0, "its clamp allows 0"),
        (Transfer(WORLD.id, BOB.id, USD.id, 60, KIND, clamp=True, asked_units=99), 0, "its clamp allows 99"),
    ],
)
def test_a_posting_that_no_rule_allows_is_found(
    path: Path, transfer: Transfer, at_ms: int, reason: str
) -> None:
    """Each rule about limits, holds, times and clamps is checked again from the log alone."""
    store = SqliteStore.open(path, "test")
    last = list(store.records(0, 10))[-1]
    lawless = replace(
        last, seq=8, key="x", epoch=store.epoch, outcome="posted", message="", transfers=(transfer,)
    )
    lawless = replace(lawless, at_ms=START_MS + at_ms)
    store.begin()
    store.commit([replace(lawless, hash=chained(last.hash, lawless))], {})
    store.close()
    check = verify_ledger(path)
    assert check.first_bad_seq == 8
    assert reason in (check.reason or "")


@pytest.mark.parametrize(
    ("statement", "seq"),
    [
        ("UPDATE holds SET state = 'posted' WHERE id = 'h#2'", 4),
        ("UPDATE holds SET settled_seq = 6 WHERE id = 'h#2'", 4),
        ("UPDATE holds SET state = 'pending', settled_seq = NULL WHERE id = 'h#2'", 4),
        ("DELETE FROM holds WHERE id = 'h#0'", 4),
        ("INSERT INTO holds VALUES ('k#0', 3, 0, 'pending', NULL)", None),
    ],
)
def test_a_changed_hold_is_found(path: Path, statement: str, seq: int | None) -> None:
    """The table of holds is compared with the log."""
    connection = sqlite3.connect(path)
    connection.execute(statement)
    connection.commit()
    connection.close()
    check = verify_ledger(path)
    assert (check.ok, check.first_bad_seq) == (False, seq)
    assert "hold" in (check.reason or "")


@pytest.mark.parametrize(
    "column",
    ["phase = 'post'", "phase = NULL", "hold = 'h#1'", "expires_ms = expires_ms + 1", "asked = '5'"],
)
def test_a_changed_term_is_found(path: Path, column: str) -> None:
    """What makes a transfer pending, and until when, is in the hash of its group."""
    connection = sqlite3.connect(path)
    connection.execute("DROP TRIGGER transfers_never_update")
    connection.execute(f"UPDATE transfers SET {column} WHERE group_seq = 4 AND position = 0")  # noqa: S608 - constants
    connection.commit()
    connection.close()
    check = verify_ledger(path)
    assert (check.ok, check.first_bad_seq) == (False, 4)


def test_a_ceiling_is_in_the_hash(path: Path) -> None:
    """Raising somebody's ceiling in the table is found."""
    connection = sqlite3.connect(path)
    connection.execute("DROP TRIGGER accounts_never_update")
    connection.execute("UPDATE accounts SET ceiling = '51' WHERE id = 'user:purse'")
    connection.commit()
    connection.close()
    assert verify_ledger(path).first_bad_seq == 2


def test_the_log_on_the_server_is_rebuilt_by_the_same_code(postgres: str) -> None:
    """A PostgreSQL ledger has the same chain, byte for byte, and a forged row breaks it."""
    store = PostgresStore.open(postgres, "test")
    tell_story(Ledger(store, ManualClock(START_MS * NS_PER_MS)))
    with connect(postgres) as connection:

        def stream(statement: str) -> list[tuple[object, ...]]:
            return connection.execute(statement.encode()).fetchall()

        derived = Derived()
        derive(stream, derived)
        assert derived.groups == 7
        assert derived.head == store.load().hash
        assert derived.balances == store.load().balances
        connection.execute("ALTER TABLE transfers DISABLE TRIGGER ALL")
        connection.execute("UPDATE transfers SET units = 21 WHERE group_seq = 4 AND position = 1")
        with pytest.raises(Fault, match="hash does not match"):
            derive(stream, Derived())
    store.close()
