"""What the treasury tells the outside: plain figures, amounts as decimal strings."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HoldingFigures:
    """What the pool owns of one asset, by the ledger."""

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
    """One asset at the venue: what it says we hold, against what the ledger says it must hold."""

    asset: str
    observed: str | None
    """None where the venue has not told."""
    expected: str
    difference: str | None
    """Observed less expected."""
    observed_at_ns: int | None


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
