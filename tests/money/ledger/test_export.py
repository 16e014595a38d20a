"""What is exported adds up to our balances, by tools that are not ours."""

from __future__ import annotations

import csv
import decimal
import io
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from money.ledger_samples import ALICE, BOB, WORLD, ask, move
from mrmarket.core.clock import NS_PER_S, ManualClock
from mrmarket.core.money import Asset
from mrmarket.money.ledger.account import Account, AccountKind
from mrmarket.money.ledger.export.beancount import account_name, commodity_names, write_beancount
from mrmarket.money.ledger.export.books import ExportedBooks
from mrmarket.money.ledger.export.hledger import write_hledger
from mrmarket.money.ledger.export.table import COLUMNS, write_csv, write_parquet
from mrmarket.money.ledger.group import Group, Phase, Transfer, TransferKind
from mrmarket.money.ledger.ledger import Ledger
from mrmarket.money.ledger.sqlite_store import SqliteStore
from mrmarket.store.sql import Sql, SqliteReader

USDT = Asset("simulated", "USDT", 18)
ODD = Asset("chain-1", "w_BTC", 8)
SHARE = Asset("pool", "main", 18)
WHOLE = Asset("rail", "JPY", 0)
ISSUER = Account.of(AccountKind.ISSUER, "main")
WALLET = Account.of(AccountKind.USER, "0xAbC.d_e/f@g-h")
CAPITAL = Account.of(AccountKind.USER, "Alice")
ACCOUNTS = (WORLD, ALICE, BOB, ISSUER, WALLET, CAPITAL)
HUGE = 12_345_678_901_234_567_890_123_456_789_012_345_678
"""38 digits."""


@pytest.fixture
def sql(path: Path) -> Iterator[Sql]:
    """Books over three days: every kind of name, 38 digits, a hold, a posting of it, a rejection."""
    clock = ManualClock()
    ledger = Ledger(SqliteStore.open(path, "test"), clock)
    ask(ledger, Group("open", assets=(USDT, ODD, SHARE, WHOLE), accounts=ACCOUNTS))
    ask(
        ledger,
        Group(
            "=in", (move(WORLD, ALICE, HUGE, USDT), move(WORLD, WALLET, 1, ODD)), memo='a "b" \\ c\nd; e|f'
        ),
    )
    clock.advance(86_400 * NS_PER_S)
    mint = Transfer(ISSUER.id, ALICE.id, SHARE.id, 3, TransferKind.MINT_SHARES)
    ask(ledger, Group("mint", (mint, move(ALICE, CAPITAL, 5, USDT), move(WORLD, BOB, 7, WHOLE))))
    held = Transfer(ALICE.id, BOB.id, USDT.id, 30, TransferKind.LOCK, phase=Phase.PENDING)
    ask(ledger, Group("hold", (held,)))
    posted = Transfer(ALICE.id, BOB.id, USDT.id, 20, TransferKind.LOCK, phase=Phase.POST, hold="hold#0")
    clock.advance(86_400 * NS_PER_S)
    ask(ledger, Group("post", (posted,)))
    ask(ledger, Group("refused", (move(BOB, ALICE, HUGE, USDT),)))
    ledger.close()
    reader = SqliteReader(path)
    with reader.snapshot() as sql:
        yield sql
    reader.close()


def balances(sql: Sql) -> dict[tuple[str, str], Decimal]:
    """Ours, in whole units; zeros left out."""
    decimals = dict(sql.rows("SELECT id, decimals FROM assets"))
    with decimal.localcontext(prec=80):
        return {
            (account, asset): Decimal(units).scaleb(-decimals[asset])
            for account, asset, units in sql.rows("SELECT account, asset, units FROM balances")
            if units != "0"
        }


