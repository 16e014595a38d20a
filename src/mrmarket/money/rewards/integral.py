"""The time-weighted share: an exact integer integral of shares × weight over a half-open window."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from math import gcd, lcm
from typing import Final, Protocol

import msgspec

from mrmarket.money.rewards.campaign import Span
from mrmarket.money.rewards.errors import ShareHistoryError

_LINES: Final = 8_192
"""How many lines are hashed at a time."""


class ShareChange(Protocol):
    """From `at_ms` on an account has so many shares, which count `weight_num / weight_den` times."""

    @property
    def at_ms(self) -> int:
        """UTC ms. A time at or before the window's start tells the opening balance."""
        ...

    @property
    def user(self) -> str:
        """Account id, such as `user:alice`."""
        ...

    @property
    def shares_after(self) -> int:
        """All the shares of the account, in base units."""
        ...

    @property
    def weight_num(self) -> int:
        """Numerator of the lock tier's weight."""
        ...

    @property
    def weight_den(self) -> int:
        """Its denominator."""
        ...


class Step(msgspec.Struct, frozen=True, gc=False):
    """A plain `ShareChange`; a million of them cost the collector nothing."""

    at_ms: int
    user: str
    shares_after: int
    weight_num: int = 1
    weight_den: int = 1


@dataclass(frozen=True, slots=True)
class Integrals:
    """What each account's shares come to over a window."""

    users: Sequence[str]
    """Accounts with anything at all, sorted."""
    values: Sequence[int]
    """∑ shares × weight × ms, times `scale`; the order is that of `users`."""
    scale: int
    """Least common multiple of the denominators of shares × weight, so that values are whole."""
    changes: int
    """How many opening balances and changes counted."""
    digest: bytes
    """SHA-256 of these, see `integrate`."""


def integrate(changes: Iterable[ShareChange], span: Span) -> Integrals:
    """Add up shares × weight × time for each account, without rounding anything.

    The order in which changes of different accounts come does not matter; of one account's changes in the
    same millisecond the last counts. What happens at or after the window's end is ignored.

    The digest is over the lines `open user shares num/den`, sorted by user, then `at_ms user shares num/den`,
    sorted by time and user; each ends in a line feed, UTF-8.

    Raises:
        ShareHistoryError: for negative shares or weights.
    """
    opening, later = _sorted_out(changes, span)
    users = sorted(opening)
    first = [opening[user] for user in users]
    numerators, denominators = _rates(first)
    later_numerators, later_denominators = _rates(later)
    scale = lcm(*set(denominators), *set(later_denominators))
    rates = _scaled(numerators, denominators, scale)
    digest = _digest(first, later)
    length = span.end_ms - span.start_ms
    values = [rate * length for rate in rates]
    if later:
        places = {user: place for place, user in enumerate(users)}
        for change, rate in zip(later, _scaled(later_numerators, later_denominators, scale), strict=True):
            place = places.setdefault(change.user, len(users))
            if place == len(users):
                users.append(change.user)
                rates.append(0)
                values.append(0)
            values[place] += (rate - rates[place]) * (span.end_ms - change.at_ms)
            rates[place] = rate
        if len(users) > len(first):
            order = sorted(range(len(users)), key=users.__getitem__)
            users, values = [users[place] for place in order], [values[place] for place in order]
    return Integrals(users, values, scale, len(first) + len(later), digest)


def _sorted_out(
    changes: Iterable[ShareChange], span: Span
) -> tuple[dict[str, ShareChange], list[ShareChange]]:
    """The balance that each account starts with, and the changes inside the window by time and user."""
    start_ms, end_ms = span.start_ms, span.end_ms
    opening: dict[str, ShareChange] = {}
    later: list[ShareChange] = []
    for change in changes:
        at_ms = change.at_ms
        if at_ms <= start_ms:
            known = opening.setdefault(change.user, change)
            if known.at_ms <= at_ms and known is not change:
                opening[change.user] = change
        elif at_ms < end_ms:
            later.append(change)
    later.sort(key=lambda change: (change.at_ms, change.user))
    return opening, later


def _rates(changes: Sequence[ShareChange]) -> tuple[list[int], list[int]]:
    """Shares × weight in lowest terms: a weight may be an average over many lots, with a huge denominator."""
    numerators: list[int] = []
    denominators: list[int] = []
    for change in changes:
        shares, weight, denominator = change.shares_after, change.weight_num, change.weight_den
        if shares < 0 or weight < 0 or denominator <= 0:
            reason = f"{shares} shares with weight {weight}/{denominator}"
            raise ShareHistoryError(change.user, change.at_ms, reason)
        rate = shares * weight
        if denominator != 1:
            shared = gcd(rate, denominator)
            rate //= shared
            denominator //= shared
        numerators.append(rate)
        denominators.append(denominator)
    return numerators, denominators


def _scaled(numerators: list[int], denominators: list[int], scale: int) -> list[int]:
    if scale == 1:
        return numerators
    return [
        numerator * (scale // denominator)
        for numerator, denominator in zip(numerators, denominators, strict=True)
    ]


def _digest(first: Sequence[ShareChange], later: Sequence[ShareChange]) -> bytes:
    digest = sha256()
    for begin in range(0, len(first), _LINES):
        # Spelled out twice: a call for each of a million lines would take as long as the integral.
        lines = [
            f"open {change.user} {change.shares_after} {change.weight_num}/{change.weight_den}\n"
            for change in first[begin : begin + _LINES]
        ]
        digest.update("".join(lines).encode())
    for begin in range(0, len(later), _LINES):
        lines = [
            f"{change.at_ms} {change.user} {change.shares_after} {change.weight_num}/{change.weight_den}\n"
            for change in later[begin : begin + _LINES]
        ]
        digest.update("".join(lines).encode())
    return digest.digest()
