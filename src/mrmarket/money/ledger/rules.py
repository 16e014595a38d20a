"""The rules of double entry as one pure function: no clock, no storage, no effect."""

from __future__ import annotations

from mrmarket.core.money import Asset
from mrmarket.money.ledger.account import Account
from mrmarket.money.ledger.books import Books, Holding, Pending, Posting, Rejection
from mrmarket.money.ledger.chain import POSTED
from mrmarket.money.ledger.group import Group, Phase, mirrored
from mrmarket.money.ledger.movement import Movement

__all__ = ["Books", "Holding", "Pending", "Posting", "Rejection", "decide"]


def decide(books: Books, group: Group) -> Posting | Rejection:
    """Say what a group would change, or which rule forbids it. Limits hold at the end of the group."""
    new_assets = _new_assets(books, group) if group.assets else {}
    if isinstance(new_assets, Rejection):
        return new_assets
    new_accounts = _new_accounts(books, group) if group.accounts else {}
    if isinstance(new_accounts, Rejection):
        return new_accounts
    if group.reverses is not None:
        refusal = _check_reversal(books, group, group.reverses)
        if refusal is not None:
            return refusal
    return Movement(books, new_assets, new_accounts).carry_out(group)


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
            return Rejection("account_differs", f"{account.id} is open with another kind, floor or ceiling")
    return new


def _check_reversal(books: Books, group: Group, key: str) -> Rejection | None:
    original = books.record(key)
    if original is None or original.outcome != POSTED:
        return Rejection("nothing_to_reverse", f"no posted group has the key {key!r}")
    if books.reversal(key) is not None:
        return Rejection("already_reversed", f"{key!r} was reversed before")
    if any(transfer.phase is Phase.PENDING for transfer in original.transfers):
        return Rejection("holds_units", f"{key!r} made holds; void those that are pending instead")
    if group.transfers != mirrored(original.transfers):
        return Rejection("not_a_mirror", f"the transfers are not those of {key!r} turned round")
    return None
