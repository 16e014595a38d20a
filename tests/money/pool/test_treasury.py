"""The business core's face: deposits, withdrawals, the curve, and the check of everything."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest

from money.pool.conftest import TreasuryOpener
from money.pool_samples import DAY, PLAN, STREAM, balance, fill, mark, opening, trades
from mrmarket.core.clock import ManualClock
from mrmarket.core.errors import InvalidInputError
from mrmarket.core.side import Side
from mrmarket.money.ledger.errors import IdempotencyConflictError, LedgerStoppedError
from mrmarket.money.ledger.group import Posted, Rejected
from mrmarket.money.pool import book
from mrmarket.money.pool.audit import verify
from mrmarket.money.pool.errors import NoPriceError, UnknownDepositorError
from mrmarket.money.pool.treasury import Treasury
from mrmarket.money.pool.view import DepositorFigures
from mrmarket.store.errors import DatabaseDisconnectedError, DatabaseTooNewError
from mrmarket.store.trading_store import TradingStore


@pytest.fixture
def founded(log: TradingStore, treasury: Treasury) -> Treasury:
    """A pool with three founders and ten trades."""
    log.append_facts(STREAM, [*opening(), *trades(10)])
    treasury.settle()
    return treasury


def figures(treasury: Treasury, name: str) -> DepositorFigures:
    """One depositor."""
    (found,) = [each for each in treasury.depositors() if each.name == name]
    return found


def test_a_deposit_mints_and_a_withdrawal_burns(founded: Treasury) -> None:
    """Who comes in and goes out at once has lost the spread at most, and nobody else anything."""
    before = figures(founded, "alice")
    assert isinstance(founded.deposit("dave", {"BTC": "1", "USDT": "1000"}, "d1"), Posted)
    dave = figures(founded, "dave")
    assert isinstance(founded.withdraw("dave", dave.shares, "w1"), Posted)
    assert figures(founded, "dave").shares == "0"
    assert float(founded.balances("external:sim")["sim:USDT"]) == pytest.approx(
        -1_000_000 - 1_000 + 61_000, abs=0.1
    )
    assert float(figures(founded, "alice").value) >= float(before.value)
    assert founded.balances("user:dave") == {"pool:main": "0", "sim:BTC": "0", "sim:USDT": "0"}
    assert founded.verify().ok


def test_what_shares_have_cost_follows_them(founded: Treasury) -> None:
    """Half the shares take half the cost along; earned is value less the rest."""
    founded.deposit("dave", {"USDT": "1000"}, "d1")
    founded.deposit("dave", {"USDT": "500"}, "d2")
    whole = figures(founded, "dave")
    assert abs(float(whole.earned)) < 0.01
    founded.withdraw("dave", str(float(whole.shares) // 2), "w1")
    half = figures(founded, "dave")
    assert abs(float(half.earned)) < 0.01
    assert 740 < float(half.value) < 760
    assert founded.verify().ok


def test_repeating_a_request_is_harmless_at_any_price(
    log: TradingStore, founded: Treasury, open_treasury: TreasuryOpener
) -> None:
    """The same key gets the first answer although prices moved, also after a restart."""
    deposit = founded.deposit("dave", {"USDT": "1000"}, "d1")
    withdrawal = founded.withdraw("dave", "100", "w1")
    log.append_facts(STREAM, [mark(100, "70000", "70001")])
    founded.settle()
    assert founded.deposit("dave", {"USDT": "1000.00"}, "d1") == deposit
    again = open_treasury()
    assert again.withdraw("dave", "100", "w1") == withdrawal


def test_a_key_belongs_to_one_request(founded: Treasury) -> None:
    """Another user or amount under a used key is a conflict."""
    founded.deposit("dave", {"USDT": "1000"}, "d1")
    founded.withdraw("dave", "100", "w1")
    with pytest.raises(IdempotencyConflictError):
        founded.deposit("dave", {"USDT": "1001"}, "d1")
    with pytest.raises(IdempotencyConflictError):
        founded.deposit("erin", {"USDT": "1000"}, "d1")
    with pytest.raises(IdempotencyConflictError):
        founded.withdraw("dave", "101", "w1")


def test_more_shares_than_there_are_cannot_leave(founded: Treasury) -> None:
    """Overdrawing is refused, recorded, and refused again under that key."""
    founded.deposit("dave", {"USDT": "1000"}, "d1")
    refused = founded.withdraw("dave", "2000", "w1")
    assert isinstance(refused, Rejected)
    assert refused.code == "insufficient_funds"
    assert founded.withdraw("dave", "2000", "w1") == refused
    assert founded.verify().ok


def test_a_withdrawal_larger_than_the_quote_is_refused(founded: Treasury) -> None:
    """The pool pays in quote and never sells base to do so by itself."""
    founded.deposit("dave", {"BTC": "30"}, "d1")
    refused = founded.withdraw("dave", figures(founded, "dave").shares.split(".")[0], "w1")
    assert isinstance(refused, Rejected)
    assert "pool:main" in refused.message


def test_a_dust_withdrawal_is_paid_nothing_rather_than_too_much(log: TradingStore, founded: Treasury) -> None:
    """Where a share is worth less than one, the smallest unit of it rounds to zero and no quote moves."""
    log.append_facts(STREAM, [mark(100, "100", "100")])
    founded.settle()
    before = founded.balances("external:sim")
    assert isinstance(founded.withdraw("alice", "0.000000000000000001", "w1"), Posted)
    assert founded.balances("external:sim") == before
    assert founded.verify().ok


@pytest.mark.parametrize(
    "amounts",
    [{}, {"USDT": "0"}, {"USDT": "-1"}, {"USDT": "1e3"}, {"USDT": "0.0000000000000000001"}, {"US DT": "1"}],
)
def test_a_crooked_deposit_is_refused(founded: Treasury, amounts: dict[str, str]) -> None:
    """Nothing, negative, exponents, too many digits and impossible assets never reach the books."""
    head = founded.pool_view().ledger_seq
    with pytest.raises(InvalidInputError):
        founded.deposit("dave", amounts, "d1")
    assert founded.pool_view().ledger_seq == head


def test_what_has_no_price_cannot_be_deposited(founded: Treasury) -> None:
    """Shares are never minted for something that cannot be valued."""
    with pytest.raises(NoPriceError) as caught:
        founded.deposit("dave", {"DOGE": "1"}, "d1")
    assert (caught.value.assets, caught.value.retryable) == (["DOGE"], True)


def test_nobody_withdraws_without_shares(founded: Treasury) -> None:
    """An unknown name and a zero are refused with what to check."""
    with pytest.raises(UnknownDepositorError):
        founded.withdraw("mallory", "1", "w1")
    with pytest.raises(InvalidInputError):
        founded.withdraw("alice", "0", "w1")


def test_the_curve_has_a_point_a_second(log: TradingStore, treasury: Treasury) -> None:
    """Marks of one second make one point; an older mark changes no history."""
    log.append_facts(STREAM, [*opening(), mark(1), mark(1, "1", "2"), mark(3, "61000", "61000"), mark(2)])
    treasury.settle()
    points = treasury.equity()
    assert [point.at_ms for point in points] == [1_000 * (DAY + second) for second in (0, 1, 3)]
    assert [point.nav for point in points] == ["1600000", "1600000", "1610000"]
    assert [point.nav_per_share for point in points][-1].startswith("1.00624999")
    assert [point.at_ms for point in treasury.equity(2)] == [1_000 * (DAY + second) for second in (1, 3)]


def test_the_profit_of_trading_is_not_that_of_the_market(log: TradingStore, treasury: Treasury) -> None:
    """PnL is cash flow plus what was traded at today's mid; what was brought is not revalued."""
    log.append_facts(STREAM, [*opening(), mark(1, "30000", "30000")])
    treasury.settle()
    assert (treasury.pool_view().pnl, treasury.pool_view().nav) == ("0", "1300000")
    log.append_facts(
        STREAM,
        [fill("t1", Side.BUY, "1", "30000", "3"), mark(2, "31000", "31000"), balance("BTC", "11")],
    )
    treasury.settle()
    assert treasury.pool_view().pnl == "997"
    assert treasury.equity()[-1].pnl == "997"


