"""All positions at once, on columns: equal to `position.py` to the unit, for millions of events.

Providers go through in groups, so that memory stays bounded. In a group every position (provider × pool)
becomes a list of pieces, cut where it has events and at every midnight; a piece has one amount and one
price a token, hence one value. Sums run over 128-bit integers; what could outgrow them is refused
before.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import polars as pl

from mrmarket.money.loyalty.errors import AmountTooLargeError
from mrmarket.money.loyalty.position import DayPrices
from mrmarket.money.loyalty.prices import PRICE_DECIMALS
from mrmarket.money.loyalty.programme import Programme
from mrmarket.money.loyalty.standing import AMOUNTS_MICRO_USD, Pattern, Standing
from mrmarket.money.loyalty.table import EventTable
from mrmarket.money.loyalty.tiers import DAY_MS, Run

_LIMIT: Final = 2**127
_TIME_BITS: Final = 40
_MOST_SPLIT: Final = 18
MOST_PIECES: Final = 2_000_000
"""About how many pieces a group may have."""


def standings(
    table: EventTable,
    programme: Programme,
    prices: DayPrices,
    *,
    daily: bool = False,
    pattern: bool = False,
    progress: Callable[[int, int], None] | None = None,
    most_pieces: int = MOST_PIECES,
) -> Iterator[Standing]:
    """Every provider with events in the window or before, in order of their names.

    Args:
        table: the events.
        programme: the window.
        prices: of every listed day.
        daily: fill `Standing.daily`.
        pattern: fill `Standing.pattern`.
        progress: called with (providers done, providers in all).
        most_pieces: about how many pieces a group may have; more needs more memory.

    Raises:
        AmountTooLargeError: a position that 128 bits cannot value.
    """
    pieces = len(table.providers) * len(programme.listed_days_ms) + table.frame.height
    groups = max(1, -(-pieces // most_pieces))
    size = max(1, -(-len(table.providers) // groups))
    priced = _Priced.of(table, prices)
    for first in range(0, len(table.providers), size):
        last = min(first + size, len(table.providers))
        group = _Group(table, programme, priced, first, last)
        yield from group.standings(daily=daily, pattern=pattern)
        if progress is not None:
            progress(last, len(table.providers))


@dataclass(frozen=True, slots=True)
class _Priced:
    """Prices by [pool × days + day], a series for each place of a token in its pool, brought to one scale."""

    days: int
    divisor_digits: int
    series: list[pl.Series]
    highest: list[list[int]]
    """By place and pool."""

    @classmethod
    def of(cls, table: EventTable, prices: DayPrices) -> _Priced:
        """Multiply each price up, so that one divisor serves tokens of all decimals."""
        most = max(token.decimals for pool in table.pools for token in pool.tokens)
        days = len(next(iter(prices.values())))
        columns: list[pl.Series] = []
        highest: list[list[int]] = []
        for place in range(table.width):
            values: list[int] = []
            for pool in table.pools:
                if place < len(pool.tokens):
                    token = pool.tokens[place]
                    values += [price * 10 ** (most - token.decimals) for price in prices[token.price_id]]
                else:
                    values += [0] * days
            _refuse_beyond(max(values), "a price")
            highest.append([max(values[first : first + days]) for first in range(0, len(values), days)])
            columns.append(pl.Series(values, dtype=pl.Int128))
        digits = most + PRICE_DECIMALS - 6
        _refuse_beyond(10**digits, "the number of a token's decimals")
        return cls(days, digits, columns, highest)

    def value(self, frame: pl.DataFrame, day: pl.Expr) -> pl.Expr:
        """floor(units × price) summed over the tokens of a pool, not below zero, in micro-USD."""
        place = pl.col("pool").cast(pl.Int64) * self.days + day
        values = [
            self._token_value(
                pl.col(f"units{k}"),
                pl.lit(series).gather(place),
                [(units, self.highest[k][pool]) for pool, units in _largest(frame, f"units{k}")],
            )
            for k, series in enumerate(self.series)
        ]
        return pl.max_horizontal(pl.sum_horizontal(values), pl.lit(0, dtype=pl.Int128)).cast(pl.Int64)

    def _token_value(self, units: pl.Expr, price: pl.Expr, highest: list[tuple[int, int]]) -> pl.Expr:
        """The product may need more than 128 bits: then the low digits of the units are multiplied apart.

        With units = h·10^s + l, floor(units·p / 10^d) = floor((h·p + floor(l·p / 10^s)) / 10^(d-s)).
        `highest` has for each pool the largest units and the largest price.
        """
        digits = self.divisor_digits
        splits = range(min(_MOST_SPLIT, digits) + 1)
        split = next((s for s in splits if all(_fits(most, top, s) for most, top in highest)), None)
        if split is None:
            raise AmountTooLargeError("a position", "what 128 bits can value")
        if split == 0:
            return (units * price) // _power(digits)
        high = units // _power(split)
        low = units - high * _power(split)
        return (high * price + (low * price) // _power(split)) // _power(digits - split)


def _fits(units: int, price: int, split: int) -> bool:
    power: int = 10**split
    return (units // power + 2) * price < _LIMIT and power * price < _LIMIT


def _power(digits: int) -> pl.Expr:
    return pl.lit(10**digits, dtype=pl.Int128)


def _refuse_beyond(value: int, what: str) -> None:
    if value >= _LIMIT:
        raise AmountTooLargeError(what, "128 bits")


def _largest(frame: pl.DataFrame, column: str) -> list[tuple[int, int]]:
    """(pool, the largest amount held in it, without sign)."""
    bounds = frame.group_by("pool").agg(low=pl.col(column).min(), high=pl.col(column).max())
    return [(pool, max(-low, high, 0)) for pool, low, high in bounds.iter_rows()]


def _starts(column: str) -> pl.Expr:
    """Whether a row is the first of its stretch of equal values."""
    return (pl.col(column) != pl.col(column).shift(1)).fill_null(value=True)


def _ends(column: str) -> pl.Expr:
    """Whether a row is the last of its stretch of equal values."""
    return (pl.col(column) != pl.col(column).shift(-1)).fill_null(value=True)


def _running(column: str, within: str) -> pl.Expr:
    """The running sum, starting anew with each stretch of equal `within`. Rows must be sorted by it."""
    total = pl.col(column).cum_sum()
    before = pl.when(_starts(within)).then(total - pl.col(column)).forward_fill()
    return total - before


class _Group:
    """A range of providers."""

    def __init__(
        self, table: EventTable, programme: Programme, priced: _Priced, first: int, last: int
    ) -> None:
        self._table = table
        self._programme = programme
        self._priced = priced
        self._first = first
        self._last = last
        self._units = [f"units{k}" for k in range(table.width)]

    def standings(self, *, daily: bool, pattern: bool) -> Iterator[Standing]:
        """The range's providers."""
        held = self._held()
        try:
            pieces = self._pieces(held)
        except pl.exceptions.InvalidOperationError as error:
            raise AmountTooLargeError("the value of a pool's position", "2^63 micro-USD") from error
        integrals = (
            pieces.lazy()
            .set_sorted("position")
            .group_by("position", maintain_order=True)
            .agg((pl.col("value").cast(pl.Int128) * pl.col("span_ms")).sum())
            .collect()["value"]
        )
        final = held.filter(_ends("position")).with_columns(integral=integrals)
        line = self._timeline(pieces)
        midnights = line.filter(pl.col("time_ms") % DAY_MS == 0) if daily or pattern else line.clear()
        values = self._daily(midnights, final) if daily else {}
        patterns = self._patterns(midnights) if pattern else {}
        crossings = self._crossings(line)
        sinces, runs = _sinces(crossings), _runs(crossings)
        pools = self._table.pools
        by_provider: dict[int, tuple[dict[str, int], dict[str, int]]] = {}
        for pid, place, integral, *units in final.select("pid", "pool", "integral", *self._units).iter_rows():
            parts, balances = by_provider.setdefault(pid, ({}, {}))
            parts[pools[place].address] = integral
            for token, amount in zip(pools[place].tokens, units, strict=False):
                balances[token.symbol] = balances.get(token.symbol, 0) + amount
        for pid, (parts, balances) in by_provider.items():
            yield Standing(
                provider=self._table.providers[pid],
                integrals=parts,
                since_ms=sinces[pid][0],
                above_since_ms=sinces[pid][1:],
                runs=runs.get(pid, ()),
                balances=balances,
                daily=values.get(pid, array("q")),
                pattern=patterns.get(pid, Pattern(0, 0, 0, 0, 0)) if pattern else None,
            )

    def _held(self) -> pl.DataFrame:
        """What each position holds from each of its moments on, by position and time."""
        start_ms = self._programme.start_ms
        inside = pl.col("pid").is_between(self._first, self._last - 1)
        events = self._table.frame.filter(inside & (pl.col("time_ms") <= self._programme.last_ms))
        position = (pl.col("pid").cast(pl.Int64) - self._first) * len(self._table.pools) + pl.col("pool")
        elapsed = pl.max_horizontal(pl.col("time_ms"), pl.lit(start_ms)) - start_ms
        held = (
            events.lazy()
            .with_columns(moment=position * 2**_TIME_BITS + elapsed)
            .sort("moment")
            .with_columns(position=pl.col("moment") // 2**_TIME_BITS)
            .with_columns(
                time_ms=pl.col("moment") % 2**_TIME_BITS + start_ms,
                **{name: _running(name, "position") for name in self._units},
            )
            .filter(_ends("moment"))
            .collect()
        )
        owners = held.filter(_ends("position"))["pid"]
        of_several = owners.filter(owners.is_duplicated()).unique()
        return held.with_columns(several=pl.col("pid").is_in(of_several.implode()))

    def _pieces(self, held: pl.DataFrame) -> pl.DataFrame:
        """Stretches of one amount and one price, with their length and value, by position and time."""
        start_ms, last_ms = self._programme.start_ms, self._programme.last_ms
        follows = pl.when(~_ends("position")).then(pl.col("time_ms").shift(-1))
        day_of_last = (pl.coalesce(follows - 1, pl.lit(last_ms)) - start_ms) // DAY_MS
        day = pl.col("day")
        return (
            held.lazy()
            .select(
                "pid",
                "pool",
                "position",
                "several",
                "time_ms",
                *self._units,
                until_ms=pl.coalesce(follows, pl.lit(self._programme.stop_ms)),
                day=pl.int_ranges((pl.col("time_ms") - start_ms) // DAY_MS, day_of_last + 1),
            )
            .explode("day")
            .select(
                "pid",
                "position",
                "several",
                time_ms=pl.max_horizontal(pl.col("time_ms"), day * DAY_MS + start_ms),
                until_ms=pl.min_horizontal(pl.col("until_ms"), (day + 1) * DAY_MS + start_ms),
                value=self._priced.value(held, day),
            )
            .with_columns(span_ms=pl.col("until_ms") - pl.col("time_ms"))
            .drop("until_ms")
            .collect()
        )

    def _timeline(self, pieces: pl.DataFrame) -> pl.DataFrame:
        """Each provider's value from each of its moments on: `pid, time_ms, value`.

        Who is in one pool is worth what that position is; of the others every change counts when it comes.
        """
        start_ms = self._programme.start_ms
        change = (
            pl.when(_starts("position"))
            .then(pl.col("value"))
            .otherwise(pl.col("value") - pl.col("value").shift(1))
        )
        moment = (pl.col("pid").cast(pl.Int64) - self._first) * 2**_TIME_BITS + pl.col("time_ms") - start_ms
        columns = ("pid", "time_ms", "value")
        summed = (
            pieces.lazy()
            .filter(pl.col("several"))
            .select("pid", "time_ms", change=change, moment=moment)
            .sort("moment")
            .with_columns(value=_running("change", "pid"))
            .filter(_ends("moment"))
            .select(columns)
        )
        alone = pieces.lazy().filter(~pl.col("several")).select(columns)
        return pl.concat([alone, summed]).collect()

    def _crossings(self, line: pl.DataFrame) -> pl.DataFrame:
        """The moments at which a provider goes beyond a bound or back: `pid, time_ms, beyond`.

        `beyond` has a bit for each bound: the minimum, then `AMOUNTS_MICRO_USD`.
        """
        bounds = [pl.col("value") >= self._programme.min_micro_usd]
        bounds += [pl.col("value") > amount for amount in AMOUNTS_MICRO_USD]
        bits = [bound.cast(pl.UInt8) * 2**place for place, bound in enumerate(bounds)]
        return (
            line.lazy()
            .select("pid", "time_ms", beyond=pl.sum_horizontal(bits))
            .filter(_starts("pid") | _starts("beyond"))
            .collect()
        )

    def _daily(self, midnights: pl.DataFrame, final: pl.DataFrame) -> dict[int, array[int]]:
        """Values at the listed midnights, from the programme's first on."""
        programme = self._programme
        closing: dict[int, int] = {}
        if programme.stop_ms == programme.end_ms:
            day = len(programme.listed_days_ms) - 1
            worth = final.select("pid", value=self._priced.value(final, pl.lit(day))).group_by("pid").sum()
            closing = dict(worth.iter_rows())
        listed = len(programme.listed_days_ms) - bool(closing)
        series: dict[int, array[int]] = {pid: array("q", [0] * listed) for pid in final["pid"].unique()}
        grouped = midnights.group_by("pid").agg("time_ms", "value")
        for pid, times, values in grouped.iter_rows():
            first = (min(times) - programme.start_ms) // DAY_MS
            series[pid] = array("q", [0] * first + values)
        for pid, value in closing.items():
            series[pid].append(value)
        return series

    def _patterns(self, midnights: pl.DataFrame) -> dict[int, Pattern]:
        """How daily values moved, as `pattern_of` says."""
        value = pl.col("value").cast(pl.Int128)
        reached = pl.when(pl.col("value") >= self._programme.min_micro_usd).then(pl.col("time_ms"))
        rank, half = pl.col("rank"), pl.col("days") // 2
        found = (
            midnights.lazy()
            .with_columns(first_ms=reached.min().over("pid"))
            .filter(pl.col("time_ms") >= pl.col("first_ms"))
            .with_columns(
                days=pl.len().over("pid").cast(pl.Int64),
                total=value.sum().over("pid"),
                rank=(pl.col("time_ms") - pl.col("first_ms")) // DAY_MS,
            )
            .group_by("pid")
            .agg(
                pl.col("days").first(),
                pl.col("total").first(),
                (value * pl.col("days") - pl.col("total")).abs().sum().alias("deviation"),
                value.filter(rank < half).sum().alias("early"),
                value.filter(rank >= pl.col("days") - half).sum().alias("recent"),
            )
            .collect()
        )
        return {pid: Pattern(*figures) for pid, *figures in found.iter_rows()}


def _sinces(crossings: pl.DataFrame) -> dict[int, tuple[int | None, ...]]:
    """By provider, for each bound the moment since which the value has been beyond it."""
    bits = [pl.col("beyond") // 2**place % 2 == 1 for place in range(len(AMOUNTS_MICRO_USD) + 1)]
    before = pl.col("beyond").shift(1)
    rises = [
        pl.when(bit & (_starts("pid") | (before // 2**place % 2 == 0))).then(pl.col("time_ms"))
        for place, bit in enumerate(bits)
    ]
    names = [f"since{place}" for place in range(len(bits))]
    found = (
        crossings.lazy()
        .select("pid", "beyond", **dict(zip(names, rises, strict=True)))
        .group_by("pid")
        .agg(
            pl.when(bit.last()).then(pl.col(name).max()).alias(name)
            for name, bit in zip(names, bits, strict=True)
        )
        .collect()
    )
    return {pid: tuple(since) for pid, *since in found.iter_rows()}


def _runs(crossings: pl.DataFrame) -> dict[int, tuple[Run, ...]]:
    """Each provider's stretches at the minimum or above."""
    runs: dict[int, list[Run]] = {}
    held = crossings.select("pid", "time_ms", held=pl.col("beyond") % 2 == 1)
    for pid, time_ms, is_held in held.filter(_starts("pid") | _starts("held")).iter_rows():
        mine = runs.setdefault(pid, [])
        if is_held:
            mine.append((time_ms, None))
        elif mine:
            mine[-1] = (mine[-1][0], time_ms)
    return {pid: tuple(mine) for pid, mine in runs.items()}
