"""Rows of the reward tables; the columns are the fields, in order."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class EntryRow(msgspec.Struct, frozen=True):
    """Reward money that came in."""

    id: str
    source: str
    """Where it was seen, such as `rail:rail` or a chain; with `ref` its name in the world."""
    ref: str
    campaign: str
    day: int
    asset: str
    """Asset id."""
    seq: int
    """1, 2, 3 … within the campaign's day and asset."""
    units: int
    origin: str
    """Account that it was posted from."""
    observed_ms: int
    """When the source says that it happened."""
    at_ms: int
    """When it was posted."""


class Reduction(StrEnum):
    """Why an entry is less than it was."""

    RETRACTED = "retracted"
    """Its source took it back: a chain was reorganised, a payment never happened."""
    NETWORK = "network"
    """What it cost to bring it here."""


class Payer(StrEnum):
    """Who bears a reduction."""

    REWARDS = "rewards"
    """The money itself: it was not allocated."""
    RESERVE = "reserve"
    """The owner's reserve: it was allocated, and users keep what they have."""
    ELSEWHERE = "elsewhere"
    """The reserve too, by a posting that another room makes."""


class ReductionRow(msgspec.Struct, frozen=True):
    """Units that an entry lost."""

    id: str
    entry: str
    kind: Reduction
    campaign: str
    day: int
    asset: str
    seq: int
    """1, 2, 3 … within the campaign's day and asset."""
    units: int
    counter: str
    """Account that the units go to."""
    payer: Payer
    at_ms: int


class RunKind(StrEnum):
    """First allocation of a day, or one that follows."""

    FIRST = "first"
    ADJUSTING = "adjusting"


class RunRow(msgspec.Struct, frozen=True):
    """One allocation of a campaign's day in one asset."""

    id: str
    campaign: str
    day: int
    asset: str
    ordinal: int
    """0 for the first, then 1, 2, 3 …"""
    kind: RunKind
    pool: str
    start_ms: int
    end_ms: int
    attribution: str
    salt: str
    """Id of the day's first run: breaks ties alike in all runs of the day."""
    entries: int
    """Highest entry `seq` that it has seen."""
    reductions: int
    """Highest reduction `seq` that it has seen."""
    total_units: int
    """What the whole day comes to, before the owner's fee."""
    credited_units: int
    """To users, by this run."""
    fee_units: int
    dust_units: int
    unallocated_units: int
    """Negative where money that nobody was eligible for has found somebody."""
    kept_units: int
    """What accounts were given before and should not have been; they keep it."""
    reserve_units: int
    """What the owner's reserve puts in; negative where it gets back."""
    short_units: int
    """What the reserve could not put in; a later run does."""
    dust_below_units: int
    fee_bps: int
    weight: str
    """Sum of the weights, as a whole number."""
    weight_scale: str
    """Divide weights by this to have share units × ms."""
    integral_scale: str
    """Divide integrals by this to have the same."""
    changes: int
    """Facts that were measured."""
    rows: int
    chunks: int
    """Groups of credits."""
    given: bytes
    """Multipliers and exclusions that were in force, as JSON."""
    input_hash: bytes
    rows_hash: bytes
    at_ms: int


class Disposition(StrEnum):
    """What becomes of an account's part."""

    CREDITED = "credited"
    DUST = "dust"
    """Too little to be credited."""
    EXCLUDED = "excluded"
    FEE = "fee"
    UNALLOCATED = "unallocated"


class AllocationRow(msgspec.Struct, frozen=True, gc=False):
    """One account's part of a run."""

    account: str
    due_units: int
    """What it should have of the whole day."""
    units: int
    """What this run gives it."""
    kept_units: int
    """What it was given before beyond its due."""
    disposition: Disposition
    integral: str
    """What the rule measured, times the run's scale."""
    multiplier: str
    """`num/den`, or `1`."""

    @property
    def line(self) -> str:
        """How it stands in the hash of a run's rows."""
        return (
            f"{self.account} {self.due_units} {self.units} {self.kept_units} {self.disposition.value}"
            f" {self.integral} {self.multiplier}\n"
        )


class Preference(msgspec.Struct, frozen=True):
    """An account's wish to have its rewards paid out."""

    account: str
    asset: str
    destination: str
    memo: str
    minimum_units: int
    """Not before so much has come together."""
    since_ms: int
    """Allocations from then on; what was credited before is the account's own to withdraw."""


class DeliveryRow(msgspec.Struct, frozen=True):
    """A payout of rewards."""

    id: str
    """The payout's id."""
    cause_key: str
    """Allocation id of the last allocation in it."""
    account: str
    asset: str
    units: int
    destination: str
    at_ms: int


class CarriedRow(msgspec.Struct, frozen=True):
    """An allocation that a payout carries."""

    run: str
    account: str
    delivery: str


def allocation_id(run: str, account: str) -> str:
    """Name of one account's part of a run."""
    return f"{run}:{account}"


def split_allocation_id(allocation: str) -> tuple[str, str]:
    """Run and account of an allocation."""
    run, _, account = allocation.partition(":")
    return run, account
