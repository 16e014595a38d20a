"""Options that several commands share, worded once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Json = Annotated[
    bool, typer.Option("--json", help="Print one JSON object on stdout, amounts as decimal strings.")
]
Data = Annotated[Path, typer.Option("--data", help="Folder of the databases.", envvar="MRMARKET_DATA")]
Store = Annotated[
    str,
    typer.Option(
        "--store",
        help="PostgreSQL address of the books; leave out for SQLite files in the data folder.",
        envvar="MRMARKET_STORE",
        show_envvar=True,
        metavar="URL",
    ),
]
ConfigFile = Annotated[Path | None, typer.Option("--config", help="TOML file; leave out for the defaults.")]
Tapes = Annotated[
    list[Path] | None,
    typer.Option("--tape", help="Recording to replay; several may be given.", metavar="FILE"),
]

DEFAULT_DATA = Path("data")
IN_FOLDER = ""
"""No address: the books are files in the data folder."""
