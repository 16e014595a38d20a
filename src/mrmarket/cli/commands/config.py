"""`mrmarket config check|show`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from mrmarket.cli.options import ConfigFile, Json
from mrmarket.cli.output import print_json, print_pairs

app = typer.Typer(help="Check or show the configuration.", no_args_is_help=True)


@app.command()
def check(
    file: Annotated[Path | None, typer.Argument(help="TOML file to check.")] = None, *, json: Json = False
) -> None:
    """Check a configuration file and say what is wrong with it."""
    from mrmarket.services.config import load_config
    from mrmarket.trading.strategy.registry import Registry
    from mrmarket.trading.strategy.schema import kind_of

    loaded = load_config(file, {})
    if json:
        strategy = loaded.config.strategy
        print_json(
            {
                "ok": True,
                "strategy": kind_of(strategy),
                "snapshot": Registry().snapshot(strategy).id,
                "exchange": loaded.config.venue.exchange,
            }
        )
    else:
        sys.stdout.write("The configuration is good.\n")


@app.command()
def show(*, config: ConfigFile = None, json: Json = False) -> None:
    """Show every setting, its value and where the value comes from; secrets are masked."""
    from mrmarket.services.config import load_config

    view = load_config(config, {}).view()
    if json:
        print_json(view)
        return
    for section in view.sections:
        pairs = [(entry.key, f"{entry.value}   ({entry.source})") for entry in section.entries]
        print_pairs(f"[bold]\\[{section.name}][/]", pairs)
