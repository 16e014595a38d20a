"""Request weights, order counts, 429 and 418."""

from __future__ import annotations

import pytest

from mrmarket.core.clock import NS_PER_S
from mrmarket.trading.venue.front.errors import DialectError
from mrmarket.trading.venue.front.weights import Limits, Meters, OrderMeter, WeightMeter

MINUTE_NS = 60 * NS_PER_S
START_NS = 1_000 * MINUTE_NS
LIMITS = Limits(request_weight_1m=100, orders_10s=2, orders_1d=3, strikes_before_ban=2, ban_s=90)


def refusal(meter: WeightMeter, weight: int, now_ns: int) -> DialectError:
    """What a charge is refused with."""
    with pytest.raises(DialectError) as caught:
        meter.charge(weight, now_ns)
    return caught.value


def test_weight_is_counted_by_the_minute() -> None:
    """The limit itself is allowed, one more is 429 until the minute is over; a refused call costs nothing."""
    meter = WeightMeter(LIMITS)
    meter.charge(100, START_NS + 30 * NS_PER_S)
    refused = refusal(meter, 1, START_NS + 31 * NS_PER_S)
    assert (refused.number, refused.status, refused.retry_after_s) == (-1003, 429, 29)
    assert meter.used == 100
    meter.charge(7, START_NS + MINUTE_NS)
    assert meter.used == 7


def test_who_goes_on_is_banned() -> None:
    """After the allowed strikes 429 becomes 418, for the ban's whole time."""
    meter = WeightMeter(LIMITS)
    meter.charge(100, START_NS)
    statuses = [refusal(meter, 1, START_NS + second * NS_PER_S).status for second in range(1, 5)]
    assert statuses == [429, 429, 418, 418]
    banned = refusal(meter, 1, START_NS + 63 * NS_PER_S)
    assert (banned.status, banned.retry_after_s) == (418, 30)
    meter.charge(1, START_NS + 93 * NS_PER_S)


def test_strikes_are_forgiven_with_the_minute() -> None:
    """A new minute starts with no strikes."""
    meter = WeightMeter(LIMITS)
    for minute in range(5):
        meter.charge(100, START_NS + minute * MINUTE_NS)
        assert refusal(meter, 1, START_NS + minute * MINUTE_NS + NS_PER_S).status == 429


def test_orders_are_counted_by_ten_seconds_and_by_day() -> None:
    """-1015 names the window that is spent."""
    meter = OrderMeter(LIMITS)
    for _ in range(2):
        meter.check(START_NS)
        meter.count()
    with pytest.raises(DialectError, match="2 orders per 10 SECOND") as short:
        meter.check(START_NS + NS_PER_S)
    assert (short.value.status, short.value.retry_after_s) == (429, 9)
    meter.check(START_NS + 10 * NS_PER_S)
    meter.count()
    with pytest.raises(DialectError, match="3 orders per 1 DAY"):
        meter.check(START_NS + 20 * NS_PER_S)
    ten_seconds, day = meter.report(START_NS + 20 * NS_PER_S)
    assert (ten_seconds.count, day.count) == (0, 3)


def test_a_faster_world_gets_more() -> None:
    """Limits grow with the speed and never shrink."""
    assert LIMITS.scaled(20).request_weight_1m == 2_000
    assert LIMITS.scaled(0.5) == LIMITS
    assert [limit.limit for limit in Meters(LIMITS, ["a"]).announced()] == [100, 2, 3]


def test_addresses_are_counted_apart() -> None:
    """One address's spending leaves another's allowance whole."""
    meters = Meters(LIMITS, ["alice"])
    meters.weight("1.1.1.1").charge(100, START_NS)
    meters.weight("2.2.2.2").charge(100, START_NS)
    assert meters.weight("1.1.1.1").report().count == 100
