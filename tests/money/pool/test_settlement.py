"""From facts to money: once each, in whatever order, however often, and through any crash."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from money import crash_child
from money.pool.conftest import TreasuryOpener
from money.pool_samples import PLAN, STREAM, balance, fill, mark, opening, trades
from mrmarket.core.clock import ManualClock
from mrmarket.core.events import Fact, Filled, RunStateChanged
from mrmarket.core.side import Side
from mrmarket.money.pool.audit import verify
from mrmarket.money.pool.errors import StreamBrokenError
from mrmarket.money.pool.plan import PoolPlan
from mrmarket.money.pool.treasury import Treasury
from mrmarket.money.pool.view import PoolFigures, SettlementReport
from mrmarket.store.event_log import LoggedFact, LogHead
from mrmarket.store.trading_store import TradingStore

ACCOUNTS = ("pool:main", "venue:sim", "fees:sim", "external:sim", "issuer:main", "user:alice", "user:carol")


def books(treasury: Treasury) -> dict[str, dict[str, str]]:
    """Every balance of the pool's world."""
    return {account: treasury.balances(account) for account in ACCOUNTS}


def held(figures: PoolFigures) -> dict[str, str]:
    """Amounts by asset."""
    return {holding.asset: holding.amount for holding in figures.holdings}


def test_the_founders_own_exactly_what_the_account_holds(log: TradingStore, treasury: Treasury) -> None:
    """Once all is seen and priced, deposits in kind sum to the venue's balances, split 50/30/20."""
    log.append_facts(STREAM, opening())
    assert treasury.settle().founded
    view = treasury.pool_view()
    assert held(view) == {"BTC": "10", "USDT": "1000000"}
    assert [(who.name, who.shares, who.share, who.value, who.earned) for who in view.depositors] == [
        ("alice", "800000", 0.5, "800000", "0"),
        ("bob", "480000", 0.3, "480000", "0"),
        ("carol", "320000", 0.2, "320000", "0"),
    ]
    assert (view.nav, view.shares, view.nav_per_share, view.pnl) == ("1600000", "1600000", "1", "0")
    assert [line.difference for line in treasury.reconciliation()] == ["0", "0"]


@pytest.mark.parametrize("missing", [0, 1, 2])
def test_nobody_founds_on_half_a_view(log: TradingStore, treasury: Treasury, missing: int) -> None:
    """Without one of the balances or the price the pool waits; when it comes, the pool is founded."""
    facts = opening()
    late = facts.pop(missing)
    log.append_facts(STREAM, facts)
    assert not treasury.settle().founded
    assert treasury.pool_view().shares == "0"
    log.append_facts(STREAM, [late])
    assert treasury.settle().founded


def test_the_pool_is_founded_once(log: TradingStore, open_treasury: TreasuryOpener) -> None:
    """Later balances, a restart and a second run of the same facts found nothing more."""
    log.append_facts(STREAM, opening())
    open_treasury().settle()
    log.append_facts(STREAM, [balance("BTC", "11"), balance("USDT", "7"), mark(9)])
    again = open_treasury().settle()
    assert (again.facts, again.founded) == (3, False)


def test_an_empty_account_founds_nothing(log: TradingStore, treasury: Treasury) -> None:
    """With zero balances there is nothing to own."""
    log.append_facts(STREAM, [balance("BTC", "0"), balance("USDT", "0"), mark(0)])
    assert not treasury.settle().founded


def test_a_pool_without_founders_waits_for_deposits(log: TradingStore, tmp_path: Path) -> None:
    """What the account holds belongs to nobody, and reconciliation shows it."""
    plan = PoolPlan(stream=STREAM, venue="sim", quote="USDT", founders=())
    treasury = Treasury.open(tmp_path / "other.db", log, plan, ManualClock())
    log.append_facts(STREAM, opening())
    assert not treasury.settle().founded
    assert [line.difference for line in treasury.reconciliation()] == ["10", "1000000"]
    treasury.close()


def test_odd_units_go_to_the_first_founder(log: TradingStore, treasury: Treasury) -> None:
    """The last unit of what cannot be divided is not lost."""
    log.append_facts(
        STREAM,
        [balance("BTC", "0.000000000000000001"), balance("USDT", "0.000000000000000011"), mark(0)],
    )
    treasury.settle()
    assert held(treasury.pool_view()) == {"BTC": "0.000000000000000001", "USDT": "0.000000000000000011"}
    assert treasury.verify().ok


