"""What a depositor agrees to: fees, limits, and what a promise to stay is worth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Self

import msgspec

from mrmarket.core.decimals import parse_units
from mrmarket.core.errors import InvalidInputError
from mrmarket.money.pool.errors import UnknownTierError

BPS: Final = 10_000
DAY_MS: Final = 86_400_000
YEAR_MS: Final = 365 * DAY_MS
EXIT_REFUSED: Final = -1
"""In place of an exit fee: who promised to stay cannot leave early."""

_DECIMALS: Final = 18
_MAX_DAYS: Final = 3_650
_MAX_WEIGHT: Final = 1_000_000


def _whole(name: str, value: int, least: int, most: int) -> None:
    if type(value) is not int or not least <= value <= most:
        raise InvalidInputError(name, value, f"a whole number from {least} to {most}")


class LockTier(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A promise to stay, and what it weighs while it lasts."""

    name: str
    lock_days: int = 0
    weight_num: int = 1
    """Active risk weight: shares times `weight_num / weight_den` where rewards are divided."""
    weight_den: int = 1
    exit_fee_bps: int = EXIT_REFUSED
    """Charged on the value of shares that leave before the lock ends, and left to those who stay. -1: they
    cannot leave before."""

    def __post_init__(self) -> None:
        if not self.name or len(self.name) > 40 or not self.name.isprintable():  # noqa: PLR2004 - a name, not a text
            raise InvalidInputError("tier", self.name, "a printable name of at most 40 characters")
        _whole("lock_days", self.lock_days, 0, _MAX_DAYS)
        _whole("weight_num", self.weight_num, 0, _MAX_WEIGHT)
        _whole("weight_den", self.weight_den, 1, _MAX_WEIGHT)
        _whole("exit_fee_bps", self.exit_fee_bps, EXIT_REFUSED, BPS - 1)

    @property
    def refuses_exit(self) -> bool:
        """Whether shares cannot leave before the lock ends at all."""
        return self.exit_fee_bps == EXIT_REFUSED

    def locked_until_ms(self, start_ms: int) -> int:
        """End of a promise that begins at `start_ms`; the start itself where nothing is promised."""
        return start_ms + self.lock_days * DAY_MS


FLEXIBLE: Final = LockTier(name="flexible", exit_fee_bps=0)


class Terms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One version of a pool's terms. Amounts are decimal strings in the pool's quote."""

    minimum_deposit: str = "0"
    capacity: str | None = None
    """Most that the pool may be worth when somebody comes in; null for no limit."""
    permissioned: bool = False
    """Only members may come in."""
    deposit_fee_bps: int = 0
    management_fee_bps: int = 0
    """A year, on everybody's shares."""
    performance_fee_bps: int = 0
    """Of what a share gains above its high-water mark."""
    hurdle_bps: int = 0
    """A year: what the high-water mark rises by before a performance fee is due."""
    redeem_period_s: int = 0
    """From the request to leave until the shares may be burned."""
    notice_s: int = 0
    """From the announcement of terms that cost depositors more until they hold."""
    tiers: tuple[LockTier, ...] = (FLEXIBLE,)

    def __post_init__(self) -> None:
        _ = (self.minimum_units, self.capacity_units)
        for name in ("deposit_fee_bps", "performance_fee_bps", "management_fee_bps", "hurdle_bps"):
            _whole(name, getattr(self, name), 0, BPS - 1)
        _whole("redeem_period_s", self.redeem_period_s, 0, _MAX_DAYS * DAY_MS // 1_000)
        _whole("notice_s", self.notice_s, 0, _MAX_DAYS * DAY_MS // 1_000)
        if not self.tiers or len({tier.name for tier in self.tiers}) != len(self.tiers):
            raise InvalidInputError(
                "tiers", [tier.name for tier in self.tiers], "at least one tier, each name once"
            )

    @property
    def minimum_units(self) -> int:
        """Least value of a deposit, in quote units."""
        return parse_units(self.minimum_deposit, _DECIMALS, field="minimum_deposit")

    @property
    def capacity_units(self) -> int | None:
        """Most that the pool may be worth, in quote units."""
        return None if self.capacity is None else parse_units(self.capacity, _DECIMALS, field="capacity")

    def tier(self, name: str) -> LockTier:
        """A tier by name; the first for an empty one.

        Raises:
            UnknownTierError: if there is none of that name.
        """
        if not name:
            return self.tiers[0]
        for tier in self.tiers:
            if tier.name == name:
                return tier
        raise UnknownTierError(name, [tier.name for tier in self.tiers])

    def costs_more_than(self, older: Terms) -> bool:
        """Whether somebody who is in already would pay more, or wait longer, than before."""
        return any(
            getattr(self, name) > getattr(older, name)
            for name in ("management_fee_bps", "performance_fee_bps", "redeem_period_s")
        ) or (self.hurdle_bps < older.hurdle_bps and self.performance_fee_bps > 0)

    def encode(self) -> str:
        """Canonical JSON."""
        return msgspec.json.encode(self, order="deterministic").decode()

    @classmethod
    def decode(cls, document: str) -> Self:
        """Read what `encode` wrote."""
        return msgspec.json.decode(document, type=cls)


class TermsVersion(msgspec.Struct, frozen=True):
    """Terms with their number and the time from which they hold."""

    version: int
    effective_ms: int
    terms: Terms


def version_at(versions: Sequence[TermsVersion], at_ms: int) -> TermsVersion:
    """What holds at a time: the newest version that is in effect. The first always is.

    Args:
        versions: every version, in order.
        at_ms: UTC milliseconds.
    """
    in_effect = [version for version in versions if version.effective_ms <= at_ms]
    return in_effect[-1] if in_effect else versions[0]
