"""Who gets which part of a window's reward: one interface, two rules.

**LP share** is the rule for pooled books: people control how much they bring and for how long, and that is
what is measured. **Per fill** is for segregated books only, where a fill has an owner.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from math import gcd, lcm
from typing import Final, Protocol

from mrmarket.core.errors import InvalidInputError
from mrmarket.money.rewards.campaign import Campaign, Span
from mrmarket.money.rewards.errors import UnknownAttributionError
from mrmarket.money.rewards.integral import Integrals, ShareChange, integrate
from mrmarket.store.sql import Sql

Ratio = tuple[int, int]
"""An exact rational: numerator and positive denominator."""

ONE: Final[Ratio] = (1, 1)


class ShareHistory(Protocol):
    """Where shares come from; the pool answers out of its ledger."""

    def changes(self, sql: Sql, pool: str, start_ms: int, end_ms: int) -> Iterable[ShareChange]:
        """Balances at the start and every change before the end, an account's own in order.

        For a window that is over the answer never changes.
        """
        ...


class Multipliers(Protocol):
    """What multiplies an account's weight, such as loyalty."""

    def multipliers(self, sql: Sql, campaign: Campaign, span: Span) -> Mapping[str, Ratio]:
        """By account id, as of the window's end; whoever is absent counts once."""
        ...


class Eligibility(Protocol):
    """Who gets nothing, and why."""

    def excluded(self, sql: Sql, campaign: Campaign, span: Span) -> Mapping[str, str]:
        """A reason by account id."""
        ...


class NoMultipliers:
    """Everybody counts once."""

    def multipliers(self, sql: Sql, campaign: Campaign, span: Span) -> Mapping[str, Ratio]:  # noqa: ARG002 - the port's shape
        """Nothing special."""
        return {}


class Everybody:
    """Nobody is excluded."""

    def excluded(self, sql: Sql, campaign: Campaign, span: Span) -> Mapping[str, str]:  # noqa: ARG002 - the port's shape
        """Nobody."""
        return {}


@dataclass(frozen=True, slots=True)
class Judgement:
    """Inputs that the ledger does not hold; a run keeps them, so that it can be computed again."""

    multipliers: Mapping[str, Ratio] = field(default_factory=dict)
    excluded: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Weighing:
    """What every account weighs in a window."""

    users: Sequence[str]
    """Account ids, sorted."""
    integrals: Sequence[int]
    """What the rule measured, times `scale`."""
    scale: int
    weights: Sequence[int]
    """Integral × multiplier, times `weight_scale`; 0 for whoever is excluded."""
    weight_scale: int
    judgement: Judgement
    """The multipliers that are not one, and the exclusions."""
    changes: int
    """How many facts were measured."""
    digest: bytes
    """SHA-256 of them."""

    @property
    def total(self) -> int:
        """Sum of the weights."""
        return sum(self.weights)


class Attribution(Protocol):
    """A rule that measures what each account has done for a window."""

    @property
    def name(self) -> str:
        """How campaigns ask for it."""
        ...

    def measure(self, sql: Sql, pool: str, span: Span) -> Integrals:
        """Each account's measure over the window. Raises a `RewardsError` where the rule does not fit."""
        ...


class LpShare:
    """Shares × lock-tier weight × time: capital, and how long it stayed."""

    name = "lp_share"

    def __init__(self, history: ShareHistory) -> None:
        self._history = history

    def measure(self, sql: Sql, pool: str, span: Span) -> Integrals:
        """The integral of each account's shares. Raises `ShareHistoryError`."""
        return integrate(self._history.changes(sql, pool, span.start_ms, span.end_ms), span)


def chosen(attributions: Sequence[Attribution], name: str) -> Attribution:
    """The rule of that name. Raises `UnknownAttributionError`."""
    for attribution in attributions:
        if attribution.name == name:
            return attribution
    raise UnknownAttributionError(name, tuple(attribution.name for attribution in attributions))


def weigh(measured: Integrals, judgement: Judgement) -> Weighing:
    """Multiply, exclude, and bring everything to one denominator."""
    ratios = {user: _lowest(user, ratio) for user, ratio in judgement.multipliers.items()}
    ratios = {user: ratio for user, ratio in ratios.items() if ratio != ONE}
    weights: Sequence[int] = measured.values
    common = 1
    if ratios or judgement.excluded:
        present = [ratios[user] for user in measured.users if user in ratios]
        common = lcm(*(ratio[1] for ratio in present))
        weights = [
            0 if user in judgement.excluded else _times(value, ratios.get(user, ONE), common)
            for user, value in zip(measured.users, measured.values, strict=True)
        ]
    return Weighing(
        users=measured.users,
        integrals=measured.values,
        scale=measured.scale,
        weights=weights,
        weight_scale=measured.scale * common,
        judgement=Judgement(ratios, dict(judgement.excluded)),
        changes=measured.changes,
        digest=measured.digest,
    )


def judgement_digest(judgement: Judgement) -> bytes:
    """SHA-256 over `user × num/den` and `user – reason`, a line each, sorted by user."""
    digest = sha256()
    for user, (num, den) in sorted(judgement.multipliers.items()):
        digest.update(f"{user} × {num}/{den}\n".encode())
    for user, reason in sorted(judgement.excluded.items()):
        digest.update(f"{user} – {reason}\n".encode())
    return digest.digest()


def _times(value: int, ratio: Ratio, common: int) -> int:
    return value * ratio[0] * (common // ratio[1])


def _lowest(user: str, ratio: Ratio) -> Ratio:
    num, den = ratio
    if num < 0 or den <= 0:
        raise InvalidInputError("multiplier", f"{user}: {num}/{den}", "a rational that is not negative")
    shared = gcd(num, den)
    return (num // shared, den // shared)
