"""Recordings of whole books of several exchanges, polled one after the other: lines of JSON.

A line holds `timestamp` (seconds), `exchange`, `bids` and `asks` (price and size, best first). The pair is
not in it; sizes and prices are given a grid of a hundred-millionth, on which any of them lies.
"""

from __future__ import annotations

import gzip
import lzma
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from statistics import median
from typing import IO, Final, cast

import msgspec

from mrmarket.core.clock import NS_PER_S
from mrmarket.core.instrument import Instrument
from mrmarket.trading.market.errors import (
    TapeCutError,
    TapeEmptyError,
    TapeError,
    TapeLineError,
    TapeNotFoundError,
)
from mrmarket.trading.market.event import EventKind, Level, MarketEvent

STEP: Final = Decimal("0.00000001")
_XZ: Final = b"\xfd7zXZ"
_GZIP: Final = b"\x1f\x8b"
_UNITS: Final = 10**8
_GREATEST: Final = 9e7
_NAMES: Final = ("*book*.jsonl", "*book*.jsonl.gz", "*book*.jsonl.xz")
_QUOTES: Final = ("usdt", "usdc", "busd", "fdusd", "usd", "eur", "brl", "gbp", "jpy", "try", "btc", "eth")


class _Line(msgspec.Struct):
    timestamp: float
    exchange: str
    bids: list[tuple[float, float]]
    asks: list[tuple[float, float]]


class PairUnknownError(TapeError):
    """Nothing says which pair a recording of books is of."""

    code = "pair_unknown"

    def __init__(self, path: Path) -> None:
        super().__init__(path, "does not say its pair; name it with --symbol BASE/QUOTE")


@dataclass(frozen=True, slots=True)
class BookRecording:
    """Snapshots of several exchanges in the order of their time."""

    path: Path
    """The file itself."""
    exchanges: tuple[str, ...]
    """By name."""
    events: tuple[tuple[int, MarketEvent], ...]
    """(index of the exchange, SNAPSHOT)."""
    polled_ns: int
    """Median time between two polls of one exchange."""

    def instrument(self, exchange: str, symbol: str, taker_fee: Decimal) -> Instrument:
        """The pair on one of the exchanges."""
        base, _, quote = symbol.partition("/")
        return Instrument(
            venue=exchange,
            symbol=symbol,
            base=base,
            quote=quote,
            tick_size=STEP,
            lot_size=STEP,
            maker_fee=taker_fee,
            taker_fee=taker_fee,
        )


def find_recording(path: Path) -> Path | None:
    """The file of books at a path: the path itself, or the only such file in a folder; None if there is none.

    Raises:
        TapeError: a folder holds several.
    """
    if path.is_file():
        return path if any(path.match(name) for name in _NAMES) else None
    found = sorted(file for name in _NAMES for file in path.glob(name))
    if len(found) > 1:
        raise TapeError(path, f"holds {len(found)} recordings of books; name one of them")
    return found[0] if found else None


def guess_symbol(path: Path) -> str:
    """The pair in a file's or its folder's name, such as `xex_btcbrl_20200621`.

    Raises:
        PairUnknownError: there is none.
    """
    for name in (path.name, path.parent.name):
        for word in re.findall(r"[a-z]{5,10}", name.lower()):
            for quote in _QUOTES:
                base = word.removesuffix(quote)
                if base != word and len(base) in (2, 3, 4, 5):
                    return f"{base.upper()}/{quote.upper()}"
    raise PairUnknownError(path)


def read_recording(path: Path, *, depth: int = 25) -> BookRecording:
    """Read a file of books whole; only the best `depth` levels of each side are kept.

    Raises:
        TapeError: it cannot be read, a line is no book, or fewer than two exchanges are in it.
    """
    decode = msgspec.json.Decoder(_Line, strict=False).decode  # some write their numbers as text
    found: list[tuple[str, MarketEvent]] = []
    number = 0
    for number, text in _lines(path):
        try:
            line = decode(text)
            found.append((line.exchange, _event(line, depth)))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError) as error:
            if not text.endswith(b"\n"):
                raise TapeCutError(path, number) from error
            raise TapeLineError(path, number, str(error)) from error
    names = tuple(sorted({name for name, _ in found}))
    if len(names) < 2:  # noqa: PLR2004 - arbitrage is between two
        raise TapeEmptyError(path, f"books of {len(names)} exchanges in {number} lines")
    found.sort(key=lambda each: each[1].exchange_ns)
    places = {name: at for at, name in enumerate(names)}
    return BookRecording(path, names, tuple((places[name], event) for name, event in found), _poll_ns(found))


def _event(line: _Line, depth: int) -> MarketEvent:
    at_ns = round(line.timestamp * NS_PER_S)
    bids, asks = _levels(line.bids[:depth]), _levels(line.asks[:depth])
    bids.sort(reverse=True)
    asks.sort()
    return MarketEvent(kind=EventKind.SNAPSHOT, exchange_ns=at_ns, local_ns=at_ns, bids=bids, asks=asks)


def _levels(rows: list[tuple[float, float]]) -> list[Level]:
    """Levels on the grid; a float's shortest text is what was written, and lies nearest to its step."""
    levels: dict[int, int] = {}
    for price, size in rows:
        if not 0 < price < _GREATEST or not 0 <= size < _GREATEST:
            raise ValueError(f"{size} at {price} is no level of a book")
        ticks, lots = round(price * _UNITS), round(size * _UNITS)
        if lots:
            levels[ticks] = levels.get(ticks, 0) + lots
    return list(levels.items())


def _poll_ns(found: list[tuple[str, MarketEvent]]) -> int:
    last: dict[str, int] = {}
    gaps: list[int] = []
    for name, event in found:
        if name in last:
            gaps.append(event.exchange_ns - last[name])
        last[name] = event.exchange_ns
    return int(median(gaps)) if gaps else 0


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    number = 0
    try:
        with _open(path) as file:
            for number, text in enumerate(file, 1):
                if text.strip():
                    yield number, text
    except EOFError as error:
        raise TapeCutError(path, number + 1) from error
    except (zlib.error, lzma.LZMAError, gzip.BadGzipFile) as error:
        raise TapeLineError(path, number + 1, f"broken compression ({error})") from error
    except OSError as error:
        raise TapeNotFoundError(path, error.strerror or str(error)) from error


def _open(path: Path) -> IO[bytes]:
    with path.open("rb") as file:
        head = file.read(6)
    if head.startswith(_XZ):
        return lzma.open(path, "rb")
    if head.startswith(_GZIP):
        return cast("IO[bytes]", gzip.open(path, "rb"))
    return path.open("rb")
