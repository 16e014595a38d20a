"""`mrmarket tape info`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mrmarket.cli.exit_codes import ExitCode
from mrmarket.cli.options import Json
from mrmarket.cli.output import print_error, print_json, print_pairs

app = typer.Typer(help="Look into recordings.", no_args_is_help=True)


@app.command()
def info(
    file: Annotated[
        Path, typer.Argument(help="A recording: raw Binance frames or a tape of ours, gzipped or not.")
    ],
    *,
    json: Json = False,
) -> int:
    """Say what a recording holds, and check it to the last line. Exit status 1 if it cannot be played."""
    import msgspec

    from mrmarket.trading.market.tape_info import describe

    facts = describe(file)
    if json:
        print_json(facts)
    else:
        print_pairs(str(file), [(k.replace("_", " "), str(v)) for k, v in msgspec.to_builtins(facts).items()])
    if facts.playable:
        return ExitCode.OK
    gaps = ", ".join(map(str, facts.gap_lines[:5]))
    print_error("tape_gap", f"{file}: updates are missing before line {gaps}; record it again", as_json=False)
    return ExitCode.CHECK_FAILED
