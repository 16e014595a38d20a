"""How often anybody may ask, with a clock that the test moves."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrmarket.core.clock import ManualClock
from mrmarket.services.access import attempts, buckets
from mrmarket.services.access.attempts import Attempts
from mrmarket.services.access.buckets import Buckets, Rate, address_key
from mrmarket.services.access.errors import TooManyRequestsError
from mrmarket.services.access.settings import AccessSettings, Rates
from services.doors import Door, sign_in
from services.money_fake import FakeMoney

FEW = Rates(reads=Rate(1, 5), writes=Rate(0.5, 2), sign_ins=Rate(0.1, 3))


@pytest.fixture
def door() -> Door:
    """A door that lets nobody ask often."""
    return Door(AccessSettings(demo=True, open_desk=True, rates=FEW), FakeMoney())


def test_reads_are_counted_by_session_and_by_address(door: Door) -> None:
    """The sixth read at once is 429 with Retry-After; somebody signed in has a bucket of their own."""
    with door.client() as browser, door.client() as other:
        statuses = [browser.get("/api/v1/quotes").status_code for _ in range(6)]
        refused = browser.get("/api/v1/quotes")
        assert statuses == [200] * 5 + [429]
        assert refused.json() == {
            "code": "too_many_requests",
            "message": "too many requests; try again in 1 s",
            "retryable": True,
        }
        assert refused.headers["retry-after"] == "1"
        assert refused.headers["x-content-type-options"] == "nosniff"
        sign_in(other, "alice")
        assert other.get("/api/v1/quotes").status_code == 200
        door.wait(1)
        assert browser.get("/api/v1/quotes").status_code == 200
        assert browser.get("/api/v1/quotes").status_code == 429


def test_writes_have_a_bucket_of_their_own(door: Door) -> None:
    """Reads go on while writes wait."""
    with door.client() as browser:
        mine = sign_in(browser, "alice")
        codes = [browser.post("/api/v1/me/wallet/fund", headers=mine).status_code for _ in range(3)]
        assert codes == [200, 200, 429]
        assert browser.get("/api/v1/me/wallet").status_code == 200
        door.wait(2)
        assert browser.post("/api/v1/me/wallet/fund", headers=mine).status_code == 200


def test_sign_ins_are_counted_by_address_whoever_is_signed_in(door: Door) -> None:
    """A session does not make further guesses cheaper."""
    with door.client() as browser:
        codes = [browser.post("/api/v1/auth/demo", json={"name": "bob"}).status_code for _ in range(4)]
        assert codes == [200, 200, 200, 429]
        door.wait(10)
        assert browser.post("/api/v1/auth/admin", json={"password": "x"}).status_code == 401
        assert browser.post("/api/v1/auth/setup", json={"token": "x", "password": "y"}).status_code == 429


@given(
    rate=st.builds(Rate, per_s=st.floats(0.1, 1000), burst=st.integers(1, 50)),
    waits_ms=st.lists(st.integers(0, 3000), max_size=80),
)
def test_a_bucket_lets_through_its_burst_and_its_rate_and_no_more(rate: Rate, waits_ms: list[int]) -> None:
    """Over any time: at most the burst plus the rate times the time; who waits as told gets through."""
    clock = ManualClock()
    bucket = Buckets(clock, rate)
    through, elapsed_ms = 0, 0
    for wait_ms in waits_ms:
        clock.advance(wait_ms * 10**6)
        elapsed_ms += wait_ms
        with suppress(TooManyRequestsError):
            bucket.take("one")
            through += 1
    assert through <= rate.burst + elapsed_ms / 1000 * rate.per_s * 1.000_001 + 1
    while True:
        try:
            bucket.take("one")
        except TooManyRequestsError as refused:
            clock.advance(refused.retry_after_s * 10**9)
            bucket.take("one")
            break


def test_buckets_of_many_addresses_fill_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the limit full buckets go first, then the oldest."""
    monkeypatch.setattr(buckets, "_MAX_KEYS", 100)
    clock = ManualClock()
    bucket = Buckets(clock, Rate(1, 1))
    for number in range(1000):
        clock.advance(10**7)
        bucket.take(str(number))
    assert len(bucket._full_ns) <= 100
    with pytest.raises(TooManyRequestsError):
        bucket.take("999")


def test_failures_of_many_addresses_fill_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest failures are forgotten, the newest count."""
    monkeypatch.setattr(attempts, "_MAX_KEYS", 10)
    guesses = Attempts(ManualClock(), 900)
    for number in range(50):
        for _ in range(6):
            guesses.begin(str(number))
    guesses.require("0")
    with pytest.raises(TooManyRequestsError):
        guesses.require("49")


def test_an_hour_forgets_failures() -> None:
    """Somebody who mistyped yesterday starts anew today; the longest wait is what was asked for."""
    clock = ManualClock()
    guesses = Attempts(clock, 900)
    for _ in range(60):
        guesses.begin("me")
    with pytest.raises(TooManyRequestsError) as refused:
        guesses.require("me")
    assert refused.value.retry_after_s == 900
    clock.advance(3601 * 10**9)
    guesses.begin("me")
    guesses.require("me")


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:0db8:0001:0002::/64"),
        ("2001:db8:1:2::ffff", "2001:0db8:0001:0002::/64"),
        ("", ""),
    ],
)
def test_an_address_is_what_one_customer_has(address: str, key: str) -> None:
    """IPv6 is counted by /64, IPv4 in whatever clothes by itself."""
    assert address_key(address) == key
