"""From a campaign's terms to what is to be traded: the only place where the one becomes the other."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

import msgspec

from mrmarket.core.errors import InvalidInputError


class Limits(msgspec.Struct, frozen=True):
    """What the owner allows for the sake of campaigns. Money is in the market's quote asset."""

    max_spread_bps: int = 50
    """Quotes farther from the fair value make no volume."""
    min_spread_bps: int = 1
    max_inventory: Decimal = Decimal(1_000)
    """Largest position, valued in the quote asset."""
    max_cycle_volume: Decimal = Decimal(1_000_000)
    """Never work towards more than that in one cycle."""
    max_cost_share: Decimal = Decimal("0.8")
    """Of the expected reward; what remains is the least gain that is worth the trouble."""
    volume_share: Decimal = Decimal(1)
    """Of the cycle's target that we aim at; others bring the rest."""

    def __post_init__(self) -> None:
        if not 0 < self.min_spread_bps <= self.max_spread_bps:
            raise InvalidInputError("spread", self.max_spread_bps, "a smallest and a largest spread in bps")
        for name in ("max_inventory", "max_cycle_volume", "volume_share"):
            value: Decimal = getattr(self, name)
            if not value.is_finite() or value <= 0:
                raise InvalidInputError(name, str(value), "a positive decimal")
        if not 0 <= self.max_cost_share <= 1:
            raise InvalidInputError("max_cost_share", str(self.max_cost_share), "a decimal from 0 to 1")


class Pause(StrEnum):
    """Why a goal is not worked towards at the moment."""

    NONE = "none"
    NOT_STARTED = "not_started"
    TARGET_MET = "target_met"
    NOT_WORTH_IT = "not_worth_it"
    """What it would cost is more than the limits allow for what it would bring."""
    COST_CEILING = "cost_ceiling"
    """What it has cost in this cycle has come to the ceiling."""
    UNPRICED = "unpriced"
    """Nobody knows what the reward is worth; nothing is spent on it."""
    NOT_TRADED = "not_traded"
    """It counts balances; there is nothing to trade."""
    OVER = "over"


class ExecutionGoal(msgspec.Struct, frozen=True):
    """What the engine is asked for, for one cycle of one campaign. No user and no share is in it."""

    campaign: str
    cycle: int
    exchange: str
    account: str
    market: str
    start_ms: int
    end_ms: int
    volume: Decimal
    """To be traded in the cycle, in the quote asset; what is traded already counts."""
    min_spread_bps: int
    max_spread_bps: int
    max_inventory: Decimal
    cost_ceiling: Decimal
    """Fees and measured spread cost of the cycle, in the quote asset; at that, it stops."""
    pause: Pause
    reason: str
    """One sentence; empty while it runs."""

    @property
    def key(self) -> str:
        """Natural key: telling the engine twice is harmless."""
        return f"campaign:{self.campaign}:{self.cycle}"

    @property
    def runs(self) -> bool:
        """Whether the engine is to work towards it."""
        return self.pause is Pause.NONE


@dataclass(frozen=True, slots=True)
class Progress:
    """What is known of a running cycle. Money is in the quote asset."""

    volume: Decimal
    """Ours in this cycle, as the partner counts it, or as we do where it does not say."""
    total_volume: Decimal
    """Everybody's; not below ours."""
    cost: Decimal
    """Fees and measured spread cost so far; negative where making it earned money."""
    expected_reward_value: Decimal | None
    """Of the cycle, if its volume is made; None where no price is known."""
    expected_cost: Decimal
    """Of the volume that is still missing."""
    expected_units: int = 0
    """Of the cycle's reward, in base units of its token, if its volume is made."""
    price_source: str = ""
    """Who said what the reward is worth; empty where nobody did."""
