"""What the money routes say, as types. Amounts are exact decimal strings, times UTC milliseconds."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec

_LINE: Final = r"^[^\x00-\x1f\x7f]*$(?!\n)"
"""One line without control characters; in Python as in JavaScript."""

Name = Annotated[str, msgspec.Meta(max_length=200, pattern=_LINE)]
"""A name, id or address that somebody sends."""
Amount = Annotated[str, msgspec.Meta(max_length=80, pattern=_LINE)]
"""A decimal number as text, never as a JSON number."""
Remark = Annotated[str, msgspec.Meta(max_length=500, pattern=_LINE)]
Moment = Annotated[int, msgspec.Meta(ge=0, le=2**53)]

Role = Literal["visitor", "user", "admin"]
Period = Literal["day", "week", "month"]


class SessionView(msgspec.Struct, kw_only=True):
    """Who is asking."""

    role: Role
    user: str | None = None
    """Account name without `user:`; null for visitors and the admin."""
    csrf: str | None = None
    """To be sent as `X-CSRF-Token` with everything that changes something."""
    expires_at_ms: int | None = None
    admin_needs_setup: bool = False
    """No password is set yet: the link that the terminal printed sets one."""
    demo: bool = False
    """The rail is the simulated one: wallets hold play money, and the server can sign for demo people."""


class NonceView(msgspec.Struct, kw_only=True):
    """What a wallet must sign (EIP-4361)."""

    nonce: str
    domain: str
    uri: str
    chain_id: int
    issued_at: str
    expires_at: str


class WalletSignIn(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A signed EIP-4361 message."""

    message: Annotated[str, msgspec.Meta(max_length=4096)]
    signature: Name


