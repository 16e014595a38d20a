"""What the API says of the choice between strategies. Returns are fractions of the capital per hour."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from mrmarket.trading.strategy.selection.thresholds import Thresholds


class ScoreView(msgspec.Struct, kw_only=True):
    """What a candidate is expected to earn."""

    candidate: str
    source: Literal["live", "paper", "none"]
    mean: float | None
    trust: float
    error: float | None
    samples: float
    switch_cost: float
    value: float | None
    """What is compared; null where nothing is known, with the reason in `why_not`."""
    upper: float | None
    why_not: Literal["", "no_data", "few_samples", "stale", "not_finite"]


class CandidateView(msgspec.Struct, kw_only=True):
    """A strategy that may have the turn."""

    id: str
    activity: Literal["market_making", "arbitrage", "rebalance", "idle"]
    strategy: str
    run: str
    account: str
    has_turn: bool
    can_interrupt: bool
    rests_until_ms: int | None
    """After a failure; null where it may be chosen."""
    interrupted_at_ms: int | None
    """Its run waits to be taken up again."""
    waits: bool
    """It is in the queue."""
    paper_worth: float
    """What a paper result of it counts of a live one."""
    paper_off: str
    """Why it does not run on paper any more; empty while it does."""
    cap: float
    """Most of the whole capital that it may ever have."""
    capped_by_owner: bool
    """Whether that was set while it runs, and not in the configuration."""
    score: ScoreView | None


class SliceView(msgspec.Struct, kw_only=True):
    """How much of the capital one run should have by the scores, and may have; amounts in quote."""

    run: str
    candidate: str
    """Whose figures count: who has the turn in that run, else the best of its candidates."""
    share: float
    """Of the whole: what it should have."""
    wanted: float
    """Before any limit."""
    limit: str
    """Most that it may ever have, by cap, slice, venue and asset."""
    budget: str | None
    """What it may have in play now; null before that was first decided."""
    in_play: str
    """What it has: base as it would be with every open buy filled."""
    bound_by: list[str]


class CapChange(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The owner's word on how much of the capital a candidate may ever have."""

    candidate: str
    share: float | None
    """Of the whole, 0 to 1; null: what the configuration says."""


TransferStageName = Literal["planned", "unknown", "pending", "arrived", "failed"]


class RebalanceMove(msgspec.Struct, kw_only=True):
    """One transfer of a plan; amounts in the asset."""

    source: str
    target: str
    amount: str
    fee: str
    why: str


class RebalanceProposal(msgspec.Struct, kw_only=True):
    """A plan that waits for the owner."""

    id: str
    asset: str
    value: str
    """Of all that it moves, in quote."""
    at_ms: int
    moves: list[RebalanceMove]


class TransferView(msgspec.Struct, kw_only=True):
    """A transfer of the last plan of its asset."""

    key: str
    """The same key is never sent for twice."""
    asset: str
    source: str
    target: str
    amount: str
    fee: str
    stage: TransferStageName
    """`unknown`: it was asked for, and the answer is not known yet."""
    approved_by: str
    """`limit`, or who has approved it."""
    reason: str


class RebalanceView(msgspec.Struct, kw_only=True):
    """Money between the venues of one candidate."""

    candidate: str
    places: list[str]
    problem: str
    """Why nothing is moved any more; empty while all is well."""
    proposals: list[RebalanceProposal]
    transfers: list[TransferView]
    left: list[str]
    """Why something that is off its target stays where it is."""


class RebalanceDecision(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The owner's word on a plan."""

    proposal: str
    approve: bool


class DecisionView(msgspec.Struct, kw_only=True):
    """One decision with its figures."""

    at_ms: int
    number: int
    """With `at_ms` its place: `before_ms` and `before_number` of the next page."""
    outcome: str
    verdict: str
    reason: str
    current: str
    challenger: str
    current_value: float | None
    challenger_value: float | None
    needed: float | None
    streak: int
    resumes: bool
    by: str
    changed: dict[str, Any]
    scores: list[ScoreView]


class SelectionView(msgspec.Struct, kw_only=True):
    """Where the choice stands."""

    at_ms: int
    evaluated_ms: int
    """When the scores were made; 0 before the first time."""
    state: Literal["market_making", "arbitrage", "rebalance", "idle"]
    phase: Literal["steady", "stopping", "starting"]
    current: str
    target: str
    since_ms: int
    switches_last_hour: int
    reason: str
    """Of the newest decision, whether it was kept or not."""
    verdict: str
    candidates: list[CandidateView]
    slices: list[SliceView]
    idle_share: float
    capital: str
    """What the accounts of all candidates are worth, in quote."""
    drawdown: float
    """Share of the highest worth that was lost by trading."""
    budgets_bind: bool
    """Whether runs obey their budgets; else they are advice."""
    thresholds: Thresholds


class DryRunResult(msgspec.Struct, kw_only=True):
    """What the recorded hours would have been with other thresholds."""

    from_ms: int
    to_ms: int
    evaluations: int
    switches: list[DecisionView]
    share: dict[str, float]
    earned: float
    """Fraction of the capital, by the recorded means less what each switch costs."""
    was_switches: int
    was_share: dict[str, float]
    was_earned: float
    held_back: dict[str, int]
