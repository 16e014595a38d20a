"""What one seed decides before anything happens: who is there, what may go wrong, and when it does."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from mrmarket.simulation.weather import CAMPAIGN_FAULTS, FaultKind

STORM_S: Final = 2_400.0
"""Faults strike from the beginning to here."""
LIFE_S: Final = 3_600.0
"""A seed lives for an hour at least: storm, healing, trading in peace, and two rounds of rest at its end."""

_RATES: Final[Mapping[FaultKind, tuple[float, float]]] = {
    FaultKind.LOST_REQUEST: (0.002, 0.03),
    FaultKind.LOST_ANSWER: (0.002, 0.04),
    FaultKind.SLOW: (0.005, 0.05),
    FaultKind.LATE_EFFECT: (0.002, 0.03),
    FaultKind.SERVER_ERROR: (0.002, 0.03),
    FaultKind.RATE_LIMIT: (0.001, 0.02),
    FaultKind.VENUE_LAG: (0.05, 0.5),
    FaultKind.STREAM_DUPLICATE: (0.01, 0.1),
    FaultKind.STREAM_REORDER: (0.01, 0.1),
    FaultKind.STREAM_LOSS: (0.002, 0.03),
    FaultKind.STREAM_BREAK: (0.001, 0.01),
    FaultKind.MARKET_GAP: (0.002, 0.03),
    FaultKind.RAIL_REFUSAL: (0.02, 0.2),
    FaultKind.RAIL_DELAY: (0.02, 0.2),
    FaultKind.FEED_DISORDER: (0.05, 0.3),
    FaultKind.LOST_COMMIT: (0.0003, 0.003),
}
"""How often a fault strikes what it can strike: the least and the most that a seed draws."""

_CAMPAIGN_RATES: Final[Mapping[FaultKind, tuple[float, float]]] = {
    FaultKind.NODE_LAG: (0.02, 0.3),
    FaultKind.NODE_OMISSION: (0.01, 0.2),
    FaultKind.TRANSACTION_LOST: (0.05, 0.5),
    FaultKind.PAYOUT_LATE: (0.1, 0.5),
    FaultKind.PAYOUT_TWICE: (0.05, 0.4),
    FaultKind.RESULTS_LATE: (0.1, 0.6),
}
_CAMPAIGN_SHARE: Final = 1 / 13
"""Of seeds; the others are what they were before there were campaigns."""
_CAMPAIGN_ROUND_S: Final = 125.0
"""Somebody always waits for a payout: two looks at what is held, six rounds apart, must fit into the rest."""
_MOST_REORGANISATIONS: Final = 5

_LEAST_ACTIONS: Final = 300
_FEW_RATES: Final = 4
_LEAST_HAPPENINGS: Final = 10
_LAST_CRASH_S: Final = 500.0
"""So long before the storm ends: a quiet process takes a while to come to the step at which it dies."""

_ASKS: Final = ("halt", "pause", "cancel_all", "flatten")

_HAPPENINGS: Final[Mapping[FaultKind, tuple[float, float]]] = {
    FaultKind.CRASH: (0.0, 0.0),
    FaultKind.CRASH_AT_COMMIT: (0.0, 0.0),
    FaultKind.POWER_CUT: (0.0, 0.0),
    FaultKind.PAUSE: (0.5, 90.0),
    FaultKind.CLOCK_STEP: (0.0, 0.0),
    FaultKind.PARTITION: (2.0, 90.0),
    FaultKind.DISK_FULL: (0.5, 45.0),
    FaultKind.DATABASE_AWAY: (0.5, 60.0),
    FaultKind.CHAIN_REORGANISATION: (0.0, 0.0),
}
"""What happens at a moment, and how long it lasts; seconds."""


@dataclass(frozen=True, slots=True)
class Topology:
    """Who is there."""

    engines: int
    runs: int
    has_angel: bool
    has_server: bool
    """Whether the database is a server that all machines reach, or a file on the only machine."""
    depositors: int


@dataclass(frozen=True, slots=True)
class Happening:
    """One fault at one moment."""

    at_s: float
    kind: FaultKind
    target: float
    """Which of those that it can strike; 0 to 1."""
    for_s: float
    draw: float
    """For whatever else must be drawn; 0 to 1."""


@dataclass(frozen=True, slots=True)
class Ask:
    """Something the owner asks for, and takes back after a while."""

    at_s: float
    kind: str
    target: float
    for_s: float
    draw: float


@dataclass(frozen=True, slots=True)
class CampaignPlan:
    """What a seed decides of campaigns."""

    campaigns: int
    confirmations: int
    block_s: float
    round_s: float
    """Between two rounds of campaigns."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that a seed decides beforehand."""

    seed: int
    topology: Topology
    rates: Mapping[FaultKind, float]
    happenings: tuple[Happening, ...]
    move_every_s: float
    """Mean time between two moves of one market."""
    lease_s: float
    round_s: float
    """Between two rounds of the business core."""
    storm_s: float = STORM_S
    end_s: float = LIFE_S
    """From then on the runs may stop."""
    asks: tuple[Ask, ...] = ()
    least_actions: int = 0
    """It lives on until so many orders were placed and cancelled."""
    dead_man_s: float = 0.0
    """Countdown of the exchanges' dead man's switch; 0 is none."""
    campaigns: CampaignPlan | None = None
    """None for a seed without."""


