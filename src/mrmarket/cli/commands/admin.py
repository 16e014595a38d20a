"""`mrmarket admin`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from mrmarket.cli.options import DEFAULT_DATA, IN_FOLDER, Data, Json, Store
from mrmarket.cli.output import notes, print_json

app = typer.Typer(help="What proves that you are the owner.", no_args_is_help=True)


@app.callback()
def root() -> None:
    """Keeps `password` a command of its own while it is the only one."""


@app.command()
def password(
    *,
    stdin: Annotated[bool, typer.Option("--stdin", help="Read it from the first line of stdin.")] = False,
    data: Data = DEFAULT_DATA,
    store: Store = IN_FOLDER,
    json: Json = False,
) -> None:
    """Set the owner's password. Every session of the owner ends, and so does a set-up link.

    Works on a running instance too; whoever may write the data folder is the owner.
    """
    from mrmarket.core.clock import NS_PER_MS, SystemClock
    from mrmarket.services.access.password import Passwords
    from mrmarket.services.access.repository import ControlStore
    from mrmarket.services.data_directory import DataDirectoryError
    from mrmarket.services.store_address import StoreAddress

    folder = Path(data)
    if not folder.is_dir():
        raise DataDirectoryError(folder, "there is no such folder; start an instance first")
    chosen = sys.stdin.readline().rstrip("\r\n") if stdin else _asked()
    hashed = Passwords().hash(chosen)
    credentials = ControlStore(StoreAddress(folder, store).open_control())
    try:
        credentials.set_password(hashed, SystemClock().now_ns() // NS_PER_MS)
    finally:
        credentials.close()
    if json:
        print_json({"password_set": True})  # nosec B105 # says whether, not what
    else:
        notes.print("The owner's password is set.")


def _asked() -> str:
    return str(typer.prompt("New password", hide_input=True, confirmation_prompt=True, err=True))