def test_fills_settle_with_their_fees(log: TradingStore, treasury: Treasury) -> None:
    """Base, quote and fee move exactly; a rebate comes back; the pool's worth follows."""
    log.append_facts(STREAM, opening())
    log.append_facts(
        STREAM,
        [
            fill("t1", Side.BUY, "0.1", "5999", "0.5999"),
            fill("t2", Side.SELL, "0.05", "3000.55", "-0.1"),
            mark(2, "60010", "60020"),
        ],
    )
    report = treasury.settle()
    assert (report.facts, report.posted, report.parked, report.settled_through_seq) == (6, 2, 0, 6)
    view = treasury.pool_view()
    assert held(view) == {"BTC": "10.05", "USDT": "997001.0501"}
    assert (view.pnl, view.nav) == ("1.8001", "1600151.8001")
    assert (view.nav_low, view.nav_high) == ("1600101.5501", "1600202.0501")
    assert treasury.balances("fees:sim") == {"sim:USDT": "0.4999"}
    assert treasury.balances("venue:sim") == {"sim:BTC": "-0.05", "sim:USDT": "2998.45"}
    assert (view.settled_through_seq, view.log_head_seq, view.ledger_seq) == (6, 6, 9)


def test_a_fee_in_a_third_asset_is_paid_from_what_is_held(log: TradingStore, treasury: Treasury) -> None:
    """Fees in the venue's own coin leave the pool's holding of it; without a price it counts nothing."""
    log.append_facts(STREAM, [balance("BNB", "2"), *opening()])
    log.append_facts(STREAM, [fill("t1", fee="0.01", fee_asset="BNB")])
    assert treasury.settle().posted == 1
    view = treasury.pool_view()
    assert held(view)["BNB"] == "1.99"
    assert {holding.asset: holding.value for holding in view.holdings}["BNB"] == "0"


def test_the_reconciliation_names_the_difference(log: TradingStore, treasury: Treasury) -> None:
    """A balance that the books do not explain is shown to the last digit, by asset."""
    log.append_facts(STREAM, opening())
    log.append_facts(
        STREAM, [fill("t1"), balance("USDT", "993994"), balance("BTC", "10.09"), balance("ETH", "1")]
    )
    treasury.settle()
    lines = {
        line.asset: (line.observed, line.expected, line.difference) for line in treasury.reconciliation()
    }
    assert lines == {
        "BTC": ("10.09", "10.1", "-0.01"),
        "ETH": ("1", "0", "1"),
        "USDT": ("993994", "993994", "0"),
    }


def test_an_asset_that_the_venue_does_not_mention_has_no_difference(
    log: TradingStore, treasury: Treasury
) -> None:
    """Expected but never observed is said as such, not as zero."""
    log.append_facts(STREAM, opening())
    log.append_facts(STREAM, [fill("t1", fee="-0.5", fee_asset="BNB")])
    treasury.settle()
    (line,) = [line for line in treasury.reconciliation() if line.asset == "BNB"]
    assert (line.observed, line.expected, line.difference) == (None, "0.5", None)


def test_settling_again_changes_nothing(log: TradingStore, open_treasury: TreasuryOpener) -> None:
    """Without new facts there is nothing to do, also after a restart."""
    log.append_facts(STREAM, [*opening(), *trades(10)])
    treasury = open_treasury()
    treasury.settle()
    before = books(treasury)
    again = open_treasury()
    assert again.settle() == SettlementReport(
        0, 0, 0, 0, 0, founded=False, replayed=False, settled_through_seq=15
    )
    assert books(again) == before


def test_trades_known_before_the_founding_are_not_counted_twice(
    log: TradingStore, treasury: Treasury
) -> None:
    """Fills found before the first balances are in those balances: founding takes them out and posts them."""
    log.append_facts(STREAM, [fill("t1", Side.BUY, "0.1", "6000", "6")])
    report = treasury.settle()
    assert (report.posted, report.parked, treasury.pool_view().parked_fills) == (0, 1, 1)
    log.append_facts(STREAM, opening())
    assert treasury.settle().posted == 1
    view = treasury.pool_view()
    assert (held(view), view.parked_fills) == ({"BTC": "10", "USDT": "1000000"}, 0)
    assert treasury.balances("external:sim") == {"sim:BTC": "-9.9", "sim:USDT": "-1006006"}
    assert {line.difference for line in treasury.reconciliation()} == {"0"}


