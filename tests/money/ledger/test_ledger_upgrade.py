"""Books that the first version wrote go on, and still verify."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine

import mrmarket.store
from money.ledger_samples import ALICE, BOB, OPENING, USD, ask, deposit
from mrmarket.core.clock import ManualClock
from mrmarket.money.ledger import rows
from mrmarket.money.ledger.chain import Record
from mrmarket.money.ledger.group import Group, Phase, Posted, Transfer, TransferKind
from mrmarket.money.ledger.ledger import Ledger
from mrmarket.money.ledger.memory_store import MemoryStore
from mrmarket.money.ledger.sqlite_store import SqliteStore
from mrmarket.money.ledger.verification import verify_ledger
from mrmarket.store.migration import MONEY_SCHEMA, prepare


def first_version(path: Path) -> list[Record]:
    """A file as it was before there were holds, with two groups in it."""
    engine = create_engine(f"sqlite:///{path}")
    config = Config()
    config.set_main_option(
        "script_location", str(Path(mrmarket.store.__file__).parent / "migrations" / "money")
    )
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "money_0001")
    engine.dispose()
    memory = MemoryStore()
    ledger = Ledger(memory, ManualClock())
    ask(ledger, OPENING)
    ask(ledger, deposit("a", 100))
    records = list(memory.records(0, 10))
    file = sqlite3.connect(path)
    for record in records:
        file.execute(
            f"INSERT INTO groups ({rows.GROUP_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 - constants
            rows.group_row(record),
        )
    file.executemany("INSERT INTO transfers VALUES (?, ?, ?, ?, ?, ?, ?)", rows.transfer_rows(records)[0])
    file.executemany("INSERT INTO assets VALUES (?, ?, ?, ?)", rows.asset_rows(records))
    accounts = (
        (name, kind, floor, seq, place) for name, kind, floor, _, seq, place in rows.account_rows(records)
    )
    file.executemany("INSERT INTO accounts VALUES (?, ?, ?, ?, ?)", accounts)
    file.executemany(
        "INSERT INTO balances VALUES (?, ?, ?)",
        [(*holding, str(units)) for holding, units in ledger.state.balances.items()],
    )
    file.execute("INSERT INTO leases VALUES ('ledger-writer', 3, 'treasury', 0)")
    file.commit()
    file.close()
    return records


def test_old_books_are_upgraded_and_go_on(tmp_path: Path) -> None:
    """Hashes stay valid, repeats get their old answers, and new groups may hold units."""
    path = tmp_path / "money.db"
    records = first_version(path)
    store = SqliteStore.open(path, "test")
    assert list(store.records(0, 10)) == records
    ledger = Ledger(store, ManualClock())
    assert ask(ledger, deposit("a", 100)) == records[1].answer
    hold = Transfer(ALICE.id, BOB.id, USD.id, 30, TransferKind.DEBIT_WITHDRAW, Phase.PENDING)
    assert isinstance(ask(ledger, Group("h", (hold,))), Posted)
    ledger.close()
    check = verify_ledger(path)
    assert (check.ok, check.groups, check.reason) == (True, 3, None)


def test_old_books_verify_as_soon_as_they_are_upgraded(tmp_path: Path) -> None:
    """An instance verifies before it takes the lease: the old row is brought to today's form as well."""
    path = tmp_path / "money.db"
    first_version(path)
    prepare(path, MONEY_SCHEMA)
    check = verify_ledger(path)
    assert (check.ok, check.reason) == (True, None)
