"""Files of bars: CSV (plain or gzip) and Feather, of one pair or several, as archives publish them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import polars as pl

from mrmarket.core.clock import NS_PER_S
from mrmarket.core.instrument import Instrument
from mrmarket.trading.backtest.errors import (
    BarFileError,
    ChannelMissingError,
    PairMismatchError,
    TapeChangedError,
)
from mrmarket.trading.backtest.setting import TapeRef, sha256_of
from mrmarket.trading.market.errors import TapeNotFoundError
from mrmarket.trading.market.inference import split_pair

ENDINGS: Final = (".csv", ".csv.gz", ".feather", ".arrow")
_CLOSE_TIMES: Final = ("closing_time", "close_time", "closetime")
_OPEN_TIMES: Final = ("timestamp", "datetime", "date", "time", "open_time", "opentime")
_VOLUMES: Final = ("base_volume", "volume", "vol")
_PRICES: Final = ("open", "high", "low", "close")
_SCALE: Final = 8
"""Decimals that are read; floats in archives carry noise behind them."""
_UNITS: Final = ((10**11, NS_PER_S), (10**14, 10**6), (10**17, 10**3))
"""Whole numbers below these are seconds, milliseconds, microseconds; else nanoseconds."""


@dataclass(frozen=True, slots=True)
class Bars:
    """One pair's bars in columns of one length. An interval without a bar had no trade."""

    path: Path
    sha256: str
    instrument: Instrument
    interval_ns: int
    close_ns: list[int]
    """When each bar closed, ascending."""
    open: list[int]
    """Ticks, as the next three."""
    high: list[int]
    low: list[int]
    close: list[int]
    volume: list[int]
    """Lots."""

    def __len__(self) -> int:
        return len(self.close_ns)


def is_bar_file(path: str | Path) -> bool:
    """Whether a name is that of a file of bars."""
    return str(path).endswith(ENDINGS)


def load_bars(ref: TapeRef, symbol: str = "") -> Bars:
    """Read a file once a process and keep it.

    Args:
        ref: the file; its hash is checked where it is given.
        symbol: the pair, where the file holds several.

    Raises:
        TapeNotFoundError: there is no such file.
        BarFileError: it cannot be understood, in one line.
        ChannelMissingError: a column is missing.
        PairMismatchError: the pair is not in it, or none was named where there are several.
        TapeChangedError: the file is not the one that the reference names.
    """
    path = Path(ref.path)
    try:
        stat = path.stat()
    except OSError as error:
        raise TapeNotFoundError(path, error.strerror or str(error)) from error
    bars = _loaded(path, symbol, stat.st_mtime_ns, stat.st_size)
    if ref.sha256 and ref.sha256 != bars.sha256:
        raise TapeChangedError(path, ref.sha256, bars.sha256)
    return bars


