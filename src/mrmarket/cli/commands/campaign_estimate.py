"""`mrmarket campaign estimate`."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mrmarket.cli.books import open_books, world_ms
from mrmarket.cli.campaign_view import campaign_named
from mrmarket.cli.options import DEFAULT_DATA, IN_FOLDER, ConfigFile, Data, Json, Store
from mrmarket.cli.output import notes, print_json, print_pairs

if TYPE_CHECKING:
    from mrmarket.campaigns.entity import Campaign
    from mrmarket.partners.hufi.estimate import Price
    from mrmarket.partners.hufi.messages import LeaderboardRow
    from mrmarket.services.partners.estimation import CampaignEstimate
    from mrmarket.services.partners.own_trades import TimedTrade
    from mrmarket.services.partners.setting import PartnerSetting

_MEASURED_MS = 7 * 86_400_000
"""So far back our own trades are looked at."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the world said."""

    rows: list[LeaderboardRow]
    price: Price | None
    silent: list[str]
    """Who did not answer, and why."""


def estimate(
    campaign: Annotated[
        str,
        typer.Argument(
            help="Its id, its escrow's address, or the beginning of either.",
            metavar="CAMPAIGN",
            show_default=False,
        ),
    ],
    *,
    volume: Annotated[
        str | None,
        typer.Option(
            "--volume",
            help="Ours in the cycle, in the quote asset; left out: what the engine would be asked for.",
        ),
    ] = None,
    price: Annotated[
        str | None,
        typer.Option(
            "--price",
            help="Of one reward token in the quote asset; left out: as the configured providers say.",
        ),
    ] = None,
    offline: Annotated[
        bool, typer.Option("--offline", help="Ask nobody: no leaderboard, and no price but --price.")
    ] = False,
    config: ConfigFile = None,
    data: Data = DEFAULT_DATA,
    store: Store = IN_FOLDER,
    json: Json = False,
) -> None:
    """Say what the running cycle should bring, and what making its volume costs by our own trades.

    The others' standing is asked of HuFi's recording oracle, which is public. Nothing is joined or traded.
    """
    from mrmarket.campaigns.repository import CampaignRepository
    from mrmarket.cli.partner_doors import own_trades, setting_at
    from mrmarket.services.partners.estimation import estimate as work_out
    from mrmarket.services.partners.hufi_room import assumed_cost
    from mrmarket.services.partners.progress import cost_by

    wanted = None if volume is None else _amount("--volume", volume)
    given = None if price is None else _amount("--price", price)
    setting = setting_at(data, config)
    with open_books(data, store) as sql:
        found = campaign_named(CampaignRepository(sql), campaign)
    asked = _Asked([], None, [])
    if not offline:
        asked = asyncio.run(_ask(setting, found, wants_price=given is None))
    until_ms = world_ms(data)
    timed = own_trades(setting, store, found, until_ms - _MEASURED_MS, until_ms)
    result = work_out(
        found.offer,
        found.wallet,
        asked.rows,
        cost_by(timed, assumed_cost(setting.partners.campaigns)),
        _hand_price(given) or asked.price,
        limits=setting.partners.campaigns.limits.limits(),
        own_volume=_made(found, timed, until_ms),
        volume=wanted,
    )
    for line in asked.silent:
        notes.print(line, soft_wrap=True)
    if json:
        print_json({**_fields(found, result, len(timed)), "silent": asked.silent})
    else:
        _print(found, result, len(timed))


def _made(campaign: Campaign, trades: list[TimedTrade], at_ms: int) -> Decimal:
    """What we have traded in the running cycle since we joined, in the quote asset."""
    from mrmarket.services.partners.own_trades import volume_of

    cycle = campaign.offer.cycle_at(at_ms)
    if cycle is None or not campaign.joined_ms:
        return Decimal(0)
    since_ms = max(campaign.offer.cycle(cycle).start_ms, campaign.joined_ms)
    return volume_of([each for each in trades if each.at_ms >= since_ms])


