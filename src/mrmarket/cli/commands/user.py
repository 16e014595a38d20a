"""`mrmarket user`."""

from __future__ import annotations

import sys
import time
from typing import Annotated

import typer

from mrmarket.cli.books import account_id, moment_ms, open_books
from mrmarket.cli.options import DEFAULT_DATA, IN_FOLDER, Data, Json, Store
from mrmarket.cli.output import print_json, print_pairs, print_table

app = typer.Typer(help="What concerns one user.", no_args_is_help=True)


@app.callback()
def root() -> None:
    """Keeps `statement` a command of its own while it is the only one."""


@app.command()
def statement(
    user: Annotated[str, typer.Argument(help="Whose account, such as alice.")],
    *,
    start: Annotated[
        str, typer.Option("--start", help="First moment; a date or an ISO time.")
    ] = "1970-01-01",
    end: Annotated[str | None, typer.Option("--end", help="First moment after it; now if left out.")] = None,
    asset: Annotated[str | None, typer.Option("--asset", help="This asset only.")] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print a table for spreadsheets.")] = False,
    data: Data = DEFAULT_DATA,
    store: Store = IN_FOLDER,
    json: Json = False,
) -> None:
    """Print what moved in and out of a user's account, with running balances; the sums are checked."""
    from mrmarket.money.ledger.statement import draw_statement, statement_csv, utc

    start_ms = moment_ms(start, "start")
    end_ms = time.time_ns() // 1_000_000 if end is None else moment_ms(end, "end")
    with open_books(data, store) as sql:
        drawn = draw_statement(sql, account_id(user), start_ms, end_ms, asset)
    if json:
        print_json(drawn)
        return
    if as_csv:
        sys.stdout.write(statement_csv(drawn))
        return
    for part in drawn.assets:
        print_pairs(
            f"[bold]{part.asset}[/] of {drawn.account}",
            [
                ("opening", part.opening),
                ("in", part.received),
                ("out", part.given),
                ("closing", part.closing),
            ],
        )
        if part.lines:
            print_table(
                ["at", "group", "kind", "with", "amount", "balance"],
                [
                    [utc(line.at_ms), str(line.seq), line.kind, line.counterparty, line.amount, line.balance]
                    for line in part.lines
                ],
            )
