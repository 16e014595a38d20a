"""How records stand in tables, the same on every database."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from mrmarket.core.money import Asset
from mrmarket.money.ledger.account import Account, AccountKind
from mrmarket.money.ledger.chain import Record
from mrmarket.money.ledger.group import Hold, HoldState, Phase, Transfer, TransferKind
from mrmarket.money.ledger.holds import made_holds, settled_holds

GROUP_COLUMNS: Final = "seq, key, content_hash, at_ms, epoch, outcome, message, memo, reverses, hash"
PLAIN_COLUMNS: Final = "group_seq, position, debit, credit, asset, units, kind"
TRANSFER_COLUMNS: Final = f"{PLAIN_COLUMNS}, phase, hold, expires_ms, asked"
ASSET_COLUMNS: Final = "id, decimals, group_seq, position"
ACCOUNT_COLUMNS: Final = "id, kind, floor, ceiling, group_seq, position"
HOLD_COLUMNS: Final = "id, group_seq, position, state"

SELECT_ASSETS: Final = "SELECT group_seq, id, decimals FROM assets"
SELECT_ACCOUNTS: Final = "SELECT group_seq, id, kind, floor, ceiling FROM accounts"
SELECT_TRANSFERS: Final = (
    "SELECT group_seq, debit, credit, asset, units, kind, phase, hold, expires_ms, asked FROM transfers"
)
"""Members of groups: the group, then what `asset_of`, `account_of` and `transfer_of` read."""

SELECT_HOLD: Final = (
    "SELECT h.id, t.debit, t.credit, t.asset, t.units, t.kind, t.expires_ms, h.state FROM holds AS h"
    " JOIN transfers AS t ON t.group_seq = h.group_seq AND t.position = h.position"
)
"""What `hold_of` reads."""

Row = tuple[object, ...]

_PLAIN: Final = Phase.PLAIN


def group_row(record: Record) -> Row:
    """`GROUP_COLUMNS` of a record."""
    return (
        record.seq,
        record.key,
        record.content_hash,
        record.at_ms,
        record.epoch,
        record.outcome,
        record.message,
        record.memo,
        record.reverses,
        record.hash,
    )


def transfer_rows(records: Sequence[Record]) -> tuple[list[Row], list[Row]]:
    """`PLAIN_COLUMNS` of the plain transfers, and `TRANSFER_COLUMNS` of the others."""
    plain: list[Row] = []
    others: list[Row] = []
    for record in records:
        seq = record.seq
        for position, item in enumerate(record.transfers):
            kind = item.kind._value_
            row = (seq, position, item.debit, item.credit, item.asset, str(item.units), kind)
            if item.phase is _PLAIN and not item.clamp:
                plain.append(row)
            else:
                others.append((*row, *_terms(item)))
    return plain, others


def asset_rows(records: Sequence[Record]) -> list[Row]:
    """`ASSET_COLUMNS` of what was registered."""
    return [
        (asset.id, asset.decimals, record.seq, position)
        for record in records
        if record.assets
        for position, asset in enumerate(record.assets)
    ]


def account_rows(records: Sequence[Record]) -> list[Row]:
    """`ACCOUNT_COLUMNS` of what was opened."""
    return [
        (
            account.id,
            account.kind.value,
            _text(account.floor),
            _text(account.ceiling),
            record.seq,
            position,
        )
        for record in records
        if record.accounts
        for position, account in enumerate(record.accounts)
    ]


def hold_rows(records: Sequence[Record]) -> list[Row]:
    """`HOLD_COLUMNS` of the holds that were made."""
    return [
        (hold.id, record.seq, position, hold.state.value)
        for record in records
        for position, hold in made_holds(record)
    ]


def settled_rows(records: Sequence[Record]) -> list[Row]:
    """State, group and id of the holds that were settled."""
    return [(state.value, record.seq, name) for record in records for name, state in settled_holds(record)]


def asset_of(asset_id: str, decimals: int) -> Asset:
    """An asset from its id and decimals."""
    namespace, _, code = asset_id.partition(":")
    return Asset(namespace, code, decimals)


def account_of(account_id: str, kind: str, floor: str | None, ceiling: str | None) -> Account:
    """An account from its columns."""
    return Account(
        account_id,
        AccountKind(kind),
        None if floor is None else int(floor),
        None if ceiling is None else int(ceiling),
    )


def transfer_of(
    debit: str,
    credit: str,
    asset: str,
    units: str,
    kind: str,
    phase: str | None,
    hold: str | None,
    expires_ms: int | None,
    asked: str | None,
) -> Transfer:
    """A transfer from its columns, without group and position."""
    return Transfer(
        debit,
        credit,
        asset,
        int(units),
        TransferKind(kind),
        Phase.PLAIN if phase is None else Phase(phase),
        hold,
        expires_ms,
        asked is not None,
        None if asked is None else int(asked),
    )


def hold_of(
    name: str,
    debit: str,
    credit: str,
    asset: str,
    units: str,
    kind: str,
    expires_ms: int | None,
    state: str,
) -> Hold:
    """A hold from what `SELECT_HOLD` reads."""
    return Hold(name, debit, credit, asset, int(units), TransferKind(kind), expires_ms, HoldState(state))


def record_of(
    row: tuple[Any, ...],
    assets: Iterable[tuple[Any, ...]],
    accounts: Iterable[tuple[Any, ...]],
    transfers: Iterable[tuple[Any, ...]],
) -> Record:
    """A record from `GROUP_COLUMNS` and the rows of its members."""
    seq, key, content_hash, at_ms, epoch, outcome, message, memo, reverses, digest = row
    return Record(
        seq,
        key,
        content_hash,
        at_ms,
        epoch,
        outcome,
        message,
        memo,
        reverses,
        tuple(asset_of(*asset) for asset in assets),
        tuple(account_of(*account) for account in accounts),
        tuple(transfer_of(*transfer) for transfer in transfers),
        digest,
    )


def _terms(transfer: Transfer) -> Row:
    phase = None if transfer.phase is Phase.PLAIN else transfer.phase.value
    return (phase, transfer.hold, transfer.expires_ms, _text(transfer.asked_units))


def _text(units: int | None) -> str | None:
    return None if units is None else str(units)
