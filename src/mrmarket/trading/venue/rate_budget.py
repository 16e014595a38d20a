"""How fast a venue may be asked: token buckets that learn from its answers.

A bucket holds `burst` tokens and refills at `rate`; over any window of W seconds it lets at most
`burst + rate * W` pass, which is kept at the venue's limit. What the venue says of our use (Binance's
`X-MBX-USED-WEIGHT-*` and `X-MBX-ORDER-COUNT-*`) can only lower the level, never raise it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol, runtime_checkable

from mrmarket.core.clock import NS_PER_S, Clock
from mrmarket.trading.venue.port import RateLimitedError

_BURST_SHARE: Final = 0.25
"""Of a limit, what may go at once; the rest refills over the window."""
_CANCEL_RESERVE: Final = 0.2
"""Of a bucket, what only cancels may use."""
_JUST_BELOW: Final = 1 - 1e-9
"""So that what a full bucket holds above its reserve can be taken in spite of rounding."""
_SLOWEST: Final = 1 / 16
_RECOVERY_NS: Final = 60 * NS_PER_S
"""After a 429 the pace doubles once per such a span without another."""
_DEFAULT_PAUSE_S: Final = 10.0
"""How long to pause after a 429 that does not say."""
_DEFAULT_BAN_S: Final = 120.0
"""Binance's shortest ban, for a 418 that does not say."""

_PLENTY: Final = 1_000.0
"""Requests at once where the venue has no limits."""

Sleep = Callable[[float], Awaitable[None]]


class RequestKind(StrEnum):
    """What a request is for; it decides what it may spend and how long it waits."""

    PLACE = "place"
    CANCEL = "cancel"
    READ = "read"


_MAX_WAIT_S: Final[Mapping[RequestKind, float]] = {
    # A quote that waits is a stale quote, so it is refused; a cancel is worth the wait.
    RequestKind.PLACE: 0.5,
    RequestKind.CANCEL: 5.0,
    RequestKind.READ: 30.0,
}


@dataclass(frozen=True, slots=True)
class RateLimit:
    """At most `limit` units in any `window_s` seconds."""

    name: str
    """`weight:60`, `orders:10`: what is counted, and the window."""
    limit: int
    window_s: int

    @property
    def counts_orders(self) -> bool:
        """Whether only placed orders count, and not every request's weight."""
        return self.name.startswith("orders")


class TokenBucket:
    """Tokens that refill with time; every operation is O(1) and none of them waits."""

    __slots__ = ("_at_ns", "_clock", "_tokens", "burst", "limit", "pace", "rate_per_ns")

    def __init__(self, limit: float, window_s: float, clock: Clock, *, burst: float | None = None) -> None:
        """`burst` is at most `limit`; without one it is a quarter of it, and at least 1."""
        self.limit = limit
        self.burst = max(limit * _BURST_SHARE, 1.0) if burst is None else burst
        self.rate_per_ns = max(limit - self.burst, limit * 0.05) / (window_s * NS_PER_S)
        self.pace = 1.0
        """What the refill is multiplied by; 429s halve it."""
        self._clock = clock
        self._tokens = self.burst
        self._at_ns = clock.monotonic_ns()

    def try_take(self, cost: float, floor: float = 0.0) -> bool:
        """Take `cost` tokens if `floor` remain afterwards."""
        return self.take_at(self._clock.monotonic_ns(), cost, floor)

    def take_at(self, now_ns: int, cost: float, floor: float) -> bool:
        """The same for who knows the time already."""
        tokens = self._tokens + (now_ns - self._at_ns) * self.rate_per_ns * self.pace
        if tokens > self.burst:  # noqa: PLR1730 - min() costs a call, and this is the hot path
            tokens = self.burst
        self._at_ns = now_ns
        if tokens - cost < floor:
            self._tokens = tokens
            return False
        self._tokens = tokens - cost
        return True

    def put_back(self, cost: float) -> None:
        """Return tokens that were taken for a request that was not sent."""
        self._tokens = min(self.burst, self._tokens + cost)

    def wait_s(self, cost: float, floor: float = 0.0) -> float:
        """Seconds until `try_take` would succeed; infinite where the bucket is too small for it."""
        if cost + floor > self.burst:
            return float("inf")
        missing = cost + floor - self.level
        return max(0.0, missing / (self.rate_per_ns * self.pace) / NS_PER_S)

    @property
    def level(self) -> float:
        """Tokens now."""
        elapsed_ns = self._clock.monotonic_ns() - self._at_ns
        return min(self.burst, self._tokens + elapsed_ns * self.rate_per_ns * self.pace)

    def observe_used(self, used: float) -> None:
        """The venue says we have used so much of its window: keep no more than what is left of it."""
        left = max(0.0, self.limit - used)
        level = self.level
        if left < level:
            self._tokens = left
            self._at_ns = self._clock.monotonic_ns()


