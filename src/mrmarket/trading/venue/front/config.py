"""What a simulated venue is told before it starts."""

from __future__ import annotations

import msgspec

from mrmarket.core.errors import InvalidInputError
from mrmarket.trading.venue.front.faults import FaultConfig
from mrmarket.trading.venue.front.latency import LatencyConfig
from mrmarket.trading.venue.front.persistence import Fsync
from mrmarket.trading.venue.front.weights import Limits


class VenueConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything about one venue process."""

    host: str = "127.0.0.1"
    port: int = 0
    """0 picks a free one."""
    tapes: list[str] = msgspec.field(default_factory=list)
    """Files to replay, one pair each; none means the built-in market generator."""
    generator_seed: int = 7
    speed: float = 1.0
    """How many seconds of tape pass in one second."""
    loop: bool = True
    """Whether a tape starts again at its end; else the venue ends with the last tape."""
    compiled: bool = False
    """Whether the kernel runs through numba."""
    accounts: dict[str, dict[str, str]] = msgspec.field(default_factory=lambda: {"default": {}})
    """Opening balances by account and asset, decimal strings; an empty map is 10 of every base and
    1,000,000 of every quote."""
    maker_fee: str | None = None
    """Fraction instead of the instrument's own; negative is a rebate."""
    taker_fee: str | None = None
    limits: Limits = msgspec.field(default_factory=Limits)
    """At speed 1; a faster world gets more."""
    latency: LatencyConfig = msgspec.field(default_factory=LatencyConfig)
    faults: FaultConfig = msgspec.field(default_factory=FaultConfig)
    state_dir: str | None = None
    """Where keys and exchange state live; without one the venue forgets everything when it ends."""
    fsync: Fsync = "state"
    """`always` also survives a power cut, at the price of one disk sync per order."""
    exit_with_parent: bool = False
    """Whether the end of standard input ends the venue."""

    def __post_init__(self) -> None:
        if not 0 < self.speed <= 1_000:  # noqa: PLR2004 - said in words beside it
            raise InvalidInputError("speed", self.speed, "a factor above 0 and up to 1000")
        if not 0 <= self.port <= 65_535:  # noqa: PLR2004 - the largest port there is
            raise InvalidInputError("port", self.port, "0 for any free port, or 1 to 65535")
        if not self.accounts:
            raise InvalidInputError("accounts", {}, "at least one account")
