"""`mrmarket rewards`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mrmarket.cli.books import moment_ms, open_books
from mrmarket.cli.commands.rewards_trace import trace
from mrmarket.cli.exit_codes import ExitCode
from mrmarket.cli.options import DEFAULT_DATA, IN_FOLDER, Data, Json, Store
from mrmarket.cli.output import notes, print_json, print_table

if TYPE_CHECKING:
    from mrmarket.services.api.money_schema import RewardRunView

app = typer.Typer(help="Rewards by cycle: what they came to, and whether that holds.", no_args_is_help=True)
app.command(epilog="Example: mrmarket rewards trace 0x5d3c… --user alice --data data")(trace)

Day = Annotated[
    str, typer.Option("--day", help="A moment of the cycle: a date, an ISO time, or UTC milliseconds.")
]
Pool = Annotated[str, typer.Option("--pool", help="Name of the pool.")]


@app.command()
def show(
    *,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1_000, help="How many of the newest.")] = 20,
    data: Data = DEFAULT_DATA,
    store: Store = IN_FOLDER,
    json: Json = False,
) -> None:
    """List allocation runs, the newest first."""
    from mrmarket.money.rewards.repository import RewardRepository
    from mrmarket.services.money.reward_views import run_view

    with open_books(data, store) as sql:
        runs = [run_view(sql, row) for row in RewardRepository(sql).newest_runs(limit)]
    _print(runs, as_json=json)


@app.command()
def preview(
    *, day: Day, pool: Pool = "main", data: Data = DEFAULT_DATA, store: Store = IN_FOLDER, json: Json = False
) -> None:
    """Compute what an allocation would give now; writes nothing."""
    from mrmarket.money.rewards.inputs import draw_up
    from mrmarket.money.rewards.repository import RewardRepository
    from mrmarket.services.money.reward_views import cycles_at, draught_view
    from mrmarket.services.money.sources import reward_sources

    at_ms = moment_ms(day, "day")
    with open_books(data, store) as sql:
        keys = [
            (campaign, number, asset)
            for campaign, number in cycles_at(sql, pool, at_ms)
            for asset in RewardRepository(sql).assets(campaign, number)
        ]
        draughts = [draw_up(sql, reward_sources(), key) for key in keys]
        views = [draught_view(sql, draught) for draught in draughts if draught is not None]
    _print(views, as_json=json)


@app.command()
def allocate(*, day: Day, pool: Pool = "main", data: Data = DEFAULT_DATA, json: Json = False) -> None:
    """Allocate the cycles of a day in the running instance; doing it again changes nothing."""
    from mrmarket.services.api.money_schema import RewardRunView
    from mrmarket.services.remote import RemoteInstance

    at_ms = moment_ms(day, "day")
    body = {"pool": pool, "day_ms": at_ms}
    runs = RemoteInstance.of(data).change("admin/rewards/allocate", list[RewardRunView], body)
    _print(runs, as_json=json)


@app.command()
def replay(
    *, day: Day, pool: Pool = "main", data: Data = DEFAULT_DATA, store: Store = IN_FOLDER, json: Json = False
) -> int:
    """Compute a day again from its recorded inputs. Exit status 1 if anything comes out otherwise."""
    from mrmarket.money.rewards.replay import replay_day
    from mrmarket.services.money.reward_views import cycles_at, run_view
    from mrmarket.services.money.sources import reward_sources

    at_ms = moment_ms(day, "day")
    views, is_sound = [], True
    with open_books(data, store) as sql:
        for campaign, number in cycles_at(sql, pool, at_ms):
            for again in replay_day(sql, reward_sources(), campaign, number):
                view = run_view(sql, again.run)
                view.state = "holds" if again.ok else "; ".join(again.reasons)
                is_sound = is_sound and again.ok
                views.append(view)
    _print(views, as_json=json)
    return ExitCode.OK if is_sound else ExitCode.CHECK_FAILED


def _print(views: list[RewardRunView], *, as_json: bool) -> None:
    from mrmarket.money.ledger.statement import utc

    if as_json:
        print_json({"runs": views})
        return
    if not views:
        notes.print("There is nothing for that time.")
        return
    print_table(
        [
            "from",
            "until",
            "campaign",
            "asset",
            "reward",
            "allocated",
            "unallocated",
            "dust",
            "users",
            "state",
        ],
        [
            [
                utc(view.start_ms),
                utc(view.end_ms),
                view.campaign,
                view.asset,
                view.amount,
                view.allocated,
                view.unallocated,
                view.dust,
                str(view.users),
                f"{view.kind}, {view.state}",
            ]
            for view in views
        ],
    )
