"""A tick tape made ready once for any number of runs: the kernel's rows, and what a strategy hears."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mrmarket.core.clock import NS_PER_S
from mrmarket.core.instrument import Instrument
from mrmarket.trading.backtest.errors import ChannelMissingError, TapeChangedError
from mrmarket.trading.backtest.setting import TapeRef, sha256_of
from mrmarket.trading.market.book import OrderBook
from mrmarket.trading.market.errors import TapeNotFoundError
from mrmarket.trading.market.event import EventKind, MarketEvent
from mrmarket.trading.market.tape import Tape, open_tape
from mrmarket.trading.venue.simulated.book_arrays import Columns
from mrmarket.trading.venue.simulated.compiled import Kernel
from mrmarket.trading.venue.simulated.session import Rows, to_rows

if TYPE_CHECKING:
    from mrmarket.trading.backtest.signals import Signals
    from mrmarket.trading.strategy.estimates import Estimate

TRADE: Final = 0
RESIZED: Final = 1
"""Only sizes of the touch changed."""
MOVED: Final = 2
"""A best price changed."""
OLD_NS: Final = 10 * NS_PER_S
"""A live run quotes on no book older than this."""
CROSSED_NS: Final = NS_PER_S
"""Nor on one that has been crossed for longer than this."""


def _ints() -> array[int]:
    return array("q")


@dataclass(slots=True)
class Feed:
    """What a strategy hears: one point for each change of the touch, and for each trade.

    Prices and sizes are ticks and lots of others, 0 where a side is empty. Columns of one length.
    """

    at_ns: array[int] = field(default_factory=_ints)
    """Exchange time, never decreasing."""
    kind: array[int] = field(default_factory=_ints)
    """TRADE, RESIZED or MOVED."""
    bid: array[int] = field(default_factory=_ints)
    bid_lots: array[int] = field(default_factory=_ints)
    ask: array[int] = field(default_factory=_ints)
    ask_lots: array[int] = field(default_factory=_ints)
    trade_ticks: array[int] = field(default_factory=_ints)
    """Price of the last trade so far, 0 before the first."""
    trade_lots: array[int] = field(default_factory=_ints)
    """Of this trade, negative where the taker sold; 0 where the point is none."""

    def __len__(self) -> int:
        return len(self.at_ns)


@dataclass(slots=True)
class Mids:
    """The mid of others over time, with its integral: whatever happened when, valued in O(log n)."""

    at_ns: array[int] = field(default_factory=_ints)
    """When it changed, exchange time."""
    double: array[int] = field(default_factory=_ints)
    """Twice the mid in ticks, from then on."""
    _area: array[float] = field(default_factory=lambda: array("d"))

    def add(self, at_ns: int, double: int) -> None:
        """From now on it is this."""
        if not self.at_ns:
            self._area.append(0.0)
        elif self.double[-1] == double:
            return
        else:
            self._area.append(self._area[-1] + float(self.double[-1]) * (at_ns - self.at_ns[-1]))
        self.at_ns.append(at_ns)
        self.double.append(double)

    def index(self, at_ns: int) -> int:
        """Of the mid at a moment; the first one for any time before it."""
        return max(0, bisect_right(self.at_ns, at_ns) - 1)

    def at(self, at_ns: int) -> int:
        """Twice the mid at a moment, what happens in that very moment included."""
        return self.double[self.index(at_ns)]

    def before(self, at_ns: int) -> int:
        """Twice the mid just before a moment."""
        return self.at(at_ns - 1)

    def integral(self, begin_ns: int, end_ns: int) -> float:
        """Of twice the mid over time, in ticks times nanoseconds."""
        return self._until(end_ns) - self._until(begin_ns)

    def _until(self, at_ns: int) -> float:
        index = self.index(at_ns)
        return self._area[index] + float(self.double[index]) * (at_ns - self.at_ns[index])


@dataclass(frozen=True, slots=True)
class Recording:
    """One pair's tape in memory. Shared by all runs over it, which only read."""

    path: Path
    sha256: str
    instrument: Instrument
    rows: Rows
    feed: Feed
    touches: array[int]
    """Points of the feed that are no trades."""
    mids: Mids
    stale: tuple[tuple[int, int], ...]
    """[from, to) in exchange time in which the book was too old or crossed for too long."""
    first_ns: int
    last_ns: int
    signals: dict[frozenset[Estimate], Signals] = field(default_factory=dict)
    """What the estimators said of it, by what was asked for; see `signals_of`."""


