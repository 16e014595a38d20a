"""How much capital each strategy gets: slices, quarter Kelly, hard caps, a floor of cash. Exact integers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import isfinite
from typing import Final

import numpy as np

from mrmarket.core.errors import InvalidInputError
from mrmarket.trading.strategy.selection.candidate import Activity
from mrmarket.trading.strategy.selection.covariance import Matrix

_NEARLY: Final = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A strategy that wants capital."""

    id: str
    activity: Activity
    mean: float
    """Expected return, per whatever period the variances are of; NaN gets nothing."""
    cap: float = 1.0
    """Most of the whole that it may ever have, whatever it promises."""
    venues: Mapping[str, float] = field(default_factory=dict)
    """Share of its capital that lies on each venue."""
    assets: Mapping[str, float] = field(default_factory=dict)
    """… and in each asset."""
    held: int = 0
    """Units it has now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AllocationRules:
    """Shares of the whole."""

    slices: Mapping[Activity, float] = field(
        default_factory=lambda: {Activity.MARKET_MAKING: 0.7, Activity.ARBITRAGE: 0.2, Activity.IDLE: 0.1}
    )
    """Most that each activity may have; idle's is the floor of cash. They add up to 1."""
    kelly: float = 0.25
    """Fraction of the growth-optimal weights."""
    venue_caps: Mapping[str, float] = field(default_factory=dict)
    asset_caps: Mapping[str, float] = field(default_factory=dict)
    most_drawdown: float = 0.2
    """With this much lost from the high everything is idle; weights fall linearly until then."""
    floor: float = 0.0
    """Least that each strategy has, as far as the limits leave room: no other takes that from it."""
    turnover_penalty: float = 0.01
    """A strategy's share is left as it is unless it should change by more, and then changes by that less."""

    def __post_init__(self) -> None:
        if any(not 0 <= share <= 1 for share in self.slices.values()):
            raise InvalidInputError("slices", dict(self.slices), "shares from 0 to 1")
        if abs(sum(self.slices.values()) - 1) > _NEARLY:
            raise InvalidInputError("slices", dict(self.slices), "shares that add up to 1")
        if not 0 <= self.floor <= 1:
            raise InvalidInputError("floor", self.floor, "a share from 0 to 1")
        if not 0 < self.most_drawdown <= 1:
            raise InvalidInputError("most_drawdown", self.most_drawdown, "above 0, up to 1")


@dataclass(frozen=True, slots=True)
class Allocation:
    """Who gets what. `units` and `idle` add up to the whole exactly."""

    units: Mapping[str, int]
    idle: int
    wanted: Mapping[str, float]
    """Quarter-Kelly shares before any cap."""
    bound_by: Mapping[str, tuple[str, ...]]
    """What has lowered a strategy's share: `drawdown`, `turnover`, `cap`, `slice`, `venue:x`, `asset:x`."""


def allocate(
    total: int,
    claims: Sequence[Claim],
    covariance: Matrix | None,
    rules: AllocationRules,
    *,
    drawdown: float = 0.0,
) -> Allocation:
    """Divide `total` units of quote among the claims.

    Weights are `kelly · Σ⁻¹ · max(0, μ)` without short positions (for one strategy alone: μ/4σ²), scaled by
    `1 − drawdown / most_drawdown`, moved from what is held only as far as it is worth the turnover, and cut
    to every limit; limits hold whatever is held.

    Args:
        total: units of quote, 0 or more.
        claims: each id once.
        covariance: of their returns, in the order of the claims; None where nothing was measured: then
            each would take all, and the limits alone divide it.
        rules: limits.
        drawdown: share of the high that is lost.

    Raises:
        InvalidInputError: a negative total, an id twice, or a covariance of another shape.
    """
    _require(total, claims, covariance)
    bound: dict[str, list[str]] = {claim.id: [] for claim in claims}
    if covariance is None:
        wanted = {claim.id: 1.0 for claim in claims}
    else:
        wanted = _kelly(claims, covariance, rules.kelly)
    scale = drawdown_scale(drawdown, rules)
    least = {claim.id: _least(claim, claims, rules) * scale for claim in claims}
    shares = {
        claim.id: max(
            _approached(claim, wanted[claim.id], scale, total, rules, bound[claim.id]), least[claim.id]
        )
        for claim in claims
    }
    for activity in sorted({claim.activity for claim in claims}):
        members = {claim.id: 1.0 for claim in claims if claim.activity is activity}
        limit = 0.0 if activity is Activity.IDLE else rules.slices.get(activity, 0.0)
        _scale(shares, least, members, limit, "slice", bound)
    for venue, limit in sorted(rules.venue_caps.items()):
        _scale(shares, least, _parts(claims, "venues", venue), limit, f"venue:{venue}", bound)
    for asset, limit in sorted(rules.asset_caps.items()):
        _scale(shares, least, _parts(claims, "assets", asset), limit, f"asset:{asset}", bound)
    # Rounded down, in exact fractions: what is not divided evenly stays idle, and no limit is passed.
    exact = {name: _exact(share) for name, share in shares.items()}
    whole = max(sum(exact.values()), Fraction(1))
    units = {name: int(share * total / whole) for name, share in exact.items()}
    return Allocation(
        units=units,
        idle=total - sum(units.values()),
        wanted=wanted,
        bound_by={name: tuple(reasons) for name, reasons in bound.items()},
    )


