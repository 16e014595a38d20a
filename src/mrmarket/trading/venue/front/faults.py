"""Faults on purpose: which request or message goes wrong, decided purely from rules and a seed."""

from __future__ import annotations

import random
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Final

import msgspec

from mrmarket.core.clock import NS_PER_MS, NS_PER_S
from mrmarket.core.errors import InvalidInputError


class FaultKind(StrEnum):
    """What can go wrong."""

    DROP = "drop"
    """A WebSocket message never leaves; on a depth stream this is a sequence gap."""
    DUPLICATE = "duplicate"
    """A WebSocket message is sent twice."""
    REORDER = "reorder"
    """A WebSocket message changes places with the next one."""
    DELAY = "delay"
    """A WebSocket message or a response comes `delay_ms` late."""
    DISCONNECT = "disconnect"
    """The WebSocket is cut instead of sending the message."""
    TIMEOUT_BEFORE = "timeout_before"
    """The request has no effect and no answer."""
    TIMEOUT_AFTER = "timeout_after"
    """The request has its effect and no answer."""
    SERVER_ERROR = "server_error"
    """503 with -1008; the request has no effect."""
    SERVER_ERROR_AFTER = "server_error_after"
    """504 with -1007, execution status unknown; the request has its effect."""
    TOO_MANY_REQUESTS = "too_many_requests"
    """429 with Retry-After."""
    BAN = "ban"
    """418 with Retry-After."""
    CLOCK_SKEW = "clock_skew"
    """The server's clock, as clients see it, is `delay_ms` ahead (negative: behind)."""


MESSAGE_KINDS: Final = frozenset(
    {FaultKind.DROP, FaultKind.DUPLICATE, FaultKind.REORDER, FaultKind.DELAY, FaultKind.DISCONNECT}
)
REQUEST_KINDS: Final = frozenset(FaultKind) - MESSAGE_KINDS - {FaultKind.CLOCK_SKEW} | {FaultKind.DELAY}


class FaultRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One thing that goes wrong, where, how often and when."""

    kind: FaultKind
    rate: float = 1.0
    """Share of matching requests or messages, 0 to 1."""
    match: str = "*"
    """Shell pattern: `POST /api/v3/order`, `WS order.*`, `btcusdt@depth*`, `user:executionReport`."""
    from_s: float = 0.0
    """Seconds after the rules were set."""
    until_s: float | None = None
    """Seconds after the rules were set; None is for ever."""
    times: int | None = None
    """How often at most; None is without end."""
    delay_ms: int = 100
    """For DELAY and CLOCK_SKEW."""
    retry_after_s: int = 1
    """For 429 and 418."""

    def __post_init__(self) -> None:
        if not 0 <= self.rate <= 1:
            raise InvalidInputError("fault rate", self.rate, "a share from 0 to 1")


class FaultConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The rules and the seed that makes their choices repeatable."""

    rules: list[FaultRule] = msgspec.field(default_factory=list)
    seed: int = 1


class FaultReport(msgspec.Struct, frozen=True, kw_only=True):
    """The rules in force, and how often each has struck."""

    rules: list[FaultRule]
    seed: int
    struck: list[int]
    """In the order of the rules; always 0 for CLOCK_SKEW, which strikes all the time."""


class Faults:
    """Decides, one request or message at a time. The first rule that strikes wins."""

    def __init__(self, config: FaultConfig, now_ns: int) -> None:
        self.reset(config, now_ns)

    def reset(self, config: FaultConfig, now_ns: int) -> None:
        """Take new rules; their windows count from now."""
        self.config = config
        # Reproducible, not secret: the same seed must give the same faults.
        self._rng = random.Random(config.seed)  # noqa: S311
        self._start_ns = now_ns
        self._left = [rule.times for rule in config.rules]
        self._struck = [0] * len(config.rules)

    def report(self) -> FaultReport:
        """The rules in force, and how often each has struck."""
        return FaultReport(rules=self.config.rules, seed=self.config.seed, struck=list(self._struck))

    def request(self, name: str, now_ns: int) -> FaultRule | None:
        """What happens to a request called `POST /api/v3/order` or `WS order.place`."""
        return self._strike(REQUEST_KINDS, name, now_ns)

    def message(self, name: str, now_ns: int) -> FaultRule | None:
        """What happens to a message of a stream."""
        return self._strike(MESSAGE_KINDS, name, now_ns)

    def skew_ns(self, now_ns: int) -> int:
        """How far the clock that clients see is ahead."""
        for rule in self.config.rules:
            if rule.kind is FaultKind.CLOCK_SKEW and self._in_window(rule, now_ns):
                return rule.delay_ms * NS_PER_MS
        return 0

    def _strike(self, kinds: frozenset[FaultKind], name: str, now_ns: int) -> FaultRule | None:
        for index, rule in enumerate(self.config.rules):
            left = self._left[index]
            if (
                rule.kind in kinds
                and left != 0
                and fnmatchcase(name, rule.match)
                and self._in_window(rule, now_ns)
                and self._rng.random() < rule.rate
            ):
                if left is not None:
                    self._left[index] = left - 1
                self._struck[index] += 1
                return rule
        return None

    def _in_window(self, rule: FaultRule, now_ns: int) -> bool:
        age_s = (now_ns - self._start_ns) / NS_PER_S
        return rule.from_s <= age_s and (rule.until_s is None or age_s < rule.until_s)
