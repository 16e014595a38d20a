"""Request weights, order counts, 429 and the ban that follows who does not listen.

Windows are aligned to the wall clock as on Binance. A world that runs `speed` times as fast gets
`speed` times the allowance, so that a tape played at ×20 meets the same limits per tape minute;
`exchangeInfo` announces the scaled figures.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

import msgspec

from mrmarket.core.clock import NS_PER_MS, NS_PER_S
from mrmarket.trading.venue.front import errors


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one address and one account may do; Binance's figures."""

    request_weight_1m: int = 6_000
    orders_10s: int = 100
    orders_1d: int = 200_000
    strikes_before_ban: int = 20
    """So many refused requests in one minute turn 429 into 418."""
    ban_s: int = 120

    def scaled(self, speed: float) -> Limits:
        """The allowance of a world that runs `speed` times as fast (never less than at ×1)."""
        factor = max(1.0, speed)
        return msgspec.structs.replace(
            self,
            request_weight_1m=int(self.request_weight_1m * factor),
            orders_10s=int(self.orders_10s * factor),
            orders_1d=int(self.orders_1d * factor),
        )


class RateLimit(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """One limit as `exchangeInfo` and WebSocket responses spell it."""

    rate_limit_type: str
    interval: str
    interval_num: int
    limit: int
    count: int | None = None


class Window:
    """A counter that starts again at every full interval of the clock."""

    __slots__ = ("_interval_ns", "_number", "count")

    def __init__(self, interval_s: int) -> None:
        self._interval_ns = interval_s * NS_PER_S
        self._number = -1
        self.count = 0

    def roll(self, now_ns: int) -> None:
        """Forget the count if a new interval has begun."""
        number = now_ns // self._interval_ns
        if number != self._number:
            self._number = number
            self.count = 0

    def seconds_left(self, now_ns: int) -> int:
        """Until the next interval, rounded up."""
        return math.ceil((self._interval_ns - now_ns % self._interval_ns) / NS_PER_S)


_MINUTE_S: Final = 60
_TEN_SECONDS: Final = 10
_DAY_S: Final = 86_400


class WeightMeter:
    """Counts the weight of one address."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._minute = Window(_MINUTE_S)
        self._strikes = 0
        self._banned_until_ns = 0

    @property
    def used(self) -> int:
        """Weight used in the current minute, as of the last charge."""
        return self._minute.count

    def charge(self, weight: int, now_ns: int) -> None:
        """Count a request; raises -1003 with 429, or 418 while banned. A refused one costs nothing."""
        if now_ns < self._banned_until_ns:
            raise self._ban(now_ns)
        before = self._minute.count
        self._minute.roll(now_ns)
        if self._minute.count < before:
            self._strikes = 0
        limit = self._limits.request_weight_1m
        if self._minute.count + weight > limit:
            self._strikes += 1
            if self._strikes > self._limits.strikes_before_ban:
                self._strikes = 0
                self._banned_until_ns = now_ns + self._limits.ban_s * NS_PER_S
                raise self._ban(now_ns)
            raise errors.too_much_weight(limit, self._minute.seconds_left(now_ns))
        self._minute.count += weight

    def report(self) -> RateLimit:
        """The state as a WebSocket response tells it."""
        return RateLimit(
            rate_limit_type="REQUEST_WEIGHT",
            interval="MINUTE",
            interval_num=1,
            limit=self._limits.request_weight_1m,
            count=self.used,
        )

    def _ban(self, now_ns: int) -> errors.DialectError:
        left_s = math.ceil((self._banned_until_ns - now_ns) / NS_PER_S)
        return errors.banned(self._banned_until_ns // NS_PER_MS, left_s)


class OrderMeter:
    """Counts the new orders of one account."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._ten_seconds = Window(_TEN_SECONDS)
        self._day = Window(_DAY_S)

    def check(self, now_ns: int) -> None:
        """Raise -1015 if one more order would be too many."""
        self._ten_seconds.roll(now_ns)
        self._day.roll(now_ns)
        for window, limit, text in (
            (self._ten_seconds, self._limits.orders_10s, "10 SECOND"),
            (self._day, self._limits.orders_1d, "1 DAY"),
        ):
            if window.count >= limit:
                raise errors.too_many_orders(limit, text, window.seconds_left(now_ns))

    def count(self) -> None:
        """An order was accepted."""
        self._ten_seconds.count += 1
        self._day.count += 1

    @property
    def used_10s(self) -> int:
        """Orders of the current ten seconds."""
        return self._ten_seconds.count

    @property
    def used_1d(self) -> int:
        """Orders of the current day."""
        return self._day.count

    def report(self, now_ns: int) -> list[RateLimit]:
        """The state as `rateLimit/order` and WebSocket responses tell it."""
        self._ten_seconds.roll(now_ns)
        self._day.roll(now_ns)
        return [
            RateLimit(
                rate_limit_type="ORDERS",
                interval="SECOND",
                interval_num=10,
                limit=self._limits.orders_10s,
                count=self.used_10s,
            ),
            RateLimit(
                rate_limit_type="ORDERS",
                interval="DAY",
                interval_num=1,
                limit=self._limits.orders_1d,
                count=self.used_1d,
            ),
        ]


class Meters:
    """The meters of every address and account."""

    def __init__(self, limits: Limits, accounts: Iterable[str]) -> None:
        self.limits = limits
        self._weights: dict[str, WeightMeter] = {}
        self._orders = {account: OrderMeter(limits) for account in accounts}

    def weight(self, address: str) -> WeightMeter:
        """The meter of an address."""
        meter = self._weights.get(address)
        if meter is None:
            meter = self._weights[address] = WeightMeter(self.limits)
        return meter

    def orders(self, account: str) -> OrderMeter:
        """The meter of an account."""
        return self._orders[account]

    def announced(self) -> list[RateLimit]:
        """The limits as `exchangeInfo` lists them."""
        return [
            RateLimit(
                rate_limit_type="REQUEST_WEIGHT",
                interval="MINUTE",
                interval_num=1,
                limit=self.limits.request_weight_1m,
            ),
            RateLimit(
                rate_limit_type="ORDERS", interval="SECOND", interval_num=10, limit=self.limits.orders_10s
            ),
            RateLimit(rate_limit_type="ORDERS", interval="DAY", interval_num=1, limit=self.limits.orders_1d),
        ]
