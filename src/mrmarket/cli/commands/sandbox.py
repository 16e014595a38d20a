"""`mrmarket sandbox`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mrmarket.cli.exit_codes import ExitCode
from mrmarket.cli.options import Json
from mrmarket.cli.output import notes, print_json, print_pairs

if TYPE_CHECKING:
    from mrmarket.services.sandbox.endpoints import SandboxEndpoints


def sandbox(
    *,
    data: Annotated[Path, typer.Option("--data", help="Folder where the world remembers itself.")] = Path(
        "mrmarket-sandbox"
    ),
    speed: Annotated[
        float, typer.Option("--speed", help="World seconds in a second of the wall.", metavar="X")
    ] = 4.0,
    cycle_s: Annotated[
        int, typer.Option("--cycle-s", help="World seconds of a campaign's cycle.", metavar="S")
    ] = 60,
    plan: Annotated[Path | None, typer.Option("--plan", hidden=True)] = None,
    json: Json = False,
) -> int:
    """Run a whole world: a chain with HUMAN's contracts, HuFi, Mixin, an exchange and prices, all play money.

    When it can be lived in it prints its addresses; with --json as one line, secrets included.
    """
    import msgspec

    from mrmarket.services.partners.opening import require_libraries
    from mrmarket.services.sandbox.config import SandboxConfig

    require_libraries()
    from mrmarket.services.sandbox.life import run_sandbox

    if plan is not None:
        config = msgspec.json.decode(plan.read_bytes(), type=SandboxConfig)
    else:
        config = SandboxConfig(state_dir=str(data.absolute()), speed=speed, cycle_s=cycle_s)

    def announce(ready: SandboxEndpoints) -> None:
        if json:
            print_json(msgspec.to_builtins(ready))
            return
        print_pairs("[bold]The sandbox world is ready[/]", list(shown(ready).items()))
        notes.print("Ctrl-C ends it; the same folder goes on with it.")

    run_sandbox(config, announce)
    return ExitCode.OK


def shown(ready: SandboxEndpoints) -> dict[str, str]:
    """What a person wants to look at; keys are in the folder's `endpoints.json`."""
    return {
        "exchange": f"{ready.venue.rest} ({', '.join(ready.venue.symbols)})",
        "chain": f"{ready.chain.url} (id {ready.chain.chain_id})",
        "token": f"{ready.chain.token_code} {ready.chain.token_address}",
        "vault": ready.chain.wallet_address,
        "hufi launcher": ready.hufi.launcher_url,
        "hufi oracle": ready.hufi.oracle_url,
        "mixin": ready.mixin.url,
        "prices": ready.prices_url,
        "people": ", ".join(f"{one.name} {one.user_id}" for one in ready.people),
        "cycle": f"{ready.cycle_ms / 1_000:g} world seconds, {ready.time.speed:g} in a second",
    }