async def _ask(setting: PartnerSetting, campaign: Campaign, *, wants_price: bool) -> _Asked:
    """Ask the oracle and the prices; whoever is silent is named, and the rest is used."""
    from mrmarket.cli.partner_doors import ask_leaderboard, ask_price
    from mrmarket.core.errors import MrMarketError

    silent: list[str] = []
    rows: list[LeaderboardRow] = []
    price = None
    try:
        rows = await ask_leaderboard(setting, campaign.offer)
    except MrMarketError as error:
        silent.append(f"The leaderboard is unknown, so others count for nothing: {error}")
    if wants_price:
        try:
            price = await ask_price(setting, campaign.offer)
        except MrMarketError as error:
            silent.append(f"The reward has no price: {error}")
    return _Asked(rows, price, silent)


def _amount(option: str, text: str) -> Decimal:
    from mrmarket.core.errors import InvalidInputError

    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite() or value <= 0:
        raise InvalidInputError(option, text[:40], "a decimal above zero, such as 2500")
    return value


def _hand_price(value: Decimal | None) -> Price | None:
    from mrmarket.partners.hufi.estimate import Price

    return None if value is None else Price(value, "--price")


def _fields(campaign: Campaign, result: CampaignEstimate, trades: int) -> dict[str, Any]:
    from mrmarket.core.decimals import format_decimal, format_units

    offer, expected, cost = result.offer, result.expectation, result.cost
    digits = offer.token.decimals
    return {
        "id": campaign.id,
        "measure": offer.measure.value,
        "volume": format_decimal(result.volume),
        "made": format_decimal(result.made),
        "others": {"participants": result.others, "volume": format_decimal(result.others_volume)},
        "pool": format_units(expected.pool_units, digits),
        "reward": format_units(expected.units, digits),
        "token": offer.token.symbol,
        "price": None
        if result.price is None
        else {"value": format_decimal(result.price.value), "source": result.price.source},
        "value": None if expected.value is None else _money(expected.value),
        "cost": _money(expected.cost),
        "net": None if expected.net is None else _money(expected.net),
        "cost_model": {
            "measured": cost.is_measured,
            "trades": trades,
            "maker_share_ppm": cost.maker_share_ppm,
            "maker_fee_ppm": cost.maker_fee_ppm,
            "taker_fee_ppm": cost.taker_fee_ppm,
            "spread_cost_ppm": cost.spread_cost_ppm,
        },
        "verdict": result.verdict,
    }


def _print(campaign: Campaign, result: CampaignEstimate, trades: int) -> None:
    fields = _fields(campaign, result, trades)
    others, model = fields["others"], fields["cost_model"]
    price = fields["price"]
    is_traded = campaign.offer.measure.is_traded
    if not is_traded:
        how = "none is traded"
    elif model["measured"]:
        how = f"measured on {model['trades']} of our trades"
    else:
        how = "assumed: too few trades of ours to measure it"
    print_pairs(
        f"[bold]{campaign.id}[/], one cycle",
        [
            ("our volume", f"{fields['volume']}, of it made: {fields['made']}")
            if is_traded
            else ("our balance", fields["volume"]),
            ("others", f"{others['participants']} with {others['volume']}"),
            ("pool of the cycle", f"{fields['pool']} {fields['token']}"),
            ("our part", f"{fields['reward']} {fields['token']}"),
            ("price", "unknown" if price is None else f"{price['value']} by {price['source']}"),
            ("worth", fields["value"] or "unknown"),
            ("cost", f"{fields['cost']}, {how}"),
            ("net", fields["net"] or "unknown"),
            ("verdict", fields["verdict"]),
        ],
    )


def _money(value: Decimal) -> str:
    from mrmarket.core.decimals import format_decimal

    return format_decimal(value.quantize(Decimal("0.00000001")))
