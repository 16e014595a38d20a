"""What is on a tape."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import msgspec

from mrmarket.core.instrument import Instrument
from mrmarket.trading.market.book import OrderBook
from mrmarket.trading.market.errors import SequenceGapError, TapeEmptyError
from mrmarket.trading.market.event import EventKind, MarketEvent
from mrmarket.trading.market.tape import Tape, TapeFormat, open_tape


class TapeInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A tape at a glance, for `mrmarket tape info`."""

    path: str
    format: TapeFormat
    instrument: Instrument
    lines: int
    """Number of the last line that holds an event."""
    events: dict[str, int]
    """How many of each kind the file holds: `snapshot`, `depth`, `trade`, `top`."""
    levels: int
    """Price levels in all snapshots and updates."""
    first_ns: int
    """Earliest exchange time; 0 if no frame carries one."""
    last_ns: int
    lowest_trade: str
    """Decimal; empty without trades."""
    highest_trade: str
    volume_base: str
    """Decimal sum of the trades' sizes."""
    final_bid: str
    """Best prices after the last update; empty where that side is."""
    final_ask: str
    gap_lines: list[int]
    """Lines before which updates are missing."""
    crossed_lines: list[int]
    """Lines after which the best bid reaches the best ask."""

    @property
    def span_s(self) -> float:
        """Seconds from the first to the last event."""
        return (self.last_ns - self.first_ns) / 1e9

    @property
    def playable(self) -> bool:
        """Whether the tape can be run from end to end."""
        return not self.gap_lines


def describe(path: Path) -> TapeInfo:
    """Read a whole tape and sum it up; a gap is reported, not raised, and the next snapshot mends it.

    Raises:
        TapeError: what `open_tape` raises, a line is cut or damaged, or there is no snapshot.
    """
    tape = open_tape(path)
    return _Survey(tape).run()


class _Survey:
    def __init__(self, tape: Tape) -> None:
        self._tape = tape
        self._book = OrderBook(tape.instrument)
        self._kinds: Counter[EventKind] = Counter()
        self._times_ns: list[int] = []
        self._levels = 0
        self._low = self._high = self._volume = 0
        self._gaps: list[int] = []
        self._crossed: list[int] = []

    def run(self) -> TapeInfo:
        line = 0
        early: list[MarketEvent] | None = []
        for line, event in self._tape.parsed():
            self._count(event)
            if early is None:
                self._apply(line, event)
            elif event.kind is EventKind.DEPTH:
                early.append(event)
            elif event.kind is EventKind.SNAPSHOT:
                self._apply(line, event)
                for update in early:
                    self._apply(line, update)
                early = None
        if early is not None:
            raise TapeEmptyError(self._tape.path, f"no book snapshot in {line} lines")
        return self._info(line)

    def _count(self, event: MarketEvent) -> None:
        self._kinds[event.kind] += 1
        if event.exchange_ns:
            # The first is not always the earliest, but the range is all that is asked.
            times = self._times_ns
            if not times:
                times.extend((event.exchange_ns, event.exchange_ns))
            times[0] = min(times[0], event.exchange_ns)
            times[1] = max(times[1], event.exchange_ns)
        if event.kind is EventKind.TRADE:
            self._low = min(self._low or event.price_ticks, event.price_ticks)
            self._high = max(self._high, event.price_ticks)
            self._volume += event.size_lots
        elif event.kind is not EventKind.TOP:
            self._levels += len(event.bids) + len(event.asks)

    def _apply(self, line: int, event: MarketEvent) -> None:
        book = self._book
        if event.kind is EventKind.SNAPSHOT and book.synced and 0 < event.last_id <= book.last_id:
            return
        try:
            taken = book.apply(event)
        except SequenceGapError:
            self._gaps.append(line)
            return
        if taken and book.crossed:
            self._crossed.append(line)

    def _info(self, line: int) -> TapeInfo:
        instrument = self._tape.instrument
        bid, ask = self._book.best_bid, self._book.best_ask
        return TapeInfo(
            path=str(self._tape.path),
            format=self._tape.format,
            instrument=instrument,
            lines=line,
            events={kind.name.lower(): self._kinds[kind] for kind in EventKind},
            levels=self._levels,
            first_ns=self._times_ns[0] if self._times_ns else 0,
            last_ns=self._times_ns[1] if self._times_ns else 0,
            lowest_trade=instrument.price_text(self._low) if self._low else "",
            highest_trade=instrument.price_text(self._high) if self._high else "",
            volume_base=instrument.size_text(self._volume),
            final_bid=instrument.price_text(bid[0]) if bid else "",
            final_ask=instrument.price_text(ask[0]) if ask else "",
            gap_lines=self._gaps,
            crossed_lines=self._crossed,
        )
