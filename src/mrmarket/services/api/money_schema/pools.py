"""What anybody may know of a pool: terms, worth, risk, and its figures by period."""

from __future__ import annotations

import msgspec


class LockTierView(msgspec.Struct, kw_only=True):
    """A promise to stay, and what it weighs."""

    name: str
    days: int
    weight: str
    """Multiplies the shares where rewards are divided."""
    early_exit: str
    """Fee as a fraction, or `refused`."""


class TermsView(msgspec.Struct, kw_only=True):
    """What a depositor agrees to."""

    version: int
    minimum_deposit: str
    capacity: str | None
    capacity_left: str | None
    deposit_fee: str
    management_fee_year: str
    performance_fee: str
    hurdle_rate_year: str
    redeem_period_s: int
    tiers: list[LockTierView]
    permissioned: bool
    deposits_paused: str | None
    """The reason; null where deposits are open."""
    withdrawals_paused: str | None


class PoolCard(msgspec.Struct, kw_only=True):
    """A pool as anybody may see it."""

    id: str
    quote: str
    pair: str | None
    """What it trades; null while it does not."""
    nav: str
    shares: str
    nav_per_share: str
    depositors: int
    return_day: float | None
    return_week: float | None
    return_month: float | None
    terms: TermsView
    deposit_assets: list[str]
    """Codes that the payment rail can bring."""


class PlaceShare(msgspec.Struct, kw_only=True):
    """Part of a pool's money, by asset and place."""

    place: str
    asset: str
    amount: str
    value: str
    share: float


class RiskView(msgspec.Struct, kw_only=True):
    """How a pool's money is placed and how it has behaved."""

    allocation: list[PlaceShare]
    volatility_year: float | None
    """Of the share price, annualised from the points kept; null before there are enough."""
    max_drawdown: float | None
    service_level: float | None
    """Share of the time with two-sided quotes, since the run began."""
    inventory_share: float | None
    inventory_target: float | None


class PeriodFigures(msgspec.Struct, kw_only=True):
    """One day, week or month (UTC, half-open)."""

    start_ms: int
    end_ms: int
    volume: str
    fills: int
    venue_fees: str
    pool_fees: str
    rewards: str
    result: str
    """Change of net asset value that is no deposit or withdrawal."""
    return_fraction: float | None