class AdminSignIn(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The owner's password."""

    password: Annotated[str, msgspec.Meta(max_length=256)]


class AdminSetup(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The first password, with the one-time token that the terminal printed."""

    token: Name
    password: Annotated[str, msgspec.Meta(max_length=256)]


class DemoPerson(msgspec.Struct, kw_only=True):
    """Somebody of the demo; the server holds their play wallet's key and signs for them."""

    name: str
    address: str


class DemoSignIn(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Which of the demo's people to be."""

    name: Name


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


class Position(msgspec.Struct, kw_only=True):
    """What a user has in one pool."""

    pool: str
    quote: str
    shares: str
    share: float
    value: str
    """What a withdrawal of everything would bring now, before exit fees."""
    paid_in: str
    earned: str
    """Value less what the present shares have cost."""
    tier: str
    weight: str
    locked_until_ms: int | None
    held_shares: str
    """Under withdrawals that are under way."""


class Balance(msgspec.Struct, kw_only=True):
    """Money of a user that is in no pool."""

    asset: str
    amount: str
    held: str


class PositionsView(msgspec.Struct, kw_only=True):
    """Everything a user owns here."""

    at_ms: int
    ledger_seq: int
    positions: list[Position]
    balances: list[Balance]
    value: str
    earned_trading: str
    earned_rewards: str
    fees_paid: str


class PortfolioPoint(msgspec.Struct, kw_only=True):
    """A user's worth at one moment."""

    at_ms: int
    value: str
    paid_in: str


class DepositRequest(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What a user wants to bring."""

    pool: Name
    asset: Name
    amount: Amount
    tier: Name = ""
    """Empty: the pool's first."""
    terms_version: int | None = None
    """Which terms were shown; refused if they have changed since."""
    key: Name = ""
    """Chosen by the caller; repeating the request with the same key is harmless."""


class DepositPreview(msgspec.Struct, kw_only=True):
    """What a deposit would come to at today's prices."""

    shares: str
    share_price: str
    value: str
    fee: str
    tier: LockTierView
    locked_until_ms: int | None
    terms_version: int
    refusal: str | None
    """Why it would be refused; null where it would not."""


class Step(msgspec.Struct, kw_only=True):
    """One step of something that takes time."""

    name: str
    state: Literal["done", "now", "waiting", "failed", "not needed"]
    at_ms: int | None = None
    detail: str = ""
    reference: str | None = None
    """A ledger key, payment or receipt that shows it."""


class PaymentRequest(msgspec.Struct, kw_only=True):
    """How to pay."""

    rail: str
    address: str
    memo: str
    uri: str
    asset: str
    amount: str
    expires_at_ms: int


class DepositView(msgspec.Struct, kw_only=True):
    """A deposit on its way, or arrived."""

    id: str
    pool: str
    asset: str
    amount: str
    tier: str
    state: str
    reason: str
    created_at_ms: int
    expires_at_ms: int
    shares: str | None
    pay: PaymentRequest | None
    """While it waits for the payment."""
    steps: list[Step]


class WithdrawalRequest(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What a user wants to take out."""

    pool: Name
    shares: Amount
    """A decimal number, or `all`."""
    destination: Name = ""
    """Empty: the wallet that signed in."""
    key: Name = ""


class BalanceWithdrawalRequest(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Money that is in no pool, such as rewards, to be paid out."""

    asset: Name
    amount: Amount
    destination: Name = ""
    key: Name = ""


class WithdrawalPreview(msgspec.Struct, kw_only=True):
    """What a withdrawal would come to at today's prices."""

    shares: str
    value: str
    fee: str
    available_at_ms: int
    """Now, or when a lock or redeem period ends."""
    queued: bool
    """Money must first come back from the venue."""
    refusal: str | None


class WithdrawalView(msgspec.Struct, kw_only=True):
    """A withdrawal on its way, or paid."""

    id: str
    pool: str | None
    asset: str | None
    shares: str
    amount: str | None
    """Known once the shares are burned."""
    destination: str
    state: str
    reason: str
    created_at_ms: int
    cancellable: bool
    steps: list[Step]


class RewardDay(msgspec.Struct, kw_only=True):
    """What one cycle paid a user."""

    allocation: str
    campaign: str
    start_ms: int
    end_ms: int
    asset: str
    amount: str
    state: str


class RewardTotals(msgspec.Struct, kw_only=True):
    """By asset."""

    asset: str
    pending: str
    credited: str
    paid: str


class RewardsView(msgspec.Struct, kw_only=True):
    """A user's rewards."""

    totals: list[RewardTotals]
    days: list[RewardDay]


class RewardTrace(msgspec.Struct, kw_only=True):
    """One allocation, with the formula's own numbers and every step on its way."""

    allocation: str
    run: str
    campaign: str
    start_ms: int
    end_ms: int
    asset: str
    pool_reward: str
    own_weight: str
    """Integral of shares × weight over the window, in share units × ms × weight."""
    total_weight: str
    amount: str
    inputs_hash: str
    steps: list[Step]


class StatementLine(msgspec.Struct, kw_only=True):
    """One movement of a user's account."""

    seq: int
    at_ms: int
    kind: str
    asset: str
    amount: str
    """Signed."""
    balance: str
    key: str
    memo: str
    hash: str


class TradeView(msgspec.Struct, kw_only=True):
    """A trade of the pool."""

    at_ms: int
    pool: str
    symbol: str
    side: Literal["buy", "sell"]
    price: str
    size: str
    quote_size: str
    fee: str
    fee_asset: str
    own_share: float | None
    """The user's part of the pool at that moment; null for the instance's own view."""
    trade_id: str


class WalletView(msgspec.Struct, kw_only=True):
    """The signed-in wallet on the simulated rail."""

    address: str
    balances: list[Balance]


class LedgerHead(msgspec.Struct, kw_only=True):
    """Where the books stand."""

    seq: int
    hash: str
    verified: bool | None
    seal: int | None
    """Number of the newest seal."""


class EntryView(msgspec.Struct, kw_only=True):
    """A transfer inside a group."""

    position: int
    debit: str
    credit: str
    asset: str
    amount: str
    units: str
    kind: str
    phase: str


class GroupView(msgspec.Struct, kw_only=True):
    """A group of the ledger. Other people's names are masked for users."""

    seq: int
    key: str
    at_ms: int
    outcome: str
    memo: str
    hash: str
    previous_hash: str
    entries: list[EntryView]
    canonical: str | None
    """The bytes under the hash as text, where they name nobody else."""


class SealView(msgspec.Struct, kw_only=True):
    """A signed seal."""

    number: int
    at_ms: int
    seq: int
    head: str
    public_key: str
    signature: str
    document: str
    """The canonical JSON that is signed."""


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
