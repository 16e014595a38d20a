"""`mrmarket rail`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mrmarket.cli.exit_codes import ExitCode
from mrmarket.cli.options import Json
from mrmarket.cli.output import notes, print_json, print_pairs


def rail(
    *,
    state: Annotated[Path, typer.Option("--state", help="Folder for its journal and tokens.")] = Path(
        "mrmarket-rail"
    ),
    port: Annotated[int, typer.Option("--port", help="0 picks a free one.")] = 0,
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    seen_ms: Annotated[
        int, typer.Option("--seen-ms", help="Until a payment can be seen.", metavar="MS")
    ] = 500,
    block_ms: Annotated[
        int, typer.Option("--block-ms", help="Between two confirmations.", metavar="MS")
    ] = 500,
    required: Annotated[
        int, typer.Option("--required", help="Confirmations that make a payment final.", metavar="N")
    ] = 3,
    plan: Annotated[Path | None, typer.Option("--plan", hidden=True)] = None,
    exit_with_parent: Annotated[bool, typer.Option("--exit-with-parent", hidden=True)] = False,
    json: Json = False,
) -> int:
    """Run the simulated payment rail alone: wallets, a faucet and payments of play money.

    When it is ready it prints its address and tokens; with --json as one line.
    """
    import msgspec

    from mrmarket.services.rail.config import RailConfig
    from mrmarket.services.rail.life import run_rail
    from mrmarket.services.rail.messages import RailEndpoints

    if plan is not None:
        config = msgspec.json.decode(plan.read_bytes(), type=RailConfig)
    else:
        config = RailConfig(
            host=host,
            port=port,
            state_dir=str(state.absolute()),
            seen_ms=seen_ms,
            block_ms=block_ms,
            required=required,
            exit_with_parent=exit_with_parent,
        )

    def announce(ready: RailEndpoints) -> None:
        fields = msgspec.to_builtins(ready)
        if json:
            print_json(fields)
            return
        shown = {name: fields[name] for name in ("url", "token", "wallet_token", "treasury")}
        print_pairs("[bold]The simulated payment rail is ready[/]", list(shown.items()))
        notes.print("Ctrl-C ends it.")

    run_rail(config, announce)
    return ExitCode.OK
