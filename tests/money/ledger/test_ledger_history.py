"""Point-in-time balances, an account's entries and the list of groups, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from money.ledger_samples import ALICE, BOB, BTC, OPENING, USD, WORLD, ask, deposit, move
from mrmarket.core.clock import NS_PER_MS, ManualClock
from mrmarket.money.ledger import history
from mrmarket.money.ledger.account import Account, AccountKind
from mrmarket.money.ledger.draft import Draft
from mrmarket.money.ledger.group import Group, Phase, Transfer, TransferKind, post_hold
from mrmarket.money.ledger.ledger import Ledger
from mrmarket.money.ledger.postgres_store import PostgresStore
from mrmarket.money.ledger.sqlite_store import SqliteStore
from mrmarket.store.postgres import PostgresReader
from mrmarket.store.sql import Sql, SqliteReader, SqlReader

START_MS = 1_700_000_000_000
EVE = Account.of(AccountKind.USER, "eve")


def tell_story(ledger: Ledger, clock: ManualClock) -> None:
    """Groups 1 to 8, ten milliseconds apart."""
    hold = Transfer(ALICE.id, BOB.id, USD.id, 30, TransferKind.DEBIT_WITHDRAW, Phase.PENDING)
    for group in (
        OPENING,
        deposit("in", 100),
        Group("pay", (move(ALICE, BOB, 10), move(BOB, ALICE, 3)), memo="lunch"),
        Group("refused", (move(ALICE, BOB, 1_000),)),
        Group("coins", (move(WORLD, ALICE, 7, BTC),)),
        Group("hold", (hold,)),
    ):
        ask(ledger, group)
        clock.advance(10 * NS_PER_MS)

    def post(draft: Draft) -> None:
        found = draft.hold("hold#0")
        assert found is not None
        draft.post(Group("post", (post_hold(found, 20),)))

    ledger.drain([post])
    clock.advance(10 * NS_PER_MS)
    ask(ledger, Group("last", (move(BOB, WORLD, 5),)))


@pytest.fixture(params=["sqlite", "postgres"])
def sql(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Sql]:
    """A snapshot of the story."""
    clock = ManualClock(START_MS * NS_PER_MS)
    reader: SqlReader
    if request.param == "sqlite":
        ledger = Ledger(SqliteStore.open(tmp_path / "money.db", "test"), clock)
        reader = SqliteReader.open(tmp_path / "money.db")
    else:
        address = request.getfixturevalue("postgres")
        ledger = Ledger(PostgresStore.open(address, "test"), clock)
        reader = PostgresReader.open(address)
    tell_story(ledger, clock)
    with reader.snapshot() as snapshot:
        yield snapshot
    reader.close()
    ledger.close()


def test_balances_at_any_time(sql: Sql) -> None:
    """Each millisecond shows the books after the last group recorded by then; holds move nothing."""
    story = {-1: 0, 0: 0, 9: 0, 10: 100, 19: 100, 20: 93, 55: 93, 60: 73, 1_000: 73}
    found = {after: history.balance_at(sql, ALICE.id, USD.id, START_MS + after) for after in story}
    assert found == story
    assert history.balance_at(sql, BOB.id, USD.id, START_MS + 60) == 27
    assert history.balance_at(sql, BOB.id, USD.id, START_MS + 70) == 22
    assert history.balances_at(sql, ALICE.id, START_MS + 30) == {BTC.id: 0, USD.id: 93}
    assert history.balance_at(sql, EVE.id, USD.id, START_MS + 70) == 0
    assert [history.seq_at(sql, START_MS + after) for after in (-1, 0, 5, 70, 99)] == [0, 1, 1, 8, 8]


def test_entries_carry_signed_units_and_running_balances(sql: Sql) -> None:
    """Both sides of an account, in order, with what it held after each; pending transfers are none."""
    told = history.entries(sql, ALICE.id)
    assert [(e.seq, e.position, e.key, e.units, e.balance_after) for e in told] == [
        (2, 0, "in", 100, 100),
        (3, 0, "pay", -10, 90),
        (3, 1, "pay", 3, 93),
        (5, 0, "coins", 7, 7),
        (7, 0, "post", -20, 73),
    ]
    assert told[1].counterparty == BOB.id
    assert told[1].memo == "lunch"
    assert told[4].kind is TransferKind.DEBIT_WITHDRAW
    assert told[0].at_ms == START_MS + 10
    assert len(told[0].hash) == 32
    assert history.entries(sql, EVE.id) == []


def test_pages_of_entries_end_between_groups(sql: Sql) -> None:
    """Turning pages in either direction shows every entry once, with the same running balance."""
    whole = history.entries(sql, ALICE.id, USD.id)
    forward: list[history.Entry] = []
    while page := history.entries(sql, ALICE.id, USD.id, forward[-1].seq if forward else 0, 2):
        forward += page
    assert forward == whole
    backward: list[history.Entry] = []
    before = None
    while page := history.entries(sql, ALICE.id, USD.id, limit=1, before_seq=before, newest_first=True):
        backward += page
        before = page[-1].seq
    assert backward == whole[::-1]


def test_groups_from_the_newest_back(sql: Sql) -> None:
    """All groups, refused ones too; with a filter those to which it applies."""
    assert [record.seq for record in history.groups(sql, limit=3)] == [8, 7, 6]
    assert [record.seq for record in history.groups(sql, before_seq=6, after_seq=2)] == [5, 4, 3]
    assert [record.key for record in history.groups(sql, account=BOB.id)] == ["last", "post", "hold", "pay"]
    assert [record.key for record in history.groups(sql, account=BOB.id, limit=2, before_seq=7)] == [
        "hold",
        "pay",
    ]
    assert [record.key for record in history.groups(sql, asset=BTC.id)] == ["coins"]
    assert [record.key for record in history.groups(sql, account=ALICE.id, asset=BTC.id)] == ["coins"]
    assert [record.key for record in history.groups(sql, kind=TransferKind.DEBIT_WITHDRAW)] == [
        "post",
        "hold",
    ]
    assert history.groups(sql, account=EVE.id) == []


def test_a_group_by_its_number(sql: Sql) -> None:
    """A record comes with all of its members; a refused one with its reason."""
    paid = history.group(sql, 3)
    assert paid is not None
    assert (paid.key, len(paid.transfers), paid.memo) == ("pay", 2, "lunch")
    refused = history.group(sql, 4)
    assert refused is not None
    assert (refused.outcome, refused.transfers) == ("insufficient_funds", ())
    assert history.group(sql, 9) is None


def test_the_time_of_the_ledger_never_goes_back(tmp_path: Path) -> None:
    """A clock that is set back does not put a group before those that are recorded already."""
    clock = ManualClock(START_MS * NS_PER_MS)
    ledger = Ledger(SqliteStore.open(tmp_path / "money.db", "test"), clock)
    ask(ledger, OPENING)
    ledger.close()
    earlier = ManualClock((START_MS - 5_000) * NS_PER_MS)
    store = SqliteStore.open(tmp_path / "money.db", "test")
    again = Ledger(store, earlier)
    ask(again, deposit("a", 1))
    assert [record.at_ms for record in store.records(0, 9)] == [START_MS, START_MS]
    again.close()
