"""Every valuation says which price it used: who told it, for which pair, and when."""

from __future__ import annotations

from money.pool.conftest import HouseBuilder
from money.pool.pool_house import ONE, PoolHouse, plan
from mrmarket.money.pool.stakes import StakeMemo, read_memo
from mrmarket.money.pool.terms import Terms
from mrmarket.money.pool.valuation import PriceSource


def memo(house: PoolHouse, key: str) -> str:
    """What is kept beside a group, inside the hash chain."""
    record = house.do(lambda draft: draft.record(key))
    assert record is not None
    return record.memo


def stake(house: PoolHouse, key: str) -> StakeMemo:
    """The memo of a founding, deposit or withdrawal."""
    found = read_memo(memo(house, key))
    assert found is not None
    return found


def test_founding_deposit_and_withdrawal_name_their_prices(house: PoolHouse) -> None:
    """The price of each is the venue's of that moment; the quote needs none."""
    founded_ms = house.now_ms
    deposit = house.enter(500 * ONE, at="61000")
    minted_ms = house.now_ms
    leaving = house.leave()
    house.price("60500", "60501")
    burned_ms = house.now_ms
    told = [
        stake(house, key)
        for key in ("found:main", f"mint:deposit:{deposit.id}", f"burn:withdrawal:{leaving.id}")
    ]
    assert [each.sources for each in told] == [
        {"BTC": f"simulated:BTC/USDT@{moment_ms}"} for moment_ms in (founded_ms, minted_ms, burned_ms)
    ]
    assert [each.marks["BTC"] for each in told] == [
        (str(bid * 10**18), str(ask * 10**18))
        for bid, ask in ((60_000, 60_000), (61_000, 61_000), (60_500, 60_501))
    ]


def test_a_fee_names_its_prices(build: HouseBuilder) -> None:
    """What the owner is minted was valued by somebody's price, and the ledger says by whose."""
    house = build([plan(Terms(management_fee_bps=5_000))])
    house.found()
    house.treasury.desk.accrue_fees("main")
    house.pass_time(86_400)
    house.price("61000")
    house.treasury.desk.accrue_fees("main")
    last = house.do(lambda draft: [key for (key,) in draft.sql.rows("SELECT key FROM groups")])
    fees = [memo(house, key) for key in last if str(key).startswith("fees:main")]
    assert fees
    assert f", BTC {61_000 * 10**18} {61_000 * 10**18} simulated:BTC/USDT@{house.now_ms}" in fees[-1]


def test_memos_of_earlier_books_are_read() -> None:
    """Groups that were posted before prices had sources verify as ever."""
    old = read_memo('{"pool":"main","cost":{"user:a":"5"},"marks":{"BTC":["1","2"]}}')
    assert old is not None
    assert (old.cost, old.sources) == ({"user:a": "5"}, {})


def test_a_source_is_written_as_one_word() -> None:
    """Who, what, when."""
    assert str(PriceSource("binance", "BTC/USDT", 1_700_000_000_123)) == "binance:BTC/USDT@1700000000123"