def test_fills_in_the_wrong_order_wait_for_each_other(log: TradingStore, treasury: Treasury) -> None:
    """A trade that would overdraw is parked, visible, and posted as soon as the earlier one arrives."""
    log.append_facts(STREAM, opening())
    log.append_facts(STREAM, [fill("late", Side.BUY, "20", "1200000", "0"), fill("small", size="0.1")])
    report = treasury.settle()
    assert (report.posted, report.parked, treasury.pool_view().parked_fills) == (1, 1, 1)
    log.append_facts(STREAM, [fill("early", Side.SELL, "5", "300000", "0")])
    assert treasury.settle().posted == 2
    view = treasury.pool_view()
    assert (held(view), view.parked_fills) == ({"BTC": "25.1", "USDT": "93994"}, 0)
    assert treasury.verify().ok


def test_a_trade_that_cannot_be_read_is_parked_with_the_reason(
    log: TradingStore, treasury: Treasury, money: Path
) -> None:
    """Nothing is rounded to fit, nothing is dropped, and the facts after it settle."""
    log.append_facts(STREAM, [fill("odd", size="0.0000000000000000001"), *opening(), fill("t1")])
    report = treasury.settle()
    assert (report.posted, report.parked, report.founded) == (1, 1, True)
    (row,) = sqlite3.connect(money).execute("SELECT code, reason FROM parked_fills").fetchall()
    assert row[0] == "invalid_input"
    assert "at most 18 digits" in row[1]


def test_observations_that_make_no_sense_are_counted_and_passed(
    log: TradingStore, treasury: Treasury
) -> None:
    """A crossed price, a negative balance and other venues' facts leave the last good view."""
    log.append_facts(STREAM, opening())
    log.append_facts(
        STREAM,
        [
            mark(1, "2", "1"),
            balance("USDT", "-5"),
            RunStateChanged(venue="sim", at_ns=1, symbol="BTC/USDT", state="running", reason=""),
            fill("elsewhere", venue="other"),
        ],
    )
    report = treasury.settle()
    assert (report.facts, report.ignored, report.posted) == (7, 2, 0)
    assert treasury.pool_view().nav == "1600000"


class HoleyLog:
    """An event log that lost its second fact."""

    def __init__(self, log: TradingStore) -> None:
        self._log = log

    def read_facts(self, stream: str, after_seq: int, limit: int) -> list[LoggedFact]:
        """Everything but the second fact."""
        return [row for row in self._log.read_facts(stream, after_seq, limit) if row.seq != 2]

    def head(self, stream: str) -> LogHead:
        """Where the stream ends."""
        return self._log.head(stream)


@pytest.mark.parametrize("longer", [True, False])
def test_a_cursor_that_does_not_match_replays_the_stream(
    tmp_path: Path, log: TradingStore, open_treasury: TreasuryOpener, *, longer: bool
) -> None:
    """A log that was rebuilt is read from its start; what is posted already is met and skipped."""
    day: list[Fact] = [*opening(), *trades(12)]
    log.append_facts(STREAM, day)
    first = open_treasury()
    first.settle()
    before, curve = books(first), first.equity()
    first.close()
    rebuilt = TradingStore.open(tmp_path / "rebuilt.db")
    rebuilt.append_facts(STREAM, [mark(0), *day] if longer else [*opening(), *trades(6)])
    treasury = Treasury.open(tmp_path / "money.db", rebuilt, PLAN, ManualClock())
    report = treasury.settle()
    assert (report.replayed, report.posted, report.repeated) == (True, 0, 12 if longer else 6)
    assert books(treasury) == before
    assert treasury.equity() == curve
    assert not treasury.settle().replayed
    assert treasury.verify().ok
    treasury.close()
    rebuilt.close()


def test_an_altered_fact_stops_settlement_before_it(
    tmp_path: Path, log: TradingStore, treasury: Treasury
) -> None:
    """The chain is checked fact by fact; what came before the break is settled, nothing after it."""
    log.append_facts(STREAM, [*opening(), fill("t1"), fill("t2"), fill("t3")])
    connection = sqlite3.connect(tmp_path / "trading.db")
    connection.execute("DROP TRIGGER events_never_update")
    altered = "CAST(replace(CAST(payload AS TEXT), '6000', '5000') AS BLOB)"
    connection.execute(f"UPDATE events SET payload = {altered} WHERE seq = 5")  # noqa: S608 - a constant
    connection.commit()
    connection.close()
    for _ in range(2):
        with pytest.raises(StreamBrokenError) as caught:
            treasury.settle()
        assert (caught.value.stream, caught.value.seq) == (STREAM, 5)
    assert treasury.pool_view().settled_through_seq == 4


