"""`mrmarket ledger`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mrmarket.cli.books import account_id, open_books
from mrmarket.cli.commands import ledger_export, ledger_proofs
from mrmarket.cli.exit_codes import ExitCode
from mrmarket.cli.options import DEFAULT_DATA, IN_FOLDER, Data, Json, Store
from mrmarket.cli.output import print_error, print_json, print_pairs, print_table

if TYPE_CHECKING:
    from mrmarket.money.ledger.chain import Record
    from mrmarket.money.ledger.verification import LedgerCheck
    from mrmarket.store.sql import Sql

app = typer.Typer(help="Check, read, prove and export the books.", no_args_is_help=True)
app.command("prove")(ledger_proofs.prove)
app.command("check-proof")(ledger_proofs.check_proof)
app.command("seal")(ledger_proofs.seal)
app.command("export")(ledger_export.export)


@app.command()
def verify(
    *,
    seal: Annotated[
        Path | None,
        typer.Option("--seal", help="A published seal or proof: the ledger must still hold that seal."),
    ] = None,
    data: Data = DEFAULT_DATA,
    store: Store = IN_FOLDER,
    json: Json = False,
) -> int:
    """Re-derive everything from the log: sums, chain, seals, balances, tables. Exit status 1 if not ok."""
    from mrmarket.services.audit import verify_money

    found = verify_money(data, store)
    if found.ok and seal is not None:
        found = _with_seal(found, data, store, seal)
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


@app.command()
def show(
    group: Annotated[
        str | None, typer.Argument(help="Number or key of a group; leave out for a list.")
    ] = None,
    *,
    account: Annotated[str | None, typer.Option("--account", help="Only groups that touch it.")] = None,
    asset: Annotated[str | None, typer.Option("--asset", help="Only groups that move it.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1_000, help="How many of the newest.")] = 20,
    data: Data = DEFAULT_DATA,
    store: Store = IN_FOLDER,
    json: Json = False,
) -> None:
    """Show a group with its hash, or the newest groups."""
    from mrmarket.core.errors import InvalidInputError
    from mrmarket.money.ledger import history

    with open_books(data, store) as sql:
        decimals = dict(sql.rows("SELECT id, decimals FROM assets"))
        if group is None:
            name = None if account is None else account_id(account)
            found = history.groups(sql, account=name, asset=asset, limit=limit)
        else:
            record = _find(sql, group)
            if record is None:
                raise InvalidInputError("group", group, "the number or key of a group; list them with: show")
            found = [record]
    shown = [_plain(record, decimals) for record in found]
    if json:
        print_json({"groups": shown} if group is None else shown[0])
    elif group is None:
        headings = ["group", "at", "key", "outcome", "transfers"]
        print_table(headings, [_row(record) for record in shown])
    else:
        _print_group(shown[0])


def _with_seal(found: LedgerCheck, data: Path, store: str, path: Path) -> LedgerCheck:
    """The same check, not ok if the ledger does not hold a seal that somebody has kept."""
    from msgspec.structs import replace

    from mrmarket.money.ledger.seal import opened
    from mrmarket.money.ledger.seal_rows import SealRows

    published = ledger_proofs.read_seal(path)
    number = opened(published).number
    with open_books(data, store) as sql:
        held = SealRows(sql).find(number)
    if held == published:
        return found
    reason = f"seal {number} is not the one in {path.name}" if held else f"seal {number} is missing"
    return replace(found, ok=False, reason=reason)


def _find(sql: Sql, group: str) -> Record | None:
    from mrmarket.money.ledger import history

    rows = sql.rows("SELECT seq FROM groups WHERE key = ?", group)
    if rows:
        return history.group(sql, rows[0][0])
    is_number = group.isascii() and group.isdigit() and len(group) < len(str(2**63))
    return history.group(sql, int(group)) if is_number else None


def _plain(record: Record, decimals: dict[str, int]) -> dict[str, object]:
    from mrmarket.core.decimals import format_units
    from mrmarket.money.ledger.statement import utc

    return {
        "seq": record.seq,
        "key": record.key,
        "at_ms": record.at_ms,
        "at": utc(record.at_ms),
        "outcome": record.outcome,
        "message": record.message,
        "memo": record.memo,
        "reverses": record.reverses,
        "hash": record.hash.hex(),
        "transfers": [
            {
                "debit": transfer.debit,
                "credit": transfer.credit,
                "asset": transfer.asset,
                "amount": format_units(transfer.units, decimals[transfer.asset]),
                "kind": transfer.kind.value,
                "phase": transfer.phase.value,
            }
            for transfer in record.transfers
        ],
    }


def _row(shown: dict[str, object]) -> list[str]:
    transfers = shown["transfers"]
    count = len(transfers) if isinstance(transfers, list) else 0
    return [str(shown[name]) for name in ("seq", "at", "key", "outcome")] + [str(count)]


def _print_group(shown: dict[str, object]) -> None:
    names = ("key", "at", "outcome", "message", "memo", "reverses", "hash")
    print_pairs(f"Group {shown['seq']}", [(name, str(shown[name])) for name in names if shown[name]])
    transfers = shown["transfers"]
    if isinstance(transfers, list) and transfers:
        columns = ["debit", "credit", "amount", "asset", "kind", "phase"]
        print_table(columns, [[str(transfer[name]) for name in columns] for transfer in transfers])
