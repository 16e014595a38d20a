"""`mrmarket angel`: the process that watches over engines."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mrmarket.cli.exit_codes import ExitCode
from mrmarket.cli.options import DEFAULT_DATA, ConfigFile, Data, Json
from mrmarket.cli.output import notes, print_json, print_pairs, print_table

if TYPE_CHECKING:
    from mrmarket.services.angel.plan import AngelPlan
    from mrmarket.services.store_address import StoreAddress

app = typer.Typer(
    help="Watch over the engines, and cancel every order when one falls silent.", no_args_is_help=True
)

Store = Annotated[
    str,
    typer.Option("--store", envvar="MRMARKET_STORE", metavar="URL", help="PostgreSQL address of the books."),
]
Plan = Annotated[Path | None, typer.Option("--plan", hidden=True)]


@app.command("run")
def run(
    *,
    data: Data = DEFAULT_DATA,
    config: ConfigFile = None,
    store: Store = "",
    heartbeat_url: Annotated[
        str,
        typer.Option("--heartbeat-url", metavar="URL", help="The instance's /heartbeat."),
    ] = "",
    instance: Annotated[
        str, typer.Option("--instance", help="The instance's id, where its data folder is not here.")
    ] = "",
    plan: Plan = None,
    json: Json = False,
) -> int:
    """Watch until told to end; every line of its log is in the data folder, below `angel`.

    `mrmarket run` starts one by itself. Another one on another host needs the same PostgreSQL (--store), or
    --heartbeat-url and --instance.
    """
    import msgspec

    from mrmarket.services.angel.life import live
    from mrmarket.services.angel.plan import read_plan
    from mrmarket.services.loop import fast_loop

    child = plan is not None
    known = read_plan(plan) if plan is not None else None
    chosen = known if known is not None else _plan(data, config, instance, shared=bool(store))
    if heartbeat_url:
        chosen = msgspec.structs.replace(chosen, heartbeat_url=heartbeat_url)
    with_store = child or bool(store) or (data / "control.db").is_file()

    def announce(ready: dict[str, object]) -> None:
        if json:
            print_json(ready)
        else:
            print_pairs("[bold]The Angel watches[/]", [(name, str(value)) for name, value in ready.items()])
            notes.print("Ctrl-C ends it.")

    with asyncio.Runner(loop_factory=fast_loop()) as runner:
        runner.run(
            live(
                chosen,
                data,
                store,
                os.environ,
                announce,
                with_store=with_store,
                take_over=child,
                detach=child,
            )
        )
    return ExitCode.OK


@app.command("status")
def status(*, data: Data = DEFAULT_DATA, store: Store = "", json: Json = False) -> int:
    """Who watches, and what stands between the last intervention and trading. Status 1 if nobody does."""
    from mrmarket.core.clock import SystemClock
    from mrmarket.services.angel.overview import overview

    address = _address(data, store)
    operations, leases = address.open_operations(), address.open_trading()
    try:
        found = overview(operations, leases, SystemClock())
    finally:
        leases.close()
        operations.close()
    alive = any(angel.alive for angel in found.angels)
    if json:
        print_json(found)
        return ExitCode.OK if alive else ExitCode.CHECK_FAILED
    for angel in found.angels:
        rows = [
            ("state", angel.stage if angel.alive else f"silent for {angel.seen_ms_ago // 1000} s"),
            ("where", f"{angel.host}, process {angel.pid}"),
            ("fail-safe, recovery", f"{angel.fail_safe}, {angel.recovery}"),
            *((f"exchange {name}", state) for name, state in angel.venues.items()),
            *((f"node {name}", state) for name, state in angel.nodes.items()),
        ]
        print_pairs(f"[bold]{angel.name}[/]", rows)
    if not found.angels:
        notes.print("No Angel watches; mrmarket run starts one, or mrmarket angel run.")
    print_table(
        ["step", "state", "what"], [[step.title, step.state.value, step.what] for step in found.checklist]
    )
    return ExitCode.OK if alive else ExitCode.CHECK_FAILED


@app.command("actions")
def actions(
    *,
    data: Data = DEFAULT_DATA,
    store: Store = "",
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000)] = 50,
    json: Json = False,
) -> int:
    """What it did, newest first; from its own file where the database cannot be read."""
    from mrmarket.angel.diary import read_journal
    from mrmarket.services.angel.composition import JOURNAL
    from mrmarket.services.angel.overview import actions_of
    from mrmarket.services.angel.plan import FOLDER
    from mrmarket.store.errors import StoreError

    rows = None
    try:
        operations = _address(data, store).open_operations()
    except StoreError as error:
        notes.print(f"The database cannot be read ({error}); this is the Angel's own file.")
    else:
        rows = actions_of(operations, limit)
        operations.close()
    if rows is None:
        rows = read_journal(data / FOLDER / JOURNAL, limit)
    if json:
        print_json({"actions": rows})
        return ExitCode.OK
    print_table(
        ["time", "action", "on", "detail"],
        [[_time(row.at_ms), row.action, row.target, row.detail] for row in rows],
    )
    return ExitCode.OK


@app.command("resume")
def resume(*, data: Data = DEFAULT_DATA, store: Store = "", json: Json = False) -> int:
    """After a manual recovery: let the engines trade again."""
    from mrmarket.services.angel import overview

    operations = _address(data, store).open_operations()
    try:
        lifted = overview.resume(operations)
    finally:
        operations.close()
    if json:
        print_json({"lifted": lifted})
    else:
        notes.print(f"Trading goes on: {', '.join(lifted)}." if lifted else "Nothing was waiting.")
    return ExitCode.OK


@app.command("drill")
def drill(
    *,
    data: Data = DEFAULT_DATA,
    config: ConfigFile = None,
    store: Store = "",
    dry: Annotated[
        bool, typer.Option("--dry-run", help="List what would be cancelled now; touch nothing.")
    ] = False,
    freeze: Annotated[
        bool,
        typer.Option("--freeze", help="Freeze this machine's engine until everything is cleared."),
    ] = False,
    run_id: Annotated[
        str, typer.Option("--run", help="Take this run from its engine and give it back.")
    ] = "",
    node: Annotated[str | None, typer.Option("--node", help="Which engine to freeze.")] = None,
    confirm: Annotated[
        str, typer.Option("--confirm", help="The name of the run or engine, instead of typing it.")
    ] = "",
    json: Json = False,
) -> int:
    """Try the Angel out. A drill cancels real orders: it asks for the name of the run or engine first."""
    from mrmarket.services.angel.drill import DrillRefusedError

    if sum((dry, freeze, bool(run_id))) != 1:
        raise DrillRefusedError("give one of --dry-run, --freeze and --run RUN")
    address = _address(data, store)
    if freeze:
        return _freeze(address, node, confirm, as_json=json)
    plan = _plan(data, config, "", shared=bool(store))
    if dry:
        return _dry_run(plan, address, as_json=json)
    _confirm(run_id, confirm)
    return _drill_run(plan, address, run_id, as_json=json)


def _dry_run(plan: AngelPlan, address: StoreAddress, *, as_json: bool) -> int:
    from mrmarket.angel.settings import SweepScope
    from mrmarket.angel.sweep import Scope
    from mrmarket.services.angel.composition import assemble, instance_prefix
    from mrmarket.services.angel.drill import DryRun, dry_run

    async def look() -> DryRun:
        assembled = await assemble(plan, address.folder, address.url, os.environ)
        async with assembled.closing:
            whole = plan.settings.scope is SweepScope.ACCOUNT
            try:
                return await dry_run(
                    assembled.angel, Scope(whole_account=whole, prefixes=(instance_prefix(plan.instance),))
                )
            finally:
                for venue in assembled.angel.charge.venues:
                    await venue.close()

    found = asyncio.run(look())
    if as_json:
        print_json(found)
    else:
        print_table(
            ["exchange", "pair", "order", "side"],
            [[order.venue, order.symbol, order.client_order_id, order.side] for order in found.orders],
        )
        notes.print(f"{len(found.orders)} orders would be cancelled now, {found.spared} would stay.")
        for name, why in found.silent.items():
            notes.print(f"{name} did not answer: {why}")
    return ExitCode.UNAVAILABLE if found.silent else ExitCode.OK


def _drill_run(plan: AngelPlan, address: StoreAddress, run_id: str, *, as_json: bool) -> int:
    import sys

    import msgspec
    import structlog

    from mrmarket.core.clock import SystemClock
    from mrmarket.core.ids import uuid7
    from mrmarket.services.angel.composition import assemble
    from mrmarket.services.angel.drill import DrillRefusedError, DrillReport, drill_run

    # What the Angel's parts say on the way must not stand between the lines of the answer.
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    clock = SystemClock()
    gentle = msgspec.structs.replace(plan.settings, fail_safe="cancel_all", recovery="automatic")

    async def go() -> DrillReport:
        trading = await asyncio.to_thread(address.open_trading)
        try:
            if await asyncio.to_thread(trading.lease, run_id) is None:
                raise DrillRefusedError(f"nobody ever held the run {run_id!r}")
        finally:
            trading.close()
        drilled = msgspec.structs.replace(plan, settings=gentle)
        assembled = await assemble(drilled, address.folder, address.url, os.environ)
        async with assembled.closing:
            try:
                return await drill_run(assembled.angel, plan.instance, run_id, f"drill-{uuid7(clock)}", clock)
            finally:
                await assembled.angel.leave()

    _print_drill(asyncio.run(go()), as_json=as_json)
    return ExitCode.OK


def _freeze(address: StoreAddress, node: str | None, confirm: str, *, as_json: bool) -> int:
    from mrmarket.core.clock import SystemClock
    from mrmarket.services.angel.drill import drill_freeze, engine_to_freeze

    operations = address.open_operations()
    try:
        engine = engine_to_freeze(operations, node)
        _confirm(engine.node, confirm)
        report = asyncio.run(drill_freeze(operations, engine, SystemClock()))
    finally:
        operations.close()
    _print_drill(report, as_json=as_json)
    return ExitCode.OK


def _print_drill(report: object, *, as_json: bool) -> None:
    import msgspec

    if as_json:
        print_json(report)
        return
    rows = [
        (name.replace("_ms", " after, ms").replace("_", " "), "not seen" if value is None else str(value))
        for name, value in msgspec.to_builtins(report).items()
    ]
    print_pairs("[bold]The drill[/]", rows)


def _confirm(name: str, typed: str) -> None:
    from mrmarket.services.angel.drill import DrillRefusedError

    if not typed:
        typed = typer.prompt(f"This cancels real orders. Type {name} to go on", err=True)
    if typed != name:
        raise DrillRefusedError(f"{typed!r} is not {name!r}; nothing was touched")


def _plan(data: Path, config: Path | None, instance: str, *, shared: bool = False) -> AngelPlan:
    """The plan that the running instance left, else one from the configuration.

    In a folder that is no instance's, only a database that is shared (`shared`) knows the instance's id; what
    is made up here is what the Angel proposes as one, should it be the first to come.
    """
    from mrmarket.services.angel.plan import NothingToWatchError, plan_for, plan_path, read_plan
    from mrmarket.services.config import load_config
    from mrmarket.services.data_directory import DataDirectory

    left = read_plan(plan_path(data)) if config is None and not instance else None
    if left is not None:
        return left
    if not instance and not (data / "instance.id").is_file():
        if not shared:
            raise NothingToWatchError(
                f"{data} is no instance's folder; give --instance ID, which is in instance.id of its folder"
            )
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
    loaded = load_config(config, {})
    return plan_for(loaded.config, instance or DataDirectory(data).instance_id())


def _address(data: Path, store: str) -> StoreAddress:
    from mrmarket.services.store_address import StoreAddress
    from mrmarket.store.errors import DatabaseMissingError

    if not store and not (data / "control.db").is_file():
        raise DatabaseMissingError(data / "control.db")
    return StoreAddress(data, store)


def _time(at_ms: int) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
