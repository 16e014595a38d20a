"""`mrmarket ledger export`."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mrmarket.cli.books import open_books
from mrmarket.cli.options import DEFAULT_DATA, IN_FOLDER, Data, Json, Store
from mrmarket.cli.output import notes, print_json

if TYPE_CHECKING:
    from mrmarket.money.ledger.export.books import ExportedBooks


class Format(StrEnum):
    """What the books can be written as."""

    CSV = "csv"
    PARQUET = "parquet"
    BEANCOUNT = "beancount"
    HLEDGER = "hledger"


def export(
    *,
    form: Annotated[Format, typer.Option("--format", help="What to write.")] = Format.CSV,
    out: Annotated[
        Path | None, typer.Option("--out", help="File; stdout if left out (not for Parquet).")
    ] = None,
    data: Data = DEFAULT_DATA,
    store: Store = IN_FOLDER,
    json: Json = False,
) -> None:
    """Write the whole log for other people's tools: CSV, Parquet, beancount or hledger."""
    from mrmarket.core.errors import InvalidInputError
    from mrmarket.money.ledger.export.books import ExportedBooks

    if out is None and (json or form is Format.PARQUET):
        raise InvalidInputError("out", "", "a file to write to, with --out")
    with open_books(data, store) as sql:
        books = ExportedBooks(sql, _tell if out is not None else None)
        try:
            _write(books, form, out)
        except OSError as error:
            raise InvalidInputError(
                "out", str(out), f"a file that can be written ({error.strerror})"
            ) from error
    if json:
        print_json({"file": str(out), "format": form.value, "groups": books.last_seq})


def _write(books: ExportedBooks, form: Format, out: Path | None) -> None:
    from mrmarket.money.ledger.export.beancount import write_beancount
    from mrmarket.money.ledger.export.hledger import write_hledger
    from mrmarket.money.ledger.export.table import write_csv, write_parquet

    if form is Format.PARQUET and out is not None:
        write_parquet(books, out)
        return
    writers = {Format.CSV: write_csv, Format.BEANCOUNT: write_beancount, Format.HLEDGER: write_hledger}
    if out is None:
        writers[form](books, sys.stdout)
        return
    with out.open("w", encoding="utf-8", newline="") as file:
        writers[form](books, file)


def _tell(done: int, everything: int) -> None:
    if sys.stderr.isatty():
        notes.print(f"{done} of {everything} groups", end="\r" if done < everything else "\n")
