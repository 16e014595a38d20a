"""`mrmarket rewards trace`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mrmarket.cli.books import account_id, open_books
from mrmarket.cli.options import DEFAULT_DATA, IN_FOLDER, Data, Json, Store
from mrmarket.cli.output import print_json, print_pairs, print_table

if TYPE_CHECKING:
    from mrmarket.services.api.partner_schema import RewardTraceView, TraceStep

_SHOWN_IDS = 4
"""Of a step with many, such as the credits of a day; --json has them all."""


def trace(
    name: Annotated[
        str,
        typer.Argument(
            help="Hash of a transaction, a reward entry, a sweep key, an allocation, a payout or a receipt.",
            metavar="ID",
            show_default=False,
        ),
    ],
    *,
    user: Annotated[str | None, typer.Option("--user", help="Only this person's share.")] = None,
    data: Data = DEFAULT_DATA,
    store: Store = IN_FOLDER,
    json: Json = False,
) -> None:
    """Follow a reward from the chain to somebody's wallet, from whatever name of it you have.

    On-chain transaction, reward entry, transfer out of the vault, allocation, credit, receipt: each with its
    state, amount and names. Of a transaction that paid several rewards each is shown.
    """
    from mrmarket.services.partners.trace import trace_allocation, trace_entry
    from mrmarket.services.partners.trace_ids import target_of
    from mrmarket.services.partners.vault_reading import ReadVault

    account = None if user is None else account_id(user)
    vault = ReadVault.open(data / "chains.db")
    try:
        with open_books(data, store) as sql:
            target = target_of(sql, name, vault)
            if target.allocations:  # the name says already whose it is
                views = [trace_allocation(sql, allocation, vault) for allocation in target.allocations]
            else:
                views = [trace_entry(sql, entry, vault, account) for entry in target.entries]
    finally:
        if vault is not None:
            vault.close()
    if json:
        print_json({"name": name, "kind": target.kind, "traces": views})
        return
    for view in views:
        _print_trace(view)


def _print_trace(view: RewardTraceView) -> None:
    whose = f" for {view.account}" if view.account else ""
    print_pairs(
        f"[bold]{view.amount} {view.asset}[/] of cycle {view.cycle + 1} of {view.campaign}{whose}",
        [("entry", view.id), ("state", view.state)],
    )
    print_table(
        ["", "step", "amount", "when", "what"],
        [_row(number, step) for number, step in enumerate(view.steps, 1)],
    )


def _row(number: int, step: TraceStep) -> list[str]:
    from mrmarket.money.ledger.statement import utc

    names = [f"{each.kind} {each.id}" for each in step.ids[:_SHOWN_IDS]]
    more = len(step.ids) - len(names)
    words = [step.detail, *names, f"and {more} more" if more > 0 else ""]
    return [
        str(number),
        f"{step.name}: {step.state}",
        f"{step.amount} {step.asset}".strip() if step.amount else "",
        "" if step.at_ms is None else utc(step.at_ms),
        "\n".join(word for word in words if word),
    ]
