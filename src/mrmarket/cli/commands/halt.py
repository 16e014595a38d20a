"""`mrmarket halt`: the kill switch from a shell. It asks no database and no running instance."""

from __future__ import annotations

from typing import Annotated

import typer

from mrmarket.cli.options import DEFAULT_DATA, Data, Json
from mrmarket.cli.output import print_json


def halt(
    *,
    data: Data = DEFAULT_DATA,
    reason: Annotated[str, typer.Option("--reason", help="Why; shown wherever the state is.")] = "",
    lift: Annotated[bool, typer.Option("--lift", help="Allow trading again.")] = False,
    json: Json = False,
) -> None:
    """Pull every quote and cancel every order of the instance on --data; it stays so until lifted."""
    from mrmarket.services.data_directory import DataDirectoryError
    from mrmarket.trading.execution.risk.kill_switch import HaltFile

    note = HaltFile(data)
    if not data.is_dir():
        raise DataDirectoryError(data, "there is no such folder")
    try:
        was = note.exists()
        if lift:
            note.remove()
        else:
            note.write(reason or "halted by hand")
        words = note.read() if note.exists() else ""
    except OSError as error:
        raise DataDirectoryError(data, error.strerror or str(error)) from error
    halted = not lift
    if json:
        print_json({"halted": halted, "changed": was is not halted, "file": str(note.path), "reason": words})
        return
    if lift:
        typer.echo("lifted: the instance on this folder may trade again" if was else "it was not halted")
    else:
        typer.echo(f"halted ({words}); end it with: mrmarket halt --lift --data {data}")
