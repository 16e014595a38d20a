"""A report as a folder: `report.json` with everything but the columns, and those in Parquet beside it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec
import polars as pl

from mrmarket.core.errors import MrMarketError
from mrmarket.trading.backtest.result import REPORT_VERSION, BacktestResult, Curve, Fills, Pass

Kind = TypeVar("Kind", Fills, Curve)

REPORT: Final = "report.json"
FILLS: Final = "fills.parquet"
EQUITY: Final = "equity.parquet"
_MONEY: Final = pl.Decimal(38, 24)
"""Fees have up to 22 decimals on the finest grids."""
_FILL_TYPES: Final = {
    "at_ns": pl.Int64(),
    "venue": pl.String(),
    "side": pl.String(),
    "price": _MONEY,
    "size": _MONEY,
    "fee_quote": _MONEY,
    "maker": pl.Boolean(),
    "slot": pl.String(),
    "order": pl.Int64(),
    "mid": _MONEY,
    "base_after": _MONEY,
}
_CURVE_TYPES: Final = {
    "at_ns": pl.Int64(),
    "mid": pl.Float64(),
    "base": pl.Float64(),
    "pnl_quote": pl.Float64(),
    "spread_quote": pl.Float64(),
    "fees_quote": pl.Float64(),
}


class ReportFileError(MrMarketError):
    """A report cannot be written or read."""

    code = "report_file"

    def __init__(self, path: Path, detail: str) -> None:
        self.path = path
        self.detail = detail
        super().__init__(f"{path}: {detail}")


class _Version(msgspec.Struct):
    report_version: int = 0


def write_report(result: BacktestResult, folder: Path) -> list[Path]:
    """Write `report.json`, `fills.parquet` and `equity.parquet`; what was there under these names goes.

    Raises:
        ReportFileError: the folder cannot be written to.
    """
    bare = [msgspec.structs.replace(each, curve=Curve(), fills=Fills()) for each in result.passes]
    text = msgspec.json.format(msgspec.json.encode(msgspec.structs.replace(result, passes=bare)), indent=2)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _table(result.passes, "fills", _FILL_TYPES).write_parquet(folder / FILLS)
        _table(result.passes, "curve", _CURVE_TYPES).write_parquet(folder / EQUITY)
        # Last, so that a report without its columns is never taken for a whole one.
        part = folder / f"{REPORT}.part"
        part.write_bytes(text + b"\n")
        part.replace(folder / REPORT)
    except OSError as error:
        raise ReportFileError(folder, f"cannot be written to ({error.strerror or error})") from error
    return [folder / REPORT, folder / FILLS, folder / EQUITY]


def read_report(path: Path) -> BacktestResult:
    """A report from its folder or its `report.json`; without the Parquet files its columns are empty.

    Raises:
        ReportFileError: there is none, it is damaged, or a newer release wrote it.
    """
    file = path / REPORT if path.is_dir() else path
    try:
        text = file.read_bytes()
    except OSError as error:
        raise ReportFileError(file, f"cannot be read ({error.strerror or error}); give a report") from error
    try:
        version = msgspec.json.decode(text, type=_Version).report_version
        if version > REPORT_VERSION:
            words = f"has version {version} and this release reads up to {REPORT_VERSION}; update mrmarket"
            raise ReportFileError(file, words)
        result = msgspec.json.decode(text, type=BacktestResult)
    except (msgspec.MsgspecError, UnicodeDecodeError, MrMarketError) as error:
        if isinstance(error, ReportFileError):
            raise
        raise ReportFileError(file, f"is no report of a backtest, or damaged ({error})") from error
    if not result.passes:
        raise ReportFileError(file, "is damaged (it holds no pass)")
    fills = _columns(file.parent / FILLS, Fills, _FILL_TYPES)
    curves = _columns(file.parent / EQUITY, Curve, _CURVE_TYPES)
    passes = [
        msgspec.structs.replace(
            each, fills=fills.get(each.queue, Fills()), curve=curves.get(each.queue, Curve())
        )
        for each in result.passes
    ]
    return msgspec.structs.replace(result, passes=passes)


def _table(passes: Sequence[Pass], field: str, types: dict[str, Any]) -> pl.DataFrame:
    frames = []
    for each in passes:
        columns = msgspec.structs.asdict(getattr(each, field))
        frame = pl.DataFrame(columns, schema=types, strict=False)
        frames.append(frame.insert_column(0, pl.lit(each.queue, dtype=pl.String()).alias("queue")))
    return pl.concat(frames)


def _columns(path: Path, kind: type[Kind], types: dict[str, Any]) -> dict[str, Kind]:
    if not path.is_file():
        return {}
    try:
        frame = pl.read_parquet(path)
        return {
            str(key[0]): kind(**{name: part[name].to_list() for name in types})
            for key, part in frame.partition_by("queue", as_dict=True, maintain_order=True).items()
        }
    except (pl.exceptions.PolarsError, OSError) as error:
        raise ReportFileError(path, f"is damaged ({error}); run the backtest again") from error
