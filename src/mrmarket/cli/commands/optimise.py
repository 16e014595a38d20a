"""`mrmarket optimise run|resume|best`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from mrmarket.cli.exit_codes import ExitCode
from mrmarket.cli.options import Json
from mrmarket.cli.output import notes, print_error, print_json, print_pairs, print_table
from mrmarket.cli.progress import progress_line

if TYPE_CHECKING:
    from mrmarket.trading.backtest.optimiser.standing import Standing
    from mrmarket.trading.backtest.report.study_files import Finished

app = typer.Typer(help="Look for the parameters that would have done best.", no_args_is_help=True)

Jobs = Annotated[int, typer.Option("--jobs", min=0, help="Processes on this machine; 0 is one a core.")]
Cluster = Annotated[
    str,
    typer.Option("--cluster", help="A Dask scheduler, such as tcp://127.0.0.1:8786.", metavar="ADDRESS"),
]
Folder = Annotated[Path, typer.Argument(help="The study's folder, as it was given to --out.")]


@app.command()
def run(
    *,
    tape: Annotated[Path, typer.Option("--tape", help="Recording to run on.", metavar="FILE")],
    strategy: Annotated[str, typer.Option("--strategy", help="Its name; see `mrmarket strategy list`.")],
    search: Annotated[
        list[str],
        typer.Option(
            "--search",
            help="A parameter and its range: k=low:high, k=low:high:step, k=low:high:log, k=a|b|c;"
            " `k,l=…` moves two together. May be repeated.",
            metavar="NAME=RANGE",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder of the study; new.", metavar="DIR")],
    template: Annotated[str, typer.Option("--template", help="Begin with these parameters.")] = "",
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="One parameter; may be repeated.", metavar="NAME=VALUE")
    ] = None,
    method: Annotated[
        Literal["grid", "random", "bayesian"], typer.Option("--method", help="How sets are chosen.")
    ] = "bayesian",
    trials: Annotated[int, typer.Option("--trials", min=1, help="Sets to try; a grid has no more.")] = 50,
    objective: Annotated[
        str,
        typer.Option("--objective", help="pnl_per_risk, pnl_per_sd, pnl_per_volume or pnl_quote."),
    ] = "pnl_per_risk",
    walk_forward: Annotated[
        int,
        typer.Option(
            "--walk-forward", min=0, help="Folds: tune on a window, report on the one after; 0 is none."
        ),
    ] = 0,
    anchored: Annotated[
        bool, typer.Option("--anchored", help="Training windows grow from the beginning, and do not roll.")
    ] = False,
    train_share: Annotated[
        float, typer.Option("--train-share", help="Part of the time before the first held-out window.")
    ] = 0.5,
    early_stop: Annotated[
        Literal["off", "median"],
        typer.Option("--early-stop", help="Give sets up between folds that are below the median."),
    ] = "off",
    jobs: Jobs = 0,
    cluster: Cluster = "",
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of everything random.")] = 1,
    latency: Annotated[str, typer.Option(help="As of `backtest run`.")] = "5ms",
    queue: Annotated[
        str, typer.Option(help="As of `backtest run`; the first model is scored.")
    ] = "risk_averse",
    fees: Annotated[str | None, typer.Option(help="As of `backtest run`.")] = None,
    balance: Annotated[
        str | None, typer.Option(help="As of `backtest run`.", metavar="base=AMOUNT,quote=AMOUNT")
    ] = None,
    window: Annotated[str, typer.Option(help="Part of the tape's time that is used at all.")] = "0:1",
    decide_every: Annotated[str, typer.Option("--decide-every", help="As of `backtest run`.")] = "100ms",
    json: Json = False,
) -> int:
    """Search, and write a report. Ctrl-C or a crash loses what was running; `resume` goes on.

    Exit status 1 if the best set looks into the future.
    """
    from mrmarket.trading.backtest.optimiser.begin import Search, plan_of
    from mrmarket.trading.backtest.optimiser.plan import begin_study
    from mrmarket.trading.backtest.options import Options

    given = Options(
        tapes=(str(tape),),
        strategy=strategy,
        template=template,
        assignments=tuple(set_ or ()),
        latency=latency,
        queue=queue,
        fees=fees,
        balance=balance,
        window=window,
        decide_every=decide_every,
        seed=seed,
    )
    asked = Search(
        search=tuple(search),
        method=method,
        trials=trials,
        objective=objective,
        folds=walk_forward,
        anchored=anchored,
        train_share=train_share,
        early_stop=early_stop,
    )
    begin_study(plan_of(given, asked), out)
    return _go_on(out, jobs, cluster, as_json=json)


@app.command()
def resume(folder: Folder, *, jobs: Jobs = 0, cluster: Cluster = "", json: Json = False) -> int:
    """Go on with a study that was interrupted; where all is done, write its report anew."""
    return _go_on(folder, jobs, cluster, as_json=json)


@app.command()
def best(
    folder: Folder,
    *,
    toml: Annotated[
        bool, typer.Option("--toml", help="Print a `[strategy]` section for `mrmarket run --config`.")
    ] = False,
    json: Json = False,
) -> None:
    """Show the best set of a study, also while it runs."""
    import msgspec

    from mrmarket.cli.commands.strategy import strategy_section
    from mrmarket.trading.backtest.optimiser.begin import chosen_parameters
    from mrmarket.trading.backtest.optimiser.search import best_of, read_study
    from mrmarket.trading.strategy.description import described
    from mrmarket.trading.strategy.registry import Registry

    plan, _, standing = read_study(folder)
    outcome = best_of(folder, standing)
    registry = Registry()
    parameters = chosen_parameters(plan, outcome, registry)
    plain: dict[str, Any] = msgspec.to_builtins(parameters)
    if json:
        more = {"parameters": plain, "snapshot": registry.snapshot(parameters).id}
        print_json({**_numbers(standing), **more})
    elif toml:
        rows = described(registry.find(plan.setting.strategy).kind.schema)
        sys.stdout.write(strategy_section(parameters, plain, {row.name: row.meaning for row in rows}))
    else:
        _print(plan.objective, standing)


def _go_on(folder: Path, jobs: int, cluster: str, *, as_json: bool) -> int:
    from mrmarket.trading.backtest.optimiser.plan import read_plan
    from mrmarket.trading.backtest.optimiser.search import run_study
    from mrmarket.trading.backtest.optimiser.trial import Outcome
    from mrmarket.trading.backtest.report.study_files import finish

    with progress_line() as tell:

        def told(_outcome: Outcome, done: int, planned: int) -> None:
            tell(done / planned, f"{done:,} of {planned:,} sets")

        tell(0.0, "reading the tape and compiling")
        standing = run_study(folder, jobs=jobs, cluster=cluster, told=told)
        tell(1.0, "checking for look-ahead")
        finished = finish(folder)
    _tell(folder, finished, standing, read_plan(folder).objective, as_json=as_json)
    if finished.look_ahead_error:
        print_error("look_ahead", finished.look_ahead_error, as_json=False)
        return ExitCode.CHECK_FAILED
    return ExitCode.OK


def _tell(folder: Path, finished: Finished, standing: Standing, objective: str, *, as_json: bool) -> None:
    if as_json:
        files = [str(file) for file in finished.files]
        print_json({**_numbers(standing), "look_ahead": finished.look_ahead, "files": files})
        return
    _print(objective, standing)
    notes.print(finished.look_ahead, markup=False)
    for file in finished.files:
        notes.print(f"wrote {file}", markup=False)
    if standing.best is not None:
        notes.print(f"mrmarket optimise best {folder} --toml > best.toml", markup=False)


def _numbers(standing: Standing) -> dict[str, Any]:
    """What a script wants of a standing."""
    import msgspec

    found: dict[str, Any] = msgspec.to_builtins(standing)
    outcome = standing.best
    found["best"] = (
        None
        if outcome is None
        else {
            "place": outcome.place,
            "point": outcome.point,
            "value": outcome.value,
            "train": outcome.trained,
            "test": outcome.tested,
        }
    )
    return found


def _print(objective: str, standing: Standing) -> None:
    from mrmarket.trading.backtest.optimiser.space import written
    from mrmarket.trading.backtest.report.axis import amount
    from mrmarket.trading.backtest.report.study_page import span

    outcome = standing.best
    pairs = [
        ("sets", f"{standing.done} run, {standing.stopped} given up early, {standing.failed} failed"),
    ]
    if outcome is not None:
        trained = outcome.trained
        pairs += [
            ("best", written(outcome.point)),
            (objective, amount(outcome.value)),
            ("PnL where tuned", f"{amount(trained.pnl)} by {trained.fills} fills"),
        ]
    if standing.out_of_sample is not None:
        pairs.append(
            ("held out", f"{amount(standing.out_of_sample_score)}, PnL {amount(standing.out_of_sample.pnl)}")
        )
    print_pairs("[bold]study[/]", pairs)
    if standing.winners:
        rows = [
            [
                span(winner.fold.train),
                "" if winner.fold.test is None else span(winner.fold.test),
                amount(winner.train_score),
                amount(winner.test_score),
                f"{winner.test.fills}",
                written(winner.point),
            ]
            for winner in standing.winners
        ]
        print_table(["tuned on", "reported on", "score", "score after", "fills after", "set"], rows)
    notes.print(standing.hint, markup=False)
