"""Three or more pairs of one venue as one line of events: a tape of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from heapq import merge
from pathlib import Path
from typing import Final

from mrmarket.core.instrument import Instrument
from mrmarket.trading.backtest.errors import BacktestError
from mrmarket.trading.backtest.setting import TapeRef
from mrmarket.trading.backtest.tape_file import checked_ref
from mrmarket.trading.market.event import EventKind, MarketEvent
from mrmarket.trading.market.tape import open_tape

_LEAST: Final = 3


class TriangleTapesError(BacktestError):
    """The tapes do not show pairs of one venue that could close a triangle."""

    code = "not_a_triangle"

    def __init__(self, detail: str) -> None:
        self.detail = detail
        super().__init__(
            f"{detail}; give tapes of three or more pairs of one venue and one time, such as"
            " BTC/USDT, ETH/USDT and ETH/BTC; `mrmarket tape triangle DIR` makes three"
        )


@dataclass(frozen=True, slots=True)
class TriangleRecording:
    """Pairs of one venue in memory; whoever plays it only reads."""

    instruments: tuple[Instrument, ...]
    """In the order of the tapes."""
    events: tuple[tuple[str, MarketEvent], ...]
    """(symbol, event) in exchange time."""
    first_ns: int
    """When all have a book."""
    last_ns: int
    refs: tuple[TapeRef, ...]
    """With their hashes."""

    @property
    def symbols(self) -> tuple[str, ...]:
        """In the order of the tapes."""
        return tuple(each.symbol for each in self.instruments)


def load_triangle(refs: tuple[TapeRef, ...]) -> TriangleRecording:
    """Read what the setting names.

    Raises:
        TapeError: a file cannot be read.
        TriangleTapesError: they cannot close a triangle.
        TapeChangedError: a file is not the one the setting was run on.
    """
    if len(refs) < _LEAST:
        raise TriangleTapesError(f"{len(refs)} tapes were given")
    return _load(refs)


@lru_cache(maxsize=1)  # the runs of one search play the same recording
def _load(refs: tuple[TapeRef, ...]) -> TriangleRecording:
    tapes = [open_tape(Path(ref.path)) for ref in refs]
    instruments = tuple(tape.instrument for tape in tapes)
    _require_one_venue(instruments)
    lines = [[(tape.instrument.symbol, event) for event in tape.events()] for tape in tapes]
    events = tuple(merge(*lines, key=lambda each: each[1].exchange_ns))
    seen: dict[str, int] = {}
    for symbol, event in events:
        if event.kind is EventKind.SNAPSHOT:
            seen.setdefault(symbol, event.exchange_ns)
    return TriangleRecording(
        instruments,
        events,
        max(seen.values()),
        events[-1][1].exchange_ns,
        tuple(checked_ref(ref) for ref in refs),
    )


def _require_one_venue(instruments: Sequence[Instrument]) -> None:
    symbols = [each.symbol for each in instruments]
    venues = sorted({each.venue for each in instruments})
    if len(set(symbols)) != len(symbols):
        raise TriangleTapesError(f"the tapes hold {', '.join(symbols)}: one pair twice")
    if len(venues) > 1:
        raise TriangleTapesError(f"the tapes are of {' and '.join(venues)}")
