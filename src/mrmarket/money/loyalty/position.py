"""One provider's position, moved forward moment by moment: the reference that everything faster must equal.

A moment is a time of events or a 00:00 UTC. Between two moments neither amounts nor prices change, so
the value is constant there. A token's value is `floor(units × price)` in micro-USD, a pool's the sum of
its tokens' but not below zero, a provider's the sum of the pools'. Below zero a pool can come in two
ways: it was left in other tokens than it was entered with and prices moved, or the events begin after
the position was opened.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Final

from mrmarket.money.loyalty.errors import AmountTooLargeError
from mrmarket.money.loyalty.event import LiquidityEvent, Pool
from mrmarket.money.loyalty.prices import PRICE_DECIMALS
from mrmarket.money.loyalty.programme import Programme
from mrmarket.money.loyalty.standing import AMOUNTS_MICRO_USD, Pattern, Standing
from mrmarket.money.loyalty.tiers import DAY_MS

DayPrices = Mapping[str, Sequence[int]]
"""For each price id the price of each listed day of the programme, in 10^-12 US dollars."""

MOST_MICRO_USD: Final = 2**63
"""No position in one pool may be worth that much."""
_MICRO_DIGITS: Final = PRICE_DECIMALS - 6


def token_value(units: int, price: int, decimals: int) -> int:
    """The value of base units in micro-USD, rounded down."""
    divisor: int = 10 ** (decimals + _MICRO_DIGITS)
    return units * price // divisor


@dataclass(slots=True)
class Position:
    """Where a provider stands, as of `clock_ms`: everything before that moment is counted."""

    provider: str
    clock_ms: int
    units: dict[str, list[int]] = field(default_factory=dict)
    values: dict[str, int] = field(default_factory=dict)
    integrals: dict[str, int] = field(default_factory=dict)
    above_since_ms: list[int | None] = field(default_factory=lambda: [None] * len(AMOUNTS_MICRO_USD))
    runs: list[list[int | None]] = field(default_factory=list)
    daily: array[int] = field(default_factory=lambda: array("q"))

    @property
    def value(self) -> int:
        """Micro-USD over all pools, as last marked."""
        return sum(self.values.values())

    def advance(self, to_ms: int) -> None:
        """Let time pass."""
        passed_ms = to_ms - self.clock_ms
        for pool, value in self.values.items():
            self.integrals[pool] = self.integrals.get(pool, 0) + value * passed_ms
        self.clock_ms = to_ms

    def apply(self, event: LiquidityEvent) -> None:
        """Put into a pool or take out of it."""
        held = self.units.setdefault(event.pool.address, [0] * len(event.units))
        for place, units in enumerate(event.units):
            held[place] += units

    def price(self, prices: DayPrices, day: int, pools: Mapping[str, Pool]) -> None:
        """Value every pool at the prices of a listed day."""
        for address, held in self.units.items():
            self.values[address] = _pool_value(pools[address], held, prices, day)

    def cross(self, min_micro_usd: int) -> None:
        """Note which bounds the value has crossed by now."""
        value = self.value
        open_run = self.runs[-1] if self.runs and self.runs[-1][1] is None else None
        if value >= min_micro_usd and open_run is None:
            self.runs.append([self.clock_ms, None])
        elif value < min_micro_usd and open_run is not None:
            open_run[1] = self.clock_ms
        for place, amount in enumerate(AMOUNTS_MICRO_USD):
            if value <= amount:
                self.above_since_ms[place] = None
            elif self.above_since_ms[place] is None:
                self.above_since_ms[place] = self.clock_ms


def _pool_value(pool: Pool, held: Sequence[int], prices: DayPrices, day: int) -> int:
    value = sum(
        token_value(units, prices[token.price_id][day], token.decimals)
        for units, token in zip(held, pool.tokens, strict=True)
    )
    if value >= MOST_MICRO_USD:
        raise AmountTooLargeError("the value of a pool's position", "2^63 micro-USD")
    return max(0, value)


def play(
    position: Position,
    events: Sequence[LiquidityEvent],
    programme: Programme,
    prices: DayPrices,
    pools: Mapping[str, Pool],
    until_ms: int,
) -> None:
    """Move a position through every moment from its clock on, up to but without `until_ms`.

    Args:
        position: is changed; stands at `until_ms` afterwards, or at the end of the window if that is earlier.
        events: the provider's, in order of time, none before the position's clock except before the start.
        programme: the window.
        prices: of every listed day.
        pools: every pool of the events and of the position.
        until_ms: a moment after the clock.
    """
    last_ms = min(programme.last_ms, until_ms - 1)
    by_moment = {
        moment: list(group) for moment, group in groupby(events, lambda e: max(e.time_ms, programme.start_ms))
    }
    first_midnight = -(-position.clock_ms // DAY_MS) * DAY_MS
    midnights = range(first_midnight, last_ms + 1, DAY_MS)
    for moment_ms in sorted(set(by_moment).union(midnights)):
        if moment_ms > last_ms:
            break
        position.advance(moment_ms)
        for event in by_moment.get(moment_ms, ()):
            position.apply(event)
        position.price(prices, (moment_ms - programme.start_ms) // DAY_MS, pools)
        position.cross(programme.min_micro_usd)
        if moment_ms % DAY_MS == 0:
            position.daily.append(position.value)
    position.advance(min(until_ms, programme.stop_ms))


def standing_of(
    position: Position,
    programme: Programme,
    prices: DayPrices,
    pools: Mapping[str, Pool],
    pattern: Pattern | None,
) -> Standing:
    """Sum a position up that stands at the end of its run."""
    balances: dict[str, int] = {}
    for address, held in position.units.items():
        for units, token in zip(held, pools[address].tokens, strict=True):
            balances[token.symbol] = balances.get(token.symbol, 0) + units
    daily = array("q", position.daily)
    if programme.stop_ms == programme.end_ms and len(daily) < len(programme.listed_days_ms):
        day = len(programme.listed_days_ms) - 1
        daily.append(
            sum(_pool_value(pools[address], held, prices, day) for address, held in position.units.items())
        )
    since_ms = position.runs[-1][0] if position.runs and position.runs[-1][1] is None else None
    return Standing(
        provider=position.provider,
        integrals=dict(position.integrals),
        since_ms=since_ms,
        above_since_ms=tuple(position.above_since_ms),
        runs=tuple((since, until) for since, until in position.runs if since is not None),
        balances=balances,
        daily=daily,
        pattern=pattern,
    )
