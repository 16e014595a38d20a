"""Three ways to the same standing: event by event, on columns, and day by day from a state."""

from __future__ import annotations

import dataclasses
import random
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from money.loyalty.loyalty_samples import (
    ALICE,
    CURVE,
    START_MS,
    TRIPLE,
    UNISWAP,
    change,
    flat_prices,
    invented,
    programme,
)
from mrmarket.money.loyalty import checkpoint, columns, history, table
from mrmarket.money.loyalty.errors import (
    AmountTooLargeError,
    CannotWriteError,
    CorruptEventError,
    FileRefusedError,
    LateEventError,
    StateRefusedError,
)
from mrmarket.money.loyalty.event import Pool, Token
from mrmarket.money.loyalty.programme import Programme
from mrmarket.money.loyalty.tiers import DAY_MS

SEEDS = st.integers(0, 2**32)


@given(SEEDS)
@settings(max_examples=120, deadline=None)
def test_columns_equal_the_reference_to_the_unit(seed: int) -> None:
    """Every figure of every provider, in small groups too."""
    rules, prices, events = invented(seed)
    wanted = list(history.standings(events, rules, prices, pattern=True))
    rows = table.table_of(events)
    for most in (10**6, 100):
        found = columns.standings(rows, rules, prices, daily=True, pattern=True, most_pieces=most)
        assert list(found) == wanted


@given(SEEDS)
@settings(max_examples=120, deadline=None)
def test_day_by_day_equals_all_at_once_to_the_unit(seed: int) -> None:
    """Whatever moments the run was continued at, through a file each time."""
    rules, prices, events = invented(seed)
    rng = random.Random(seed)  # noqa: S311 - samples
    stops = sorted(rng.randrange(rules.start_ms + 1, rules.stop_ms + 1) for _ in range(rng.randrange(5)))
    state = checkpoint.blank(rules)
    for stop_ms in stops:
        until = dataclasses.replace(rules, as_of_ms=stop_ms)
        known = {name: series[: len(until.listed_days_ms)] for name, series in prices.items()}
        state, partial = checkpoint.move_on(state, events, until, known)
        assert partial == list(history.standings(events, until, known))
        state = msgspec.json.decode(msgspec.json.encode(state), type=checkpoint.State)
    _, found = checkpoint.move_on(state, events, rules, prices, pattern=True)
    assert found == list(history.standings(events, rules, prices, pattern=True))


def test_an_amount_that_needs_more_than_128_bits_in_between_is_still_exact() -> None:
    """Units × price is beyond 2^127, the value is not: the low digits are multiplied apart."""
    rules = programme(days=2)
    prices = {name: [price - 7] * 3 for name, (price, *_) in flat_prices(2, tbtc=90_000, ethereum=3).items()}
    units = [12_345_678_901_234_567_890_123_456, -(10**30) - 1]
    events = [change(ALICE, START_MS + 1, units, UNISWAP)]
    assert units[0] * prices["tbtc"][0] > 2**127
    (wanted,) = history.standings(events, rules, prices)
    (found,) = columns.standings(table.table_of(events), rules, prices, daily=True)
    assert found == wanted


@pytest.mark.parametrize(
    ("units", "price", "decimals"),
    [(10**26, 50_000, 8), (2**126, 10**8, 0), (1, 1, 38), (1, 10**8, 0), (10**23, 1, 8)],
)
def test_columns_refuse_what_128_bits_cannot_value(units: int, price: int, decimals: int) -> None:
    """Refused before anything wraps around."""
    pool = Pool("0x1", (Token("A", decimals, "a"), Token("B", 18 if decimals < 38 else 38, "b")))
    events = [change(ALICE, START_MS, [units, 0], pool)]
    prices = flat_prices(2, a=price * 10**3, b=1)
    with pytest.raises(AmountTooLargeError):
        list(columns.standings(table.table_of(events), programme(days=2), prices))


def test_progress_is_told_group_by_group() -> None:
    """The last word is that all are done."""
    rules, prices, events = invented(3)
    told: list[tuple[int, int]] = []
    found = list(
        columns.standings(
            table.table_of(events), rules, prices, most_pieces=50, progress=lambda *step: told.append(step)
        )
    )
    assert len(told) > 1
    assert told[-1] == (len({event.provider for event in events}),) * 2
    assert all(not standing.daily for standing in found)


