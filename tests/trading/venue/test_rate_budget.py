"""No venue is asked more often than it allows, and cancels always find room."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrmarket.core.clock import NS_PER_S, ManualClock
from mrmarket.trading.venue.port import RateLimitedError
from mrmarket.trading.venue.rate_budget import RateBudget, RateLimit, RequestKind, TokenBucket

PLACE, CANCEL, READ = RequestKind.PLACE, RequestKind.CANCEL, RequestKind.READ


class Sleeper:
    """Sleeps by moving the clock."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.slept_s: list[float] = []

    async def __call__(self, seconds: float) -> None:
        """Move the clock and let others run."""
        self.slept_s.append(seconds)
        self.clock.advance(int(seconds * NS_PER_S) + 1)
        await asyncio.sleep(0)


def budget(*limits: RateLimit) -> tuple[RateBudget, ManualClock, Sleeper]:
    """A budget on a clock of the test's own."""
    clock = ManualClock()
    sleeper = Sleeper(clock)
    return RateBudget("x", clock, limits, sleep=sleeper), clock, sleeper


@given(
    st.integers(1, 200),
    st.integers(1, 60),
    st.lists(st.tuples(st.integers(0, 5 * NS_PER_S), st.integers(1, 20)), max_size=200),
)
def test_no_window_ever_holds_more_than_the_limit(
    limit: int, window_s: int, requests: list[tuple[int, int]]
) -> None:
    """Whatever is asked and whenever, every span of the window's length stays within the limit."""
    clock = ManualClock()
    bucket = TokenBucket(limit, window_s, clock)
    passed: list[tuple[int, int]] = []
    for pause_ns, cost in requests:
        clock.advance(pause_ns)
        if bucket.try_take(cost):
            passed.append((clock.monotonic_ns(), cost))
    for start_ns, _ in passed:
        inside = [cost for at_ns, cost in passed if start_ns <= at_ns < start_ns + window_s * NS_PER_S]
        assert sum(inside) <= limit + 1e-6


def test_a_bucket_refills_with_time_and_no_further_than_its_burst() -> None:
    """A quarter of the limit goes at once, the rest over the window."""
    clock = ManualClock()
    bucket = TokenBucket(100, 10, clock)
    assert bucket.burst == 25
    assert bucket.try_take(25)
    assert not bucket.try_take(1)
    assert bucket.wait_s(7.5) == pytest.approx(1.0)
    clock.advance(NS_PER_S)
    assert bucket.level == pytest.approx(7.5)
    clock.advance(100 * NS_PER_S)
    assert bucket.level == 25
    assert bucket.wait_s(26) == float("inf")
    bucket.try_take(5)
    bucket.put_back(100)
    assert bucket.level == 25


def test_what_the_venue_counts_can_only_lower_the_level() -> None:
    """Another client of the same account has used more than we know; never less."""
    clock = ManualClock()
    bucket = TokenBucket(100, 10, clock)
    bucket.observe_used(90)
    assert bucket.level == 10
    bucket.observe_used(0)
    assert bucket.level == 10
    bucket.observe_used(500)
    assert bucket.level == 0


async def test_a_share_is_kept_for_cancels() -> None:
    """When quotes have spent their part, a cancel still goes at once and a quote is refused."""
    limits, _, sleeper = budget(RateLimit("weight:600", 100, 600))
    taken = 0
    while limits.try_acquire(PLACE):
        taken += 1
    assert taken == 20
    await limits.acquire(CANCEL, "cancel")
    assert sleeper.slept_s == []
    with pytest.raises(RateLimitedError) as refused:
        await limits.acquire(PLACE, "place mm-1")
    assert not refused.value.banned
    assert refused.value.retry_after_s > 0.5
    assert limits.refusals == 1


async def test_orders_count_only_where_orders_are_placed() -> None:
    """The order limit does not touch cancels and reads, and a failed try gives back what it took."""
    limits, _, _ = budget(RateLimit("weight:60", 1000, 60), RateLimit("orders:10", 4, 10))
    assert limits.try_acquire(PLACE)
    before = limits.levels()
    assert not limits.try_acquire(PLACE)
    assert limits.levels() == before
    assert limits.try_acquire(CANCEL)
    assert limits.try_acquire(READ)


