"""`[selection]` of the configuration: which strategies take turns, and when."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

import msgspec

from mrmarket.services.engine.section import MAIN_ACCOUNT
from mrmarket.trading.strategy.parameters import Parameters
from mrmarket.trading.strategy.schema import StrategyParameters
from mrmarket.trading.strategy.selection.rule import IDLE
from mrmarket.trading.strategy.selection.thresholds import Share, Thresholds

Name = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]
MAIN = "main"
"""The candidate that is the strategy of `[strategy]`."""


class CapitalSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[selection.capital]`: how the capital is divided between the runs of the candidates."""

    act: bool = False
    """Whether runs are bound by their parts; else the parts are advice."""
    market_making: Share = 0.7
    """Most of the whole that makes markets."""
    arbitrage: Share = 0.2
    """Most that arbitrage has; what the two leave is always idle."""
    floor: Share = 0.05
    """Least that each run has, as far as the limits leave room: no other takes that from it."""
    kelly: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.25
    """Fraction of the growth-optimal shares."""
    most_drawdown: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.2
    """With this much lost from the high everything is idle; parts shrink in proportion until then."""
    least_change: Annotated[float, msgspec.Meta(ge=0, le=0.5)] = 0.05
    """A change of a part by less than this share of the whole is not made, unless a limit asks for it."""
    most_change: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.1
    """Most that one change moves, as a share of the whole; a limit is obeyed at once and in full."""
    rest_s: Annotated[float, msgspec.Meta(ge=0, le=86_400)] = 60.0
    """After a change a part rests for so long, unless a limit asks for less."""
    main_cap: Share = 1.0
    """As `cap` of a candidate, for the strategy of `[strategy]`."""
    venue_caps: dict[str, Share] = {}
    """Most of the whole on a venue, by its name."""
    asset_caps: dict[str, Share] = {}
    """Most of the whole in an asset."""

    def __post_init__(self) -> None:
        if self.market_making + self.arbitrage > 1:
            raise ValueError("market_making and arbitrage: together at most 1")


class RebalanceSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[selection.rebalance]`: money between the two venues of a candidate that trades on two."""

    enabled: bool = False
    """Whether it is planned at all. Only accounts of a candidate's own are moved, never a pool's."""
    auto_limit: Decimal = Decimal(0)
    """A plan worth up to so much quote is carried out by itself; a larger one waits for the owner."""
    every_s: Annotated[float, msgspec.Meta(ge=1, le=86_400)] = 60.0
    """Between two looks."""
    proposal_s: Annotated[float, msgspec.Meta(ge=1, le=7 * 86_400)] = 900.0
    """A plan that nobody has approved for so long is dropped, and made anew from what is there then."""
    band: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.25
    """Distance from an even split, as a share of the whole, that is left alone."""
    horizon_s: Annotated[float, msgspec.Meta(ge=1, le=365 * 86_400)] = 86_400.0
    """Over so long a transfer must earn more than it costs, at what the candidate is expected to earn."""
    fees: dict[str, Decimal] = {}
    """What a transfer of an asset costs, in that asset; the simulated network takes it."""
    delay_s: Annotated[float, msgspec.Meta(ge=0, le=86_400)] = 20.0
    """How long a transfer on the simulated network takes."""

    def __post_init__(self) -> None:
        if not all(each.is_finite() and each >= 0 for each in (self.auto_limit, *self.fees.values())):
            raise ValueError("auto_limit and fees: 0 or more")


class CandidateSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[[selection.candidates]]`: a strategy that may take the place of `[strategy]`."""

    id: Name
    """Its name in decisions; with an account of its own also that of its run."""
    activity: Literal["market_making", "arbitrage", "rebalance"] = "market_making"
    account: Name = MAIN_ACCOUNT
    """`default`: it trades in the pool's run, with the pool's money. Another account is a run of its own,
    with that account's money."""
    can_interrupt: bool = True
    """Whether it may end the turn of a strategy that still earns."""
    switch_cost: Annotated[float, msgspec.Meta(ge=0, le=0.1)] = 0.0
    """What taking over costs, as a fraction of its capital: inventory to be brought along, spread, fees."""
    cap: Share = 1.0
    """Most of the whole capital that its run may have in play while it has the turn."""
    strategy: StrategyParameters = Parameters()
    """`[selection.candidates.strategy]`: as in `[strategy]`."""

    def __post_init__(self) -> None:
        if self.id in (MAIN, IDLE):
            raise ValueError(f"id: {self.id!r} is taken, choose another")


class SelectionSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[selection]`: whether strategies take turns, by what they earn."""

    enabled: bool = False
    evaluate_s: Annotated[float, msgspec.Meta(ge=0.05, le=3_600)] = 10.0
    """Between two evaluations."""
    shadows: bool = True
    """Whether every candidate also runs on paper; without it one that is idle has no score."""
    shadow_latency_ms: Annotated[float, msgspec.Meta(ge=0, le=60_000)] = 20.0
    """One way to the exchange, for paper orders."""
    shadow_patience_s: Annotated[float, msgspec.Meta(ge=0.5, le=600)] = 5.0
    """A strategy on paper that does not come back from a call for so long is shut off."""
    keep_days: Annotated[int, msgspec.Meta(ge=1, le=3_650)] = 90
    """How long decisions are kept; scores are kept for 25 hours."""
    main_switch_cost: Annotated[float, msgspec.Meta(ge=0, le=0.1)] = 0.0
    """As `switch_cost`, for the strategy of `[strategy]`."""
    thresholds: Thresholds = Thresholds()
    """`[selection.thresholds]`: until the owner changes them while it runs."""
    rebalance: RebalanceSection = RebalanceSection()
    """`[selection.rebalance]`."""
    capital: CapitalSection = CapitalSection()
    """`[selection.capital]`."""
    candidates: list[CandidateSection] = msgspec.field(default_factory=list)

    def __post_init__(self) -> None:
        names = [each.id for each in self.candidates]
        if len(set(names)) < len(names):
            raise ValueError("candidates: each needs an id of its own")
        accounts = [each.account for each in self.candidates if each.account != MAIN_ACCOUNT]
        if len(set(accounts)) < len(accounts):
            raise ValueError("candidates: each account is for one candidate")
