"""What a sandbox world is told before it starts."""

from __future__ import annotations

import msgspec

from mrmarket.core.errors import InvalidInputError
from mrmarket.services.access.demo import DEMO_WALLETS
from mrmarket.trading.venue.front.config import VenueConfig

DAY_S = 86_400
_MAX_SPEED = 100


class SandboxConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything about one world."""

    state_dir: str
    """Where it remembers everything; one process at a time."""
    speed: float = 4.0
    """World seconds in one second of the wall."""
    cycle_s: int = 60
    """How long a campaign's cycle lasts, in world seconds."""
    campaign_cycles: int = 20
    """How many of them a campaign has; the next campaign follows it."""
    volume_target: int = 5_000
    """Of the market-making campaign and a cycle, in the pair's quote asset."""
    fund: int = 4_000
    """Whole tokens in each campaign's escrow."""
    price_usd: str = "0.05"
    """What the chain's token is worth."""
    people: tuple[str, ...] = tuple(DEMO_WALLETS)
    """Who has a Mixin account in it: the demo's depositors."""
    block_ms: int = 500
    """Between two blocks, in wall time; none are made while nothing waits for one."""
    confirmations: int = 3
    """Blocks that follow a final one."""
    venue: VenueConfig | None = None
    """The exchange; left out: the built-in market with one account. Its folder, speed and end are the
    world's."""
    exit_with_parent: bool = False
    """Whether the end of standard input ends the world."""

    def __post_init__(self) -> None:
        if not 0 < self.speed <= _MAX_SPEED:
            raise InvalidInputError("speed", self.speed, f"a factor above 0 and up to {_MAX_SPEED}")
        if not 1 <= self.cycle_s <= DAY_S:
            raise InvalidInputError("cycle_s", self.cycle_s, f"1 to {DAY_S} world seconds")
        if min(self.campaign_cycles, self.volume_target, self.fund, self.block_ms, self.confirmations) < 1:
            raise InvalidInputError("sandbox", "0", "counts and amounts of at least 1")