async def test_a_cancel_waits_and_holds_everything_else_back() -> None:
    """While a cancel waits for tokens nothing else may take them."""
    limits, clock, _ = budget(RateLimit("weight:1", 4, 1))
    released = asyncio.Event()
    seen: list[bool] = []

    async def sleep(seconds: float) -> None:
        seen.append(limits.try_acquire(READ))
        clock.advance(int(seconds * NS_PER_S) + 1)
        released.set()

    limits = RateBudget("x", clock, [RateLimit("weight:1", 4, 1)], sleep=sleep)
    assert limits.try_acquire(CANCEL)
    await limits.acquire(CANCEL, "cancel")
    assert released.is_set()
    assert seen == [False]
    assert limits.waits == 1


async def test_a_read_waits_its_turn() -> None:
    """A read that finds no tokens sleeps until they are there."""
    limits, _, sleeper = budget(RateLimit("weight:10", 40, 10))
    while limits.try_acquire(READ):
        pass
    await limits.acquire(READ, "query")
    assert len(sleeper.slept_s) >= 1


async def test_a_request_dearer_than_the_bucket_takes_all_of_it() -> None:
    """A weight above the burst is not refused for ever."""
    limits, _, _ = budget(RateLimit("weight:60", 100, 60))
    assert limits.try_acquire(READ, 80)
    assert not limits.try_acquire(READ, 1)


async def test_a_429_pauses_halves_the_pace_and_recovers() -> None:
    """After the pause requests go at half the pace, and at the full one a minute later."""
    limits, clock, _ = budget(RateLimit("weight:60", 1000, 60))
    assert limits.slow_down(3) == 3
    assert not limits.try_acquire(CANCEL)
    clock.advance(4 * NS_PER_S)
    assert limits.try_acquire(PLACE)
    assert limits.pace == 0.5
    limits.slow_down(None)
    assert limits.pace == 0.25
    assert limits.pause_s == 10
    clock.advance(60 * NS_PER_S)
    assert limits.try_acquire(PLACE)
    assert limits.pace == 0.5
    clock.advance(60 * NS_PER_S)
    limits.try_acquire(PLACE)
    assert limits.pace == 1.0


async def test_a_ban_refuses_everything_at_once_until_it_is_over() -> None:
    """Nothing is sent during a ban, not even a cancel, and nobody waits for its end."""
    limits, clock, sleeper = budget(RateLimit("weight:60", 1000, 60))
    assert limits.ban(None) == 120
    with pytest.raises(RateLimitedError) as refused:
        await limits.acquire(CANCEL, "cancel")
    assert refused.value.banned
    assert sleeper.slept_s == []
    clock.advance(121 * NS_PER_S)
    assert not limits.banned
    assert limits.try_acquire(CANCEL)


async def test_a_short_pause_is_waited_for_by_a_cancel() -> None:
    """A cancel outlasts a pause of a few seconds."""
    limits, _, sleeper = budget(RateLimit("weight:60", 1000, 60))
    limits.slow_down(2)
    await limits.acquire(CANCEL, "cancel")
    assert sum(sleeper.slept_s) == pytest.approx(2, abs=0.01)


def test_published_limits_replace_the_guess_and_unknown_counts_are_ignored() -> None:
    """What the venue publishes counts from then on; a count of nothing we keep changes nothing."""
    limits, _, _ = budget(RateLimit("weight:10", 10, 10))
    limits.set_limits([])
    assert set(limits.levels()) == {"weight:10"}
    limits.set_limits([RateLimit("weight:60", 6000, 60), RateLimit("orders:10", 100, 10)])
    limits.observe_used({"weight:60": 5999.0, "orders:86400": 5.0, "orders:10": 99.0})
    levels = limits.levels()
    assert set(levels) == {"weight:60", "orders:10"}
    assert levels["weight:60"] < 0.001
    assert levels["orders:10"] == pytest.approx(1 / 25)


def test_room_is_what_could_go_now() -> None:
    """So many are granted and not one more; what is kept for cancels is not room for orders."""
    account, clock, _ = budget(RateLimit("weight:60", 100, 60), RateLimit("orders:10", 40, 10))
    assert (account.room(PLACE), account.room(PLACE, 3), account.room(CANCEL)) == (10, 6, 25)
    assert [account.try_acquire(PLACE) for _ in range(11)] == [True] * 10 + [False]
    assert account.room(PLACE) == 0
    account.slow_down(5)
    assert account.room(CANCEL) == 0
    clock.advance(60 * NS_PER_S)
    assert account.room(PLACE) == 10
    unlimited, _, _ = budget()
    assert unlimited.room(PLACE) > 100
