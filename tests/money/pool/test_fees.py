"""The owner's fees: exact, bounded, charged once, and never before they are due."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from money.pool.conftest import HouseBuilder
from money.pool.pool_house import ALICE, ONE, OTHER_WALLET, SHARE, PoolHouse, plan
from mrmarket.money.pool.errors import NoticeTooShortError
from mrmarket.money.pool.fees import (
    hurdle_price,
    management_shares,
    performance_fee,
    price_up,
    rate_integral,
)
from mrmarket.money.pool.rows import WithdrawalState
from mrmarket.money.pool.shares import VIRTUAL, value_of
from mrmarket.money.pool.terms import BPS, DAY_MS, YEAR_MS, Terms, TermsVersion

UNITS = st.integers(0, 10**30)
RATES = st.integers(0, 5_000)
FELIX = "user:felix"


def version(number: int, effective_ms: int, bps: int) -> TermsVersion:
    """Terms with a management fee."""
    return TermsVersion(number, effective_ms, Terms(management_fee_bps=bps))


@given(UNITS, RATES, st.lists(st.integers(0, YEAR_MS), min_size=1, max_size=8))
def test_cutting_a_window_changes_no_management_fee(base: int, bps: int, cuts: list[int]) -> None:
    """What is below one share unit is carried, so any number of windows charges what one does."""
    whole, rest = management_shares(base, bps * sum(cuts), 0)
    charged, carry = 0, 0
    for length in cuts:
        shares, carry = management_shares(base, bps * length, carry)
        charged += shares
    assert (charged, carry) == (whole, rest)


@given(UNITS, RATES)
def test_a_year_of_the_management_fee_is_its_rate(base: int, bps: int) -> None:
    """On constant shares a year mints that rate of them, to the unit."""
    shares, carry = management_shares(base, bps * YEAR_MS, 0)
    assert shares == base * bps // BPS
    assert carry == base * bps % BPS * YEAR_MS


def test_each_moment_is_charged_by_the_terms_in_effect() -> None:
    """A change in a window splits it; a version that is replaced before it begins never counts."""
    versions = [version(1, 0, 100), version(2, 1_000, 200), version(3, 5_000, 900), version(4, 4_000, 50)]
    assert rate_integral(versions, 0, 1_000) == 100 * 1_000
    assert rate_integral(versions, 500, 1_500) == 100 * 500 + 200 * 500
    assert rate_integral(versions, 3_000, 6_000) == 200 * 1_000 + 50 * 2_000
    assert rate_integral(versions, 7, 7) == 0


@given(st.integers(1, 10**30), UNITS, st.integers(1, 10**20), st.integers(1, 9_999))
def test_a_performance_fee_never_takes_more_than_its_part_of_the_gain(
    supply: int, nav: int, threshold: int, bps: int
) -> None:
    """No share falls below the threshold by the fee, which is at most the rate of the gain and a unit."""
    fee = performance_fee(supply, nav, threshold, bps)
    gain = Fraction(supply * (nav + VIRTUAL), supply + VIRTUAL) - Fraction(threshold * supply, SHARE)
    if gain <= 0:
        assert (fee.share_units, fee.value_units) == (0, 0)
        return
    assert fee.value_units <= gain * bps / BPS + 1
    assert value_of(fee.share_units, supply + fee.share_units, nav) <= fee.value_units
    after = Fraction(nav + VIRTUAL, supply + fee.share_units + VIRTUAL)
    assert after * SHARE >= threshold - 1 or fee.value_units <= 1


@given(st.integers(1, 10**30), UNITS)
def test_the_mark_after_a_fee_is_never_below_the_price(supply: int, nav: int) -> None:
    """Rounded up, so that the same gain cannot be charged twice."""
    assert price_up(supply, nav) * (supply + VIRTUAL) >= SHARE * (nav + VIRTUAL)
    assert performance_fee(supply, nav, price_up(supply, nav), 5_000).share_units == 0


def test_the_hurdle_grows_with_time_from_the_mark() -> None:
    """Ten percent a year on a mark of one, after half a year, rounded up."""
    assert hurdle_price(SHARE, 1_000, YEAR_MS // 2) == SHARE * 105 // 100
    assert hurdle_price(1, 1, 1) == 2


@pytest.fixture
def charging(build: HouseBuilder) -> PoolHouse:
    """A pool of 1,600,000 that charges 2 % a year and 20 % of gains."""
    house = build([plan(Terms(management_fee_bps=200, performance_fee_bps=2_000))])
    house.found()
    house.price("60000")
    house.treasury.desk.accrue_fees("main")
    return house


def test_the_management_fee_of_half_a_year(charging: PoolHouse) -> None:
    """It is shares, one for every hundred; who was there has as many as before and each is worth less."""
    charging.pass_time(YEAR_MS / 2_000)
    row = charging.treasury.desk.accrue_fees("main")
    assert row is not None
    assert charging.shares("owner:fees") == row.management_units == 16_000 * SHARE
    assert charging.shares(FELIX) == 1_600_000 * SHARE
    assert charging.treasury.pool_view().nav == "1600000"
    fees = charging.treasury.figures.owner_fees("main")
    assert (fees.shares, fees.management, fees.performance) == ("16000", "16000", "0")
    assert charging.faults() == []


def test_fees_are_charged_once_however_often_they_are_asked_for(charging: PoolHouse) -> None:
    """The same moment again charges nothing, and hourly windows charge what one window does."""
    for _ in range(24):
        charging.pass_time(3_600)
        charging.treasury.desk.accrue_fees("main")
        charging.treasury.desk.accrue_fees("main")
    assert charging.shares("owner:fees") == 1_600_000 * SHARE * 200 * DAY_MS // (BPS * YEAR_MS)


def test_the_performance_fee_is_charged_above_the_mark_only(charging: PoolHouse) -> None:
    """A rise pays once; a fall and a new rise to the same price pay nothing; a higher one pays the rest."""

    def owned_at(price: str) -> int:
        charging.pass_time(1)
        charging.price(price)
        charging.treasury.desk.accrue_fees("main")
        return charging.shares("owner:fees")

    first = owned_at("76000")
    value = float(charging.treasury.figures.owner_fees("main").value)
    assert value == pytest.approx(0.2 * 160_000, rel=1e-6)
    # Between them some seconds of the management fee, which is 0.001 shares each.
    assert owned_at("50000") - first < SHARE
    assert owned_at("76000") - first < SHARE
    assert owned_at("92000") - first > 10_000 * SHARE
    assert charging.faults() == []


def test_who_enters_pays_no_fee_on_what_others_gained(charging: PoolHouse) -> None:
    """The fee is settled before a newcomer's shares are minted: the price paid owes nothing."""
    row = charging.credit(1_000 * ONE)
    charging.pass_time(1)
    charging.price("76000")
    minted = charging.deposit(row.id)
    assert minted.share_units
    charging.treasury.desk.accrue_fees("main")
    assert float(charging.position().value) == pytest.approx(1_000, abs=0.01)


