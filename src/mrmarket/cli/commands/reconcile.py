"""`mrmarket reconcile`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from mrmarket.cli.books import open_books
from mrmarket.cli.exit_codes import ExitCode
from mrmarket.cli.options import DEFAULT_DATA, IN_FOLDER, Data, Json, Store
from mrmarket.cli.output import print_error, print_json, print_table

_FOREVER_S = 10**9


def reconcile(
    *,
    max_age: Annotated[
        int, typer.Option("--max-age", min=1, help="Seconds after which what was seen says nothing.")
    ] = _FOREVER_S,
    release: Annotated[
        str | None, typer.Option("--release", help="Take this incident's difference as it is.", metavar="ID")
    ] = None,
    reason: Annotated[str, typer.Option("--reason", help="Why, with --release; kept in the books.")] = "",
    data: Data = DEFAULT_DATA,
    store: Store = IN_FOLDER,
    json: Json = False,
) -> int:
    """Compare what is owed with what venue and rail last said they hold. Exit status 1 if it differs.

    Changes nothing but with --release. The instance itself looks all the time and blocks payouts of what does
    not add up.
    """
    if release is not None:
        _release(data, release, reason)
    from mrmarket.money.solvency.comparison import Place
    from mrmarket.money.solvency.repository import SolvencyRepository
    from mrmarket.money.solvency.view import asset_figures, latest_report
    from mrmarket.money.solvency.watch import lines_of

    now_ms = time.time_ns() // 1_000_000
    with open_books(data, store) as sql:
        repository = SolvencyRepository(sql)
        names = {observation.place for observation in repository.observations()}
        lines = lines_of(sql, {name: Place(name, max_age * 1_000) for name in names}, now_ms)
        figures = asset_figures(sql, lines, now_ms)
        incidents = repository.open_incidents()
        report = latest_report(sql)
    is_sound = all(line.is_sound for line in lines)
    if json:
        print_json({"ok": is_sound, "lines": figures, "incidents": incidents, "report": report})
    else:
        print_table(
            ["asset", "owed", "seen", "difference", "on its way", "standing"],
            [
                [
                    line.asset,
                    line.owed,
                    line.seen or "?",
                    line.difference or "?",
                    line.in_transit,
                    line.standing,
                ]
                for line in figures
            ],
        )
        for line in lines:
            if line.why:
                print_error("does_not_add_up", line.why, as_json=False)
    return ExitCode.OK if is_sound else ExitCode.CHECK_FAILED


def _release(data: Path, incident: str, reason: str) -> None:
    from urllib.parse import quote

    from mrmarket.services.api.money_schema import ReleaseRequest, TreasuryView
    from mrmarket.services.remote import RemoteInstance

    path = f"admin/incidents/{quote(incident, safe='')}/release"
    RemoteInstance.of(data).change(path, TreasuryView, ReleaseRequest(reason=reason))
