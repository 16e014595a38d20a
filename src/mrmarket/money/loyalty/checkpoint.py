"""A run that is continued day by day: the state after so many whole days, and how to move on from it.

The state file is JSON. `through_ms` is a midnight; every event before it is counted in `positions`, as
`position.Position` holds them (amounts and integrals as decimal text, values at midnights in `daily`,
micro-USD). `counted` and `digest` (the sum of the SHA-256 of each counted event, modulo 2^256) tell a
late event or one that was taken back; `prices` (10^-12 USD by price id and day) tell a price that was
changed afterwards. Continuing gives the same result as computing from the start, to the unit.
"""

from __future__ import annotations

import hashlib
import os
from array import array
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Final, Self

import msgspec

from mrmarket.core.crash import reach
from mrmarket.money.loyalty.errors import (
    CannotWriteError,
    FileRefusedError,
    LateEventError,
    StateRefusedError,
)
from mrmarket.money.loyalty.event import LiquidityEvent, Pool, in_order
from mrmarket.money.loyalty.history import pools_of, sum_up
from mrmarket.money.loyalty.position import DayPrices, Position, play
from mrmarket.money.loyalty.prices import written_time
from mrmarket.money.loyalty.programme import Programme
from mrmarket.money.loyalty.standing import Standing
from mrmarket.money.loyalty.tiers import DAY_MS

FORMAT: Final = 1
_MODULUS: Final = 2**256


class PositionRecord(msgspec.Struct, frozen=True):
    """One position, with integers beyond 64 bits as decimal text."""

    provider: str
    units: dict[str, list[str]]
    integrals: dict[str, str]
    above_since_ms: list[int | None]
    runs: list[list[int | None]]
    daily: list[int]

    @classmethod
    def of(cls, position: Position) -> Self:
        """Write a position down."""
        return cls(
            position.provider,
            {pool: [str(units) for units in held] for pool, held in position.units.items()},
            {pool: str(integral) for pool, integral in position.integrals.items()},
            list(position.above_since_ms),
            [list(run) for run in position.runs],
            position.daily.tolist(),
        )

    def position(self, clock_ms: int) -> Position:
        """Take it up again."""
        return Position(
            provider=self.provider,
            clock_ms=clock_ms,
            units={pool: [int(units) for units in held] for pool, held in self.units.items()},
            integrals={pool: int(integral) for pool, integral in self.integrals.items()},
            above_since_ms=list(self.above_since_ms),
            runs=[list(run) for run in self.runs],
            daily=array("q", self.daily),
        )


class State(msgspec.Struct, frozen=True):
    """Everything before `through_ms`."""

    format: int
    start_ms: int
    end_ms: int
    min_micro_usd: int
    through_ms: int
    counted: int
    digest: str
    prices: dict[str, list[int]]
    pools: list[Pool]
    positions: list[PositionRecord]


def blank(programme: Programme) -> State:
    """The state before the first day."""
    return State(
        format=FORMAT,
        start_ms=programme.start_ms,
        end_ms=programme.end_ms,
        min_micro_usd=programme.min_micro_usd,
        through_ms=programme.start_ms,
        counted=0,
        digest=_digest(()),
        prices={},
        pools=[],
        positions=[],
    )


def load(path: Path) -> State:
    """Read a state file.

    Raises:
        FileRefusedError: it cannot be read, is cut, or is of another format.
    """
    try:
        state = msgspec.json.decode(path.read_bytes(), type=State)
    except OSError as error:
        raise FileRefusedError(path, f"cannot be read ({error.strerror or error})") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise FileRefusedError(path, f"is no whole state ({error})") from error
    if state.format != FORMAT:
        raise FileRefusedError(path, f"has format {state.format}, this version reads {FORMAT}")
    return state


def save(state: State, path: Path) -> None:
    """Put a state in the place of the one before, at once.

    Raises:
        CannotWriteError: the disk is full, or the place is not ours to write to.
    """
    beside = path.with_name(path.name + ".new")
    try:
        with beside.open("wb") as file:
            file.write(msgspec.json.encode(state))
            file.flush()
            os.fsync(file.fileno())
        reach("loyalty.state_written")
        beside.replace(path)
    except OSError as error:
        raise CannotWriteError(path, error) from error


