"""`mrmarket venue`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mrmarket.cli.exit_codes import ExitCode
from mrmarket.cli.options import Json, Tapes
from mrmarket.cli.output import notes, print_json, print_pairs


def venue(
    *,
    tape: Tapes = None,
    port: Annotated[int, typer.Option("--port", help="0 picks a free one.")] = 0,
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    speed: Annotated[
        float, typer.Option("--speed", help="How many times as fast as real time.", metavar="X")
    ] = 1.0,
    seed: Annotated[int, typer.Option("--seed", help="Of the built-in market, where no tape is given.")] = 7,
    loop: Annotated[
        bool, typer.Option("--loop/--once", help="Start a tape again at its end, or leave.")
    ] = True,
    state: Annotated[
        Path | None,
        typer.Option("--state", help="Folder for keys, orders and balances; forgets all without."),
    ] = None,
    plan: Annotated[Path | None, typer.Option("--plan", hidden=True)] = None,
    exit_with_parent: Annotated[bool, typer.Option("--exit-with-parent", hidden=True)] = False,
    json: Json = False,
) -> int:
    """Run the simulated exchange alone, for any bot that speaks Binance's spot dialect.

    When it is ready it prints its addresses and a key pair; with --json as one line.
    """
    import msgspec

    from mrmarket.trading.venue.front.config import VenueConfig
    from mrmarket.trading.venue.front.process import run_venue

    if plan is not None:
        config = msgspec.json.decode(plan.read_bytes(), type=VenueConfig)
    else:
        config = VenueConfig(
            host=host,
            port=port,
            tapes=[str(path) for path in tape or []],
            generator_seed=seed,
            speed=speed,
            loop=loop,
            state_dir=None if state is None else str(state),
            exit_with_parent=exit_with_parent,
        )

    def announce(ready: dict[str, object]) -> None:
        if "ended" in ready and not json:
            notes.print("The tape is over.")
            return
        if json:
            print_json(ready)
            return
        print_pairs(
            "[bold]The simulated exchange is ready[/]", [(name, str(value)) for name, value in ready.items()]
        )
        notes.print("Ctrl-C ends it.")

    run_venue(config, announce)
    return ExitCode.OK
