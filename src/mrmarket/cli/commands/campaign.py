"""`mrmarket campaign list|show|join|leave|automatic|estimate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mrmarket.cli.books import open_books
from mrmarket.cli.campaign_view import (
    LIST_HEADINGS,
    campaign_named,
    card_fields,
    card_row,
    goal_fields,
    outcome_row,
    page_fields,
    payout_row,
    short_names,
)
from mrmarket.cli.commands.campaign_estimate import estimate
from mrmarket.cli.options import DEFAULT_DATA, IN_FOLDER, Data, Json, Store
from mrmarket.cli.output import notes, print_json, print_pairs, print_table

if TYPE_CHECKING:
    from mrmarket.campaigns.board import CampaignPage, CycleOutcome

app = typer.Typer(
    help="Partners' campaigns: which there are, how far each is, what it should bring.",
    no_args_is_help=True,
)

app.command(epilog="Example: mrmarket campaign estimate hufi-137-0x5fbd --volume 25000 --config market.toml")(
    estimate
)

Name = Annotated[
    str,
    typer.Argument(
        help="Its id, its escrow's address, or the beginning of either.",
        metavar="CAMPAIGN",
        show_default=False,
    ),
]
StageName = Annotated[
    str | None,
    typer.Option("--stage", help="Only those that stand there, such as active or refused.", metavar="STAGE"),
]


@app.command("list", epilog="Example: mrmarket campaign list --stage active --data data")
def list_campaigns(
    *, stage: StageName = None, data: Data = DEFAULT_DATA, store: Store = IN_FOLDER, json: Json = False
) -> None:
    """List campaigns in the order of their lives, whether an instance runs or not."""
    from mrmarket.campaigns.board import board
    from mrmarket.campaigns.entity import Stage
    from mrmarket.cli.books import world_ms
    from mrmarket.core.errors import InvalidInputError

    if stage is not None and stage not in set(Stage):
        raise InvalidInputError("stage", stage, f"one of {', '.join(Stage)}")
    with open_books(data, store) as sql:
        columns = board(sql, world_ms(data))
    cards = [card for column in columns if stage in {None, column.stage} for card in column.cards]
    if json:
        print_json({"campaigns": [card_fields(card) for card in cards]})
    elif cards:
        names = short_names([card for column in columns for card in column.cards])
        print_table([*LIST_HEADINGS], [card_row(card, names[card.campaign.id]) for card in cards])
    else:
        notes.print(
            "There is no campaign here. An instance whose configuration enables campaigns finds them."
        )


@app.command(epilog="Example: mrmarket campaign show hufi-137-0x5fbd --json")
def show(campaign: Name, *, data: Data = DEFAULT_DATA, store: Store = IN_FOLDER, json: Json = False) -> None:
    """Show one campaign: its terms, what happened to it, what each cycle should bring and has paid."""
    from mrmarket.campaigns.board import campaign_page, outcomes
    from mrmarket.campaigns.repository import CampaignRepository
    from mrmarket.cli.books import world_ms

    with open_books(data, store) as sql:
        name = campaign_named(CampaignRepository(sql), campaign).id
        page = campaign_page(sql, name, world_ms(data))
        found = outcomes(sql, name)
    if json:
        print_json(page_fields(page, found))
    else:
        _print_page(page, found)


@app.command(epilog="Example: mrmarket campaign join hufi-137-0x5fbd --data data")
def join(campaign: Name, *, data: Data = DEFAULT_DATA, store: Store = IN_FOLDER, json: Json = False) -> None:
    """Tell the running instance to take part, whatever the rules say of its worth.

    The wish is kept; the instance asks the partner in its next round, and never twice without its answer.
    """
    _wish(campaign, "join", data, store, as_json=json)


@app.command(epilog="Example: mrmarket campaign leave hufi-137-0x5fbd --data data")
def leave(campaign: Name, *, data: Data = DEFAULT_DATA, store: Store = IN_FOLDER, json: Json = False) -> None:
    """Tell the running instance to stay away, or to trade no more for it; what was earned is still paid."""
    _wish(campaign, "leave", data, store, as_json=json)


@app.command(epilog="Example: mrmarket campaign automatic hufi-137-0x5fbd --data data")
def automatic(
    campaign: Name, *, data: Data = DEFAULT_DATA, store: Store = IN_FOLDER, json: Json = False
) -> None:
    """Take your word on a campaign back: the configured rules decide again."""
    _wish(campaign, "automatic", data, store, as_json=json)


def _wish(campaign: str, wish: str, data: Path, store: str, *, as_json: bool) -> None:
    from urllib.parse import quote

    from mrmarket.campaigns.repository import CampaignRepository
    from mrmarket.services.api.partner_schema import CampaignPageView
    from mrmarket.services.remote import RemoteInstance

    instance = RemoteInstance.of(data)
    with open_books(data, store) as sql:
        name = campaign_named(CampaignRepository(sql), campaign).id
    view = instance.change(f"admin/campaigns/{quote(name, safe='')}/{wish}", CampaignPageView)
    if as_json:
        print_json(view)
        return
    pairs = [("stands at", view.card.stage.replace("_", " "))]
    if view.owner is not None:
        pairs += [("your word", view.owner.wish), ("reason", view.owner.reason)]
    print_pairs(f"[bold]{view.card.id}[/]", pairs)


def _print_page(page: CampaignPage, found: list[CycleOutcome]) -> None:
    from mrmarket.money.ledger.statement import utc

    fields = page_fields(page, found)
    offer, goal = page.card.campaign.offer, page.card.goal
    symbol = offer.token.symbol
    pairs = [
        ("stands at", f"{fields['stage'].replace('_', ' ')}  {fields['reason']}".strip()),
        ("where", f"{offer.market} on {offer.exchange}, account {fields['account'] or 'none of ours'}"),
        ("counts", f"{offer.measure.value.replace('_', ' ')}, {fields['target']} a cycle"),
        ("time", f"{utc(offer.start_ms)} to {utc(offer.end_ms)}, {offer.cycles} cycles"),
        ("pays", f"{fields['fund']} {symbol} in all ({offer.token.address} on chain {offer.token.chain_id})"),
        (
            "has paid",
            f"{fields['paid']} {symbol}" + (f", {page.card.parked} parked" * bool(page.card.parked)),
        ),
    ]
    if goal is not None:
        told = goal_fields(goal)
        wanted = f"{told['volume']} by {utc(goal.end_ms)}, at a cost of {told['cost_ceiling']} at most"
        label = "last goal" if page.card.cycle is None else "goal"
        pairs.append((label, wanted if goal.runs else f"paused: {goal.reason}"))
    print_pairs(f"[bold]{page.card.campaign.id}[/]", pairs)
    print_table(
        ["when", "what happened", "then at", "why"],
        [[utc(step.at_ms), step.event, step.stage.value, step.reason] for step in page.steps],
    )
    if found:
        headings = ["cycle", "expected", "paid", "difference", "worth", "cost", "price by"]
        print_table(headings, [outcome_row(offer, each) for each in found])
    if page.payouts:
        headings = ["cycle", symbol, "state", "transaction", "why"]
        print_table(headings, [payout_row(offer, each) for each in page.payouts])