_Share = tuple[TokenBucket, float, float]
"""A bucket, what must stay in it, and the most that a request's weight costs; 0 where each costs 1."""


class RateBudget:
    """The budget of one account on one venue: cancels first, reads last, a pause when told so.

    `acquire` waits a little and then raises `RateLimitedError`: the request was not sent, so it had
    no effect.
    """

    def __init__(
        self, venue: str, clock: Clock, limits: Sequence[RateLimit] = (), *, sleep: Sleep = asyncio.sleep
    ) -> None:
        self.venue = venue
        self.waits = 0
        """How many acquisitions had to wait."""
        self.refusals = 0
        """How many were refused."""
        self._clock = clock
        self._sleep = sleep
        self._weight: dict[str, TokenBucket] = {}
        self._orders: dict[str, TokenBucket] = {}
        self._paused_until_ns = 0
        self._banned = False
        self._pace = 1.0
        self._slowed_at_ns = 0
        self._cancels_waiting = 0
        self._plans: dict[RequestKind, tuple[_Share, ...]] = {}
        self.set_limits(limits)

    def set_limits(self, limits: Sequence[RateLimit]) -> None:
        """Take over what the venue publishes of its limits; full buckets to begin with."""
        if limits:
            self._weight = {}
            self._orders = {}
        for limit in limits:
            bucket = TokenBucket(limit.limit, limit.window_s, self._clock)
            bucket.pace = self._pace
            (self._orders if limit.counts_orders else self._weight)[limit.name] = bucket
        orders = tuple((bucket, 0.0, 0.0) for bucket in self._orders.values())
        # A request dearer than the bucket is deep takes all of it, or it could never be sent.
        kept = tuple(
            (bucket, bucket.burst * _CANCEL_RESERVE, bucket.burst * (1 - _CANCEL_RESERVE) * _JUST_BELOW)
            for bucket in self._weight.values()
        )
        free = tuple((bucket, 0.0, bucket.burst) for bucket in self._weight.values())
        self._plans = {
            RequestKind.PLACE: kept + orders,
            RequestKind.CANCEL: free,
            RequestKind.READ: kept,
        }

    @property
    def banned(self) -> bool:
        """Whether the venue has banned us for now."""
        return self._banned and self.pause_s > 0

    @property
    def pause_s(self) -> float:
        """Seconds for which the venue wants no request at all."""
        return max(0.0, (self._paused_until_ns - self._clock.monotonic_ns()) / NS_PER_S)

    @property
    def pace(self) -> float:
        """1 at full speed; halved by each 429."""
        return self._pace

    def levels(self) -> dict[str, float]:
        """Share of each bucket that is left, 0 to 1, by name."""
        return {name: bucket.level / bucket.burst for name, bucket in (self._weight | self._orders).items()}

    def room(self, kind: RequestKind, weight: float = 1.0) -> int:
        """How many requests could go now, one after the other, without any of them waiting."""
        if self.pause_s > 0 or (kind is not RequestKind.CANCEL and self._cancels_waiting):
            return 0
        fits = [
            (bucket.level - floor) / (_cost(weight, dearest) if dearest else 1.0)
            for bucket, floor, dearest in self._plans[kind]
        ]
        return max(0, int(min(fits, default=_PLENTY) + 1e-9))

    def try_acquire(self, kind: RequestKind, weight: float = 1.0) -> bool:
        """Take what a request costs if all of it is there and nobody asked for a pause."""
        if self._paused_until_ns and self.pause_s > 0:
            return False
        if self._pace < 1.0:
            self._recover()
        if kind is not RequestKind.CANCEL and self._cancels_waiting:
            return False
        now_ns = self._clock.monotonic_ns()
        for bucket, floor, dearest in self._plans[kind]:
            if not bucket.take_at(now_ns, _cost(weight, dearest) if dearest else 1.0, floor):
                self._put_back(kind, weight, bucket)
                return False
        return True

    def _put_back(self, kind: RequestKind, weight: float, short: TokenBucket) -> None:
        """What was taken from the buckets before the one that was short."""
        for bucket, _, dearest in self._plans[kind]:
            if bucket is short:
                return
            bucket.put_back(_cost(weight, dearest) if dearest else 1.0)

    async def acquire(self, kind: RequestKind, request: str, weight: float = 1.0) -> None:
        """Take what a request costs, waiting for it if that is short.

        Raises:
            RateLimitedError: during a ban, or if the wait would be longer than the kind is worth.
        """
        if self.try_acquire(kind, weight):
            return
        self.waits += 1
        if kind is RequestKind.CANCEL:
            self._cancels_waiting += 1
        deadline_ns = self._clock.monotonic_ns() + int(_MAX_WAIT_S[kind] * NS_PER_S)
        try:
            while True:
                wait_s = max(self._wait_s(kind, weight), 0.001)
                left_s = (deadline_ns - self._clock.monotonic_ns()) / NS_PER_S
                if self.banned or wait_s > left_s:
                    self.refusals += 1
                    detail = "banned for now" if self.banned else "our own rate budget is spent"
                    raise RateLimitedError(self.venue, request, detail, wait_s, banned=self.banned)
                await self._sleep(wait_s)
                if self.try_acquire(kind, weight):
                    return
        finally:
            if kind is RequestKind.CANCEL:
                self._cancels_waiting -= 1

    def slow_down(self, retry_after_s: float | None) -> float:
        """The venue answered 429: pause as long as it says and go on at half the pace."""
        self._slowed_at_ns = self._clock.monotonic_ns()
        self._set_pace(max(_SLOWEST, self._pace / 2))
        return self._pause(_DEFAULT_PAUSE_S if retry_after_s is None else retry_after_s)

    def ban(self, retry_after_s: float | None) -> float:
        """The venue answered 418: nothing may be sent until the ban is over."""
        self._banned = True
        self._slowed_at_ns = self._clock.monotonic_ns()
        self._set_pace(_SLOWEST)
        return self._pause(_DEFAULT_BAN_S if retry_after_s is None else retry_after_s)

    def observe_used(self, used: Mapping[str, float]) -> None:
        """What the venue says of our use, by limit name (`{"weight:60": 512.0}`)."""
        for name, value in used.items():
            bucket = self._weight.get(name) or self._orders.get(name)
            if bucket is not None:
                bucket.observe_used(value)

    def _wait_s(self, kind: RequestKind, weight: float) -> float:
        wait_s = self.pause_s
        for bucket, floor, dearest in self._plans[kind]:
            wait_s = max(wait_s, bucket.wait_s(_cost(weight, dearest) if dearest else 1.0, floor))
        return wait_s

    def _pause(self, seconds: float) -> float:
        until_ns = self._clock.monotonic_ns() + int(seconds * NS_PER_S)
        self._paused_until_ns = max(self._paused_until_ns, until_ns)
        return seconds

    def _recover(self) -> None:
        while self._pace < 1.0 and self._clock.monotonic_ns() - self._slowed_at_ns >= _RECOVERY_NS:
            self._slowed_at_ns += _RECOVERY_NS
            self._set_pace(min(1.0, self._pace * 2))
        self._banned = self._banned and self.pause_s > 0

    def _set_pace(self, pace: float) -> None:
        self._pace = pace
        for bucket in (*self._weight.values(), *self._orders.values()):
            bucket.pace = pace


def _cost(weight: float, dearest: float) -> float:
    return weight if weight < dearest else dearest  # noqa: FURB136 - min() costs a call, and this is the hot path


@runtime_checkable
class KeepsBudget(Protocol):
    """A venue that counts its requests."""

    budget: RateBudget
