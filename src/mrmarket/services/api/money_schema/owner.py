"""What the instance's owner sees and does: treasury, outbox, fees, people, rewards, incidents."""

from __future__ import annotations

from typing import Literal

import msgspec

from mrmarket.services.api.money_schema.own import Balance
from mrmarket.services.api.money_schema.pools import PeriodFigures
from mrmarket.services.api.money_schema.words import Amount, Moment, Name, Remark


class TreasuryLine(msgspec.Struct, kw_only=True):
    """One asset at one place."""

    place: str
    asset: str
    observed: str | None
    expected: str
    in_transit: str
    difference: str | None
    age_s: float | None
    incident: str | None


class TreasuryView(msgspec.Struct, kw_only=True):
    """What the instance holds for everybody, and what it owes."""

    lines: list[TreasuryLine]
    liabilities: list[Balance]
    """By asset: what users are owed."""
    blocked: dict[str, str]
    """Assets whose payouts are stopped, and why."""
    solvent: bool | None
    checked_at_ms: int | None


class OutboxRow(msgspec.Struct, kw_only=True):
    """A payment that is owed or was made."""

    id: str
    cause: str
    account: str
    asset: str
    amount: str
    destination: str
    state: str
    reason: str
    attempts: int
    created_at_ms: int
    updated_at_ms: int
    receipt: str | None


class OutboxView(msgspec.Struct, kw_only=True):
    """Payments out and in."""

    rows: list[OutboxRow]
    counts: dict[str, int]
    oldest_age_s: float | None
    parked: list[OutboxRow]
    """Incoming payments that nobody could be found for."""


class FeesView(msgspec.Struct, kw_only=True):
    """What the owner has earned."""

    pool: str
    balances: list[Balance]
    by_kind: dict[str, str]
    periods: list[PeriodFigures]


class FeeWithdrawal(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The owner takes earned fees."""

    asset: Name
    amount: Amount
    destination: Name
    key: Name = ""


class UserRow(msgspec.Struct, kw_only=True):
    """A depositor as the owner sees them."""

    name: str
    value: str
    share: float
    earned: str
    rewards: str
    since_ms: int | None


class RewardRunView(msgspec.Struct, kw_only=True):
    """An allocation run, done or previewed."""

    run: str
    pool: str
    campaign: str
    start_ms: int
    end_ms: int
    asset: str
    amount: str
    allocated: str
    unallocated: str
    dust: str
    users: int
    kind: str
    state: str
    inputs_hash: str


class RewardDayRequest(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Which day of which pool to allocate."""

    pool: Name
    day_ms: Moment
    """Any moment of the campaign's cycle, UTC."""


class JobView(msgspec.Struct, kw_only=True):
    """A window of recurring work."""

    job: str
    scope: str
    start_ms: int
    end_ms: int
    state: str
    attempts: int
    reason: str


class PauseRequest(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What to pause or resume."""

    what: Literal["deposits", "withdrawals", "both"] = "both"
    reason: Remark = ""


class ReleaseRequest(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The owner takes a difference as it is."""

    reason: str


class SendBackRequest(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Where a parked payment goes back to."""

    destination: str = ""
    """Empty: to its sender."""


class IncidentView(msgspec.Struct, kw_only=True):
    """Something that did not add up."""

    id: str
    asset: str
    place: str
    opened_at_ms: int
    closed_at_ms: int | None
    reason: str