@lru_cache(maxsize=4)  # sweeps run many settings over one file
def _loaded(path: Path, symbol: str, _mtime_ns: int, _size: int) -> Bars:
    frame = _frame(path)
    frame = frame.rename({name: name.strip().lower() for name in frame.columns})
    frame, pair, venue = _one_pair(path, frame, symbol)
    time, is_close = _time_column(path, frame)
    volume = next((name for name in _VOLUMES if name in frame.columns), "")
    missing = [name for name in _PRICES if name not in frame.columns] + ([] if volume else ["volume"])
    if missing:
        raise ChannelMissingError(path, f"column `{missing[0]}`", "a bar")
    numbers = frame.select(
        _nanoseconds(frame[time]).alias("time"),
        *((_number(name) * 10**_SCALE).round().cast(pl.Int64, strict=False) for name in (*_PRICES, volume)),
    )
    if numbers.null_count().sum_horizontal()[0]:
        row = numbers.with_row_index().filter(pl.any_horizontal(pl.all().is_null()))["index"][0]
        raise BarFileError(path, f"line {row + 2} holds no numbers; repair or remove it")
    numbers = numbers.sort("time")
    _check(path, numbers, volume)
    step = _interval(path, numbers["time"])
    tick, lot = _zeros([numbers[name] for name in _PRICES]), _zeros([numbers[volume]])
    base, quote = pair.split("/")
    instrument = Instrument(
        venue=venue,
        symbol=pair,
        base=base,
        quote=quote,
        tick_size=Decimal(1).scaleb(tick - _SCALE),
        lot_size=Decimal(1).scaleb(lot - _SCALE),
    )
    times = numbers["time"] if is_close else numbers["time"] + step
    return Bars(
        path,
        sha256_of(path),
        instrument,
        step,
        times.to_list(),
        **{name: (numbers[name] // 10**tick).to_list() for name in _PRICES},
        volume=(numbers[volume] // 10**lot).to_list(),
    )


def _frame(path: Path) -> pl.DataFrame:
    try:
        if path.suffix in {".feather", ".arrow"}:
            return pl.read_ipc(path)
        return pl.read_csv(path, infer_schema_length=0)
    except (pl.exceptions.PolarsError, OSError, UnicodeDecodeError) as error:
        raise BarFileError(path, f"cannot be read as bars ({' '.join(str(error).split())[:120]})") from error


def _one_pair(path: Path, frame: pl.DataFrame, symbol: str) -> tuple[pl.DataFrame, str, str]:
    column = next((name for name in ("pair", "symbol") if name in frame.columns), "")
    if column:
        held = frame[column].unique(maintain_order=True).to_list()
        wanted = symbol or (held[0] if len(held) == 1 else "")
        by_symbol = {_symbol(str(name)): name for name in held}
        if wanted not in by_symbol and wanted not in held:
            raise PairMismatchError(path, wanted, sorted(by_symbol))
        frame = frame.filter(pl.col(column) == by_symbol.get(wanted, wanted))
        pair = _symbol(wanted)
    else:
        pair = symbol or _symbol_of_name(path)
    if "exchange" not in frame.columns:
        return frame, pair, ""
    venues = frame["exchange"].unique(maintain_order=True).to_list()
    return frame.filter(pl.col("exchange") == venues[0]), pair, str(venues[0])


def _symbol(text: str) -> str:
    """`BTC/USDT` from any of `BTC/USDT`, `BTC_USDT`, `BTC-USDT`, `BTCUSDT`."""
    for sign in ("/", "_", "-"):
        base, found, quote = text.partition(sign)
        if found and base and quote:
            return f"{base.upper()}/{quote.upper()}"
    return "/".join(split_pair(text.upper()))


def _symbol_of_name(path: Path) -> str:
    """From a file's name, such as `LTC_BTC-5m.feather`."""
    words = path.name.split(".")[0].upper().split("_")
    if len(words) >= 2 and words[0].isalpha() and words[1].split("-")[0].isalpha():  # noqa: PLR2004 - a pair
        return f"{words[0]}/{words[1].split('-')[0]}"
    return "BASE/QUOTE"


def _time_column(path: Path, frame: pl.DataFrame) -> tuple[str, bool]:
    for name in _CLOSE_TIMES:
        if name in frame.columns:
            return name, True
    for name in _OPEN_TIMES:
        if name in frame.columns:
            return name, False
    raise ChannelMissingError(path, f"column `{_OPEN_TIMES[0]}` or `{_CLOSE_TIMES[0]}`", "a bar")


def _nanoseconds(column: pl.Series) -> pl.Series:
    if column.dtype == pl.String:
        whole = column.cast(pl.Int64, strict=False)
        if whole.null_count() == len(column):
            return column.str.to_datetime(strict=False, time_unit="ns").cast(pl.Int64)
        column = whole
    elif column.dtype.is_temporal():
        return column.cast(pl.Datetime("ns")).cast(pl.Int64)
    largest: Any = column.max()
    for limit, unit in _UNITS:
        if largest is not None and largest < limit:
            return column * unit
    return column


def _number(name: str) -> pl.Expr:
    return pl.col(name).cast(pl.Float64, strict=False)


def _check(path: Path, numbers: pl.DataFrame, volume: str) -> None:
    if numbers.is_empty():
        raise BarFileError(path, "holds no bars")
    bad = numbers.filter(
        (pl.col("low") <= 0)
        | (pl.col("low") > pl.min_horizontal("open", "close"))
        | (pl.col("high") < pl.max_horizontal("open", "close"))
        | (pl.col(volume) < 0)
    )
    if not bad.is_empty():
        at_s = bad["time"][0] // NS_PER_S
        raise BarFileError(path, f"the bar of {at_s} s has no possible range or volume; repair or remove it")
    if numbers["time"].is_duplicated().any():
        raise BarFileError(path, "holds two bars of one time; keep one of them")


def _interval(path: Path, times: pl.Series) -> int:
    gaps = times.diff().drop_nulls()
    if gaps.is_empty():
        raise BarFileError(path, "holds one bar alone; at least two are needed")
    common: Any = gaps.mode().sort()[0]
    return int(common)


def _zeros(columns: Iterable[pl.Series]) -> int:
    """How many decimal zeros all of them end with."""
    held = list(columns)
    zeros = 0
    while zeros < 2 * _SCALE and all((column % 10 ** (zeros + 1) == 0).all() for column in held):
        zeros += 1
    return zeros
