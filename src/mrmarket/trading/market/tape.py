"""Tapes: recorded markets, as raw Binance frames or in this project's own format.

The own format is UTF-8 text, plain or gzip: a header line, then one line per event holding the
local nanoseconds, a blank and the event as JSON. Both kinds read back as the same events.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, Self, cast

import msgspec

from mrmarket.core.errors import MrMarketError
from mrmarket.core.instrument import Instrument
from mrmarket.trading.market.binance import FrameParser
from mrmarket.trading.market.errors import (
    BadFrameError,
    NotATapeError,
    SequenceGapError,
    TapeCutError,
    TapeEmptyError,
    TapeError,
    TapeGapError,
    TapeLineError,
    TapeVersionError,
)
from mrmarket.trading.market.event import EventKind, MarketEvent
from mrmarket.trading.market.inference import infer_instrument
from mrmarket.trading.market.ordering import ExchangeOrder
from mrmarket.trading.market.sequence import DepthSequence
from mrmarket.trading.market.tape_lines import Line, first_line, read_lines

FORMAT_NAME: Final = "mrmarket-tape"
FORMAT_VERSION: Final = 1


class TapeFormat(StrEnum):
    """How a tape is written."""

    BINANCE = "binance"
    """Raw frames as received."""
    NORMALISED = "mrmarket"
    """Events of this project."""


class TapeHeader(msgspec.Struct, frozen=True, kw_only=True):
    """First line of a normalised tape. Steps, limits and fees are decimal strings."""

    format: str
    version: int
    instrument: Instrument


class _HeaderName(msgspec.Struct):
    format: str = ""
    version: int = 0


class Tape:
    """A tape that was found readable; `events()` reads it again from the start at every call."""

    def __init__(self, path: Path, form: TapeFormat, instrument: Instrument, venue_symbol: str) -> None:
        self.path = path
        self.format = form
        self.instrument = instrument
        self.venue_symbol = venue_symbol

    def events(self) -> Iterator[MarketEvent]:
        """The market from its first snapshot on, in the order of the exchange's time.

        What came before the snapshot is used as Binance documents it: updates newer than the
        snapshot follow it, everything else is left out. Every event has an `exchange_ns`
        (estimated from the local time where the frame has none) and they never decrease.

        Raises:
            TapeError: at the first line that is cut, damaged or missing updates; all events before
                that line have been given.
        """
        order = ExchangeOrder()
        try:
            for _, event in self.in_sequence():
                yield from order.push(event)
        except TapeError:
            yield from order.flush()
            raise
        yield from order.flush()

    def in_sequence(self) -> Iterator[tuple[int, MarketEvent]]:
        """Line number and event in the order of the file, from the first snapshot on.

        Raises:
            TapeError: as `events`.
        """
        sequence = DepthSequence(self.instrument.symbol)
        early: list[tuple[int, MarketEvent]] = []
        number = 0
        for number, event in self.parsed():
            if event.kind is EventKind.SNAPSHOT:
                if sequence.synced and 0 < event.last_id <= sequence.last_id:
                    # A REST answer older than the stream has nothing to add.
                    continue
                sequence.restart(event.last_id)
                yield number, event
                for line, update in early:
                    if self._admits(sequence, update, line):
                        yield line, update
                early.clear()
            elif not sequence.synced:
                if event.kind is EventKind.DEPTH:
                    early.append((number, event))
            elif event.kind is not EventKind.DEPTH or self._admits(sequence, event, number):
                yield number, event
        if not sequence.synced:
            raise TapeEmptyError(self.path, f"no book snapshot in {number} lines")

    def parsed(self) -> Iterator[tuple[int, MarketEvent]]:
        """Line number and event of every line of this pair, nothing checked but the line itself.

        Raises:
            TapeError: a line is cut or damaged.
        """
        if self.format is TapeFormat.NORMALISED:
            decode = msgspec.json.Decoder(MarketEvent).decode
            for line in read_lines(self.path, skip=1):
                try:
                    event = decode(line.json)
                    _check(event)
                except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
                    raise self._line_error(line, str(error)) from error
                yield line.number, event
            return
        parser = FrameParser(self.instrument, self.venue_symbol, round_sizes=True)
        for line in read_lines(self.path):
            try:
                frame = parser.parse(line.json, line.local_ns)
            except BadFrameError as error:
                raise self._line_error(line, error.detail) from error
            if frame is not None:
                yield line.number, frame

    def _admits(self, sequence: DepthSequence, event: MarketEvent, number: int) -> bool:
        try:
            return sequence.admit(event)
        except SequenceGapError as gap:
            raise TapeGapError(self.path, number, gap) from gap

    def _line_error(self, line: Line, detail: str) -> TapeError:
        if line.whole:
            return TapeLineError(self.path, line.number, detail)
        return TapeCutError(self.path, line.number)


def open_tape(path: Path, instrument: Instrument | None = None) -> Tape:
    """Find out what a file is and make it readable.

    Args:
        path: a tape in either format, plain or gzip.
        instrument: grid and fees of a raw tape where those inferred from its numbers are not wanted.

    Raises:
        TapeNotFoundError, NotATapeError, TapeEmptyError, TapeCutError, TapeVersionError,
        TapeMixedError, TapeLineError: one sentence each that says what to do.
    """
    head = first_line(path)
    stamp, _, rest = head.partition(b" ")
    if stamp.isdigit() and rest.lstrip().startswith(b"{"):
        inferred, venue_symbol = infer_instrument(path)
        return Tape(path, TapeFormat.BINANCE, instrument or inferred, venue_symbol)
    try:
        name = msgspec.json.decode(head, type=_HeaderName)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise NotATapeError(path, "its first line is neither a frame nor a header") from error
    if name.format != FORMAT_NAME:
        raise NotATapeError(path, "its first line is no header")
    if name.version > FORMAT_VERSION:
        raise TapeVersionError(path, name.version, FORMAT_VERSION)
    try:
        header = msgspec.json.decode(head, type=TapeHeader)
    except (msgspec.MsgspecError, MrMarketError, RecursionError, UnicodeDecodeError) as error:
        raise TapeLineError(path, 1, f"the header is damaged ({error})") from error
    return Tape(path, TapeFormat.NORMALISED, header.instrument, header.instrument.venue_symbol)


class TapeWriter:
    """Writes a normalised tape; gzip where the name ends in `.gz`. The same events give the same bytes."""

    def __init__(self, path: Path, instrument: Instrument) -> None:
        """Create or replace the file. Raises OSError where that is not possible."""
        self.path = path
        self._raw: BinaryIO = path.open("wb")
        self._out: BinaryIO = self._raw
        if path.suffix == ".gz":
            # No name and no time inside, so that equal events make equal files.
            packed = gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=self._raw, mtime=0)
            self._out = cast("BinaryIO", packed)
        header = TapeHeader(format=FORMAT_NAME, version=FORMAT_VERSION, instrument=instrument)
        self._encoder = msgspec.json.Encoder(decimal_format="string")
        self._out.write(self._encoder.encode(header) + b"\n")

    def write(self, event: MarketEvent) -> None:
        """Append one event. Raises OSError where the disk refuses."""
        self._out.write(b"%d %b\n" % (event.local_ns, self._encoder.encode(event)))

    def close(self) -> None:
        """Finish the file; a second call does nothing."""
        if self._out is not self._raw:
            self._out.close()
        self._raw.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _check(event: MarketEvent) -> None:
    """Refuse what no market can do; raises msgspec.ValidationError."""
    if event.kind is EventKind.TRADE and (event.price_ticks <= 0 or event.size_lots <= 0):
        raise msgspec.ValidationError("a trade without price or size")
    for levels in (event.bids, event.asks):
        for price, size in levels:
            if price <= 0 or size < 0:
                raise msgspec.ValidationError("a level with a price of 0 or below, or a size below 0")
