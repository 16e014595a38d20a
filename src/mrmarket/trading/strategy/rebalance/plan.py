"""Which transfers bring balances to where they are wanted and are worth their cost. Pure, in whole units."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Final

_EVEN: Final = Fraction(1)


@dataclass(frozen=True, slots=True)
class Terms:
    """What one transfer from a place to another costs."""

    fee_units: int
    """Taken off what was sent."""
    least_units: int = 0
    """Less is not sent."""
    most_units: int | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """Where one asset should lie. Places that are not named weigh nothing and keep nothing."""

    weights: Mapping[str, Fraction]
    """Share of the total each place should hold, before minimums; equal numbers equalise."""
    minimum: Mapping[str, int] = field(default_factory=dict)
    """Units that a place should never be short of."""
    band: Fraction = Fraction(1, 10)
    """Distance from the target, as a share of the total, that is left alone above every minimum."""


@dataclass(frozen=True, slots=True)
class Move:
    """One transfer."""

    asset: str
    source: str
    target: str
    units: int
    """Sent; what arrives is less by the fee."""
    fee_units: int
    cost_units: Fraction
    """Fee, and what the money could have earned while it is under way."""
    benefit_units: Fraction
    """What it is expected to earn at its new place."""
    why: str


@dataclass(frozen=True, slots=True)
class RebalancePlan:
    """What to send, and what was looked at and left."""

    moves: tuple[Move, ...]
    left: tuple[str, ...]
    """For people: why something that is off its target stays where it is."""


def equally(*places: str) -> Mapping[str, Fraction]:
    """The same weight for each."""
    return dict.fromkeys(places, _EVEN)


def targets(total: int, wanted: Wanted) -> dict[str, int]:
    """Units each place should hold; they add up to the total exactly.

    Minimums come first. Where there is not enough for all of them, what there is is split by them.
    """
    places = sorted(wanted.weights)
    minimum = {place: max(0, wanted.minimum.get(place, 0)) for place in places}
    needed = sum(minimum.values())
    if needed > total:
        return _split(total, {place: Fraction(minimum[place]) for place in places})
    weight = sum(wanted.weights.values())
    fair = {place: total * wanted.weights[place] / weight for place in places}
    over = {place: max(Fraction(0), fair[place] - minimum[place]) for place in places}
    spare = _split(total - needed, over)
    return {place: minimum[place] + spare[place] for place in places}


def plan(
    asset: str,
    held: Mapping[str, int],
    wanted: Wanted,
    terms: Callable[[str, str], Terms | None],
    *,
    gain: Fraction,
    idle_cost: Fraction = Fraction(0),
) -> RebalancePlan:
    """The fewest transfers from where there is too much to where there is too little.

    Args:
        asset: its name.
        held: units by place.
        wanted: where they should lie.
        terms: of a transfer between two places; None where there is no way.
        gain: what a unit is expected to earn at a place that is short of it, until the next rebalance.
        idle_cost: what a unit loses by being under way.
    """
    total = sum(held.get(place, 0) for place in wanted.weights)
    goal = targets(total, wanted)
    gaps = {place: held.get(place, 0) - goal[place] for place in goal}
    short = any(held.get(place, 0) < wanted.minimum.get(place, 0) for place in goal)
    if not short and all(abs(gap) <= wanted.band * total for gap in gaps.values()):
        return RebalancePlan((), ())
    moves: list[Move] = []
    left: list[str] = []
    closed: set[tuple[str, str]] = set()
    while (way := _widest(gaps, closed)) is not None:
        source, target = way
        closed.add(way)
        offer = terms(source, target)
        found = _move(asset, source, target, min(gaps[source], -gaps[target]), offer, gain, idle_cost)
        if isinstance(found, str):
            left.append(f"{asset} {source} → {target}: {found}")
            continue
        moves.append(found)
        gaps[source] -= found.units
        gaps[target] += found.units
    return RebalancePlan(tuple(moves), tuple(left))


def _widest(gaps: Mapping[str, int], closed: set[tuple[str, str]]) -> tuple[str, str] | None:
    """The largest surplus and the largest shortage between which nothing was tried yet."""
    ways = [
        (min(surplus, -shortage), source, target)
        for source, surplus in gaps.items()
        if surplus > 0
        for target, shortage in gaps.items()
        if shortage < 0 and (source, target) not in closed
    ]
    if not ways:
        return None
    # Ties by name, so that the same balances always give the same plan.
    _, source, target = min(ways, key=lambda way: (-way[0], way[1], way[2]))
    return source, target


def _move(
    asset: str,
    source: str,
    target: str,
    units: int,
    offer: Terms | None,
    gain: Fraction,
    idle_cost: Fraction,
) -> Move | str:
    if offer is None:
        return "there is no way"
    units = units if offer.most_units is None else min(units, offer.most_units)
    if units < max(offer.least_units, 1) or units <= offer.fee_units:
        return "too little to send"
    cost = offer.fee_units + units * idle_cost
    benefit = (units - offer.fee_units) * gain
    if benefit <= cost:
        return f"costs {float(cost):g} units and is expected to bring {float(benefit):g}"
    why = f"brings {float(benefit):g} units for {float(cost):g}"
    return Move(asset, source, target, units, offer.fee_units, cost, benefit, why)


def _split(total: int, weights: Mapping[str, Fraction]) -> dict[str, int]:
    """Whole units by weight, the largest remainders first, then by name; they add up exactly."""
    weight = sum(weights.values())
    if not weight:
        weights, weight = dict.fromkeys(weights, _EVEN), Fraction(len(weights))
    exact = {place: total * each / weight for place, each in weights.items()}
    found = {place: int(each) for place, each in exact.items()}
    missing = total - sum(found.values())
    for place in sorted(exact, key=lambda place: (found[place] - exact[place], place))[:missing]:
        found[place] += 1
    return found
