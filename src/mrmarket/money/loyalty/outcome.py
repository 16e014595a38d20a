"""The result of a run: who gets what, why, and what was found on the way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mrmarket.core.decimals import format_units
from mrmarket.money.loyalty.allocation import share_out
from mrmarket.money.loyalty.event import Pool, Remark
from mrmarket.money.loyalty.last_balance import LastBalance, integer_weights
from mrmarket.money.loyalty.model import TIMES_ONE, Model, Rating, weight_of
from mrmarket.money.loyalty.programme import MICRO_USD, Programme
from mrmarket.money.loyalty.standing import Standing


@dataclass(frozen=True, slots=True)
class Reward:
    """One provider's share: `weight` as text, in micro-USD × milliseconds (mean USD for `last_balance`).

    `mean_usd` is the weight as a mean over the whole window in micro-USD, rounded down. `units` are base
    units of the reward.
    """

    provider: str
    weight: str
    mean_micro_usd: int
    rating: Rating
    units: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """Everything the documents are written from.

    `rewards`, `standings` and `last` are each in order of the providers' names. `last` is None where the
    events are too many for the compatibility model.
    """

    model: str
    programme: Programme
    pools: tuple[Pool, ...]
    standings: Sequence[Standing]
    last: Sequence[LastBalance] | None
    rewards: Sequence[Reward]
    honest: Mapping[str, int]
    """Reward units by time-weighted average liquidity, to compare with."""
    recorded: Mapping[str, int]
    """Reward units by last balance, to compare with; empty without `last`."""
    remarks: tuple[Remark, ...]
    events: int


def run_id(model: str, programme: Programme) -> str:
    """What salts the order of equal remainders: the run's rules, so that repeating it repeats the result."""
    parts = (model, programme.start_ms, programme.end_ms, programme.as_of_ms, programme.total_units)
    return "loyalty|" + "|".join(map(str, parts))


def share_exactly(model: Model, standings: Sequence[Standing], programme: Programme) -> list[Reward]:
    """Rewards by an exact model; they add up to the total, or to nothing if nobody has a weight."""
    ratings = [model.rate(standing, programme.stop_ms) for standing in standings]
    weights = {
        standing.provider: weight_of(standing, rating)
        for standing, rating in zip(standings, ratings, strict=True)
    }
    units = share_out(programme.total_units, weights, run_id(model.name, programme))
    return [
        Reward(
            provider=name,
            weight=format_units(weights[name], 1),
            mean_micro_usd=weights[name] // (TIMES_ONE * programme.duration_ms),
            rating=rating,
            units=units[name],
        )
        for name, rating in zip(weights, ratings, strict=True)
    ]


def share_last(last: Sequence[LastBalance], programme: Programme) -> list[Reward]:
    """Rewards by last balance, which knows no tiers; they add up as those of the exact models do."""
    weights = integer_weights(last)
    units = share_out(programme.total_units, weights, run_id("last_balance", programme))
    return [
        Reward(
            provider=each.provider,
            weight=repr(each.mean_usd),
            mean_micro_usd=int(each.mean_usd * MICRO_USD),
            rating=Rating(1, TIMES_ONE),
            units=units[each.provider],
        )
        for each in last
    ]