def test_no_fee_is_charged_on_a_stale_price(charging: PoolHouse) -> None:
    """Without a fresh price the management fee is charged alone; the gain is charged with the next price."""
    charging.write()
    charging.pass_time(120)
    row = charging.treasury.desk.accrue_fees("main")
    assert row is not None
    assert (row.performance_units, row.price_units) == (0, 0)
    charging.price("76000")
    row = charging.treasury.desk.accrue_fees("main")
    assert row is not None
    assert row.performance_units > 0


def test_gains_before_a_performance_fee_existed_are_free(build: HouseBuilder) -> None:
    """A fee that is introduced later is charged on what is gained later."""
    house = build([plan(Terms(management_fee_bps=1))])
    house.found()
    for price in ("60000", "90000"):
        house.price(price)
        house.treasury.desk.accrue_fees("main")
    house.treasury.desk.change_terms("main", Terms(performance_fee_bps=5_000))
    house.price("90001")
    row = house.treasury.desk.accrue_fees("main")
    assert row is not None
    house.price("90001.5")
    later = house.treasury.desk.accrue_fees("main")
    assert later is not None
    assert later.value_units < 10 * SHARE


def test_a_fall_before_a_performance_fee_existed_does_not_lower_the_mark(build: HouseBuilder) -> None:
    """Who was there at the top pays nothing for coming back to it, whenever the fee was introduced."""
    house = build([plan(Terms(management_fee_bps=1))])
    house.found()
    for price in ("90000", "60000"):
        house.price(price)
        house.treasury.desk.accrue_fees("main")
    house.treasury.desk.change_terms("main", Terms(performance_fee_bps=5_000))
    for price in ("60000", "89000"):
        house.price(price)
        row = house.treasury.desk.accrue_fees("main")
        assert row is not None
        assert row.performance_units == 0


def test_a_pool_without_fees_charges_nothing(house: PoolHouse) -> None:
    """No window, no posting, no owner's account."""
    house.pass_time(YEAR_MS / 1_000)
    house.price("90000")
    assert house.treasury.desk.accrue_fees("main") is None
    assert house.treasury.balances("owner:fees") == {}


def test_the_owner_redeems_fee_shares_like_everybody(charging: PoolHouse) -> None:
    """Burned low at the next price and paid through the outbox under the cause `fee`."""
    charging.enter(50_000 * ONE)
    charging.pass_time(YEAR_MS / 2_000)
    charging.treasury.desk.accrue_fees("main")
    row = charging.treasury.desk.withdraw_fees("main", OTHER_WALLET)
    charging.price("60000")
    charging.settle_down(3)
    done = charging.withdrawal(row.id)
    assert done.state is WithdrawalState.CONFIRMED
    assert charging.paid() == [(done.units, OTHER_WALLET)]
    assert float(done.units / ONE) == pytest.approx(16_500 / 1.01, rel=1e-3)
    assert charging.faults() == []


def test_terms_that_cost_more_need_notice(build: HouseBuilder) -> None:
    """A rise holds after the notice that was promised, a fall at once; nobody's agreed fee changes."""
    house = build([plan(Terms(notice_s=7 * 86_400, management_fee_bps=100))])
    house.found()
    desk = house.treasury.desk
    with pytest.raises(NoticeTooShortError):
        desk.change_terms("main", Terms(management_fee_bps=200), house.now_ms)
    risen = desk.change_terms("main", Terms(management_fee_bps=200, notice_s=1))
    assert (risen.version, risen.effective_ms) == (2, house.now_ms + 7 * DAY_MS)
    card = house.treasury.figures.card("main")
    assert (card.terms.version, [each.version for each in card.announced]) == (1, [2])
    house.pass_time(7 * 86_400)
    assert house.treasury.figures.card("main").terms.version == 2
    fallen = desk.change_terms("main", Terms(management_fee_bps=50))
    assert fallen.effective_ms == house.now_ms
    assert [each.version for each in house.treasury.figures.terms("main")] == [1, 2, 3]
    assert house.faults() == []


def test_direct_deposits_are_charged_for_too(charging: PoolHouse) -> None:
    """The owner's own way in settles the fees first."""
    charging.pass_time(YEAR_MS / 2_000)
    charging.price("60000")
    charging.treasury.deposit("alice", {"USDT": "1010"}, "k")
    assert charging.shares("owner:fees") > 15_999 * SHARE
    assert charging.shares(ALICE) > 1_010 * SHARE
    charging.treasury.withdraw("alice", "10", "k")
    assert charging.faults() == []
