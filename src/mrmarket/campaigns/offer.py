"""What a partner offers: the terms of one campaign, as exact values that never change."""

from __future__ import annotations

import re
from decimal import Decimal
from enum import StrEnum
from typing import Final

import msgspec

from mrmarket.core.errors import InvalidInputError
from mrmarket.money.rewards.campaign import DAY_MS, Span

_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/@-]{0,63}", re.ASCII)
_MAX_DECIMALS: Final = 38
_PERCENT: Final = 100


class Measure(StrEnum):
    """What a campaign counts."""

    VOLUME = "volume"
    """Traded volume, each participant by their part."""
    RANKED_VOLUME = "ranked_volume"
    """Traded volume, paid by rank."""
    THRESHOLD_VOLUME = "threshold_volume"
    """Whether a volume was reached."""
    BALANCE = "balance"
    """A balance at the moment of the check, each participant by their part."""
    THRESHOLD_BALANCE = "threshold_balance"
    """Whether a balance was there at the moment of the check."""

    @property
    def is_traded(self) -> bool:
        """Whether orders can work towards it."""
        return self in {Measure.VOLUME, Measure.RANKED_VOLUME, Measure.THRESHOLD_VOLUME}


class RewardToken(msgspec.Struct, frozen=True):
    """What a campaign pays in."""

    chain_id: int
    address: str
    """Of the token's contract, lower case."""
    symbol: str
    decimals: int

    def __post_init__(self) -> None:
        if not 0 <= self.decimals <= _MAX_DECIMALS:
            raise InvalidInputError("decimals", self.decimals, f"a whole number from 0 to {_MAX_DECIMALS}")


class Offer(msgspec.Struct, frozen=True):
    """The terms of a campaign. Amounts of the fund are base units of its token; targets are decimal."""

    id: str
    """Ours: partner, chain and escrow; also the id of the reward campaign."""
    partner: str
    chain_id: int
    address: str
    """Of the escrow that pays, lower case."""
    measure: Measure
    exchange: str
    market: str
    """A pair such as `ETH/USDT`, or the symbol whose balance counts."""
    start_ms: int
    end_ms: int
    token: RewardToken
    fund_units: int
    """What the escrow can pay in all, after the oracles' fees."""
    target: Decimal
    """Volume or balance that a cycle wants of everybody (`daily_…`), or of each one (`minimum_…`)."""
    max_participants: int | None = None
    """Slots of the threshold measures; None for as many as come."""
    prizes: tuple[Decimal, ...] = ()
    """Percentages by rank, of `RANKED_VOLUME` only."""
    cycle_ms: int = DAY_MS

    def __post_init__(self) -> None:
        if not _ID.fullmatch(self.id):
            raise InvalidInputError("campaign", self.id, "1 to 64 letters, digits or ._/@-")
        if not 0 <= self.start_ms < self.end_ms or self.cycle_ms <= 0:
            raise InvalidInputError(
                "campaign", (self.start_ms, self.end_ms, self.cycle_ms), "a start before its end, and a cycle"
            )
        if self.fund_units < 0 or not self.target.is_finite() or self.target <= 0:
            raise InvalidInputError("target", str(self.target), "a positive target and a fund not below zero")
        if self.max_participants is not None and self.max_participants < 1:
            raise InvalidInputError("max_participants", self.max_participants, "a positive whole number")
        if bool(self.prizes) is not (self.measure is Measure.RANKED_VOLUME):
            raise InvalidInputError("prizes", self.prizes, "percentages by rank, for ranked volume only")
        if any(prize <= 0 for prize in self.prizes) or sum(self.prizes) > _PERCENT:
            raise InvalidInputError("prizes", self.prizes, "positive percentages that come to 100 at most")

    @property
    def cycles(self) -> int:
        """How many it has, counted from its own start; the last may be short and is worth as much."""
        return -((self.start_ms - self.end_ms) // self.cycle_ms)

    def cycle(self, number: int) -> Span:
        """When a cycle is, counted from 0. Raises `InvalidInputError` outside the campaign."""
        if not 0 <= number < self.cycles:
            raise InvalidInputError("cycle", number, f"a whole number from 0 to {self.cycles - 1}")
        start_ms = self.start_ms + number * self.cycle_ms
        return Span(start_ms, min(start_ms + self.cycle_ms, self.end_ms))

    def cycle_at(self, at_ms: int) -> int | None:
        """The cycle that a moment belongs to; None outside the campaign."""
        if not self.start_ms <= at_ms < self.end_ms:
            return None
        return (at_ms - self.start_ms) // self.cycle_ms


def campaign_id(partner: str, chain_id: int, address: str) -> str:
    """Our name for a partner's campaign."""
    return f"{partner}-{chain_id}-{address.lower()}"
