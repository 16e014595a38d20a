"""`mrmarket selection scores|decisions|thresholds|dry-run|capital|rebalance`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mrmarket.cli.options import DEFAULT_DATA, Data, Json
from mrmarket.cli.output import notes, print_json, print_pairs, print_table

app = typer.Typer(
    help="See which strategy has the turn and why, and when that changes.", no_args_is_help=True
)
_PATH = "admin/selection"
Change = Annotated[
    list[str] | None,
    typer.Option("--set", help="A threshold, as name=value; may be repeated.", metavar="NAME=VALUE"),
]


@app.command()
def scores(*, data: Data = DEFAULT_DATA, json: Json = False) -> None:
    """Show who has the turn, and what every strategy would earn an hour."""
    from mrmarket.services.api.selection_schema import SelectionView

    view = _remote(data).read(_PATH, SelectionView)
    if json:
        print_json(view)
        return
    print_pairs(
        f"[bold]{view.state.replace('_', ' ')}[/]",
        [("has the turn", view.current or "nobody"), ("why", view.reason), ("phase", view.phase)],
    )
    print_table(
        ["strategy", "kind", "measured", "return", "counts", "value", "at best"],
        [
            [
                each.id,
                each.strategy,
                "" if each.score is None else each.score.source,
                "" if each.score is None else _percent(each.score.mean),
                "" if each.score is None else f"{each.score.trust:.0%}",
                "" if each.score is None else _percent(each.score.value) or each.score.why_not,
                "" if each.score is None else _percent(each.score.upper),
            ]
            for each in view.candidates
        ],
    )


@app.command()
def decisions(
    *,
    data: Data = DEFAULT_DATA,
    limit: Annotated[int, typer.Option("--limit", help="How many.", min=1, max=1000)] = 20,
    json: Json = False,
) -> None:
    """Show what was decided, newest first, with the reason."""
    from datetime import UTC, datetime

    from mrmarket.services.api.selection_schema import DecisionView

    found = _remote(data).read(f"{_PATH}/decisions?limit={limit}", list[DecisionView])
    if json:
        print_json({"decisions": found})
        return
    print_table(
        ["time (UTC)", "decision", "reason"],
        [
            [
                datetime.fromtimestamp(each.at_ms / 1_000, UTC).strftime("%Y-%m-%d %H:%M:%S"),
                each.outcome,
                each.reason,
            ]
            for each in found
        ],
    )


@app.command()
def thresholds(*, change: Change = None, data: Data = DEFAULT_DATA, json: Json = False) -> None:
    """Show the thresholds in force; with --set change them at once."""
    import msgspec

    from mrmarket.services.api.selection_schema import SelectionView
    from mrmarket.trading.strategy.selection.thresholds import Thresholds

    remote = _remote(data)
    now = remote.read(f"{_PATH}/thresholds", Thresholds)
    if change:
        now = remote.change(f"{_PATH}/thresholds", SelectionView, _changed(now, change)).thresholds
        notes.print("In force now.")
    if json:
        print_json(now)
        return
    print_pairs(
        "[bold]Thresholds[/]", [(name, str(value)) for name, value in msgspec.to_builtins(now).items()]
    )


@app.command("dry-run")
def dry_run(*, change: Change = None, data: Data = DEFAULT_DATA, json: Json = False) -> None:
    """Show what the last 24 hours would have been with other thresholds; changes nothing."""
    from mrmarket.services.api.selection_schema import DryRunResult
    from mrmarket.trading.strategy.selection.thresholds import Thresholds

    remote = _remote(data)
    tried = _changed(remote.read(f"{_PATH}/thresholds", Thresholds), change or [])
    found = remote.change(f"{_PATH}/dry-run", DryRunResult, tried)
    if json:
        print_json(found)
        return
    print_table(
        ["", "would have been", "was"],
        [
            ["switches", str(len(found.switches)), str(found.was_switches)],
            ["earned, of the capital", _percent(found.earned), _percent(found.was_earned)],
            ["time", _shares(found.share), _shares(found.was_share)],
        ],
    )


@app.command()
def capital(
    *,
    cap: Annotated[
        list[str] | None,
        typer.Option(
            "--cap",
            help="Most of the whole that a strategy may have, as name=share; name=none takes it back.",
            metavar="NAME=SHARE",
        ),
    ] = None,
    data: Data = DEFAULT_DATA,
    json: Json = False,
) -> None:
    """Show how the capital is divided between the runs, and by what; with --cap bound a strategy at once."""
    from mrmarket.services.api.selection_schema import SelectionView

    remote = _remote(data)
    view = remote.read(_PATH, SelectionView)
    for change in _caps(cap or []):
        view = remote.change(f"{_PATH}/caps", SelectionView, change)
    if json:
        print_json(
            {
                "capital": view.capital,
                "idle_share": view.idle_share,
                "drawdown": view.drawdown,
                "budgets_bind": view.budgets_bind,
                "slices": view.slices,
                "caps": {each.id: each.cap for each in view.candidates},
            }
        )
        return
    print_pairs(
        f"[bold]Capital {view.capital}[/]",
        [
            ("idle", f"{view.idle_share:.1%}"),
            ("lost from the high", f"{view.drawdown:.2%}"),
            ("budgets", "bind" if view.budgets_bind else "are advice"),
        ],
    )
    print_table(
        ["run", "by", "should have", "may have", "has in play", "at most", "bound by"],
        [
            [
                each.run,
                each.candidate,
                f"{each.share:.1%}",
                each.budget or "",
                each.in_play,
                each.limit,
                ", ".join(each.bound_by),
            ]
            for each in view.slices
        ],
    )


@app.command()
def rebalance(
    *,
    approve: Annotated[str | None, typer.Option("--approve", help="Carry a plan out.", metavar="ID")] = None,
    decline: Annotated[str | None, typer.Option("--decline", help="Drop a plan.", metavar="ID")] = None,
    data: Data = DEFAULT_DATA,
    json: Json = False,
) -> None:
    """Show money between the venues of strategies: plans that wait for you, and transfers."""
    from mrmarket.services.api.selection_schema import RebalanceDecision, RebalanceView

    remote, path = _remote(data), f"{_PATH}/rebalance"
    for proposal, yes in ((approve, True), (decline, False)):
        if proposal is not None:
            remote.change(path, list[RebalanceView], RebalanceDecision(proposal=proposal, approve=yes))
    views = remote.read(path, list[RebalanceView])
    if json:
        print_json({"rebalance": views})
        return
    if not views:
        notes.print("No money is moved between venues; see [selection.rebalance] of the configuration.")
    for view in views:
        if view.problem:
            notes.print(f"{view.candidate}: {view.problem}")
        print_table(
            ["", "asset", "from", "to", "amount", "fee", "state", "by / why"],
            [
                *(
                    [each.id, each.asset, move.source, move.target, move.amount, move.fee, "waits", move.why]
                    for each in view.proposals
                    for move in each.moves
                ),
                *(
                    [
                        each.key,
                        each.asset,
                        each.source,
                        each.target,
                        each.amount,
                        each.fee,
                        each.stage,
                        each.reason or each.approved_by,
                    ]
                    for each in view.transfers
                ),
            ],
        )
        for text in view.left:
            notes.print(text)


def _caps(changes: list[str]) -> list[Any]:
    from mrmarket.core.errors import InvalidInputError
    from mrmarket.services.api.selection_schema import CapChange

    found = []
    for each in changes:
        name, _, value = each.partition("=")
        try:
            share = None if value == "none" else float(value)
        except ValueError:
            raise InvalidInputError("--cap", each, "NAME=SHARE with a share from 0 to 1, or none") from None
        found.append(CapChange(candidate=name, share=share))
    return found


def _remote(data: str | Path) -> Any:
    from mrmarket.services.remote import RemoteInstance

    return RemoteInstance.of(Path(data))


def _changed(now: Any, change: list[str]) -> Any:
    import msgspec

    from mrmarket.core.errors import InvalidInputError
    from mrmarket.trading.strategy.selection.thresholds import Thresholds

    plain = msgspec.to_builtins(now)
    for each in change:
        name, _, value = each.partition("=")
        if name not in plain:
            raise InvalidInputError("--set", name, f"one of {', '.join(plain)}")
        plain[name] = value
    try:
        return msgspec.convert(plain, Thresholds, strict=False)
    except msgspec.ValidationError as refused:
        raise InvalidInputError("--set", ", ".join(change), f"other values: {refused}") from None


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value * 100:+.4f} %"


def _shares(shares: dict[str, float]) -> str:
    return ", ".join(f"{name} {share:.0%}" for name, share in shares.items())
