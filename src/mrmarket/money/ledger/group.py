"""What is asked of the ledger, and what it answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, Protocol

import msgspec

from mrmarket.core.errors import InvalidInputError
from mrmarket.core.money import Asset
from mrmarket.money.ledger.account import Account
from mrmarket.money.ledger.transfer import (
    Hold,
    HoldState,
    Phase,
    Transfer,
    TransferKind,
    expire_hold,
    hold_id,
    post_hold,
    transfer_form,
    void_hold,
)

__all__ = [
    "Answer",
    "Group",
    "Hold",
    "HoldState",
    "Phase",
    "Posted",
    "Rejected",
    "Reversible",
    "Transfer",
    "TransferKind",
    "account_form",
    "asset_form",
    "content_hash",
    "expire_hold",
    "hold_id",
    "post_hold",
    "reversal_of",
    "transfer_form",
    "transfers_form",
    "void_hold",
]

_encode: Final = msgspec.json.Encoder(order="deterministic").encode
_MAX_KEY: Final = 256


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
        if not (_is_text(self.key) and _is_text(self.memo)):
            raise InvalidInputError("group", self.key, "text that UTF-8 can carry, without NUL characters")
        if not (self.transfers or self.assets or self.accounts):
            raise InvalidInputError("group", self.key, "at least one transfer, asset or account")

    @property
    def content_hash(self) -> bytes:
        """SHA-256 of what a repeat must match: everything but the memo."""
        return content_hash(self, transfers_form(self.transfers))


class Reversible(Protocol):
    """What can be undone: a group as it was asked for, or better the record of it."""

    @property
    def key(self) -> str:
        """Idempotency key."""
        ...

    @property
    def transfers(self) -> tuple[Transfer, ...]:
        """What it did."""
        ...


def reversal_of(group: Reversible, key: str, memo: str = "") -> Group:
    """The group that undoes a posted one, leg by leg in the opposite order.

    A group with clamped transfers is undone from its record, which says what they moved.

    Raises:
        InvalidInputError: if it moved nothing; pending transfers are voided instead.
    """
    return Group(key, mirrored(group.transfers), reverses=group.key, memo=memo)


def mirrored(transfers: Sequence[Transfer]) -> tuple[Transfer, ...]:
    """What undoes the units that moved, last first."""
    return tuple(transfer.mirror for transfer in reversed(transfers) if transfer.moves)


class Posted(msgspec.Struct, frozen=True, gc=False):
    """The group happened."""

    key: str
    seq: int
    hash: bytes


class Rejected(msgspec.Struct, frozen=True, gc=False):
    """The group broke a rule and nothing moved. A repeat gets the same answer."""

    key: str
    seq: int
    code: str
    message: str


Answer = Posted | Rejected


def transfers_form(transfers: Sequence[Transfer]) -> msgspec.Raw:
    """Canonical bytes of a group's transfers. They are most of a group, and stand in both of its hashes."""
    return msgspec.Raw(_encode([transfer_form(transfer) for transfer in transfers]))


def content_hash(group: Group, transfers: msgspec.Raw) -> bytes:
    """SHA-256 of what a repeat must match, given the canonical bytes of the group's transfers."""
    return sha256(
        _encode(
            (
                group.key,
                transfers,
                [asset_form(asset) for asset in group.assets],
                [account_form(account) for account in group.accounts],
                group.reverses,
            )
        )
    ).digest()


def asset_form(asset: Asset) -> tuple[str, int]:
    """How an asset stands in canonical bytes."""
    return (asset.id, asset.decimals)


def account_form(account: Account) -> tuple[str | None, ...]:
    """How an account stands in canonical bytes: id, kind, floor, and the ceiling where there is one."""
    floor = None if account.floor is None else str(account.floor)
    if account.ceiling is None:
        return (account.id, account.kind.value, floor)
    return (account.id, account.kind.value, floor, str(account.ceiling))


def _is_text(text: str) -> bool:
    if "\0" in text:
        return False
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
