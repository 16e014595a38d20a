"""What the treasury and the pool desk tell the outside: plain figures, amounts as decimal strings."""

from __future__ import annotations

from dataclasses import dataclass

from mrmarket.money.pool.terms import LockTier, TermsVersion


@dataclass(frozen=True, slots=True)
class HoldingFigures:
    """What the pool owns of one asset, by the ledger, over all places."""

    asset: str
    amount: str
    value: str
    """In the pool's quote at the mid; `0` where no price is known."""


@dataclass(frozen=True, slots=True)
class DepositorFigures:
    """One participant."""

    name: str
    shares: str
    share: float
    """Fraction of all shares."""
    value: str
    earned: str
    """Value now less what the shares have cost."""


@dataclass(frozen=True, slots=True)
class PoolFigures:
    """The pool by the ledger, as of one commit."""

    id: str
    quote: str
    nav: str
    """At the mid."""
    nav_low: str
    nav_high: str
    shares: str
    nav_per_share: str
    pnl: str
    """What trading has earned; deposits are not revalued."""
    holdings: list[HoldingFigures]
    depositors: list[DepositorFigures]
    parked_fills: int
    """Trades that a rule keeps out of the ledger for now."""
    ledger_seq: int
    ledger_head: str
    settled_through_seq: int
    log_head_seq: int


@dataclass(frozen=True, slots=True)
class EquityFigures:
    """The pool's worth at one moment."""

    at_ms: int
    nav: str
    nav_per_share: str
    pnl: str


@dataclass(frozen=True, slots=True)
class ReconciliationLine:
    """One asset at one place: what the place says we hold, against what the ledger says it must hold."""

    asset: str
    observed: str | None
    """None where the place has not told."""
    expected: str
    difference: str | None
    """Observed less expected."""
    observed_at_ns: int | None
    place: str
    """Namespace of the asset: a venue or a payment rail."""
    leaving: str
    """What open holds are about to take from there. The books still have it; the place may not."""
    unexplained: str | None
    """What of the difference is not money on its way out."""


@dataclass(frozen=True, slots=True)
class SettlementReport:
    """What one call of `settle` came to."""

    facts: int
    posted: int
    repeated: int
    """Trades that were in the ledger already."""
    parked: int
    ignored: int
    founded: bool
    replayed: bool
    """Whether the cursor did not match the event log, so that the stream was read again from its start."""
    settled_through_seq: int


@dataclass(frozen=True, slots=True)
class DepositQuote:
    """What a deposit would come to at the last known prices."""

    shares: str
    share_price: str
    """What one share costs, after the deposit fee."""
    value: str
    """In quote, after the fee."""
    fee: str
    """In the asset that is deposited."""
    tier: LockTier
    locked_until_ms: int | None
    """If the shares were minted now; None where nothing is promised."""
    terms_version: int
    refusal: str | None
    """Why it would be refused; None where it would not."""


@dataclass(frozen=True, slots=True)
class WithdrawalQuote:
    """What a withdrawal would come to at the last known prices."""

    shares: str
    value: str
    """What would be paid, in quote, after the exit fee."""
    fee: str
    """Exit fee, in quote."""
    available_at_ms: int
    """When the redeem period ends, or the lock that keeps the shares in."""
    queued: bool
    """Whether money must first come back from the venue."""
    refusal: str | None


@dataclass(frozen=True, slots=True)
class AdvanceReport:
    """What one round of the desk came to. Ids."""

    expired: list[str]
    minted: list[str]
    burned: list[str]
    waiting: dict[str, str]
    """What waits, and for what."""
    failed: dict[str, str]
    """What could not be carried out, and why: for the owner to look at."""


@dataclass(frozen=True, slots=True)
class LotFigures:
    """Part of a position: shares with one promise."""

    id: str
    tier: str
    shares: str
    held: str
    weight: str
    """Now: `numerator/denominator`, or a whole number."""
    opened_ms: int
    locked_until_ms: int | None
    """None where nothing locks it any more."""
    exit_fee_bps: int
    """-1: it cannot leave before."""


@dataclass(frozen=True, slots=True)
class PositionFigures:
    """What a user has in one pool."""

    pool: str
    quote: str
    shares: str
    held_shares: str
    """Under withdrawals."""
    share: float
    """Fraction of all shares."""
    value: str
    """What leaving with everything would bring now (valued low), before exit fees."""
    paid_in: str
    """What the present shares have cost."""
    earned: str
    """Value less what the present shares have cost."""
    brought: str
    """Value of every deposit, after fees."""
    taken: str
    """Value of every withdrawal, after fees."""
    result: str
    """Value and withdrawals less deposits: what the pool has earned for the user, now or before."""
    fees_paid: str
    """Deposit and exit fees, in quote. The fees charged in shares are in the value already."""
    tier: str
    """Of the lot whose lock ends last."""
    weight: str
    """Average over all shares, as an exact fraction."""
    locked_until_ms: int | None
    """When the last lock ends; None where none runs."""
    lots: list[LotFigures]


@dataclass(frozen=True, slots=True)
class PortfolioFigures:
    """A user's worth at one moment, over all pools with one quote."""

    at_ms: int
    value: str
    paid_in: str
    """Deposits less withdrawals until then."""


@dataclass(frozen=True, slots=True)
class PeriodFigures:
    """One day, week or month (UTC, half-open) of a pool."""

    start_ms: int
    end_ms: int
    volume: str
    fills: int
    venue_fees: str
    pool_fees: str
    """The owner's management and performance fees, at the prices of when they were charged."""
    result: str
    """Change of net asset value that is no deposit or withdrawal."""
    return_fraction: float | None
    """Time-weighted: what one share has gained."""


@dataclass(frozen=True, slots=True)
class PlaceFigures:
    """Part of a pool's money, by asset and place."""

    place: str
    asset: str
    amount: str
    value: str
    share: float


@dataclass(frozen=True, slots=True)
class RiskFigures:
    """How a pool's money is placed and how it has behaved."""

    allocation: list[PlaceFigures]
    volatility_year: float | None
    max_drawdown: float | None


@dataclass(frozen=True, slots=True)
class OwnerFees:
    """What the owner has earned in one pool."""

    pool: str
    shares: str
    """Fee shares held, not yet withdrawn."""
    value: str
    """What they would bring now."""
    balances: dict[str, str]
    """Deposit fees of all pools and what was withdrawn of the shares, by asset id."""
    management: str
    """Shares ever charged."""
    performance: str
    deposit: dict[str, str]
    """Deposit fees ever charged, by asset id."""
    charged_through_ms: int | None


@dataclass(frozen=True, slots=True)
class PoolCard:
    """A pool as anybody may see it."""

    id: str
    quote: str
    stream: str | None
    rail: str | None
    nav: str
    shares: str
    nav_per_share: str
    depositors: int
    terms: TermsVersion
    announced: list[TermsVersion]
    """Versions that do not hold yet."""
    capacity_left: str | None
    deposits_paused: str | None
    withdrawals_paused: str | None
    deposit_assets: list[str]
    """Asset ids on the payment rail that have a price."""
    return_day: float | None
    return_week: float | None
    return_month: float | None
