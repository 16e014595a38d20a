"""The exact path in plain Python: every provider's standing, event by event, day by day."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby

from mrmarket.money.loyalty.event import LiquidityEvent, Pool, Remark, in_order
from mrmarket.money.loyalty.position import DayPrices, Position, play, standing_of
from mrmarket.money.loyalty.prices import PriceBook, Quote, scaled
from mrmarket.money.loyalty.programme import Programme
from mrmarket.money.loyalty.standing import Standing, pattern_of


def standings(
    events: Sequence[LiquidityEvent],
    programme: Programme,
    prices: DayPrices,
    *,
    pattern: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[Standing]:
    """Every provider with events in the window or before, in order of their names."""
    counted = in_order([event for event in events if event.time_ms <= programme.last_ms])
    pools = pools_of(counted)
    whole = len({event.provider for event in counted})
    for done, (provider, group) in enumerate(groupby(counted, lambda event: event.provider), 1):
        position = Position(provider, programme.start_ms)
        play(position, list(group), programme, prices, pools, programme.end_ms)
        yield sum_up(position, programme, prices, pools, pattern=pattern)
        if progress is not None:
            progress(done, whole)


def sum_up(
    position: Position, programme: Programme, prices: DayPrices, pools: Mapping[str, Pool], *, pattern: bool
) -> Standing:
    """A standing, with the pattern of its days if that is asked for."""
    # A midnight before the first event is worth nothing and so changes no pattern.
    found = pattern_of(position.daily, programme.min_micro_usd) if pattern else None
    return standing_of(position, programme, prices, pools, found)


def pools_of(events: Sequence[LiquidityEvent]) -> dict[str, Pool]:
    """The pools of some events, by address."""
    return {event.pool.address: event.pool for event in events}


def quotes_of(
    pools: Sequence[Pool],
    first_held_ms: Mapping[str, int],
    book: PriceBook,
    programme: Programme,
    *,
    fill_holes: bool,
) -> tuple[dict[str, list[Quote]], list[Remark]]:
    """The quote of every token on every listed day, from quotes no later than `as_of_ms`.

    Args:
        pools: whose tokens are wanted.
        first_held_ms: by price id, when a token first took part.
        book: all quotes.
        programme: the window.
        fill_holes: see `PriceBook.daily`.
    """
    known = book.until(programme.as_of_ms)
    days = programme.listed_days_ms
    quotes: dict[str, list[Quote]] = {}
    remarks: list[Remark] = []
    for name in sorted({token.price_id for pool in pools for token in pool.tokens}):
        series, found = known.daily(name, days, first_held_ms.get(name, 0), fill_holes=fill_holes)
        quotes[name] = series
        remarks += found
    return quotes, remarks


def exact_prices(quotes: Mapping[str, Sequence[Quote]]) -> dict[str, list[int]]:
    """Prices of the listed days in 10^-12 US dollars."""
    return {name: [scaled(quote.price) for quote in series] for name, series in quotes.items()}
