"""One row a transfer: CSV for everybody, Parquet for analysts."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from mrmarket.money.ledger.export.books import ExportedBooks
from mrmarket.money.ledger.statement import no_formula, utc

if TYPE_CHECKING:
    import polars as pl

COLUMNS: Final = (
    "seq",
    "position",
    "at_ms",
    "at",
    "key",
    "kind",
    "phase",
    "debit",
    "credit",
    "asset",
    "units",
    "amount",
    "reverses",
    "memo",
    "hash",
)
"""Units and amounts are text: no number type of either format is wide enough for all of them."""

_TEXT: Final = ("key", "reverses", "memo")
_WHOLE: Final = ("seq", "position", "at_ms")
_BATCH: Final = 20_000

Row = tuple[int | str, ...]


def write_csv(books: ExportedBooks, out: IO[str]) -> None:
    """Write every transfer, holds included; text that a spreadsheet would compute gets an apostrophe."""
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    places = [COLUMNS.index(name) for name in _TEXT]
    for row in _rows(books):
        shown = list(row)
        for place in places:
            shown[place] = no_formula(str(row[place]))
        writer.writerow(shown)


def write_parquet(books: ExportedBooks, path: Path) -> None:
    """Write every transfer, holds included, in row groups; memory does not grow with the ledger."""
    import polars as pl  # noqa: PLC0415 - loaded by those who ask for this format alone
    from polars.io.plugins import register_io_source  # noqa: PLC0415 - the same

    schema: dict[str, pl.DataType] = {name: pl.Int64() if name in _WHOLE else pl.String() for name in COLUMNS}

    def source(
        with_columns: list[str] | None, predicate: pl.Expr | None, n_rows: int | None, batch_size: int | None
    ) -> Iterator[pl.DataFrame]:
        # A sink asks for everything; whoever scans the source gets what they ask for.
        del batch_size
        for frame in _frames(books, schema):
            found = frame if predicate is None else frame.filter(predicate)
            found = found if with_columns is None else found.select(with_columns)
            yield found if n_rows is None else found.head(n_rows)

    register_io_source(source, schema=schema).sink_parquet(path, row_group_size=_BATCH)


def _frames(books: ExportedBooks, schema: Mapping[str, pl.DataType]) -> Iterator[pl.DataFrame]:
    import polars as pl  # noqa: PLC0415 - see above

    batch: list[Row] = []
    for row in _rows(books):
        batch.append(row)
        if len(batch) == _BATCH:
            yield pl.DataFrame(batch, schema=schema, orient="row")
            batch = []
    yield pl.DataFrame(batch, schema=schema, orient="row")


def _rows(books: ExportedBooks) -> Iterator[Row]:
    for entry in books.entries():
        at = utc(entry.at_ms)
        for position, line in enumerate(entry.lines):
            yield (
                entry.seq,
                position,
                entry.at_ms,
                at,
                entry.key,
                line.kind,
                line.phase,
                line.debit,
                line.credit,
                line.asset,
                str(line.units),
                line.amount,
                entry.reverses or "",
                entry.memo,
                entry.hash,
            )