def drawdown_scale(drawdown: float, rules: AllocationRules) -> float:
    """What a loss from the high leaves of every share, 1 to 0; nothing where the loss is no number."""
    return min(max(1 - drawdown / rules.most_drawdown, 0.0), 1.0) if isfinite(drawdown) else 0.0


def hard_limit(claim: Claim, total: int, rules: AllocationRules, *, drawdown: float = 0.0) -> int:
    """Most units that a claim may have, whatever the others take."""
    shares = [claim.cap, 0.0 if claim.activity is Activity.IDLE else rules.slices.get(claim.activity, 0.0)]
    for parts, caps in ((claim.venues, rules.venue_caps), (claim.assets, rules.asset_caps)):
        shares.extend(cap / parts[name] for name, cap in caps.items() if parts.get(name, 0.0) > 0)
    return int(_exact(max(min(shares), 0.0) * drawdown_scale(drawdown, rules)) * total)


def move_slices(
    slices: Mapping[Activity, float],
    market: Mapping[Activity, float],
    *,
    step: float,
    bounds: Mapping[Activity, tuple[float, float]],
) -> dict[Activity, float]:
    """Move up to `step` from the worst-scored activity to the best, within each one's bounds.

    Args:
        slices: shares that add up to 1.
        market: how good the market is for an activity; one without a finite score neither gives nor takes.
        step: most that is moved at once.
        bounds: least and most share of an activity; one that is left out is not moved.

    Returns:
        The slices after that; they add up to what they did.
    """
    moved = dict(slices)
    scored = sorted(
        (each for each in slices if isfinite(market.get(each, float("nan"))) and each in bounds),
        key=lambda each: (market[each], each),
    )
    if len(scored) < 2 or market[scored[-1]] <= market[scored[0]]:  # noqa: PLR2004 - a giver and a taker
        return moved
    giver, taker = scored[0], scored[-1]
    room = max(0.0, bounds[taker][1] - moved[taker])
    spare = max(0.0, moved[giver] - bounds[giver][0])
    amount = min(step, room, spare)
    moved[giver] -= amount
    moved[taker] += amount
    return moved


def _require(total: int, claims: Sequence[Claim], covariance: Matrix | None) -> None:
    if total < 0:
        raise InvalidInputError("total", total, "0 or more")
    if len({claim.id for claim in claims}) < len(claims):
        raise InvalidInputError("claims", [claim.id for claim in claims], "each id once")
    if covariance is not None and covariance.shape != (len(claims), len(claims)):
        raise InvalidInputError("covariance", covariance.shape, "one row and column for each claim")


def _approached(
    claim: Claim, wanted: float, scale: float, total: int, rules: AllocationRules, bound: list[str]
) -> float:
    """From what is held towards what is wanted, as far as it is worth it, and never above the cap."""
    share = wanted * scale
    if share < wanted:
        bound.append("drawdown")
    now = claim.held / total if total else 0.0
    # Less is never put off: what limits risk is obeyed at once.
    if share > now:
        share = max(share - rules.turnover_penalty, now)
        if rules.turnover_penalty:
            bound.append("turnover")
    if share > claim.cap:
        bound.append("cap")
    return min(share, claim.cap)


def _kelly(claims: Sequence[Claim], covariance: Matrix, kelly: float) -> dict[str, float]:
    """Long-only: strategies whose weight would be negative are left out, worst first."""
    means = np.array([claim.mean if isfinite(claim.mean) else 0.0 for claim in claims])
    live = [
        number
        for number, mean in enumerate(means)
        if mean > 0 and isfinite(covariance[number, number]) and covariance[number, number] > 0
    ]
    while live:
        part = covariance[np.ix_(live, live)]
        weights = np.linalg.lstsq(part, means[live], rcond=None)[0]
        worst = int(np.argmin(weights))
        if weights[worst] >= 0:
            found = {claims[number].id: float(w) for number, w in zip(live, weights, strict=True)}
            return {claim.id: min(kelly * found.get(claim.id, 0.0), 1.0) for claim in claims}
        del live[worst]
    return {claim.id: 0.0 for claim in claims}


def _exact(share: float) -> Fraction:
    """A share as it is written: 0.7 is seven tenths, and not the binary number beside it."""
    return Fraction(repr(share))


def _least(claim: Claim, claims: Sequence[Claim], rules: AllocationRules) -> float:
    """The floor, as far as its cap and an even part of its slice leave room."""
    crowd = sum(each.activity is claim.activity for each in claims)
    limit = 0.0 if claim.activity is Activity.IDLE else rules.slices.get(claim.activity, 0.0)
    return min(rules.floor, claim.cap, limit / crowd)


def _parts(claims: Iterable[Claim], of: str, name: str) -> dict[str, float]:
    return {claim.id: getattr(claim, of).get(name, 0.0) for claim in claims}


def _scale(
    shares: dict[str, float],
    least: dict[str, float],
    parts: Mapping[str, float],
    limit: float,
    reason: str,
    bound: dict[str, list[str]],
) -> None:
    """Bring shares down to a limit: first what is above each one's least, then that as well."""
    used = sum(shares[name] * part for name, part in parts.items())
    if used <= limit:
        return
    limit = max(limit, 0.0)
    kept = sum(least[name] * part for name, part in parts.items())
    over = used - kept
    factor = (limit - kept) / over if over > 0 and kept <= limit else 0.0
    floor = 1.0 if kept <= limit else limit / kept
    for name, part in parts.items():
        if part > 0 and shares[name] > 0:
            low = least[name] * floor
            shares[name] = low + (shares[name] - least[name]) * factor
            least[name] = low
            bound[name].append(reason)
