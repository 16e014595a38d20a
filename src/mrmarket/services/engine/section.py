"""`[engine]`, `[[runs]]` and `[[accounts]]` of the configuration."""

from __future__ import annotations

from typing import Annotated

import msgspec

from mrmarket.core.errors import InvalidInputError
from mrmarket.services.engine.timing import EngineTiming
from mrmarket.trading.strategy.parameters import Parameters
from mrmarket.trading.strategy.schema import StrategyParameters

Name = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]
MAIN_ACCOUNT = "default"


class EngineSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[engine]`: how engines share runs."""

    lease_s: Annotated[float, msgspec.Meta(ge=1, le=120)] = 6.0
    """After so long without a sign of life others take an engine's runs."""
    renew_s: Annotated[float, msgspec.Meta(ge=0.2, le=60)] = 2.0
    beat_s: Annotated[float, msgspec.Meta(ge=0.1, le=30)] = 1.0
    hand_over_at_once: Annotated[int, msgspec.Meta(ge=1, le=1_000)] = 4
    """Most runs that an engine hands over at the same time when another has fewer."""
    adopt_orders: bool = False
    """Whether a run that is handed over leaves its orders standing; its new engine adopts them. Else they
    are cancelled first."""

    def __post_init__(self) -> None:
        try:
            self.timing()
        except InvalidInputError as refused:
            raise ValueError(str(refused)) from None

    def timing(self) -> EngineTiming:
        """The periods that follow from it."""
        return EngineTiming(
            beat_s=self.beat_s,
            look_s=min(0.5, self.renew_s),
            lease_s=self.lease_s,
            renew_s=self.renew_s,
            dead_s=min(self.lease_s, 3 * self.beat_s),
            at_once=self.hand_over_at_once,
        )


class RunSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[[runs]]`: a further strategy run beside that of `[strategy]`, with its account's own money."""

    id: Name
    """Its name: its stream in the event log and its lease. Never to be given to another run."""
    account: Name
    """Which of the venue's accounts it trades on; not that of `[strategy]`, whose money is the pool's."""
    strategy: StrategyParameters = Parameters()
    """`[runs.strategy]`: as in `[strategy]`."""

    def __post_init__(self) -> None:
        if self.account == MAIN_ACCOUNT:
            # Only the stream of `[strategy]` is settled: trades of another there would be in no book.
            raise ValueError(
                f"run {self.id!r} would trade with the pool's money beside its books;"
                " give it an account of its own"
            )


class AccountSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[[accounts]]`: a further account at the venue, with a key of its own.

    The embedded exchange opens those that runs name, and needs none of these.
    """

    name: Name
    key: str = ""
    """Name of a stored exchange key; empty: from the environment."""
    api_key_env: str = ""
    api_secret_env: str = ""
    api_password_env: str = ""
    """Names of variables; empty: those of `[venue]`, with `_` and the account's name in upper case."""
