"""`mrmarket backtest show|compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mrmarket.cli.options import Json
from mrmarket.cli.output import notes, print_json, print_table

Report = Annotated[Path, typer.Argument(help="A report's folder, or its report.json.")]
Page = Annotated[Path | None, typer.Option("--out", help="Write a page.", metavar="FILE.html")]


def show(report: Report, *, out: Page = None, json: Json = False) -> None:
    """Show a backtest that was made before; `--out` draws its tear sheet anew."""
    from mrmarket.cli.backtest_view import print_result
    from mrmarket.trading.backtest.files import read_report
    from mrmarket.trading.backtest.report.tearsheet import tearsheet
    from mrmarket.trading.backtest.result import summary

    result = read_report(report)
    if out is not None:
        _write(out, tearsheet(result))
    if json:
        print_json({**summary(result), "setting": result.setting, "assumptions": result.assumptions})
    else:
        print_result(result)


def compare(
    reports: Annotated[
        list[Path], typer.Argument(help="Folders of reports, or their report.json; two or more.")
    ],
    *,
    out: Page = None,
    json: Json = False,
) -> None:
    """Put backtests side by side: what was set differently, then what came out."""
    from mrmarket.core.errors import InvalidInputError
    from mrmarket.trading.backtest.files import read_report
    from mrmarket.trading.backtest.report.comparison import compared, comparison_page
    from mrmarket.trading.backtest.result import summary

    if len(reports) < 2:  # noqa: PLR2004 - nothing to compare
        raise InvalidInputError("reports", len(reports), "two reports or more")
    named = [(_name(path), read_report(path)) for path in reports]
    comparison = compared(named)
    if out is not None:
        _write(out, comparison_page(named))
    if json:
        results = [
            {"name": name, **summary(result)}
            for name, (_, result) in zip(comparison.names, named, strict=True)
        ]
        print_json({"differences": comparison.differences, "results": results})
        return
    # As `backtest run` prints it; whole, it leaves the names no room.
    differences = {
        path: [each[:12] for each in row] if path == "snapshot" else row
        for path, row in comparison.differences.items()
    }
    print_table(
        ["set differently", *comparison.names],
        [[path, *row] for path, row in differences.items()] or [["nothing", *("" for _ in named)]],
    )
    print_table(["", *comparison.names], [[name, *row] for name, row in comparison.rows.items()])


def _name(path: Path) -> str:
    """A report's folder is what people called it."""
    whole = path.absolute()
    return whole.parent.name if whole.suffix == ".json" else whole.name


def _write(path: Path, page: str) -> None:
    from mrmarket.trading.backtest.files import ReportFileError

    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise ReportFileError(path, f"cannot be written ({error.strerror or error})") from error
    notes.print(f"wrote {path}", markup=False)
