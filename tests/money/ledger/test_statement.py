"""Statements lead from one balance to another, and their tables compute nothing by themselves."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from money.ledger_samples import ALICE, BOB, BTC, OPENING, USD, WORLD, ask, deposit, move
from mrmarket.core.clock import NS_PER_MS, ManualClock
from mrmarket.core.decimals import parse_units
from mrmarket.core.errors import InvalidInputError
from mrmarket.money.ledger.group import Group, Phase, Transfer, TransferKind
from mrmarket.money.ledger.ledger import Ledger
from mrmarket.money.ledger.sqlite_store import SqliteStore
from mrmarket.money.ledger.statement import StatementError, draw_statement, statement_csv
from mrmarket.store.sql import SqliteReader

START = 1_700_000_000_000


class Books:
    """A ledger whose groups are ten milliseconds apart."""

    def __init__(self, path: Path) -> None:
        self.clock = ManualClock(START * NS_PER_MS)
        self.ledger = Ledger(SqliteStore.open(path, "test"), self.clock)
        self.post(OPENING)
        self.reader = SqliteReader(path)

    def post(self, group: Group) -> None:
        """Post and let time pass."""
        ask(self.ledger, group)
        self.clock.advance(10 * NS_PER_MS)


@pytest.fixture
def books(path: Path) -> Iterator[Books]:
    """Deposit at +10, payment at +20, a hold at +30, bitcoin at +40."""
    books = Books(path)
    books.post(deposit("a", 10_000))
    books.post(Group("=b", (move(ALICE, BOB, 2_550), move(BOB, ALICE, 50)), memo="=SUM(A1)"))
    held = Transfer(ALICE.id, BOB.id, USD.id, 30, TransferKind.LOCK, phase=Phase.PENDING)
    books.post(Group("h", (held,)))
    books.post(Group("c", (move(WORLD, ALICE, 7, BTC),)))
    yield books
    books.reader.close()
    books.ledger.close()


def test_a_period_is_half_open_and_adds_up(books: Books) -> None:
    """A movement at the start counts, one at the end does not; opening, movements and closing agree."""
    with books.reader.snapshot() as sql:
        (btc, usd) = draw_statement(sql, ALICE.id, START + 20, START + 40).assets
        whole = draw_statement(sql, ALICE.id, 0, START + 1_000)
    assert (btc.asset, btc.opening, btc.closing, btc.lines) == (BTC.id, "0", "0", [])
    assert (usd.opening, usd.received, usd.given, usd.closing) == ("100", "0.5", "25.5", "75")
    assert [(line.amount, line.balance, line.counterparty, line.position) for line in usd.lines] == [
        ("-25.5", "74.5", BOB.id, 0),
        ("0.5", "75", BOB.id, 1),
    ]
    assert [part.closing for part in whole.assets] == ["0.00000007", "75"]
    assert (whole.first_seq, whole.last_seq) == (1, 5)
    assert whole.head == books.ledger.state.hash.hex()


@pytest.mark.parametrize("cut", [0, 5, 10, 11, 20, 25, 30, 40, 45])
def test_periods_follow_each_other_without_gap(books: Books, cut: int) -> None:
    """Wherever time is cut in two, the first part's closing balance is the second's opening."""
    with books.reader.snapshot() as sql:
        first = draw_statement(sql, ALICE.id, 0, START + cut)
        second = draw_statement(sql, ALICE.id, START + cut, START + 100)
        whole = draw_statement(sql, ALICE.id, 0, START + 100)
    assert [part.closing for part in first.assets] == [part.opening for part in second.assets]
    for one, two, both in zip(first.assets, second.assets, whole.assets, strict=True):
        assert one.lines + two.lines == both.lines


def test_one_asset_can_be_asked_for(books: Books) -> None:
    """Others are left out."""
    with books.reader.snapshot() as sql:
        statement = draw_statement(sql, ALICE.id, 0, START + 100, BTC.id)
    assert [part.asset for part in statement.assets] == [BTC.id]


def test_the_table_can_be_added_up_again(books: Books) -> None:
    """Opening plus amounts is closing, from the text alone; a formula in a memo is only text."""
    with books.reader.snapshot() as sql:
        text = statement_csv(draw_statement(sql, ALICE.id, 0, START + 100, USD.id))
    rows = list(csv.DictReader(io.StringIO(text)))
    total = 0
    for row in rows[1:-1]:
        sign, digits = (-1, row["amount"][1:]) if row["amount"].startswith("-") else (1, row["amount"])
        total += sign * parse_units(digits, 2)
        assert parse_units(row["balance"], 2) == total
    assert (rows[0]["balance"], rows[-1]["balance"], total) == ("0", "75", 7_500)
    assert rows[2]["memo"] == "'=SUM(A1)"
    assert rows[2]["key"] == "'=b"
    assert rows[1]["at"] == "2023-11-14T22:13:20.010Z"


def test_bad_questions_are_refused(books: Books) -> None:
    """An unknown account and a period that ends before it begins."""
    with books.reader.snapshot() as sql:
        with pytest.raises(InvalidInputError, match="account"):
            draw_statement(sql, "user:nobody", 0, 1)
        with pytest.raises(InvalidInputError, match="end"):
            draw_statement(sql, ALICE.id, 2, 1)


@pytest.mark.parametrize("units", ["7499", "7501"])
def test_a_balance_that_the_movements_do_not_give_is_refused(books: Books, units: str) -> None:
    """A statement is never made from books that do not add up."""
    store = books.ledger._store
    assert isinstance(store, SqliteStore)
    store.connection.execute(
        "UPDATE balances SET units = ? WHERE account = ? AND asset = ?", (units, ALICE.id, USD.id)
    )
    with books.reader.snapshot() as sql, pytest.raises(StatementError, match="ledger verify"):
        draw_statement(sql, ALICE.id, START + 15, START + 100)