def move_on(
    state: State,
    events: Sequence[LiquidityEvent],
    programme: Programme,
    prices: DayPrices,
    *,
    pattern: bool = False,
) -> tuple[State, list[Standing]]:
    """Continue from a state to the last whole day of a run, and sum up where the run ends.

    Args:
        state: made by this function or `blank`.
        events: the whole log, from the first event on.
        programme: the same window and minimum as the state's; a later `as_of_ms`, or none.
        prices: of every listed day, the earlier ones as before.
        pattern: fill `Standing.pattern`.

    Returns:
        The state after the last whole day, and every provider's standing, in order of their names.

    Raises:
        StateRefusedError: another programme, other prices, or a state later than the run.
        LateEventError: the events before the state's day are not those it counted.
    """
    whole_days = (programme.stop_ms - programme.start_ms) // DAY_MS
    through_ms = programme.start_ms + whole_days * DAY_MS
    _check(state, programme, prices, through_ms)
    counted, new = _split(events, state.through_ms, programme)
    if (len(counted), _digest(counted)) != (state.counted, state.digest):
        raise LateEventError(written_time(state.through_ms), state.counted, len(counted))
    new = [event for event in in_order(new) if event.time_ms <= programme.last_ms]
    pools = {pool.address: pool for pool in state.pools} | pools_of(new)
    by_provider = {provider: list(group) for provider, group in groupby(new, lambda e: e.provider)}
    known = {record.provider: record for record in state.positions}
    standings: list[Standing] = []
    records: list[PositionRecord] = []
    for provider in sorted(known.keys() | by_provider.keys()):
        position = _take_up(known.get(provider), provider, state)
        before, after = _split(by_provider.get(provider, []), through_ms, programme)
        if through_ms > position.clock_ms:
            play(position, before, programme, prices, pools, through_ms)
        if position.units:
            records.append(PositionRecord.of(position))
        if through_ms < programme.end_ms:
            play(position, after, programme, prices, pools, programme.end_ms)
        standings.append(sum_up(position, programme, prices, pools, pattern=pattern))
    done, _ = _split(events, through_ms, programme)
    moved = State(
        format=FORMAT,
        start_ms=programme.start_ms,
        end_ms=programme.end_ms,
        min_micro_usd=programme.min_micro_usd,
        through_ms=through_ms,
        counted=len(done),
        digest=_digest(done),
        prices={name: list(series[:whole_days]) for name, series in prices.items()},
        pools=sorted(pools_of(done).values()),
        positions=records,
    )
    return moved, standings


def _take_up(record: PositionRecord | None, provider: str, state: State) -> Position:
    """A position at the state's moment; a new one has been worth nothing so far."""
    if record is not None:
        return record.position(state.through_ms)
    elapsed_days = (state.through_ms - state.start_ms) // DAY_MS
    return Position(provider, state.through_ms, daily=array("q", [0] * elapsed_days))


def _split(
    events: Iterable[LiquidityEvent], through_ms: int, programme: Programme
) -> tuple[list[LiquidityEvent], list[LiquidityEvent]]:
    """Events that a state through that moment has counted, and the others.

    At the start nothing is counted yet: what happened before it takes effect at it.
    """
    if through_ms == programme.start_ms:
        return [], list(events)
    counted: list[LiquidityEvent] = []
    new: list[LiquidityEvent] = []
    for event in events:
        (counted if event.time_ms < through_ms else new).append(event)
    return counted, new


def _check(state: State, programme: Programme, prices: DayPrices, through_ms: int) -> None:
    """Refuse a state of something else."""
    ours = (programme.start_ms, programme.end_ms, programme.min_micro_usd)
    if (state.start_ms, state.end_ms, state.min_micro_usd) != ours:
        raise StateRefusedError("it is of another window or another --min-usd")
    if through_ms < state.through_ms:
        ahead, stop = written_time(state.through_ms), written_time(programme.stop_ms)
        raise StateRefusedError(f"it has counted up to {ahead}, the run ends at {stop}")
    for name, series in state.prices.items():
        if list(prices.get(name, ())[: len(series)]) != series:
            raise StateRefusedError(f"prices of {name} before {written_time(state.through_ms)} have changed")


def _digest(events: Iterable[LiquidityEvent]) -> str:
    """A number that does not depend on the order of the events."""
    total = 0
    for event in events:
        text = "|".join(
            map(str, (event.transaction, event.provider, event.time_ms, event.pool.address, *event.units))
        )
        total += int.from_bytes(hashlib.sha256(text.encode()).digest())
    return f"{total % _MODULUS:064x}"
