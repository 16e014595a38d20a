"""A spot market, its perpetual and its funding rates as one line of moments."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from heapq import merge
from itertools import pairwise
from pathlib import Path
from typing import Final, NamedTuple

import polars as pl

from mrmarket.core.clock import NS_PER_S
from mrmarket.core.instrument import Instrument
from mrmarket.trading.backtest.bar_file import is_bar_file, load_bars
from mrmarket.trading.backtest.errors import BacktestError
from mrmarket.trading.backtest.setting import TapeRef
from mrmarket.trading.backtest.tape_file import checked_ref
from mrmarket.trading.market.book import OrderBook
from mrmarket.trading.market.errors import TapeNotFoundError
from mrmarket.trading.market.event import MarketEvent
from mrmarket.trading.market.tape import open_tape

SPOT: Final = 0
PERP: Final = 1
_FILES: Final = 3
_TIMES: Final = ("time", "timestamp", "funding_time", "fundingtime", "calc_time", "date")
_RATES: Final = ("rate", "funding_rate", "fundingrate", "last_funding_rate")
_UNITS: Final = ((10**11, NS_PER_S), (10**14, 10**6), (10**17, 10**3))
"""Whole numbers below these are seconds, milliseconds, microseconds; else nanoseconds."""
_DEFAULT_HOURS: Final = 8.0
_SECOND_NS: Final = NS_PER_S


class CarryFilesError(BacktestError):
    """The files do not show a spot market, its perpetual and its funding."""

    code = "not_a_carry"

    def __init__(self, detail: str) -> None:
        self.detail = detail
        super().__init__(
            f"{detail}; give three files: --tape SPOT --tape PERPETUAL (tapes or bars of one time) and"
            " --tape FUNDING.csv with the columns time and rate"
        )


class Touch(NamedTuple):
    """The best prices of one market from a moment on, in quote."""

    at_ns: int
    market: int
    """`SPOT` or `PERP`."""
    bid: Decimal
    ask: Decimal


class Funding(NamedTuple):
    """One payment: the long pays the short `rate` of what the perpetual is worth."""

    at_ns: int
    rate: Decimal


@dataclass(frozen=True, slots=True)
class CarryRecording:
    """All of it in memory; whoever plays it only reads."""

    spot: Instrument
    perp: Instrument
    touches: tuple[Touch, ...]
    """Of both, ascending in time, at most one a second of each."""
    funding: tuple[Funding, ...]
    """Ascending."""
    interval_hours: float
    """Between two payments."""
    from_bars: bool
    """Whether a price is a bar's close, without a spread."""
    first_ns: int
    last_ns: int
    refs: tuple[TapeRef, ...]


def load_carry(refs: tuple[TapeRef, ...], symbol: str) -> CarryRecording:
    """Read what the setting names.

    Raises:
        TapeError, BacktestError: a file cannot be used, as they say.
    """
    if len(refs) != _FILES:
        raise CarryFilesError(f"{len(refs)} files were given")
    return _load(refs, symbol)


@lru_cache(maxsize=1)  # the runs of one search play the same recording
def _load(refs: tuple[TapeRef, ...], symbol: str) -> CarryRecording:
    (spot, ones, bars_one), (perp, twos, bars_two) = (
        _market(ref, symbol, market) for market, ref in ((SPOT, refs[0]), (PERP, refs[1]))
    )
    if spot.base != perp.base or spot.quote != perp.quote:
        raise CarryFilesError(f"the first two files hold {spot.symbol} and {perp.symbol}")
    funding = tuple(read_funding(Path(refs[2].path)))
    touches = tuple(merge(ones, twos, key=lambda each: each.at_ns))
    first_ns, last_ns = max(ones[0].at_ns, twos[0].at_ns), min(ones[-1].at_ns, twos[-1].at_ns)
    if first_ns >= last_ns:
        raise CarryFilesError("the first two files have no time in common")
    return CarryRecording(
        spot,
        perp,
        touches,
        funding,
        _hours(funding),
        bars_one or bars_two,
        first_ns,
        last_ns,
        tuple(checked_ref(ref) for ref in refs),
    )


def read_funding(path: Path) -> Iterator[Funding]:
    """Payments of a CSV file (plain or gzip) with a time and a rate in each line, ascending.

    Times are whole seconds, milliseconds, microseconds or nanoseconds since 1970, rates fractions.

    Raises:
        TapeNotFoundError: there is no such file.
        CarryFilesError: it is none.
    """
    if not path.is_file():
        raise TapeNotFoundError(path, "no such file")
    try:
        frame = pl.read_csv(path, infer_schema=False)
    except (pl.exceptions.PolarsError, OSError, UnicodeDecodeError) as error:
        raise CarryFilesError(f"{path} is no CSV file ({str(error).splitlines()[0]})") from error
    names = {name.strip().lower(): name for name in frame.columns}
    time = next((names[each] for each in _TIMES if each in names), None)
    rate = next((names[each] for each in _RATES if each in names), None)
    if time is None or rate is None or not frame.height:
        raise CarryFilesError(f"{path} has no columns time and rate, or no line")
    found = []
    for number, (at, value) in enumerate(frame.select(time, rate).rows(), start=2):
        try:
            at_ns, fraction = _nanoseconds(int(at)), Decimal(value.strip())
        except (TypeError, ValueError, ArithmeticError, AttributeError) as error:
            raise CarryFilesError(f"line {number} of {path} holds no time and rate") from error
        if not fraction.is_finite() or abs(fraction) > 1:
            raise CarryFilesError(f"the rate in line {number} of {path} is no fraction from -1 to 1")
        found.append(Funding(at_ns, fraction))
    yield from sorted(found)


def _market(ref: TapeRef, symbol: str, market: int) -> tuple[Instrument, list[Touch], bool]:
    if is_bar_file(ref.path):
        bars = load_bars(ref, symbol)
        prices = [bars.instrument.price(each) for each in bars.close]
        touches = [
            Touch(at_ns, market, price, price) for at_ns, price in zip(bars.close_ns, prices, strict=True)
        ]
        return bars.instrument, touches, True
    tape = open_tape(Path(ref.path))
    return tape.instrument, list(_touches(tape.instrument, tape.events(), market)), False


def _touches(instrument: Instrument, events: Iterable[MarketEvent], market: int) -> Iterator[Touch]:
    """The book's best prices, once a second and where they are known."""
    book, next_ns = OrderBook(instrument), 0
    for event in events:
        if not book.apply(event) or event.exchange_ns < next_ns:
            continue
        bid, ask = book.best_bid, book.best_ask
        if bid is None or ask is None:
            continue
        next_ns = event.exchange_ns + _SECOND_NS
        yield Touch(event.exchange_ns, market, instrument.price(bid[0]), instrument.price(ask[0]))


def _nanoseconds(stamp: int) -> int:
    return stamp * next((unit for limit, unit in _UNITS if stamp < limit), 1)


def _hours(funding: tuple[Funding, ...]) -> float:
    gaps = [later.at_ns - earlier.at_ns for earlier, later in pairwise(funding)]
    least = min((gap for gap in gaps if gap > 0), default=0)
    return least / NS_PER_S / 3600 if least else _DEFAULT_HOURS
