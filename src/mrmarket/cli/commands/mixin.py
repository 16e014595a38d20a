"""`mrmarket mixin whoami|outputs|transfer`."""

from __future__ import annotations

import asyncio
import hashlib
import sys
from collections.abc import Awaitable, Callable
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from mrmarket.cli.exit_codes import ExitCode
from mrmarket.cli.options import DEFAULT_DATA, ConfigFile, Data, Json
from mrmarket.cli.output import notes, print_json, print_pairs, print_table

if TYPE_CHECKING:
    from mrmarket.cli.partner_doors import MixinDoorway
    from mrmarket.partners.mixin.book import TransferRow
    from mrmarket.partners.mixin.client import MixinClient
    from mrmarket.partners.mixin.messages import SafeOutput
    from mrmarket.partners.mixin.order import TransferOrder

T = TypeVar("T")

app = typer.Typer(help="The bot at Mixin: who it is, what it holds, paying from it.", no_args_is_help=True)


class OutputState(StrEnum):
    """How an output of ours stands."""

    UNSPENT = "unspent"
    SIGNED = "signed"
    SPENT = "spent"


@app.command(epilog="Example: mrmarket mixin whoami --config market.toml")
def whoami(*, config: ConfigFile = None, data: Data = DEFAULT_DATA, json: Json = False) -> None:
    """Ask Mixin who the keystore belongs to, and show what the bot holds of each configured asset."""
    from mrmarket.cli.partner_doors import mixin_doorway

    doorway = mixin_doorway(data, config)
    fields = asyncio.run(_asked(doorway, partial(_whoami, doorway=doorway)))
    if json:
        print_json(fields)
        return
    pairs = [(name.replace("_", " "), str(fields[name])) for name in ("name", "number", "url", "has_safe")]
    pairs.append(("may spend", "yes" if fields["can_spend"] else "no: the keystore has no spend key"))
    print_pairs(f"[bold]{fields['app_id']}[/]", pairs)
    print_table(
        ["asset", "spendable", "under way", "outputs", "id"],
        [
            [each["code"], each["spendable"], each["bound"], str(each["outputs"]), each["asset_id"]]
            for each in fields["assets"]
        ],
    )


@app.command(epilog="Example: mrmarket mixin outputs --asset USDT-POLYGON --state unspent")
def outputs(
    *,
    asset: Annotated[
        str | None, typer.Option("--asset", help="A configured code, or Mixin's UUID.", metavar="ASSET")
    ] = None,
    state: Annotated[OutputState, typer.Option("--state", help="How they stand.")] = OutputState.UNSPENT,
    limit: Annotated[int, typer.Option("--limit", min=1, max=500, help="How many of each asset.")] = 100,
    config: ConfigFile = None,
    data: Data = DEFAULT_DATA,
    json: Json = False,
) -> None:
    """List the bot's outputs, the oldest first, and which transfer each is bound to."""
    from mrmarket.cli.partner_doors import mixin_doorway

    doorway = mixin_doorway(data, config)

    async def ask(client: MixinClient) -> list[dict[str, Any]]:
        found = []
        for code, asset_id in doorway.wanted(asset):
            page = await client.outputs(asset_id=asset_id, state=state.value, limit=limit)
            found += [_output_fields(code, each) for each in page]
        return found

    shown = asyncio.run(_asked(doorway, ask))
    bound = doorway.bound_coins()
    for each in shown:
        each["bound"] = each["id"] in bound
    if json:
        print_json({"outputs": shown})
        return
    print_table(
        ["asset", "amount", "state", "output", "transaction"],
        [
            [
                each["asset"],
                each["amount"],
                f"{each['state']}, bound" if each["bound"] else each["state"],
                each["id"],
                f"{each['transaction']}:{each['index']}",
            ]
            for each in shown
        ],
    )
    if not shown:
        notes.print(f"There is no output that is {state.value}.")


