"""`mrmarket backtest run`; the group's other commands hang here too."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mrmarket.cli.commands import backtest_calibrate, backtest_show
from mrmarket.cli.exit_codes import ExitCode
from mrmarket.cli.options import Json
from mrmarket.cli.output import notes, print_error, print_json
from mrmarket.cli.progress import progress_line
from mrmarket.core.errors import MrMarketError

if TYPE_CHECKING:
    from mrmarket.trading.backtest.result import BacktestResult


class ReportThereError(MrMarketError):
    """A report would be written over another one."""

    code = "report_there"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        super().__init__(
            f"{folder} holds a report; give another folder with --out, or --force to write over it"
        )


app = typer.Typer(help="Try strategies on recorded markets.", no_args_is_help=True)
app.command()(backtest_show.show)
app.command()(backtest_show.compare)
app.command()(backtest_calibrate.calibrate)


@app.callback()
def backtest() -> None:
    """Try strategies on recorded markets."""


@app.command()
def run(
    *,
    tape: Annotated[
        list[Path] | None,
        typer.Option(
            "--tape",
            help="Recording: frames or a tape of ours, bars (.csv, .csv.gz, .feather), or a folder of several"
            " venues; several may be given for a strategy on several venues.",
            metavar="FILE",
        ),
    ] = None,
    strategy: Annotated[str, typer.Option("--strategy", help="Its name; see `mrmarket strategy list`.")] = "",
    template: Annotated[str, typer.Option("--template", help="Begin with these parameters.")] = "",
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="One parameter; may be repeated.", metavar="NAME=VALUE")
    ] = None,
    symbol: Annotated[
        str, typer.Option("--symbol", help="The pair, where the tape holds several.", metavar="BASE/QUOTE")
    ] = "",
    latency: Annotated[
        str,
        typer.Option(
            help="One time each way (5ms), order and response (5ms,3ms), feed, order and response"
            " (1ms,5ms,3ms), `spiky`, or a .csv of recorded sent_ns,reached_ns,answered_ns."
        ),
    ] = "5ms",
    queue: Annotated[
        str,
        typer.Option(
            help="both, risk_averse, power:EXPONENT, log or calibrated:FILE; several with commas between."
        ),
    ] = "both",
    fees: Annotated[
        str | None,
        typer.Option(help="Fraction of the notional: one for all, or maker,taker. The tape's if left out."),
    ] = None,
    balance: Annotated[
        str | None, typer.Option(help="What is held at the start.", metavar="base=AMOUNT,quote=AMOUNT")
    ] = None,
    window: Annotated[
        str, typer.Option(help="Part of the tape's time that is traded; what is before warms up.")
    ] = "0:1",
    decide_every: Annotated[
        str, typer.Option("--decide-every", help="Least time between two answers to the book; 0ms is none.")
    ] = "100ms",
    decision_limit: Annotated[
        float, typer.Option("--decision-limit", min=0.01, max=3600, help="Seconds one decision may take.")
    ] = 10.0,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of everything random.")] = 1,
    from_: Annotated[
        Path | None,
        typer.Option("--from", help="Repeat this report and compare; other options are not allowed with it."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Folder for report.json, Parquet files and a page.", metavar="DIR"),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over a report that is there.")] = False,
    json: Json = False,
) -> int:
    """Run a strategy on a recording. Exit status 1 if the strategy failed, or a repeat came out different."""
    from mrmarket.cli.backtest_view import print_result
    from mrmarket.trading.backtest.files import REPORT, read_report, write_report
    from mrmarket.trading.backtest.options import Options, setting_of
    from mrmarket.trading.backtest.report.tearsheet import write_tearsheet
    from mrmarket.trading.backtest.result import outcome_key, summary
    from mrmarket.trading.backtest.runner import run_backtest

    given = Options(
        tapes=tuple(str(each) for each in tape or ()),
        strategy=strategy,
        template=template,
        assignments=tuple(set_ or ()),
        symbol=symbol,
        latency=latency,
        queue=queue,
        fees=fees,
        balance=balance,
        window=window,
        decide_every=decide_every,
        decision_limit_s=decision_limit,
        seed=seed,
    )
    if out is not None and not force and (out / REPORT).exists():
        raise ReportThereError(out)
    before = read_report(from_) if from_ is not None else None
    setting = setting_of(given, None if before is None else before.setting)
    with progress_line() as tell:
        result = run_backtest(setting, progress=tell)
    files = [] if out is None else [*write_report(result, out), write_tearsheet(result, out)]
    repeated = None if before is None else _same(outcome_key(result), outcome_key(before), before)
    if json:
        more: dict[str, Any] = {"files": [str(file) for file in files]}
        if repeated is not None:
            more["repeated"] = repeated
        print_json({**summary(result), **more})
    else:
        print_result(result)
        for file in files:
            notes.print(f"wrote {file}", markup=False)
    if result.failure is not None:
        print_error(result.failure.code, result.failure.message, as_json=False)
        return ExitCode.CHECK_FAILED
    if repeated is False:
        words = "the repeat came out different from the report; the same release on the same tape repeats it"
        print_error("not_repeated", words, as_json=False)
        return ExitCode.CHECK_FAILED
    if repeated and not json:
        notes.print("the repeat gave exactly what the report says")
    return ExitCode.OK


def _same(found: tuple[Any, ...], wanted: tuple[Any, ...], before: BacktestResult) -> bool:
    """Whether a repeat agrees; without the report's Parquet files its columns are not compared."""
    if any(each.totals.trades and not each.fills.at_ns for each in before.passes):
        return [each.totals for each in found[4]] == [each.totals for each in wanted[4]]
    return found == wanted
