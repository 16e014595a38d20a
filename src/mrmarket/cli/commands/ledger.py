"""`mrmarket ledger verify`."""

from __future__ import annotations

import typer

from mrmarket.cli.exit_codes import ExitCode
from mrmarket.cli.options import DEFAULT_DATA, Data, Json
from mrmarket.cli.output import print_error, print_json, print_pairs

app = typer.Typer(help="Check the books.", no_args_is_help=True)


@app.command()
def verify(*, data: Data = DEFAULT_DATA, json: Json = False) -> int:
    """Re-derive the whole ledger from its log: sums, chain, balances, cursor. Exit status 1 if not ok."""
    from mrmarket.services.audit import verify_money

    found = verify_money(data)
    if json:
        print_json(found)
    elif found.ok:
        print_pairs(
            "The ledger verifies.",
            [
                ("groups", str(found.groups)),
                ("entries", str(found.entries)),
                *((f"sum of {asset}", total) for asset, total in sorted(found.assets.items())),
            ],
        )
    else:
        print_error("ledger_broken", f"the ledger does not verify: {found.reason}", as_json=False)
    return ExitCode.OK if found.ok else ExitCode.CHECK_FAILED
