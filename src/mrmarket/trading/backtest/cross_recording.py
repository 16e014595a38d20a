"""Two venues' markets as one line of events: a recording of both, or a tape of each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from functools import lru_cache
from heapq import merge
from pathlib import Path
from typing import Final

from mrmarket.core.instrument import Instrument
from mrmarket.trading.backtest.errors import BacktestError
from mrmarket.trading.backtest.setting import TapeRef
from mrmarket.trading.backtest.tape_file import checked_ref
from mrmarket.trading.market.book_snapshots import find_recording, guess_symbol, read_recording
from mrmarket.trading.market.errors import TapeNotFoundError
from mrmarket.trading.market.event import EventKind, MarketEvent
from mrmarket.trading.market.tape import open_tape

TWO: Final = 2


class TwoVenuesError(BacktestError):
    """The tapes do not show two venues of one pair."""

    code = "not_two_venues"

    def __init__(self, detail: str) -> None:
        self.detail = detail
        super().__init__(
            f"{detail}; give a recording of two exchanges' books (a file or its folder),"
            " or two tapes of one pair"
        )


@dataclass(frozen=True, slots=True)
class CrossRecording:
    """Two venues in memory; whoever plays it only reads."""

    instruments: tuple[Instrument, Instrument]
    markets: tuple[str, str]
    """Names of the exchanges."""
    events: tuple[tuple[int, MarketEvent], ...]
    """(venue, event) in exchange time."""
    first_ns: int
    """When both have a book."""
    last_ns: int
    polled_ns: int
    """Time between two polls of one venue; 0 for tapes, which miss nothing in between."""
    refs: tuple[TapeRef, ...]
    """With their hashes."""


def turned(found: CrossRecording) -> CrossRecording:
    """The same with the second venue first."""
    return replace(
        found,
        instruments=(found.instruments[1], found.instruments[0]),
        markets=(found.markets[1], found.markets[0]),
        events=tuple((1 - venue, event) for venue, event in found.events),
    )


def load_cross(refs: tuple[TapeRef, ...], symbol: str) -> CrossRecording:
    """Read what the setting names.

    Raises:
        TapeError: a file cannot be read.
        TwoVenuesError: there are not two venues in them.
        TapeChangedError: a file is not the one the setting was run on.
    """
    return _load(refs, symbol)


@lru_cache(maxsize=1)  # the runs of one search play the same recording
def _load(refs: tuple[TapeRef, ...], symbol: str) -> CrossRecording:
    if len(refs) == 1:
        return _from_books(refs[0], symbol)
    if len(refs) == TWO:
        return _from_tapes((refs[0], refs[1]))
    raise TwoVenuesError(f"{len(refs)} tapes were given")


def _from_books(ref: TapeRef, symbol: str) -> CrossRecording:
    path = Path(ref.path)
    if not path.exists():
        raise TapeNotFoundError(path, "no such file or folder")
    file = find_recording(path)
    if file is None:
        raise TwoVenuesError(f"{path} holds no recording of books")
    checked = checked_ref(ref, file)
    found = read_recording(file)
    if len(found.exchanges) != TWO:
        raise TwoVenuesError(f"{file} holds {len(found.exchanges)} exchanges")
    pair = symbol or guess_symbol(file)
    first, second = (found.instrument(name, pair, Decimal(0)) for name in found.exchanges)
    return _whole(
        (first, second),
        (found.exchanges[0], found.exchanges[1]),
        found.events,
        found.polled_ns,
        (checked,),
    )


def _from_tapes(refs: tuple[TapeRef, TapeRef]) -> CrossRecording:
    paths = (Path(refs[0].path), Path(refs[1].path))
    if paths[0].resolve() == paths[1].resolve():
        raise TwoVenuesError(f"{paths[0]} was given twice: a market cannot be traded against itself")
    tapes = tuple(open_tape(path) for path in paths)
    one, two = tapes[0].instrument, tapes[1].instrument
    if (one.base, one.quote) != (two.base, two.quote):
        raise TwoVenuesError(f"the tapes hold {one.symbol} and {two.symbol}")
    names = (one.venue, two.venue) if one.venue != two.venue else (paths[0].stem, paths[1].stem)
    if names[0] == names[1]:
        names = (f"{names[0]}-1", f"{names[1]}-2")
    lines = [[(venue, event) for event in tape.events()] for venue, tape in enumerate(tapes)]
    events = tuple(merge(*lines, key=lambda each: each[1].exchange_ns))
    named = (replace(one, venue=names[0]), replace(two, venue=names[1]))
    return _whole(named, names, events, 0, (checked_ref(refs[0], paths[0]), checked_ref(refs[1], paths[1])))


def _whole(
    instruments: tuple[Instrument, Instrument],
    markets: tuple[str, str],
    events: tuple[tuple[int, MarketEvent], ...],
    polled_ns: int,
    refs: tuple[TapeRef, ...],
) -> CrossRecording:
    seen: dict[int, int] = {}
    for venue, event in events:
        if event.kind is EventKind.SNAPSHOT:
            seen.setdefault(venue, event.exchange_ns)
            if len(seen) == TWO:
                break
    if len(seen) != TWO:
        raise TwoVenuesError("only one of the venues ever shows a book")
    return CrossRecording(
        instruments, markets, events, max(seen.values()), events[-1][1].exchange_ns, polled_ns, refs
    )
