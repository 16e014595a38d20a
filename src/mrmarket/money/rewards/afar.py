"""Reward money that is received and not yet where users are paid from: in a vault, or on its way."""

from __future__ import annotations

from typing import Final

from mrmarket.money.ledger.account import Account, AccountKind
from mrmarket.store.sql import Sql

_ROOM: Final = "campaigns/"


def network_of(chain_id: int) -> str:
    """Name of the account that bears what the way from a chain to the rail costs."""
    return f"{_ROOM}{chain_id}"


def origin_account(chain_id: int) -> Account:
    """The world that payouts of a chain come from, and that their arrival on a rail comes out of again.

    Minus its balance, less what the way has cost, is what waits there.
    """
    return Account.of(AccountKind.EXTERNAL, f"{_ROOM}{chain_id}")


def units_afar(sql: Sql) -> dict[str, int]:
    """Units by asset id that the books have and the rail has not; below zero where it has too many."""
    found: dict[str, int] = {}
    for asset, units in sql.rows(
        "SELECT asset, units FROM balances WHERE account LIKE ? OR account LIKE ?",
        f"{AccountKind.EXTERNAL}:{_ROOM}%",
        f"{AccountKind.NETWORK}:{_ROOM}%",
    ):
        found[asset] = found.get(asset, 0) - int(units)
    return {asset: units for asset, units in sorted(found.items()) if units}
