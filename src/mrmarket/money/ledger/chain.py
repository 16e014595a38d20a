"""One link of the ledger's hash chain. The format is documented so that anybody can re-derive it."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Final

import msgspec

from mrmarket.core.money import Asset
from mrmarket.money.ledger.account import Account
from mrmarket.money.ledger.group import (
    Answer,
    Posted,
    Rejected,
    Transfer,
    account_form,
    asset_form,
    transfers_form,
)

GENESIS: Final = sha256(b"mrmarket ledger v1\0").digest()
"""What the first group is chained to."""

POSTED: Final = "posted"

_encode: Final = msgspec.json.Encoder(order="deterministic").encode

TransferForm = tuple[object, ...]
AssetForm = tuple[str, int]
AccountForm = tuple[str | None, ...]


class Record(msgspec.Struct, frozen=True, gc=False):
    """A group as it was recorded, posted or rejected."""

    seq: int
    """1, 2, 3 … without gaps."""
    key: str
    content_hash: bytes
    at_ms: int
    epoch: int
    """Fence of the writer that recorded it."""
    outcome: str
    """`posted`, or the code of the broken rule."""
    message: str
    """Empty where posted, else one sentence."""
    memo: str
    reverses: str | None
    assets: tuple[Asset, ...]
    """Those that this group registered."""
    accounts: tuple[Account, ...]
    """Those that this group opened."""
    transfers: tuple[Transfer, ...]
    """Empty where rejected."""
    hash: bytes

    @property
    def answer(self) -> Answer:
        """What the caller is told, the first time and every time."""
        if self.outcome == POSTED:
            return Posted(self.key, self.seq, self.hash)
        return Rejected(self.key, self.seq, self.outcome, self.message)


def link(
    previous: bytes,
    seq: int,
    key: str,
    content_hash: bytes,
    at_ms: int,
    epoch: int,
    outcome: str,
    message: str,
    memo: str,
    reverses: str | None,
    assets: Sequence[AssetForm],
    accounts: Sequence[AccountForm],
    transfers: Sequence[TransferForm] | msgspec.Raw,
) -> bytes:
    """SHA-256 over the previous hash and the group's canonical bytes.

    Those are the UTF-8 JSON, without blanks, of the array `[1, seq, key, content hash (hex), at_ms,
    epoch, outcome, message, memo, reverses, assets, accounts, transfers]`, where an asset is
    `[id, decimals]`, an account `[id, kind, floor]` or, if it has a ceiling, `[id, kind, floor, ceiling]`,
    and a transfer `[debit, credit, asset, units, kind]`; amounts are decimal text.

    A transfer that is more than units moving at once has a sixth element: an object with those of the
    following that apply, in this order. `asked`: the most that a clamped transfer was to move, while
    `units` is what it moved. `expires_ms`: when a hold runs out. `hold`: id of the hold that is settled,
    which is `KEY#N` for the N-th transfer, from 0, of the group KEY. `phase`: `pending` (units are held
    and do not move), `post` (held units move, what is more than `units` is released), `void` or `expire`
    (held units are released and do not move).
    """
    body = (
        1,
        seq,
        key,
        content_hash.hex(),
        at_ms,
        epoch,
        outcome,
        message,
        memo,
        reverses,
        assets,
        accounts,
        transfers,
    )
    return sha256(previous + _encode(body)).digest()


def canonical(record: Record) -> bytes:
    """The bytes that, after the previous hash, a record's hash is taken over; see `link`."""
    return _encode(
        (
            1,
            record.seq,
            record.key,
            record.content_hash.hex(),
            record.at_ms,
            record.epoch,
            record.outcome,
            record.message,
            record.memo,
            record.reverses,
            [asset_form(asset) for asset in record.assets],
            [account_form(account) for account in record.accounts],
            transfers_form(record.transfers),
        )
    )


def chained(previous: bytes, record: Record) -> bytes:
    """The hash that a record must carry after another one."""
    return sha256(previous + canonical(record)).digest()