def test_beancount_adds_the_books_up_to_the_same_balances(sql: Sql, tmp_path: Path) -> None:
    """The real beancount loads the file without an error and comes to our balances, to the last digit."""
    loader = pytest.importorskip("beancount.loader")
    from beancount.core import data, realization

    path = tmp_path / "books.beancount"
    with path.open("w", encoding="utf-8") as out:
        write_beancount(ExportedBooks(sql), out)
    with decimal.localcontext(prec=80):
        entries, errors, _ = loader.load_file(str(path))
        assert errors == []
        accounts = {entry.account: entry.meta["account"] for entry in entries if isinstance(entry, data.Open)}
        assets = {
            entry.currency: entry.meta["asset"] for entry in entries if isinstance(entry, data.Commodity)
        }
        found: dict[tuple[str, str], Decimal] = {}
        tree = realization.realize(entries)  # type: ignore[no-untyped-call]  # beancount has no types here
        for real in realization.iter_children(tree):  # type: ignore[no-untyped-call]  # the same
            for position in real.balance:
                found[accounts[real.account], assets[position.units.currency]] = -position.units.number
    assert found == balances(sql)
    asserted = [entry for entry in entries if isinstance(entry, data.Balance)]
    assert len(asserted) == len(sql.rows("SELECT 1 FROM balances"))
    memo = next(entry for entry in entries if isinstance(entry, data.Transaction)).meta["memo"]
    assert memo == 'a "b" \\ c\nd; e|f'


def test_beancount_notices_a_wrong_closing_balance(sql: Sql, tmp_path: Path) -> None:
    """The assertions in the file are checked and not decoration."""
    loader = pytest.importorskip("beancount.loader")
    out = io.StringIO()
    write_beancount(ExportedBooks(sql), out)
    path = tmp_path / "books.beancount"
    path.write_text(out.getvalue().replace(" -7 RAIL.JPY\n", " -8 RAIL.JPY\n"), encoding="utf-8")
    _, errors, _ = loader.load_file(str(path))
    assert errors


def test_hledger_adds_the_books_up_to_the_same_balances(sql: Sql, tmp_path: Path) -> None:
    """Where hledger is installed, it accepts the journal and all its assertions."""
    hledger = shutil.which("hledger")
    if hledger is None:
        pytest.skip("hledger is not installed")
    path = tmp_path / "books.journal"
    with path.open("w", encoding="utf-8") as out:
        write_hledger(ExportedBooks(sql), out)
    subprocess.run([hledger, "-f", str(path), "check", "--strict"], check=True)
    done = subprocess.run(
        [hledger, "-f", str(path), "balance", "--flat", "--output-format=csv"],
        check=True,
        capture_output=True,
        text=True,
    )
    assert f"liabilities:{BOB.id}" in done.stdout


def test_the_journal_balances_and_asserts_by_its_own_text(sql: Sql) -> None:
    """Read as hledger reads it: every transaction sums to zero, and the assertions are our balances."""
    out = io.StringIO()
    write_hledger(ExportedBooks(sql), out)
    sums: dict[tuple[str, str], Decimal] = {}
    asserted: dict[tuple[str, str], Decimal] = {}
    with decimal.localcontext(prec=80):
        for block in out.getvalue().split("\n\n")[2:]:
            totals: dict[str, Decimal] = {}
            for line in block.splitlines()[1:]:
                if line.strip().startswith(";"):
                    continue
                account, _, rest = line.strip().partition("  ")
                amount, _, wanted = rest.partition(" = ")
                number, _, commodity = amount.partition(" ")
                holding = (account.partition(":")[2], commodity.strip('"'))
                totals[commodity] = totals.get(commodity, Decimal(0)) + Decimal(number)
                sums[holding] = sums.get(holding, Decimal(0)) - Decimal(number)
                if wanted:
                    asserted[holding] = -Decimal(wanted.partition(" ")[0])
            assert set(totals.values()) <= {Decimal(0)}
    ours = balances(sql)
    assert {holding: units for holding, units in sums.items() if units} == ours
    assert {holding: units for holding, units in asserted.items() if units} == ours


