"""`mrmarket run`."""

from __future__ import annotations

import asyncio
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.markup import escape

from mrmarket.cli.exit_codes import ExitCode
from mrmarket.cli.options import DEFAULT_DATA, IN_FOLDER, ConfigFile, Data, Json, Store, Tapes
from mrmarket.cli.output import notes, print_error, print_json, print_pairs

_SANDBOX_SPEED: Final = 4.0
"""World seconds in a second: a campaign's cycle of a minute closes every quarter of one."""


class World(StrEnum):
    """What an instance with play money lives in."""

    EXCHANGE = "exchange"
    SANDBOX = "sandbox"


class Role(StrEnum):
    """What a process of an instance does."""

    ALL = "all"
    API = "api"
    ENGINE = "engine"


def run(
    *,
    tape: Tapes = None,
    speed: Annotated[
        float | None, typer.Option("--speed", help="How many times as fast as real time.", metavar="X")
    ] = None,
    for_s: Annotated[
        float | None,
        typer.Option(
            "--for", help="End after this many seconds of tape (or world) time.", metavar="SECONDS", min=0.001
        ),
    ] = None,
    config: ConfigFile = None,
    data: Data = DEFAULT_DATA,
    store: Store = IN_FOLDER,
    venue: Annotated[
        str | None, typer.Option("--venue", help="`simulated`, or an exchange id such as `binance`.")
    ] = None,
    world: Annotated[
        World | None,
        typer.Option(
            "--world",
            help="`sandbox`: beside the simulated exchange also a chain, HuFi and Mixin of one's own;"
            " campaigns are joined and pay, users take their rewards out. Time runs at --speed 4 there.",
        ),
    ] = None,
    paper: Annotated[
        bool, typer.Option("--paper", help="Real public data, simulated fills: no order leaves this machine.")
    ] = False,
    take_turns: Annotated[
        bool,
        typer.Option(
            "--take-turns",
            help="Let strategies take turns by what they earn; the demo adds arbitrage with a second market.",
        ),
    ] = False,
    pair: Annotated[str | None, typer.Option("--pair", help="What to trade, e.g. BTC/USDT.")] = None,
    host: Annotated[str | None, typer.Option("--host", help="Address of the page and the API.")] = None,
    port: Annotated[
        int | None, typer.Option("--port", help="Port of the page and the API; 0 picks a free one.")
    ] = None,
    role: Annotated[
        Role,
        typer.Option(
            "--role",
            help="`all` in one process; `api` serves and keeps the books, `engine` trades: these two share a"
            " PostgreSQL (--store).",
        ),
    ] = Role.ALL,
    json: Json = False,
) -> int:
    """Start an instance: market, engine, ledger, API and page. Ctrl-C cancels every order and leaves.

    With --tape and without --for it ends with the tape; on the built-in market it runs until stopped.
    """
    from mrmarket.services.config import ConfigError, load_config
    from mrmarket.services.loop import fast_loop
    from mrmarket.services.supervisor import Supervisor

    overrides: dict[str, Any] = {
        "simulation.tapes": [str(path) for path in tape] if tape else None,
        "simulation.world": None if world is None else world.value,
        "simulation.speed": speed,
        "simulation.loop": False if tape and for_s is None else None,
        "venue.exchange": venue,
        "venue.paper": True if paper else None,
        "selection.enabled": True if take_turns else None,
        "strategy.pair": pair,
        "api.host": host,
        "api.port": port,
        "store.url": store or None,
    }
    loaded = load_config(config, {key: value for key, value in overrides.items() if value is not None})
    if loaded.config.simulation.world == World.SANDBOX.value and "simulation.speed" not in loaded.sources:
        overrides["simulation.speed"] = _SANDBOX_SPEED
        loaded = load_config(config, {key: value for key, value in overrides.items() if value is not None})
    if role is not Role.ALL and loaded.config.simulation.world == World.SANDBOX.value:
        raise ConfigError("command line", "the sandbox world lives in one process; leave --role out")
    if role is Role.ENGINE:
        return _run_engine(loaded, Path(data), as_json=json)
    supervisor = Supervisor(loaded, Path(data), for_s=for_s, role="api" if role is Role.API else "all")
    with asyncio.Runner(loop_factory=fast_loop()) as runner:
        summary = runner.run(_with_progress(supervisor, for_s, _hint(loaded, Path(data))))
    if json:
        print_json(summary)
    else:
        import msgspec

        rows = [
            (name.replace("_", " "), _text(value))
            for name, value in msgspec.to_builtins(summary).items()
            if name != "remark"
        ]
        print_pairs("[bold]What came of it[/]", rows)
    if summary.remark:
        notes.print(f"No order was placed: {escape(summary.remark)}", soft_wrap=True)
    if not getattr(summary, "identity_ok", True):
        problem = "; ".join(summary.identity_faults)
        print_error("identity_broken", f"rewards do not add up: {problem}", as_json=False)
        return ExitCode.CHECK_FAILED
    if summary.ledger_verified:
        return ExitCode.OK
    print_error("ledger_broken", "the ledger does not verify; see mrmarket ledger verify", as_json=False)
    return ExitCode.CHECK_FAILED


def _hint(loaded: Any, data: Path) -> str:
    """Where to look first in a world that has more to it than an exchange; empty elsewhere."""
    if loaded.config.simulation.world != World.SANDBOX.value:
        return ""
    return f"All money of this world is play money. In another shell: mrmarket campaign list --data {data}"


def _run_engine(loaded: Any, data: Path, *, as_json: bool) -> int:
    import msgspec

    from mrmarket.services.engine.engine_process import EngineProcess
    from mrmarket.services.loop import fast_loop

    def on_ready(node: str) -> None:
        notes.print(f"engine [bold]{node}[/] holds runs  (Ctrl-C hands them over and leaves)")

    process = EngineProcess(loaded, data)
    with asyncio.Runner(loop_factory=fast_loop()) as runner:
        summary = runner.run(process.run(on_ready))
    if as_json:
        print_json(summary)
    else:
        rows = [
            (name.replace("_", " "), _text(value)) for name, value in msgspec.to_builtins(summary).items()
        ]
        print_pairs("[bold]What came of it[/]", rows)
    return ExitCode.OK


async def _with_progress(supervisor: Any, for_s: float | None, hint: str = "") -> Any:
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    ready = asyncio.Event()

    def on_ready(url: str, setup_url: str | None) -> None:
        notes.print(f"Mr. Market is at [bold]{url}[/]  (Ctrl-C cancels every order and leaves)")
        if setup_url is not None:
            notes.print(
                f"No password is set. The owner sets one here, once, within an hour: {setup_url}",
                soft_wrap=True,
            )
        if hint:
            notes.print(escape(hint), soft_wrap=True)
        ready.set()

    if for_s is None or not notes.is_terminal:
        return await supervisor.run(on_ready)
    bar = Progress(
        TextColumn("tape"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        console=notes,
        transient=True,
    )
    with bar:
        task = bar.add_task("tape", total=for_s)
        return await supervisor.run(on_ready, lambda elapsed_s: bar.update(task, completed=elapsed_s))


def _text(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_text(inner)}" for key, inner in value.items())
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return "none"
    return f"{value:.0f}" if isinstance(value, float) else str(value)
