"""Positions in time: integrals, weeks, clamps and windows, worked out by hand."""

from __future__ import annotations

from array import array

import pytest

from money.loyalty.loyalty_samples import (
    ALICE,
    BOB,
    CURVE,
    DAYS,
    START_MS,
    UNISWAP,
    change,
    flat_prices,
    programme,
)
from mrmarket.core.errors import InvalidInputError, MrMarketError
from mrmarket.money.loyalty import columns
from mrmarket.money.loyalty.errors import AmountTooLargeError
from mrmarket.money.loyalty.event import LiquidityEvent
from mrmarket.money.loyalty.history import standings
from mrmarket.money.loyalty.position import token_value
from mrmarket.money.loyalty.programme import Programme, date_ms, moment_ms
from mrmarket.money.loyalty.standing import Standing
from mrmarket.money.loyalty.table import table_of
from mrmarket.money.loyalty.tiers import DAY_MS, WEEK_MS

USD = 10**6
WBTC_1 = 10**8
END_MS = START_MS + DAYS * DAY_MS


def one(*events: LiquidityEvent, rules: Programme | None = None, **usd: int) -> Standing:
    """The standing of the only provider, at prices that do not move."""
    rules = rules or programme()
    prices = flat_prices(
        len(rules.listed_days_ms) - 1,
        **({"wrapped_bitcoin": 50_000, "tbtc": 50_000, "ethereum": 2_000} | usd),
    )
    (standing,) = standings(events, rules, prices)
    return standing


def test_a_weight_is_value_times_time() -> None:
    """0.01 WBTC at 50,000 USD for the last ten days and six hours."""
    standing = one(change(ALICE, END_MS - 10 * DAY_MS - 6 * 3_600_000, [10**6, 0]))
    assert standing.integral == 500 * USD * (10 * DAY_MS + 6 * 3_600_000)


def test_the_window_is_half_open() -> None:
    """What was there before the start counts from it on, an event at it counts, one at the end does not."""
    whole = 50_000 * USD * DAYS * DAY_MS
    assert one(change(ALICE, START_MS - 40 * DAY_MS, [WBTC_1, 0])).integral == whole
    assert one(change(ALICE, START_MS, [WBTC_1, 0])).integral == whole
    assert one(change(ALICE, END_MS - 1, [WBTC_1, 0])).integral == 50_000 * USD
    assert not list(standings([change(ALICE, END_MS, [WBTC_1, 0])], programme(), {}))


def test_as_of_stops_time_and_keeps_the_event_of_that_moment() -> None:
    """Later events do not exist; the event at the moment itself is in the balance."""
    now_ms = START_MS + 10 * DAY_MS + 5_000
    rules = programme(as_of_ms=now_ms)
    standing = one(
        change(ALICE, START_MS, [WBTC_1, 0]),
        change(ALICE, now_ms, [WBTC_1, 0]),
        change(ALICE, now_ms + 1, [-2 * WBTC_1, 0]),
        rules=rules,
    )
    assert standing.integral == 50_000 * USD * (now_ms - START_MS)
    assert standing.balances["WBTC"] == 2 * WBTC_1
    assert len(standing.daily) == 11


def test_weeks_begin_anew_when_the_value_rises_again_to_the_minimum() -> None:
    """Down to 0.50 USD on day 20, up on day 30: the runs say it, and the weeks count from the last."""
    standing = one(
        change(ALICE, START_MS, [10**6, 0]),
        change(ALICE, START_MS + 20 * DAY_MS, [-999_000, 0]),
        change(ALICE, START_MS + 30 * DAY_MS, [10**6, 0]),
    )
    assert standing.runs == (
        (START_MS, START_MS + 20 * DAY_MS),
        (START_MS + 30 * DAY_MS, None),
    )
    assert standing.weeks(END_MS) == 7
    assert standing.weeks(END_MS + 2 * DAY_MS) == 8


@pytest.mark.parametrize(("units", "held"), [(2_000, True), (1_999, False)])
def test_the_minimum_itself_counts_as_held(units: int, held: bool) -> None:
    """Exactly 1 USD is held, a base unit less is not; on columns too."""
    events = [change(ALICE, START_MS, [units, 0])]
    standing = one(*events)
    assert (standing.since_ms is not None) is held
    prices = flat_prices(DAYS, wrapped_bitcoin=50_000, tbtc=50_000)
    assert next(columns.standings(table_of(events), programme(), prices)).runs == standing.runs


def test_a_fall_of_the_price_below_the_minimum_ends_the_weeks_too() -> None:
    """The minimum is a value, so prices can break it at midnight."""
    rules = programme(days=3)
    prices = flat_prices(3, wrapped_bitcoin=50_000, tbtc=1)
    prices["wrapped-bitcoin"][1] //= 2
    (standing,) = standings([change(ALICE, START_MS, [3_000, 0])], rules, prices)
    assert standing.runs == ((START_MS, START_MS + DAY_MS), (START_MS + 2 * DAY_MS, None))


def test_out_and_in_within_one_moment_breaks_nothing() -> None:
    """A vault that moves its range burns and mints in one transaction: no time passes between."""
    at_ms = START_MS + 9 * DAY_MS
    standing = one(
        change(ALICE, START_MS, [WBTC_1, 0]),
        change(ALICE, at_ms, [-WBTC_1, 0]),
        change(ALICE, at_ms, [WBTC_1, 0]),
    )
    assert standing.since_ms == START_MS
    assert standing.integral == 50_000 * USD * DAYS * DAY_MS


