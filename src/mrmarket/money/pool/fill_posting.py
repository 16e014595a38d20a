"""One trade as ledger transfers."""

from __future__ import annotations

from mrmarket.core.decimals import parse_units
from mrmarket.core.errors import InvalidInputError
from mrmarket.core.events import Filled
from mrmarket.core.side import Side
from mrmarket.money.ledger.group import Group, Transfer, TransferKind
from mrmarket.money.pool.plan import PoolPlan
from mrmarket.store.event_log import natural_key


def fill_key(fill: Filled) -> str:
    """The trade's natural key: whoever reports it and however often, it is settled once."""
    return natural_key(fill) or ""


def fill_group(plan: PoolPlan, fill: Filled) -> Group:
    """Base against quote between the pool and the venue, and the fee to the venue's fee account.

    Raises:
        InvalidInputError: if an amount is no exact decimal of the asset, or the trade moves nothing.
    """
    base, quote = plan.asset(fill.base), plan.asset(fill.quote)
    size = parse_units(fill.size, base.decimals, field="size")
    value = parse_units(fill.quote_size, quote.decimals, field="quote_size")
    pool, venue = plan.pool.id, plan.counterparty.id
    bought = fill.side is Side.BUY
    legs = [
        _leg(venue, pool, base.id, size) if bought else _leg(pool, venue, base.id, size),
        _leg(pool, venue, quote.id, value) if bought else _leg(venue, pool, quote.id, value),
    ]
    fee = signed_units(fill.fee, quote.decimals)
    if fee:
        giver, taker = (pool, plan.fees.id) if fee > 0 else (plan.fees.id, pool)
        asset = plan.asset(fill.fee_asset)
        legs.append(Transfer(giver, taker, asset.id, abs(fee), TransferKind.FEE))
    return Group(fill_key(fill), tuple(legs))


def signed_units(text: str, decimals: int) -> int:
    """Base units of a decimal string that may carry a minus sign (a rebate)."""
    if text.startswith("-"):
        return -parse_units(text[1:], decimals, field="fee")
    return parse_units(text, decimals, field="fee")


def effect(plan: PoolPlan, group: Group) -> dict[str, int]:
    """How a trade changes the pool's holdings, by asset id."""
    change: dict[str, int] = {}
    for transfer in group.transfers:
        sign = 1 if transfer.credit == plan.pool.id else -1
        change[transfer.asset] = change.get(transfer.asset, 0) + sign * transfer.units
    return change


def _leg(debit: str, credit: str, asset: str, units: int) -> Transfer:
    if units == 0:
        raise InvalidInputError("fill", asset, "a trade that moves more than nothing")
    return Transfer(debit, credit, asset, units, TransferKind.SETTLE_MM_PNL)
