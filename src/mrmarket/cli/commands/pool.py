"""`mrmarket pool`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mrmarket.cli.options import DEFAULT_DATA, Data, Json
from mrmarket.cli.output import print_json, print_pairs, print_table

if TYPE_CHECKING:
    from mrmarket.services.api.money_schema import PoolCard

app = typer.Typer(help="The pools of the running instance.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="Name of the pool.")]
What = Annotated[
    Literal["deposits", "withdrawals", "both"], typer.Option("--what", help="Which way through the door.")
]


@app.command("list")
def list_pools(*, data: Data = DEFAULT_DATA, json: Json = False) -> None:
    """List pools with what they are worth and whether they are open."""
    from mrmarket.services.api.money_schema import PoolCard
    from mrmarket.services.remote import RemoteInstance

    cards = RemoteInstance.of(data).read("pools", list[PoolCard])
    if json:
        print_json({"pools": cards})
        return
    print_table(
        ["pool", "trades", "worth", "share price", "depositors", "deposits", "withdrawals"],
        [
            [
                card.id,
                card.pair or "nothing yet",
                f"{card.nav} {card.quote}",
                card.nav_per_share,
                str(card.depositors),
                _door(card.terms.deposits_paused),
                _door(card.terms.withdrawals_paused),
            ]
            for card in cards
        ],
    )


@app.command()
def show(pool: Name = "main", *, data: Data = DEFAULT_DATA, json: Json = False) -> None:
    """Show a pool with its terms."""
    from mrmarket.services.api.money_schema import PoolCard
    from mrmarket.services.remote import RemoteInstance

    _show(RemoteInstance.of(data).read(f"pools/{pool}", PoolCard), as_json=json)


@app.command()
def pause(
    pool: Name = "main",
    *,
    what: What = "both",
    reason: Annotated[str, typer.Option("--reason", help="Shown to everybody who comes.")] = "",
    data: Data = DEFAULT_DATA,
    json: Json = False,
) -> None:
    """Let nobody in, or out, until resumed. What is under way waits; nothing is lost."""
    _switch(pool, "pause", what, reason, data, as_json=json)


@app.command()
def resume(
    pool: Name = "main", *, what: What = "both", data: Data = DEFAULT_DATA, json: Json = False
) -> None:
    """Open a pool again."""
    _switch(pool, "resume", what, "", data, as_json=json)


def _switch(pool: str, verb: str, what: What, reason: str, data: Data, *, as_json: bool) -> None:
    from mrmarket.services.api.money_schema import PauseRequest, PoolCard
    from mrmarket.services.remote import RemoteInstance

    request = PauseRequest(what=what, reason=reason)
    card = RemoteInstance.of(data).change(f"admin/pools/{pool}/{verb}", PoolCard, request)
    _show(card, as_json=as_json)


def _show(card: PoolCard, *, as_json: bool) -> None:
    if as_json:
        print_json(card)
        return
    terms = card.terms
    print_pairs(
        f"[bold]{card.id}[/]",
        [
            ("trades", card.pair or "nothing yet"),
            ("worth", f"{card.nav} {card.quote}"),
            ("shares", card.shares),
            ("share price", card.nav_per_share),
            ("depositors", str(card.depositors)),
            ("deposits", _door(terms.deposits_paused)),
            ("withdrawals", _door(terms.withdrawals_paused)),
            ("terms", f"version {terms.version}"),
            ("minimum deposit", terms.minimum_deposit),
            ("capacity left", terms.capacity_left or "no limit"),
            ("deposit fee", terms.deposit_fee),
            ("management fee a year", terms.management_fee_year),
            ("performance fee", terms.performance_fee),
            ("redeem period", f"{terms.redeem_period_s} s"),
            *(
                (f"tier {tier.name}", f"{tier.days} days, weight {tier.weight}, early exit {tier.early_exit}")
                for tier in terms.tiers
            ),
        ],
    )


def _door(paused: str | None) -> str:
    return "open" if paused is None else f"paused: {paused}"
