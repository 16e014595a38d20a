"""The recorded programme of 2024/25: each provider's last balance counts for every day.

A compatibility model. It uses binary floats in the recorded order of operations, so that its figures
equal the recorded ones; what it pays out is shared exactly. Differences from honest time weighting: a
balance put in on the last day counts as if it had always been there, only the tokens of the provider's
last event are valued, and a negative token counts as zero.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby
from math import lcm
from typing import Final

from mrmarket.money.loyalty.event import LiquidityEvent, in_order
from mrmarket.money.loyalty.prices import Quote
from mrmarket.money.loyalty.programme import Programme
from mrmarket.money.loyalty.tiers import DAY_MS

NAME: Final = "last_balance"


@dataclass(frozen=True, slots=True)
class LastBalance:
    """One provider by the recorded rule: token balances, USD at each listed midnight, mean USD."""

    provider: str
    balances: dict[str, float]
    daily: array[float]
    mean_usd: float


def last_balances(
    events: Sequence[LiquidityEvent], programme: Programme, quotes: Mapping[str, Sequence[Quote]]
) -> list[LastBalance]:
    """Compute every provider, in order of their names.

    Args:
        events: those that count: all up to `as_of_ms`, the end of the window does not cut them off.
        programme: the window.
        quotes: for each price id the quote of each listed day.
    """
    prices = {name: [float(quote.price) for quote in series] for name, series in quotes.items()}
    days = programme.listed_days_ms
    spans_ms = [max(0, min(day_ms + DAY_MS, programme.stop_ms) - day_ms) for day_ms in days]
    found: list[LastBalance] = []
    for provider, group in groupby(in_order(events), lambda event: event.provider):
        balances, last = _sum_up(group)
        held = [(max(0.0, balances[token.symbol]), prices[token.price_id]) for token in last.pool.tokens]
        daily = array("d", (sum(units * series[day] for units, series in held) for day in range(len(days))))
        weighted = sum(usd * (span_ms / DAY_MS) for usd, span_ms in zip(daily, spans_ms, strict=True))
        mean_usd = weighted / (programme.duration_ms / DAY_MS)
        found.append(LastBalance(provider, balances, daily, mean_usd))
    return found


def integer_weights(found: Sequence[LastBalance]) -> dict[str, int]:
    """The means as whole numbers of the same ratios, exactly."""
    exact = {each.provider: Fraction(each.mean_usd) for each in found}
    scale = lcm(*(fraction.denominator for fraction in exact.values()))
    return {provider: int(fraction * scale) for provider, fraction in exact.items()}


def _sum_up(events: Iterable[LiquidityEvent]) -> tuple[dict[str, float], LiquidityEvent]:
    """Balances by token, summed within each pool first and then over pools, and the last event."""
    pools: dict[tuple[str, str], float] = {}
    last: LiquidityEvent | None = None
    for last in events:
        for token, units in zip(last.pool.tokens, last.units, strict=True):
            place = (last.pool.address, token.symbol)
            pools[place] = pools.get(place, 0.0) + units / 10**token.decimals
    if last is None:
        raise ValueError("a provider without events")
    balances: dict[str, float] = {}
    for (_, symbol), amount in pools.items():
        balances[symbol] = balances.get(symbol, 0.0) + amount
    return balances, last
