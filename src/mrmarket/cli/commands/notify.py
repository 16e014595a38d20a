"""`mrmarket notify`."""

from __future__ import annotations

import asyncio
from typing import Any

import typer

from mrmarket.cli.exit_codes import ExitCode
from mrmarket.cli.options import ConfigFile, Json
from mrmarket.cli.output import print_json, print_table

app = typer.Typer(help="Notices to you.", no_args_is_help=True)


@app.callback()
def root() -> None:
    """Keeps `test` a command of its own while it is the only one."""


@app.command("test")
def try_out(*, config: ConfigFile = None, json: Json = False) -> int:
    """Send one notice through every configured way, once, and say what came of it."""
    import os

    from mrmarket.core.clock import SystemClock
    from mrmarket.services.config import load_config
    from mrmarket.services.notify.configured import open_ways
    from mrmarket.services.notify.trial import try_ways

    loaded = load_config(config, {}).config
    clock = SystemClock()
    ways = open_ways(loaded.notify, os.environ, loaded.instance.name, clock)
    trials = asyncio.run(try_ways(ways, clock))
    good = bool(trials) and all(trial.delivered for trial in trials)
    if json:
        shown: dict[str, Any] = {"ok": good, "ways": trials}
        print_json(shown)
    elif not trials:
        section = loaded.notify
        print_table(
            ["way", "what is missing"],
            [
                ["webhook", f"set {section.webhook_url_env} and {section.webhook_secret_env}"],
                ["telegram", f"set {section.telegram_token_env} and {section.telegram_chat_env}"],
            ],
        )
    else:
        rows = [["ok" if each.delivered else "fail", each.way, each.problem] for each in trials]
        print_table(["", "way", "what came of it"], rows)
    return ExitCode.OK if good else ExitCode.CHECK_FAILED