def test_a_table_survives_its_file(tmp_path: Path) -> None:
    """The same pools, names and amounts, whatever the order in which names were met."""
    rules, prices, events = invented(11)
    rows = table.table_of(events)
    table.write_parquet(rows, tmp_path / "events.parquet")
    again = table.read_parquet(tmp_path / "events.parquet")
    assert again.pools == rows.pools
    assert list(again.providers) == list(rows.providers)
    assert again.first_held_ms() == rows.first_held_ms()
    assert again.frame.equals(rows.frame)
    assert list(columns.standings(again, rules, prices)) == list(columns.standings(rows, rules, prices))


def test_a_table_that_is_none_is_refused(tmp_path: Path) -> None:
    """Text, a file without pools, a pool that nobody described, and an empty field."""
    rows = table.table_of([change(ALICE, START_MS, [1, 2]), change(ALICE, START_MS, [1, 2, 3], TRIPLE)])
    file = tmp_path / "events.parquet"
    file.write_text("not a table")
    with pytest.raises(FileRefusedError, match="no table of events"):
        table.read_parquet(file)
    rows.frame.write_parquet(file)
    with pytest.raises(FileRefusedError, match="no table of events"):
        table.read_parquet(file)
    pools = msgspec.json.encode([CURVE]).decode()
    frame = rows.frame.select("time_ms", "units0", "units1")
    for pool, provider, error in (
        ("0xother", "p", FileRefusedError),
        (CURVE.address, None, CorruptEventError),
    ):
        from polars import String, lit

        spoilt = frame.with_columns(pool=lit(pool), provider=lit(provider, dtype=String))
        spoilt.write_parquet(file, metadata={table.POOLS_KEY: pools})
        with pytest.raises(error):
            table.read_parquet(file)


def test_a_late_event_stops_the_continuation() -> None:
    """An event before the state's day that it has not counted, or one that is gone."""
    rules = programme(days=10, as_of_ms=START_MS + 5 * DAY_MS)
    later = dataclasses.replace(rules, as_of_ms=None)
    prices = flat_prices(10, wrapped_bitcoin=50_000, tbtc=50_000)
    events = [change(ALICE, START_MS + DAY_MS, [1, 0]), change(ALICE, START_MS + 7 * DAY_MS, [1, 0])]
    state, _ = checkpoint.move_on(checkpoint.blank(rules), events, rules, prices)
    assert state.counted == 1
    late = change(ALICE, START_MS + 2 * DAY_MS, [1, 0], transaction="0xlate")
    for log in ([*events, late], events[1:], [late, events[1]]):
        with pytest.raises(LateEventError, match="without --state"):
            checkpoint.move_on(state, log, later, prices)
    _, found = checkpoint.move_on(state, list(reversed(events)), later, prices)
    assert found == list(history.standings(events, later, prices))


def refused(state: checkpoint.State, rules: Programme, prices: dict[str, list[int]]) -> str:
    """What is said about a state that does not fit."""
    with pytest.raises(StateRefusedError) as error:
        checkpoint.move_on(state, [change(ALICE, START_MS, [1, 0])], rules, prices)
    return str(error.value)


def test_a_state_of_something_else_is_refused() -> None:
    """Another window, other prices for days that are counted, or a run that ends before the state."""
    rules = programme(days=10, as_of_ms=START_MS + 5 * DAY_MS)
    prices = flat_prices(10, wrapped_bitcoin=50_000, tbtc=50_000)
    state, _ = checkpoint.move_on(checkpoint.blank(rules), [change(ALICE, START_MS, [1, 0])], rules, prices)
    assert "another window" in refused(state, programme(days=11), prices)
    assert "have changed" in refused(state, rules, prices | {"tbtc": [1] * 11})
    assert "the run ends" in refused(state, dataclasses.replace(rules, as_of_ms=START_MS + DAY_MS), prices)


def test_a_state_file_is_whole_or_refused(tmp_path: Path) -> None:
    """Missing, cut, of another shape or of another format."""
    file = tmp_path / "state.json"
    state = checkpoint.blank(programme())
    checkpoint.save(state, file)
    assert checkpoint.load(file) == state
    whole = file.read_bytes()
    for content in (whole[:-5], b"[]", whole.replace(b'"format":1', b'"format":2')):
        file.write_bytes(content)
        with pytest.raises(FileRefusedError):
            checkpoint.load(file)
    with pytest.raises(FileRefusedError):
        checkpoint.load(tmp_path / "none.json")
    with pytest.raises(CannotWriteError, match="make room"):
        checkpoint.save(state, tmp_path / "none" / "state.json")
