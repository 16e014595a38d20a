"""Who had how many shares when: the basis of every division by shares and time."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from money.pool.conftest import HouseBuilder
from money.pool.pool_house import ALICE, BOB, ONE, SHARE, PoolHouse, plan
from mrmarket.money.pool.history import ShareChange, ShareHistory, changes
from mrmarket.money.pool.rows import EntryKind, EntryRow, LotRow
from mrmarket.money.pool.terms import DAY_MS, LockTier, Terms

TIERS = (
    LockTier(name="free", exit_fee_bps=0),
    LockTier(name="month", lock_days=30, weight_num=3, weight_den=2),
)


def entry(number: int, at_ms: int, account: str, lot: str, units: int) -> EntryRow:
    """One change."""
    return EntryRow("main", number, at_ms, account, lot, EntryKind.MINT, units, units, 0)


def lot(name: str, account: str, until_ms: int = 0, num: int = 1, den: int = 1) -> LotRow:
    """A lot, opened at 0."""
    return LotRow(name, "main", account, "t", 0, 0, 0, until_ms, num, den, 0)


def integral(found: list[ShareChange], user: str, start_ms: int, end_ms: int) -> Fraction:
    """Shares × weight × ms, by hand."""
    own = [change for change in found if change.user == user]
    total = Fraction(0)
    for place, change in enumerate(own):
        until = own[place + 1].at_ms if place + 1 < len(own) else end_ms
        span = max(0, until - max(change.at_ms, start_ms))
        total += Fraction(change.shares_after * change.weight_num, change.weight_den) * span
    return total


def test_a_window_opens_with_what_everybody_had() -> None:
    """Balances at the start come first; a change at the start counts, one at the end does not."""
    entries = [
        entry(1, 10, "user:a", "1", 100),
        entry(2, 20, "user:b", "2", 50),
        entry(3, 30, "user:a", "1", -40),
        entry(4, 40, "user:b", "2", -50),
    ]
    lots = [lot("1", "user:a"), lot("2", "user:b")]
    assert changes(entries, lots, 20, 40) == [
        ShareChange(20, "user:a", 100, 1, 1),
        ShareChange(20, "user:b", 50, 1, 1),
        ShareChange(30, "user:a", 60, 1, 1),
    ]
    assert changes(entries, lots, 40, 50)[-1] == ShareChange(40, "user:b", 0, 1, 1)
    assert changes(entries, lots, 50, 60) == [ShareChange(50, "user:a", 60, 1, 1)]


def test_weights_of_several_lots_are_averaged_exactly() -> None:
    """A third of the shares that count double and two thirds that count 3/2 count 5/3."""
    entries = [entry(1, 10, "user:a", "1", 100), entry(2, 10, "user:a", "2", 200)]
    lots = [lot("1", "user:a", 99, 2), lot("2", "user:a", 99, 3, 2)]
    assert changes(entries, lots, 10, 20)[-1] == ShareChange(10, "user:a", 300, 5, 3)


def test_a_lock_that_ends_is_a_change() -> None:
    """From then on its shares count once; at the very moment they do already."""
    entries = [entry(1, 10, "user:a", "1", 100)]
    lots = [lot("1", "user:a", 50, 3)]
    assert changes(entries, lots, 10, 100) == [
        ShareChange(10, "user:a", 100, 3, 1),
        ShareChange(50, "user:a", 100, 1, 1),
    ]
    assert changes(entries, lots, 50, 100)[-1] == ShareChange(50, "user:a", 100, 1, 1)
    assert changes(entries, lots, 10, 50) == [ShareChange(10, "user:a", 100, 3, 1)]


@given(
    st.lists(
        st.tuples(st.integers(0, 99), st.sampled_from("ab"), st.integers(0, 3), st.integers(1, 10**24)),
        max_size=12,
    ),
    st.integers(1, 99),
)
def test_two_windows_count_what_one_does(rows: list[tuple[int, str, int, int]], cut: int) -> None:
    """Wherever a window is cut, each user's integral is the sum of both parts."""
    lots = [
        lot(f"{user}{name}", f"user:{user}", 37 * name, name + 1, 2) for user in "ab" for name in range(4)
    ]
    entries = [
        entry(number, at_ms, f"user:{user}", f"{user}{name}", units)
        for number, (at_ms, user, name, units) in enumerate(sorted(rows), 1)
    ]
    for user in ("user:a", "user:b"):
        whole = integral(changes(entries, lots, 0, 100), user, 0, 100)
        first = integral(changes(entries, lots, 0, cut), user, 0, cut)
        second = integral(changes(entries, lots, cut, 100), user, cut, 100)
        assert whole == first + second


def test_the_books_tell_of_every_change(build: HouseBuilder) -> None:
    """Deposits, withdrawals and locks of real people; the owner's fee shares are not among them."""
    house = build([plan(Terms(tiers=TIERS, management_fee_bps=100))])
    house.found()
    house.price("60000")
    house.treasury.desk.accrue_fees("main")
    start_ms = house.now_ms
    house.pass_time(86_400)
    minted = house.enter(100 * ONE, tier="month")
    house.enter(100 * ONE, BOB)
    house.leave(30 * SHARE, BOB)
    house.price("60000")
    with house.treasury.reader.snapshot() as sql:
        found = ShareHistory().changes(sql, "main", start_ms, start_ms + 60 * DAY_MS)
    told = [(change.user, change.weight_num, change.weight_den) for change in found]
    assert told == [("user:felix", 1, 1), (ALICE, 3, 2), (BOB, 1, 1), (BOB, 1, 1), (ALICE, 1, 1)]
    assert found[0].at_ms == start_ms
    assert found[-1].at_ms == minted.locked_until_ms
    assert found[3].shares_after == house.shares(BOB)
    assert house.shares("owner:fees") > 0


def test_shares_from_before_the_history_are_adopted(house: PoolHouse, build: HouseBuilder) -> None:
    """Books of an older version get a lot and an entry for each holder when they are opened, once."""
    house.do(lambda draft: draft.sql.run("DELETE FROM share_entries"))
    house.do(lambda draft: draft.sql.run("DELETE FROM pool_lots"))
    again = build()
    position = again.position("user:felix")
    assert (position.shares, [each.tier for each in position.lots]) == ("1600000", ["founding"])
    build()
    assert build().faults() == []
