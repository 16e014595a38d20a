"""`[angel]`: what the watchdog does, and when."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import msgspec

from mrmarket.angel.sweep import Pace
from mrmarket.core.clock import NS_PER_MS, NS_PER_S

Seconds = Annotated[float, msgspec.Meta(ge=0, le=86_400)]
Plugin = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_]{0,39}$")]


class OnDatabaseLoss(StrEnum):
    """What a database that cannot be read means."""

    JUDGE = "judge"
    """Go by the HTTP heartbeat: act if that is silent too; without one only alert."""
    ACT = "act"
    """A database that is silent for the threshold counts as a dead engine."""
    WAIT = "wait"
    """Judge nobody until it can be read again."""
    ALERT = "alert"
    """As `wait`, and tell the owner."""


class SweepScope(StrEnum):
    """Whose orders are cancelled."""

    ACCOUNT = "account"
    """Every open order of the account, also one that a person placed by hand."""
    OURS = "ours"
    """Those whose client order id says that they are this instance's."""


class AngelSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[angel]`: the process that cancels every order when the engine falls silent."""

    enabled: bool = True
    """Whether `mrmarket run` starts one."""
    threshold_s: Annotated[float, msgspec.Meta(ge=1, le=3600)] = 5.0
    """How long an engine may be silent."""
    heir_patience_s: Annotated[float, msgspec.Meta(ge=0, le=3600)] = 8.0
    """How much longer it waits for another engine, where one lives, to take a dead engine's runs over."""
    poll_s: Annotated[float, msgspec.Meta(ge=0.05, le=60)] = 0.25
    """How often the signs of life are read."""
    fail_safe: Plugin = "cancel_all"
    """`cancel_all`, `flatten`, `alert_only`, or a plug-in's name."""
    scope: SweepScope = SweepScope.ACCOUNT
    recovery: Plugin = "automatic"
    """`automatic`: engines take the runs again; `manual`: after the owner's word; or a plug-in's name."""
    plugin_timeout_s: Annotated[float, msgspec.Meta(ge=0.1, le=600)] = 10.0
    """How long a plug-in may take before the default runs instead."""
    on_database_loss: OnDatabaseLoss = OnDatabaseLoss.JUDGE
    heartbeat_url: str = ""
    """`http://host:port/heartbeat` of the instance, where the database cannot be shared."""
    lease_ttl_s: Annotated[float, msgspec.Meta(ge=1, le=600)] = 10.0
    """For how long a seized lease is held at a time."""
    clock_skew_s: Annotated[float, msgspec.Meta(ge=0, le=60)] = 1.0
    """How far the clocks of engine, database, Angel and exchange may differ."""
    dead_man_s: Seconds = 0.0
    """Refresh the exchange's own dead man's switch, where it has one, at this length
    while engines live; 0: never."""
    allow_withdraw_key: bool = False
    """Whether to go on with a key that may withdraw."""
    key: str = ""
    """Name of a key of the key store that may query and cancel; empty: from the variables named below, and
    where those are empty too, the engine's own."""
    api_key_env: str = "MRMARKET_ANGEL_API_KEY"
    api_secret_env: str = "MRMARKET_ANGEL_API_SECRET"  # noqa: S105 - the name of a variable, not a secret
    api_password_env: str = "MRMARKET_ANGEL_API_PASSWORD"  # noqa: S105 - the same
    flatten_band_bps: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 50
    """`flatten` sells or buys no further than this from the touch."""
    flatten_max_quote: Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,15}(\.[0-9]{1,8})?$")] = "1000"
    """The most that `flatten` trades on a pair, in the quote."""
    flatten_key_env: str = "MRMARKET_FLATTEN_API_KEY"
    flatten_secret_env: str = "MRMARKET_FLATTEN_API_SECRET"  # noqa: S105 - the name of a variable, not a secret

    def __post_init__(self) -> None:
        if self.poll_s * 2 > self.threshold_s:
            raise ValueError(f"poll_s: at most half of threshold_s ({self.threshold_s:g})")
        if self.heartbeat_url and not self.heartbeat_url.startswith(("http://", "https://")):
            raise ValueError("heartbeat_url: give it with http:// or https://")

    @property
    def threshold_ns(self) -> int:
        """`threshold_s` in ns."""
        return int(self.threshold_s * NS_PER_S)

    @property
    def poll_ns(self) -> int:
        """`poll_s` in ns."""
        return int(self.poll_s * NS_PER_S)

    def pace(self, recv_window_ms: int, gone_after_s: float = 0.0) -> Pace:
        """How an intervention goes about it."""
        return Pace(
            recv_window_ns=recv_window_ms * NS_PER_MS,
            skew_ns=int(self.clock_skew_s * NS_PER_S),
            lease_ttl_ns=int(self.lease_ttl_s * NS_PER_S),
            gone_after_ns=int(gone_after_s * NS_PER_S),
        )
