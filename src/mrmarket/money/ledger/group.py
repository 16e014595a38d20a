"""What is asked of the ledger, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import Final

import msgspec

from mrmarket.core.errors import InvalidInputError
from mrmarket.core.money import MAX_UNITS, Asset
from mrmarket.money.ledger.account import Account

_encode: Final = msgspec.json.Encoder(order="deterministic").encode
_MAX_KEY: Final = 256


class TransferKind(StrEnum):
    """Why units moved."""

    DEPOSIT = "DEPOSIT"
    LOCK = "LOCK"
    """A user's funds go to work in a pool."""
    UNLOCK = "UNLOCK"
    """And come back."""
    MINT_SHARES = "MINT_SHARES"
    BURN_SHARES = "BURN_SHARES"
    SETTLE_MM_PNL = "SETTLE_MM_PNL"
    """One leg of a trade."""
    FEE = "FEE"
    CREDIT_REWARD = "CREDIT_REWARD"
    DEBIT_WITHDRAW = "DEBIT_WITHDRAW"
    ALLOCATION_RELEASE = "ALLOCATION_RELEASE"
    REVERSAL = "REVERSAL"
    ADJUSTMENT = "ADJUSTMENT"


class Transfer(msgspec.Struct, frozen=True):
    """Units of one asset move from one account to another: two entries that sum to zero."""

    debit: str
    """Account id that gives; its balance falls."""
    credit: str
    """Account id that receives; its balance rises."""
    asset: str
    """Asset id."""
    units: int
    """Positive, in base units."""
    kind: TransferKind

    def __post_init__(self) -> None:
        if type(self.units) is not int or not 0 < self.units < MAX_UNITS:
            raise InvalidInputError("units", self.units, "a positive whole number below 2^127")
        if self.debit == self.credit:
            raise InvalidInputError("transfer", self.debit, "two different accounts")

    @property
    def mirror(self) -> Transfer:
        """The transfer that undoes this one."""
        return Transfer(self.credit, self.debit, self.asset, self.units, TransferKind.REVERSAL)


@dataclass(frozen=True, slots=True)
class Group:
    """Transfers that happen together or not at all, under a key that makes repeating harmless."""

    key: str
    """Derived from what caused the group. The same key with the same content has one effect."""
    transfers: tuple[Transfer, ...] = ()
    assets: tuple[Asset, ...] = ()
    """To be registered first; those known already are skipped."""
    accounts: tuple[Account, ...] = ()
    """To be opened first; those open already are skipped."""
    reverses: str | None = None
    """Key of the group that this one undoes."""
    memo: str = ""
    """Context for people and auditors. Chained, but no part of the content that a repeat must match."""

    def __post_init__(self) -> None:
        if not self.key or len(self.key) > _MAX_KEY:
            raise InvalidInputError("key", self.key, f"1 to {_MAX_KEY} characters")
        if not (self.transfers or self.assets or self.accounts):
            raise InvalidInputError("group", self.key, "at least one transfer, asset or account")

    @property
    def content_hash(self) -> bytes:
        """SHA-256 of what a repeat must match: everything but the memo."""
        return sha256(
            _encode(
                [
                    self.key,
                    [transfer_form(transfer) for transfer in self.transfers],
                    [asset_form(asset) for asset in self.assets],
                    [account_form(account) for account in self.accounts],
                    self.reverses,
                ]
            )
        ).digest()


def reversal_of(group: Group, key: str, memo: str = "") -> Group:
    """The group that undoes a posted one, leg by leg in the opposite order."""
    mirrored = tuple(transfer.mirror for transfer in reversed(group.transfers))
    return Group(key, mirrored, reverses=group.key, memo=memo)


class Posted(msgspec.Struct, frozen=True):
    """The group happened."""

    key: str
    seq: int
    hash: bytes


class Rejected(msgspec.Struct, frozen=True):
    """The group broke a rule and nothing moved. A repeat gets the same answer."""

    key: str
    seq: int
    code: str
    message: str


Answer = Posted | Rejected


def transfer_form(transfer: Transfer) -> tuple[str, str, str, str, str]:
    """How a transfer stands in canonical bytes; units as text, so that any JSON reader keeps them exact."""
    return (transfer.debit, transfer.credit, transfer.asset, str(transfer.units), transfer.kind.value)


def asset_form(asset: Asset) -> tuple[str, int]:
    """How an asset stands in canonical bytes."""
    return (asset.id, asset.decimals)


def account_form(account: Account) -> tuple[str, str, str | None]:
    """How an account stands in canonical bytes."""
    return (account.id, account.kind.value, None if account.floor is None else str(account.floor))