def test_a_gap_in_the_facts_stops_settlement(log: TradingStore, tmp_path: Path) -> None:
    """A missing fact is never stepped over."""
    log.append_facts(STREAM, opening())
    treasury = Treasury.open(tmp_path / "money.db", HoleyLog(log), PLAN, ManualClock())
    with pytest.raises(StreamBrokenError, match="missing"):
        treasury.settle()
    treasury.close()


def test_the_same_trade_with_other_figures_is_parked_as_a_conflict(
    tmp_path: Path, log: TradingStore, treasury: Treasury
) -> None:
    """When a rebuilt log contradicts the ledger about a trade, the ledger stands and the trade is shown."""
    log.append_facts(STREAM, [*opening(), fill("t1")])
    treasury.settle()
    before = books(treasury)
    treasury.close()
    rebuilt = TradingStore.open(tmp_path / "rebuilt.db")
    rebuilt.append_facts(STREAM, [*opening(), fill("t1", quote_size="1")])
    again = Treasury.open(tmp_path / "money.db", rebuilt, PLAN, ManualClock())
    report = again.settle()
    assert (report.replayed, report.parked) == (True, 1)
    assert books(again) == before
    assert again.pool_view().parked_fills == 1
    again.close()
    rebuilt.close()


@settings(max_examples=15, deadline=None)
@given(cuts=st.lists(st.integers(1, 30), max_size=6), repeats=st.lists(st.integers(0, 19), max_size=10))
def test_however_it_is_cut_and_repeated_the_books_are_the_same(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[int], repeats: list[int]
) -> None:
    """Batches of any size, trades reported again, restarts in between: one result."""
    day: list[Fact] = [*opening(), *trades(20)]
    twice = {f"t{number}" for number in repeats}
    repeated = [fact for fact in trades(20) if isinstance(fact, Filled) and fact.trade_id in twice]
    assert run(tmp_path_factory.mktemp("cut"), day, repeated, cuts) == run(
        tmp_path_factory.mktemp("whole"), day, [], []
    )


def run(
    folder: Path, day: Sequence[Fact], repeated: Sequence[Fact], cuts: Sequence[int]
) -> dict[str, dict[str, str]]:
    """Settle a day in pieces, and give the books at the end."""
    log = TradingStore.open(folder / "trading.db")
    start = 0
    for end in [*sorted(cuts), len(day)]:
        log.append_facts(STREAM, day[start:end])
        treasury = Treasury.open(folder / "money.db", log, PLAN, ManualClock())
        treasury.settle()
        treasury.close()
        start = max(start, end)
    log.append_facts(STREAM, repeated)
    treasury = Treasury.open(folder / "money.db", log, PLAN, ManualClock())
    treasury.settle()
    result = books(treasury)
    assert treasury.verify().ok
    treasury.close()
    log.close()
    return result


@pytest.mark.parametrize("label", sorted(crash_child.LABELS))
@pytest.mark.parametrize("nth", [1, 2])
def test_a_killed_settlement_ends_at_the_same_books(tmp_path: Path, label: str, nth: int) -> None:
    """SIGKILL at any labelled point, then a restart: every trade once, the cursor with what it covers."""
    whole = run(tmp_path / "whole", [*opening(), *trades(1_200)], [], [])
    folder = tmp_path / "killed"
    log = TradingStore.open(folder / "trading.db")
    log.append_facts(STREAM, [*opening(), *trades(1_200)])
    done = subprocess.run(
        [sys.executable, crash_child.__file__, "settle", str(folder), label, str(nth)],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert verify(folder / "money.db").ok
    treasury = Treasury.open(folder / "money.db", log, PLAN, ManualClock())
    report = treasury.settle()
    assert (report.replayed, report.settled_through_seq) == (False, log.head(STREAM).seq)
    assert books(treasury) == whole
    treasury.close()
    log.close()
    assert verify(folder / "money.db").ok