class _Listener:
    """Lets events pass and writes down what a strategy would hear of them."""

    def __init__(self, instrument: Instrument) -> None:
        self.feed = Feed()
        self.touches = _ints()
        self.mids = Mids()
        self.stale: list[tuple[int, int]] = []
        self.trades = self.updates = 0
        self.first_ns = self.last_ns = 0
        self._book = OrderBook(instrument)
        self._touch = (0, 0, 0, 0)
        self._trade_ticks = 0
        self._updated_ns = 0
        self._crossed_ns = 0

    def hear(self, events: Iterator[MarketEvent]) -> Iterator[MarketEvent]:
        for event in events:
            at_ns = event.exchange_ns
            if not self.first_ns:
                self.first_ns = self._updated_ns = at_ns
            self.last_ns = at_ns
            if event.kind is EventKind.TRADE:
                self.trades += 1
                self._trade_ticks = event.price_ticks
                self._point(at_ns, TRADE, event.size_lots if event.taker_buys else -event.size_lots)
            elif event.kind is not EventKind.TOP:
                self.updates += event.kind is EventKind.DEPTH
                self._update(event, at_ns)
            yield event

    def _update(self, event: MarketEvent, at_ns: int) -> None:
        if not self._book.apply(event):
            return
        if at_ns - self._updated_ns > OLD_NS:
            self.stale.append((self._updated_ns + OLD_NS, at_ns))
        self._updated_ns = at_ns
        bid, ask = self._book.best_bid, self._book.best_ask
        touch = (*(bid or (0, 0)), *(ask or (0, 0)))
        if touch == self._touch:
            return
        before, self._touch = self._touch, touch
        moved = before[0] != touch[0] or before[2] != touch[2]
        self.touches.append(len(self.feed))
        self._point(at_ns, MOVED if moved else RESIZED, 0)
        if touch[0] and touch[2]:
            self.mids.add(at_ns, touch[0] + touch[2])
            self._watch_crossing(at_ns, crossed=touch[0] >= touch[2])

    def _watch_crossing(self, at_ns: int, *, crossed: bool) -> None:
        if crossed:
            self._crossed_ns = self._crossed_ns or at_ns
        elif self._crossed_ns:
            if at_ns - self._crossed_ns > CROSSED_NS:
                self.stale.append((self._crossed_ns + CROSSED_NS, at_ns))
            self._crossed_ns = 0

    def _point(self, at_ns: int, kind: int, lots: int) -> None:
        feed = self.feed
        feed.at_ns.append(at_ns)
        feed.kind.append(kind)
        bid, bid_lots, ask, ask_lots = self._touch
        feed.bid.append(bid)
        feed.bid_lots.append(bid_lots)
        feed.ask.append(ask)
        feed.ask_lots.append(ask_lots)
        feed.trade_ticks.append(self._trade_ticks)
        feed.trade_lots.append(lots)


def record(tape: Tape, column: Columns, sha256: str = "") -> Recording:
    """Read a tape once.

    Best bids and asks that a feed sends beside its updates are left out, as a live run leaves them out.

    Raises:
        TapeError: as `Tape.events`.
        ChannelMissingError: there are no updates of the book, or no trades.
    """
    listener = _Listener(tape.instrument)
    rows = to_rows(listener.hear(tape.events()), column, tops=False)
    if not listener.updates:
        raise ChannelMissingError(tape.path, "updates of the book", "every decision")
    if not listener.trades:
        raise ChannelMissingError(tape.path, "trades", "a fill")
    if not listener.mids.at_ns:
        raise ChannelMissingError(tape.path, "book with both sides", "every decision")
    return Recording(
        tape.path,
        sha256,
        tape.instrument,
        rows,
        listener.feed,
        listener.touches,
        listener.mids,
        tuple(sorted(listener.stale)),
        listener.first_ns,
        listener.last_ns,
    )


def load_recording(ref: TapeRef, kernel: Kernel) -> Recording:
    """The tape of a reference, checked against its hash; read once a process and kept.

    Raises:
        TapeError, ChannelMissingError: as `record`.
        TapeChangedError: the file is not the one that the reference names.
    """
    path = Path(ref.path)
    try:
        stat = path.stat()
    except OSError as error:
        raise TapeNotFoundError(path, error.strerror or str(error)) from error
    found = _loaded(path, stat.st_mtime_ns, stat.st_size, kernel)
    if ref.sha256 and ref.sha256 != found.sha256:
        raise TapeChangedError(path, ref.sha256, found.sha256)
    return found


@lru_cache(maxsize=2)  # sweeps run many settings over one tape; a second one lets two tapes be compared
def _loaded(path: Path, _mtime_ns: int, _size: int, kernel: Kernel) -> Recording:
    return record(open_tape(path), kernel.column, sha256_of(path))