@app.command(epilog="Example: mrmarket mixin transfer --to 43d61dcd-… --asset HMT --amount 1.5 --dry-run")
def transfer(
    *,
    to: Annotated[
        str,
        typer.Option("--to", help="A user's UUID, XIN…, MIX…, or withdrawal:ADDRESS[?tag=…].", metavar="WHO"),
    ],
    asset: Annotated[str, typer.Option("--asset", help="A configured code, or Mixin's UUID.")],
    amount: Annotated[str, typer.Option("--amount", help="Decimal, up to 8 digits.", metavar="AMOUNT")],
    memo: Annotated[str, typer.Option("--memo", help="Carried with the payment; public.")] = "",
    key: Annotated[
        str,
        typer.Option(
            "--key",
            help="Names the payment: the same key is the same payment, paid once. Left out: it follows from"
            " receiver, asset, amount and memo; name one to pay the same again.",
        ),
    ] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show coins, fee and request ids; nothing is signed or sent.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    config: ConfigFile = None,
    data: Data = DEFAULT_DATA,
    json: Json = False,
) -> int:
    """Pay from the bot, once per key, however often it is asked and wherever it was interrupted.

    The platform's books do not know this payment: it is for the owner's own money at the bot. Users are paid
    by the instance. Exit status 3 while it is not final: the same command again asks what became of it.
    """
    from mrmarket.cli.partner_doors import mixin_doorway
    from mrmarket.partners.mixin.book import Stage
    from mrmarket.partners.mixin.transfers import Transfers

    doorway = mixin_doorway(data, config)
    order = _order(doorway, to, asset, amount, memo, key)
    if dry_run:

        async def preview(client: MixinClient) -> TransferRow:
            with doorway.look_at_book() as book:
                return await Transfers(client, book, doorway.setting.wall).preview(order)

        row = asyncio.run(_asked(doorway, preview))
        _show(doorway, row, dry_run=True, as_json=json)
        return ExitCode.REFUSED if row.stage is Stage.REFUSED else ExitCode.OK
    _confirm(order, asset, amount, yes=yes)

    async def send(client: MixinClient) -> TransferRow:
        with doorway.open_book() as book:
            return await Transfers(client, book, doorway.setting.wall).send(order)

    row = asyncio.run(_asked(doorway, send))
    _show(doorway, row, dry_run=False, as_json=json)
    if row.stage is Stage.REFUSED:
        return ExitCode.REFUSED
    return ExitCode.OK if row.stage is Stage.DONE else ExitCode.UNAVAILABLE


def _order(doorway: MixinDoorway, to: str, asset: str, amount: str, memo: str, key: str) -> TransferOrder:
    from mrmarket.core.errors import InvalidInputError
    from mrmarket.partners.mixin.order import TransferOrder, canonical_destination
    from mrmarket.partners.mixin.transaction import parse_amount

    destination = canonical_destination(to)
    if destination is None or destination == doorway.keystore.app_id:
        wanted = "a user's UUID, XIN…, MIX… or withdrawal:ADDRESS[?tag=…], and not the bot itself"
        raise InvalidInputError("--to", to[:100], wanted)
    if amount.strip().startswith("-"):
        raise InvalidInputError("--amount", amount[:40], "an amount above zero")
    ((_, asset_id),) = doorway.wanted(asset)
    units = parse_amount(amount.strip())
    named = key.strip() or _key_of(asset_id, units, destination, memo)
    order = TransferOrder(f"manual:{named}", asset_id, units, destination, memo)
    if objection := order.objection():
        raise InvalidInputError("transfer", amount[:40], f"another payment: {objection}")
    return order


def _key_of(asset_id: str, units: int, destination: str, memo: str) -> str:
    """A name that follows from what is paid: asked for twice, it is one payment."""
    told = "\n".join((asset_id, str(units), destination, memo))
    return hashlib.sha256(told.encode()).hexdigest()[:32]