def test_the_curve_is_bounded_and_keeps_its_ends(
    log: TradingStore, treasury: Treasury, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A long life keeps a limited number of points: all of the recent ones, fewer of the old."""
    monkeypatch.setattr(book, "EQUITY_POINTS", 50)
    log.append_facts(STREAM, [*opening(), *(mark(second) for second in range(1, 400))])
    treasury.settle()
    seconds = [point.at_ms // 1_000 - DAY for point in treasury.equity()]
    assert len(seconds) <= 50
    assert seconds[0] == 0
    assert seconds[-20:] == list(range(380, 400))
    assert seconds == sorted(seconds)


def test_before_anything_is_known_the_figures_are_zero(treasury: Treasury) -> None:
    """An empty pool has no holdings, no depositors and a share price of one."""
    view = treasury.pool_view()
    assert (view.nav, view.shares, view.nav_per_share, view.holdings, view.depositors) == (
        "0",
        "0",
        "1",
        [],
        [],
    )
    assert (view.ledger_seq, view.ledger_head, view.settled_through_seq, view.log_head_seq) == (0, "", 0, 0)
    assert (treasury.equity(), treasury.reconciliation()) == ([], [])
    assert treasury.verify().ok


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("UPDATE settlement_cursors SET seq = seq - 1", "settlement_cursors"),
        ("UPDATE settlement_cursors SET hash = zeroblob(32)", "settlement_cursors"),
        ("UPDATE marks SET ask = '99999'", "marks"),
        ("UPDATE observed_balances SET free = '11' WHERE asset = 'BTC'", "observed_balances"),
        ("UPDATE equity_points SET nav = '5'", "equity_points"),
        ("UPDATE stakes SET paid_in = '5' WHERE account = 'user:bob'", "user:bob"),
        ("DELETE FROM stakes WHERE account = 'user:bob'", "user:bob"),
    ],
)
def test_an_altered_side_table_is_found(founded: Treasury, money: Path, statement: str, reason: str) -> None:
    """Cursors, prices, observations, the curve and stakes are checked with the ledger."""
    assert founded.verify().ok
    founded.close()
    connection = sqlite3.connect(money)
    connection.execute(statement)
    connection.commit()
    connection.close()
    check = verify(money)
    assert (check.ok, check.first_bad_seq) == (False, None)
    assert reason in (check.reason or "")


def test_two_threads_may_settle_at_once(log: TradingStore, treasury: Treasury) -> None:
    """A timer and a request that both settle do not disturb each other."""
    log.append_facts(STREAM, [*opening(), *trades(200)])
    posted: list[int] = []
    threads = [threading.Thread(target=lambda: posted.append(treasury.settle().posted)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(posted) == 200
    assert treasury.verify().ok


def test_a_closed_treasury_says_so(founded: Treasury) -> None:
    """Closing twice is harmless; using it afterwards is an error of ours."""
    founded.close()
    founded.close()
    with pytest.raises(DatabaseDisconnectedError):
        founded.pool_view()
    with pytest.raises(LedgerStoppedError):
        founded.deposit("dave", {"USDT": "1"}, "d1")


def test_a_newer_database_is_refused(founded: Treasury, money: Path, log: TradingStore) -> None:
    """A treasury of a later version is neither opened nor changed."""
    founded.close()
    connection = sqlite3.connect(money)
    connection.execute("UPDATE schema_version SET version_num = 'money_0099'")
    connection.commit()
    connection.close()
    before = money.read_bytes()
    with pytest.raises(DatabaseTooNewError):
        Treasury.open(money, log, PLAN, ManualClock())
    assert money.read_bytes() == before
