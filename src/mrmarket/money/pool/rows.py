"""Rows of the pool's tables as structs, amounts in base units, times UTC milliseconds."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class TermsRow(msgspec.Struct, frozen=True):
    """One version of a pool's terms."""

    pool: str
    version: int
    effective_ms: int
    at_ms: int
    document: str


class FlagsRow(msgspec.Struct, frozen=True):
    """What of a pool is paused, and why."""

    pool: str
    deposits_paused: str = ""
    withdrawals_paused: str = ""
    changed_ms: int = 0


class MemberRow(msgspec.Struct, frozen=True):
    """Somebody who may enter a permissioned pool."""

    pool: str
    account: str
    added_ms: int


class DepositState(StrEnum):
    """Where a deposit stands."""

    WAITING = "waiting"
    """For the payment."""
    SEEN = "seen"
    """The payment is on its way, not yet final."""
    CREDITED = "credited"
    """The money is the user's, held for the pool until its next net asset value."""
    MINTED = "minted"
    EXPIRED = "expired"
    REFUNDED = "refunded"
    """What was paid did not fit and went back; nothing else came in time."""
    CANCELLED = "cancelled"


class DepositRow(msgspec.Struct, frozen=True):
    """A deposit, from the intent to the shares."""

    id: str
    pool: str
    account: str
    rail: str
    asset: str
    """Asset id on the rail."""
    units: int
    tier: str
    terms_version: int
    memo: str
    """Code by which the payment is known."""
    state: DepositState
    reason: str
    created_ms: int
    expires_ms: int
    seen_ms: int
    credited_ms: int
    ended_ms: int
    """When it was minted, expired, refunded or cancelled; 0 until then."""
    payment: str
    """Name of the payment; empty until one was credited."""
    share_units: int
    value_units: int
    """What reached the pool, in quote units, after the fee."""
    fee_units: int
    """Deposit fee in units of the asset."""
    locked_until_ms: int
    priced: str
    """`nav supply` that the shares were minted by; empty until then."""


class WithdrawalState(StrEnum):
    """Where a withdrawal stands."""

    HELD = "held"
    """The shares are held; the redeem period or the next net asset value is awaited."""
    UNWINDING = "unwinding"
    """As held, and the pool's money must first come back from the venue."""
    SENDING = "sending"
    """The shares are burned, the payment is with the outbox."""
    CONFIRMED = "confirmed"
    REFUSED = "refused"
    """The rail refused the payment; the money is the user's free balance."""
    CANCELLED = "cancelled"


class WithdrawalRow(msgspec.Struct, frozen=True):
    """A withdrawal, from the request to the payment."""

    id: str
    account: str
    pool: str
    """Empty for money that is in no pool."""
    share_units: int
    parts: str
    """JSON: `[[lot, share units as text, exit fee in bps], …]`."""
    asset: str
    """Asset id on the rail."""
    units: int
    """To be paid; 0 until the shares are burned."""
    rail: str
    destination: str
    state: WithdrawalState
    reason: str
    terms_version: int
    created_ms: int
    ready_ms: int
    """End of the redeem period."""
    burned_ms: int
    changed_ms: int
    ended_ms: int
    payout: str
    """Id in the outbox; empty until there is one."""
    attempt: int
    """Payouts asked for so far."""
    value_units: int
    """What the shares were worth, in quote units, after the exit fee."""
    fee_units: int
    """Exit fee in quote units."""
    priced: str
    """`nav supply` that the shares were burned by; empty until then."""


class LotRow(msgspec.Struct, frozen=True):
    """Shares of one deposit, with the promise that came with it."""

    id: str
    pool: str
    account: str
    tier: str
    share_units: int
    held_units: int
    """Of these, under withdrawals."""
    opened_ms: int
    locked_until_ms: int
    weight_num: int
    weight_den: int
    exit_fee_bps: int


class EntryKind(StrEnum):
    """Why somebody's shares changed."""

    FOUND = "found"
    MINT = "mint"
    BURN = "burn"
    FEE = "fee"
    """Minted for the owner."""


class EntryRow(msgspec.Struct, frozen=True):
    """One change of somebody's shares. Numbered from 1 in its pool; `at_ms` never falls."""

    pool: str
    number: int
    at_ms: int
    account: str
    lot: str
    kind: EntryKind
    share_units: int
    """Signed."""
    value_units: int
    """Quote units that came with it; negative: went with it."""
    fee_units: int
    """Quote units that the user paid as deposit or exit fee."""


class FeeRow(msgspec.Struct, frozen=True):
    """Fees of one half-open window `[start_ms, end_ms)`; windows of a pool follow each other."""

    pool: str
    end_ms: int
    start_ms: int
    management_units: int
    """Share units."""
    performance_units: int
    """Share units."""
    value_units: int
    """Worth of both at the window's end, in quote units; 0 where no price was known."""
    carry: int
    """What is left of the management fee below one share unit, in units × bps × ms."""
    supply_units: int
    """Shares that the management fee was charged on."""
    price_units: int
    """Of one share at the end, low and after fees; 0 where no fresh price was known."""
    high_water_units: int
    """Highest price of one share that was paid for; 0 until a first price is known."""
    high_water_ms: int
    """When it was set; the hurdle grows from here."""


class DayRow(msgspec.Struct, frozen=True):
    """What happened in one UTC day, in quote units."""

    pool: str
    start_ms: int
    fills: int = 0
    volume_units: int = 0
    venue_fee_units: int = 0
    brought_units: int = 0
    """Value of deposits."""
    taken_units: int = 0
    """Value of withdrawals."""