def test_csv_and_parquet_hold_every_transfer_exactly(sql: Sql, tmp_path: Path) -> None:
    """Both have the same rows; units are text and add up to our balances; holds have their phase."""
    out = io.StringIO()
    write_csv(ExportedBooks(sql), out)
    rows = list(csv.DictReader(io.StringIO(out.getvalue())))
    write_parquet(ExportedBooks(sql), tmp_path / "books.parquet")
    frame = pl.read_parquet(tmp_path / "books.parquet")
    assert tuple(frame.columns) == COLUMNS
    assert [str(units) for units in frame["units"]] == [row["units"] for row in rows]
    assert frame.filter(pl.col("key") == "=in")["memo"][0] == 'a "b" \\ c\nd; e|f'
    assert rows[0]["key"] == "'=in"
    assert [row["phase"] for row in rows] == ["plain"] * 5 + ["pending", "post"]
    assert rows[0]["amount"] == "12345678901234567890.123456789012345678"
    sums: dict[tuple[str, str], int] = {}
    for row in rows:
        if row["phase"] in {"plain", "post"}:
            for side, sign in ((row["debit"], -1), (row["credit"], 1)):
                holding = (side, row["asset"])
                sums[holding] = sums.get(holding, 0) + sign * int(row["units"])
    stored = sql.rows("SELECT account, asset, units FROM balances")
    assert sums == {(account, asset): int(units) for account, asset, units in stored}
    day = datetime.fromtimestamp(int(rows[-1]["at_ms"]) / 1_000, UTC)
    assert rows[-1]["at"].startswith(day.date().isoformat())


def test_a_long_ledger_is_written_a_page_at_a_time(path: Path, tmp_path: Path) -> None:
    """Thousands of groups come out complete, and progress is told."""
    ledger = Ledger(SqliteStore.open(path, "test"), ManualClock())
    ask(ledger, Group("open", assets=(USDT,), accounts=(WORLD, ALICE)))
    ledger.drain([Group(f"g{n}", (move(WORLD, ALICE, 1, USDT),)) for n in range(4_500)])
    ledger.close()
    reader = SqliteReader(path)
    told: list[tuple[int, int]] = []
    with reader.snapshot() as sql:
        write_parquet(
            ExportedBooks(sql, lambda done, all_: told.append((done, all_))), tmp_path / "a.parquet"
        )
    reader.close()
    assert pl.scan_parquet(tmp_path / "a.parquet").select(pl.len()).collect().item() == 4_500
    assert told == [(2_000, 4_501), (4_000, 4_501), (4_501, 4_501)]


def test_an_empty_ledger_can_be_exported(path: Path, tmp_path: Path) -> None:
    """Headers and nothing else."""
    SqliteStore.open(path, "test").close()
    reader = SqliteReader(path)
    with reader.snapshot() as sql:
        books = ExportedBooks(sql)
        table, journal, beancount = io.StringIO(), io.StringIO(), io.StringIO()
        write_csv(books, table)
        write_hledger(books, journal)
        write_beancount(books, beancount)
        write_parquet(books, tmp_path / "a.parquet")
    reader.close()
    assert table.getvalue() == ",".join(COLUMNS) + "\n"
    assert pl.read_parquet(tmp_path / "a.parquet").height == 0
    assert "closing" not in journal.getvalue()
    assert "open" not in beancount.getvalue()


def test_names_are_in_beancounts_alphabet_and_stay_apart() -> None:
    """Ids that differ only in case or odd characters keep different names."""
    users = [
        "user:alice",
        "user:Alice",
        "user:0-Alice",
        "user:a.b",
        "user:a_b",
        "user:a-b",
        "user:a/b",
        "user:2DA",
    ]
    names = [account_name(user, "user") for user in users]
    assert len(set(names)) == len(users)
    assert names[:4] == [
        "Liabilities:User:Alice",
        "Liabilities:User:0-Alice",
        "Liabilities:User:0-2DAlice",
        "Liabilities:User:A-2Eb",
    ]
    assets = [
        "simulated:USDT",
        "Simulated:USDT",
        "pool:main",
        "pool:MAIN",
        "x:A_",
        "x:A*",
        "9:A",
        "x:" + "A" * 30,
    ]
    symbols = commodity_names(dict.fromkeys(assets, 2))
    assert list(symbols.values()) == [
        "SIMULATED.USDT",
        "A2.SIMULATED.USDT",
        "A3.POOL.MAIN",
        "POOL.MAIN",
        "A5",
        "A6",
        "A7",
        "A8",
    ]