def _confirm(order: TransferOrder, asset: str, amount: str, *, yes: bool) -> None:
    from mrmarket.core.errors import InvalidInputError

    if yes:
        return
    if not sys.stdin.isatty():
        wanted = "--yes where nobody can be asked: a payment cannot be undone"
        raise InvalidInputError("transfer", f"{amount} {asset}", wanted)
    notes.print(f"The platform's books do not know this payment. Its key is {order.key}.", soft_wrap=True)
    typer.confirm(f"Send {amount} {asset} to {order.destination}?", abort=True, err=True)


async def _asked(doorway: MixinDoorway, work: Callable[[MixinClient], Awaitable[T]]) -> T:
    from mrmarket.partners.mixin.client import MixinClient

    async with MixinClient(doorway.keystore, doorway.setting.wall, url=doorway.url) as client:
        return await work(client)


async def _whoami(client: MixinClient, doorway: MixinDoorway) -> dict[str, Any]:
    from mrmarket.partners.mixin.drafting import coins_of
    from mrmarket.partners.mixin.transaction import format_amount

    me = await client.me()
    bound = doorway.bound_coins()
    assets = []
    for code, asset_id in doorway.wanted(None):
        coins = coins_of(await client.all_outputs(asset_id=asset_id), without=set())
        under_way = sum(coin.units for coin in coins if coin.id in bound)
        assets.append(
            {
                "code": code,
                "asset_id": asset_id,
                "spendable": format_amount(sum(coin.units for coin in coins) - under_way),
                "bound": format_amount(under_way),
                "outputs": len(coins),
            }
        )
    return {
        "app_id": client.app_id,
        "name": me.full_name,
        "number": me.identity_number,
        "has_safe": me.has_safe,
        "can_spend": doorway.keystore.can_spend,
        "url": doorway.url,
        "assets": assets,
    }


def _output_fields(code: str, output: SafeOutput) -> dict[str, Any]:
    return {
        "asset": code,
        "amount": output.amount,
        "state": output.state,
        "id": output.output_id,
        "transaction": output.transaction_hash,
        "index": output.output_index,
        "sequence": output.sequence,
        "signed_by": output.signed_by or None,
    }


def _show(doorway: MixinDoorway, row: TransferRow, *, dry_run: bool, as_json: bool) -> None:
    from mrmarket.partners.mixin.ids import request_id
    from mrmarket.partners.mixin.transaction import format_amount

    order = row.order
    fee = {"asset": doorway.code_of(row.fee_asset), "amount": format_amount(row.fee_units)}
    fields: dict[str, Any] = {
        "dry_run": dry_run,
        "key": order.key,
        "request_id": request_id(doorway.keystore.app_id, order.key, "tx"),
        "asset": doorway.code_of(order.asset_id),
        "amount": format_amount(order.units),
        "to": order.destination,
        "memo": order.memo,
        "stage": row.stage.value,
        "reason": row.reason,
        "fee": fee if row.fee_units else None,
        "reference": row.reference or None,
        "coins": [
            {"id": coin.id, "amount": format_amount(coin.units)} for leg in row.legs for coin in leg.coins
        ],
    }
    if as_json:
        print_json(fields)
        return
    state = "would be built so; nothing was signed or sent" if dry_run and row.legs else row.stage.value
    pairs = [
        (name.replace("_", " "), str(fields[name] or "")) for name in ("key", "request_id", "memo", "reason")
    ]
    pairs.append(("fee", f"{fee['amount']} {fee['asset']}" if row.fee_units else "none"))
    pairs.append(("transaction", row.reference))
    pairs.append(("coins", ", ".join(each["amount"] for each in fields["coins"])))
    print_pairs(
        f"[bold]{fields['amount']} {fields['asset']}[/] to {order.destination}: {state}",
        [(name, value) for name, value in pairs if value],
    )
