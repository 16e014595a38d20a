"""From files to a result: reads, checks, computes, and only then hands anything out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from mrmarket.core.errors import InvalidInputError
from mrmarket.money.loyalty import checkpoint, history, last_balance
from mrmarket.money.loyalty.errors import AmountTooLargeError
from mrmarket.money.loyalty.event import EventLog, LiquidityEvent, Pool, Remark
from mrmarket.money.loyalty.last_balance import LastBalance
from mrmarket.money.loyalty.model import MODELS
from mrmarket.money.loyalty.outcome import Outcome, Reward, share_exactly, share_last
from mrmarket.money.loyalty.pool_events import PoolEventFile
from mrmarket.money.loyalty.prices import PriceBook, Quote, written_time
from mrmarket.money.loyalty.programme import Programme
from mrmarket.money.loyalty.standing import Standing

ModelName = Literal["twal", "threshold", "hybrid", "last_balance"]
Progress = Callable[[str, int, int], None]
"""Told (what is being done, how much is done, how much there is)."""

COLUMNS_FROM: Final = 50_000
"""From so many events on positions are computed on columns, which start slower and run faster."""


@dataclass(frozen=True, slots=True)
class Request:
    """One run as a person asks for it."""

    events: Path
    prices: Path
    programme: Programme
    model: ModelName = "twal"
    fill_holes: bool = False
    drop_duplicates: bool = False
    state: Path | None = None


@dataclass(frozen=True, slots=True)
class Computed:
    """A result, and the state to keep where the run was asked to continue one."""

    outcome: Outcome
    state: checkpoint.State | None


def compute(request: Request, progress: Progress | None = None) -> Computed:
    """Compute a run; nothing is written.

    Raises:
        LoyaltyError: the inputs cannot give a right result; the message says what to do.
        InvalidInputError: options that exclude each other.
    """
    if request.events.suffix == ".parquet":
        return _from_table(request, progress)
    book = PriceBook.read(request.prices)
    log = PoolEventFile(request.events, drop_duplicates=request.drop_duplicates).read()
    return from_log(request, log, book, progress)


def from_log(request: Request, log: EventLog, book: PriceBook, progress: Progress | None = None) -> Computed:
    """Compute a run from events of any source.

    Raises:
        LoyaltyError: the inputs cannot give a right result; the message says what to do.
    """
    programme = request.programme
    counted, late = _until(log.events, programme.as_of_ms)
    remarks = list(log.remarks)
    if late and programme.as_of_ms is not None:
        sentence = f"events came after {written_time(programme.as_of_ms)} and are not counted"
        remarks.append(Remark("after_as_of", late, sentence))
    inside = [event for event in counted if event.time_ms <= programme.last_ms]
    if len(inside) < len(counted):
        sentence = "events came at the end of the window or after it; only last_balance counts them"
        remarks.append(Remark("after_end", len(counted) - len(inside), sentence))
    quotes, found = _quotes(request, counted, book)
    remarks += found
    state = None
    if request.state is not None:
        state, standings = _continued(request, request.state, log.events, quotes)
    else:
        standings = _standings(request, inside, quotes, progress)
    last = last_balance.last_balances(counted, programme, quotes)
    remarks += _overdrawn(standings)
    pools = tuple(sorted(history.pools_of(counted).values()))
    outcome = _outcome(request, standings, last, pools, tuple(remarks), len(counted))
    return Computed(outcome, state)


def _from_table(request: Request, progress: Progress | None) -> Computed:
    """Compute from a Parquet file; the compatibility model needs events one by one and is left out."""
    from mrmarket.money.loyalty import columns, table  # noqa: PLC0415 - polars starts slowly; small runs go without

    if request.model == last_balance.NAME or request.state is not None:
        raise InvalidInputError("events", request.events.name, "a JSON file for last_balance and for --state")
    book = PriceBook.read(request.prices)
    programme = request.programme
    events = table.read_parquet(request.events)
    quotes, remarks = history.quotes_of(
        events.pools, events.first_held_ms(), book, programme, fill_holes=request.fill_holes
    )
    prices = history.exact_prices(quotes)
    pattern = _needs_pattern(request)
    found = columns.standings(
        events, programme, prices, daily=True, pattern=pattern, progress=_named(progress, "providers")
    )
    standings = list(found)
    remarks += _overdrawn(standings)
    outcome = _outcome(request, standings, None, events.pools, tuple(remarks), events.frame.height)
    return Computed(outcome, None)


def _until(events: Sequence[LiquidityEvent], as_of_ms: int | None) -> tuple[list[LiquidityEvent], int]:
    """Events up to a moment, and how many came later."""
    counted = [event for event in events if as_of_ms is None or event.time_ms <= as_of_ms]
    return counted, len(events) - len(counted)


def _quotes(
    request: Request, events: Sequence[LiquidityEvent], book: PriceBook
) -> tuple[dict[str, list[Quote]], list[Remark]]:
    first_held_ms: dict[str, int] = {}
    for event in events:
        for token in event.pool.tokens:
            first = first_held_ms.get(token.price_id, event.time_ms)
            first_held_ms[token.price_id] = min(first, event.time_ms)
    if request.model == last_balance.NAME:
        first_held_ms = {}
    pools = list(history.pools_of(events).values())
    return history.quotes_of(pools, first_held_ms, book, request.programme, fill_holes=request.fill_holes)


def _standings(
    request: Request,
    events: Sequence[LiquidityEvent],
    quotes: Mapping[str, Sequence[Quote]],
    progress: Progress | None,
) -> list[Standing]:
    """Everybody's standing, by the path that suits the size."""
    prices = history.exact_prices(quotes)
    pattern = _needs_pattern(request)
    told = _named(progress, "providers")
    if len(events) >= COLUMNS_FROM:
        from mrmarket.money.loyalty import columns, table  # noqa: PLC0415 - as above

        rows = table.table_of(events)
        try:
            return list(
                columns.standings(rows, request.programme, prices, daily=True, pattern=pattern, progress=told)
            )
        except AmountTooLargeError:
            # 128 bits were too few; the plain path below has no such bound.
            pass
    return list(history.standings(events, request.programme, prices, pattern=pattern, progress=told))