def test_a_position_left_in_the_other_token_is_worth_nothing() -> None:
    """In with tBTC, out with the same worth of ETH: the pool's sum is zero, not the token that is left."""
    standing = one(
        change(ALICE, START_MS, [10**18, 0], UNISWAP),
        change(ALICE, START_MS + DAY_MS, [0, -25 * 10**18], UNISWAP),
    )
    assert standing.integral == 50_000 * USD * DAY_MS
    assert standing.balances == {"tBTC": 10**18, "ETH": -25 * 10**18}


def test_a_pool_below_zero_takes_nothing_from_another() -> None:
    """The clamp is at the pool: what is missing in one cannot be owed by the other."""
    standing = one(
        change(ALICE, START_MS, [WBTC_1, 0]),
        change(ALICE, START_MS, [-(10**18), 0], UNISWAP),
    )
    assert standing.integrals == {CURVE.address: 50_000 * USD * DAYS * DAY_MS, UNISWAP.address: 0}


def test_values_are_rounded_down_for_each_token() -> None:
    """Down is towards less, below zero too: a debt is never rounded away."""
    assert token_value(1, 10**12 * 50_000, 8) == 500
    assert token_value(1, 10**12 * 50, 8) == 0
    assert token_value(-1, 10**12 * 50, 8) == -1


def test_bounds_of_the_threshold_model_are_followed_one_by_one() -> None:
    """Above 1,000 and 5,000 from day 3, above 10,000 only from day 9, above 20,000 never."""
    standing = one(
        change(ALICE, START_MS + 3 * DAY_MS, [WBTC_1 // 5, 0]),
        change(ALICE, START_MS + 9 * DAY_MS, [1, 0]),
    )
    third, ninth = START_MS + 3 * DAY_MS, START_MS + 9 * DAY_MS
    assert standing.above_since_ms == (third, third, ninth, None)


def test_the_daily_table_has_start_and_end() -> None:
    """Midnights from the start to the end, both included; nothing before the first event."""
    standing = one(change(ALICE, START_MS + DAY_MS + 1, [WBTC_1, 0]), rules=programme(days=3))
    assert standing.daily == array("q", [0, 0, 50_000 * USD, 50_000 * USD])


def test_providers_come_in_order_of_their_names() -> None:
    """Whatever the order of the events."""
    events = [change(BOB, START_MS, [1, 0]), change(ALICE, START_MS, [1, 0])]
    done: list[tuple[int, int]] = []
    found = standings(
        events,
        programme(),
        flat_prices(DAYS, wrapped_bitcoin=1, tbtc=1),
        progress=lambda *step: done.append(step),
    )
    assert [standing.provider for standing in found] == [ALICE, BOB]
    assert done == [(1, 2), (2, 2)]


def test_a_value_that_64_bits_cannot_hold_is_refused() -> None:
    """The sentence points at decimals and price."""
    with pytest.raises(AmountTooLargeError, match="decimals and price"):
        one(change(ALICE, START_MS, [10**26, 0]))


@pytest.mark.parametrize(
    ("rules", "code"),
    [
        ({"end_ms": START_MS}, "dates_out_of_order"),
        ({"end_ms": START_MS - DAY_MS}, "dates_out_of_order"),
        ({"as_of_ms": START_MS}, "dates_out_of_order"),
        ({"start_ms": START_MS + 1}, "invalid_input"),
        ({"end_ms": START_MS + 4_000 * DAY_MS}, "invalid_input"),
        ({"total_units": 0}, "invalid_input"),
        ({"min_micro_usd": 0}, "invalid_input"),
    ],
)
def test_a_programme_that_cannot_be_is_refused(rules: dict[str, int], code: str) -> None:
    """Dates in order and on days, a total and a minimum above zero."""
    wanted = {"start_ms": START_MS, "end_ms": END_MS, "total_units": 1} | rules
    with pytest.raises(MrMarketError) as refused:
        Programme(**wanted)
    assert refused.value.code == code


def test_dates_are_read_as_utc() -> None:
    """A date, a time with and without a zone, and milliseconds."""
    assert date_ms("2024-09-09", "start") == START_MS
    assert moment_ms("2024-09-09", "as-of") == START_MS
    assert moment_ms("2024-09-09T01:00:00+01:00", "as-of") == START_MS
    assert moment_ms("2024-09-09T00:00:00.250Z", "as-of") == START_MS + 250
    assert programme(days=70).duration_ms == 10 * WEEK_MS


@pytest.mark.parametrize("text", ["", "09.09.2024", "2024-9-9x", "2024-02-30", "1725840000"])
def test_other_dates_are_refused(text: str) -> None:
    """The option is named."""
    with pytest.raises(InvalidInputError, match="start"):
        date_ms(text, "start")


@pytest.mark.parametrize("text", ["", "yesterday", "2024-13-01"])
def test_other_times_are_refused(text: str) -> None:
    """The option is named."""
    with pytest.raises(InvalidInputError, match="as-of"):
        moment_ms(text, "as-of")