def draw_plan(seed: int) -> Plan:
    """The plan of a seed."""
    rng = random.Random(f"plan {seed}")  # noqa: S311 - repeatable on purpose, guards nothing
    topology = _draw_topology(rng)
    kinds_drawn = [kind for kind in FaultKind if kind not in CAMPAIGN_FAULTS]
    off = {kind for kind in kinds_drawn if rng.random() < 0.4}  # noqa: PLR2004 - the swarm: two of five are off
    rates = {kind: rng.uniform(least, most) for kind, (least, most) in _RATES.items() if kind not in off}
    kinds = [
        kind
        for kind in _HAPPENINGS
        if kind not in off and kind not in CAMPAIGN_FAULTS and _fits(kind, topology)
    ]
    wanted = rng.choices(kinds, k=rng.randint(2, 9)) if kinds else []
    if len(rates) < _FEW_RATES:
        # The swarm left little that strikes by itself: more happens at moments. A quiet storm proves nothing.
        wanted += rng.choices(kinds or [FaultKind.PAUSE], k=_LEAST_HAPPENINGS)
    # One engine dies in any case, whatever is switched off.
    crash = _draw_happening(rng, FaultKind.CRASH)
    crash = replace(crash, target=0.0, at_s=min(crash.at_s, STORM_S - _LAST_CRASH_S))
    drawn = [crash, *(_draw_happening(rng, kind) for kind in wanted)]
    happenings = sorted(drawn, key=lambda happening: happening.at_s)
    move_every_s = rng.uniform(14.0, 17.0) * topology.runs
    lease_s = rng.choice((60.0, 120.0, 180.0))
    round_s = rng.uniform(120.0, 200.0)
    plan = Plan(
        seed,
        topology,
        rates,
        tuple(happenings),
        move_every_s=move_every_s,
        lease_s=lease_s,
        round_s=round_s,
        end_s=LIFE_S - 2 * round_s,
        least_actions=_LEAST_ACTIONS,
        asks=_draw_asks(random.Random(f"owner {seed}")),  # noqa: S311 - as above
        dead_man_s=rng.choice((0.0, 0.0, 0.0, 150.0)),
    )
    chance = random.Random(f"payouts of {seed}")  # noqa: S311 - as above
    return with_campaigns(plan, chance) if chance.random() < _CAMPAIGN_SHARE else plan


def with_campaigns(plan: Plan, rng: random.Random) -> Plan:
    """The same plan where campaigns pay rewards; with one engine and one run, for it is not about them."""
    topology = replace(
        plan.topology, engines=1, runs=1, has_angel=False, depositors=max(1, plan.topology.depositors)
    )
    drawn = CampaignPlan(
        campaigns=rng.choice((1, 1, 2)),
        confirmations=rng.randint(2, 6),
        block_s=rng.uniform(20.0, 35.0),
        round_s=rng.uniform(80.0, 140.0),
    )
    off = {kind for kind in CAMPAIGN_FAULTS if rng.random() < 0.3}  # noqa: PLR2004 - a third of them are off
    rates = {
        kind: rng.uniform(least, most) for kind, (least, most) in _CAMPAIGN_RATES.items() if kind not in off
    }
    happenings = list(plan.happenings)
    if FaultKind.CHAIN_REORGANISATION not in off:
        count = rng.randint(1, _MOST_REORGANISATIONS)
        happenings += [_draw_happening(rng, FaultKind.CHAIN_REORGANISATION) for _ in range(count)]
    return replace(
        plan,
        topology=topology,
        rates={**plan.rates, **rates},
        happenings=tuple(sorted(happenings, key=lambda happening: happening.at_s)),
        move_every_s=plan.move_every_s / plan.topology.runs,
        round_s=min(plan.round_s, _CAMPAIGN_ROUND_S),
        campaigns=drawn,
    )


def _draw_topology(rng: random.Random) -> Topology:
    engines = rng.choices((1, 2, 3), weights=(6, 3, 1))[0]
    return Topology(
        engines=engines,
        runs=rng.choices((1, 2, 3, 6), weights=(60, 30, 8, 2))[0],
        has_angel=rng.random() < 0.3,  # noqa: PLR2004 - three of ten have one
        has_server=engines > 1 or rng.random() < 0.3,  # noqa: PLR2004 - the same for a server
        depositors=rng.randint(0, 3),
    )


def _draw_happening(rng: random.Random, kind: FaultKind) -> Happening:
    shortest, longest = _HAPPENINGS[kind]
    return Happening(
        at_s=rng.uniform(60.0, STORM_S - 60.0),
        kind=kind,
        target=rng.random(),
        for_s=rng.uniform(shortest, longest),
        draw=rng.random(),
    )


def _draw_asks(rng: random.Random) -> tuple[Ask, ...]:
    wanted = rng.choice((0, 0, 1, 2, 3))
    asks = [
        Ask(
            at_s=rng.uniform(120.0, STORM_S - 700.0),
            kind=rng.choice(_ASKS),
            target=rng.random(),
            for_s=rng.uniform(20.0, 150.0),
            draw=rng.random(),
        )
        for _ in range(wanted)
    ]
    return tuple(sorted(asks, key=lambda ask: ask.at_s))


def _fits(kind: FaultKind, topology: Topology) -> bool:
    if kind is FaultKind.POWER_CUT:
        return not topology.has_server
    return True