def _continued(
    request: Request,
    path: Path,
    events: Sequence[LiquidityEvent],
    quotes: Mapping[str, Sequence[Quote]],
) -> tuple[checkpoint.State, list[Standing]]:
    """Everybody's standing from the state on; a late event is looked for in the whole log."""
    before = checkpoint.load(path) if path.exists() else checkpoint.blank(request.programme)
    prices = history.exact_prices(quotes)
    return checkpoint.move_on(before, events, request.programme, prices, pattern=_needs_pattern(request))


def _needs_pattern(request: Request) -> bool:
    return request.model != last_balance.NAME and MODELS[request.model].needs_pattern


def _outcome(
    request: Request,
    standings: Sequence[Standing],
    last: Sequence[LastBalance] | None,
    pools: tuple[Pool, ...],
    remarks: tuple[Remark, ...],
    events: int,
) -> Outcome:
    """Share the total out by the model that was asked for, and by the two that are compared."""
    programme = request.programme

    def by(model: str) -> list[Reward]:
        if model == last_balance.NAME:
            return share_last(last or (), programme)
        return share_exactly(MODELS[model], standings, programme)

    rewards = by(request.model)
    honest = {reward.provider: reward.units for reward in by("twal")}
    recorded = {reward.provider: reward.units for reward in by(last_balance.NAME)}
    if not any(reward.units for reward in rewards):
        sentence = f"rewards were paid: nobody has any weight by {request.model}, so the whole total remains"
        remarks = (*remarks, Remark("nothing_shared", 0, sentence))
    return Outcome(
        model=request.model,
        programme=programme,
        pools=pools,
        standings=standings,
        last=last,
        rewards=rewards,
        honest=honest,
        recorded=recorded,
        remarks=remarks,
        events=events,
    )


def _overdrawn(standings: Sequence[Standing]) -> list[Remark]:
    """Remark on tokens of which more was taken out than the events show to have been put in."""
    count = sum(units < 0 for standing in standings for units in standing.balances.values())
    if not count:
        return []
    sentence = (
        "balances are below zero: more was taken out than the events put in, because the position "
        "was left in another mix of tokens or was opened before the first event; "
        "a pool below zero counts as zero"
    )
    return [Remark("negative_balance", count, sentence)]


def _named(progress: Progress | None, what: str) -> Callable[[int, int], None] | None:
    if progress is None:
        return None
    return lambda done, whole: progress(what, done, whole)
