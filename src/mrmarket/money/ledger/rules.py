"""The rules of double entry as one pure function: no clock, no storage, no effect."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import msgspec

from mrmarket.core.money import MAX_UNITS, Asset
from mrmarket.money.ledger.account import Account
from mrmarket.money.ledger.chain import POSTED, Record
from mrmarket.money.ledger.group import Group

Holding = tuple[str, str]
"""(account id, asset id)."""


class Books(Protocol):
    """What the rules must know of the past."""

    def asset(self, asset_id: str) -> Asset | None:
        """A registered asset."""
        ...

    def account(self, account_id: str) -> Account | None:
        """An open account."""
        ...

    def balance(self, account_id: str, asset_id: str) -> int:
        """Credits less debits, in base units; 0 for what never moved."""
        ...

    def record(self, key: str) -> Record | None:
        """The group recorded under a key."""
        ...

    def reversal(self, key: str) -> str | None:
        """Key of the group that undid the group under `key`."""
        ...


class Posting(msgspec.Struct, frozen=True):
    """What a group changes."""

    assets: tuple[Asset, ...]
    accounts: tuple[Account, ...]
    balances: dict[Holding, int]
    """New balance of every holding that was touched."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """The first rule that a group breaks."""

    code: str
    message: str


def decide(books: Books, group: Group) -> Posting | Rejection:
    """Say what a group would change, or which rule forbids it. Floors hold at the end of the group."""
    new_assets = _new_assets(books, group)
    if isinstance(new_assets, Rejection):
        return new_assets
    new_accounts = _new_accounts(books, group)
    if isinstance(new_accounts, Rejection):
        return new_accounts
    if group.reverses is not None:
        refusal = _check_reversal(books, group, group.reverses)
        if refusal is not None:
            return refusal
    return _move(books, group, new_assets, new_accounts)


def _new_assets(books: Books, group: Group) -> dict[str, Asset] | Rejection:
    new: dict[str, Asset] = {}
    for asset in group.assets:
        known = new.get(asset.id) or books.asset(asset.id)
        if known is None:
            new[asset.id] = asset
        elif known != asset:
            return Rejection("asset_differs", f"{asset.id} is registered with {known.decimals} decimals")
    return new


def _new_accounts(books: Books, group: Group) -> dict[str, Account] | Rejection:
    new: dict[str, Account] = {}
    for account in group.accounts:
        known = new.get(account.id) or books.account(account.id)
        if known is None:
            new[account.id] = account
        elif known != account:
            return Rejection("account_differs", f"{account.id} is open with another kind or floor")
    return new


def _check_reversal(books: Books, group: Group, key: str) -> Rejection | None:
    original = books.record(key)
    if original is None or original.outcome != POSTED:
        return Rejection("nothing_to_reverse", f"no posted group has the key {key!r}")
    if books.reversal(key) is not None:
        return Rejection("already_reversed", f"{key!r} was reversed before")
    if group.transfers != tuple(transfer.mirror for transfer in reversed(original.transfers)):
        return Rejection("not_a_mirror", f"the transfers are not those of {key!r} turned round")
    return None


def _move(
    books: Books, group: Group, new_assets: dict[str, Asset], new_accounts: dict[str, Account]
) -> Posting | Rejection:
    balances: dict[Holding, int] = {}
    falling: set[Holding] = set()
    for transfer in group.transfers:
        if transfer.asset not in new_assets and books.asset(transfer.asset) is None:
            return Rejection("unknown_asset", f"{transfer.asset} is not registered")
        for account_id in (transfer.debit, transfer.credit):
            if account_id not in new_accounts and books.account(account_id) is None:
                return Rejection("unknown_account", f"{account_id} is not open")
        giver = (transfer.debit, transfer.asset)
        taker = (transfer.credit, transfer.asset)
        for holding in (giver, taker):
            if holding not in balances:
                balances[holding] = books.balance(*holding)
        balances[giver] -= transfer.units
        balances[taker] += transfer.units
        falling.add(giver)
    refusal = _check_limits(books, balances, falling, new_accounts)
    return refusal or Posting(tuple(new_assets.values()), tuple(new_accounts.values()), balances)


def _check_limits(
    books: Books, balances: dict[Holding, int], falling: set[Holding], new_accounts: dict[str, Account]
) -> Rejection | None:
    for holding, units in balances.items():
        if not -MAX_UNITS < units < MAX_UNITS:
            return Rejection("overflow", f"{holding[0]} would hold 2^127 units of {holding[1]} or more")
        if holding in falling:
            account = new_accounts.get(holding[0]) or books.account(holding[0])
            floor = account.floor if account else None
            if floor is not None and units < floor:
                short = f"{holding[0]} is {floor - units} units of {holding[1]} short"
                return Rejection("insufficient_funds", short)
    return None
