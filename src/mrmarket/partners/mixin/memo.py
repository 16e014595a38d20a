"""The binary memo (version 1) by which a payment names the order it is for.

`base58(payload ‖ checksum)` with the first four bytes of the doubled SHA-256 as checksum; the payload is
`version ‖ trading type ‖ action ‖ …`. Two public programs write version 1 with other meanings of the same
type numbers. They differ in length, so both are read; only the shorter, canonical form is written.
"""

from __future__ import annotations

import hashlib
from enum import StrEnum
from typing import Final
from uuid import UUID

import base58
import msgspec

from mrmarket.core.errors import InvalidInputError
from mrmarket.partners.mixin.errors import MemoError

VERSION: Final = 1
_CHECKSUM: Final = 4
_HEAD: Final = 3
_ID: Final = 16
_ADDRESS: Final = 20
_LONGEST: Final = 256


class MemoKind(StrEnum):
    """What is ordered."""

    MARKET_MAKING = "market_making"
    SIMPLY_GROW = "simply_grow"
    ARBITRAGE = "arbitrage"
    """Read from the longer form only; not written."""


class MemoAction(StrEnum):
    """What the payment does to the order."""

    CREATE = "create"
    DEPOSIT = "deposit"


_ACTIONS: Final = {1: MemoAction.CREATE, 2: MemoAction.DEPOSIT}
_ACTION_NUMBERS: Final = {action: number for number, action in _ACTIONS.items()}


class Memo(msgspec.Struct, frozen=True):
    """What a memo says."""

    kind: MemoKind
    action: MemoAction
    order: UUID
    pair: UUID | None
    """The trading pair's id; None for `simply_grow`."""
    reward_address: bytes | None = None
    """20 bytes of an EVM address, where the longer form was read."""
    legacy: bool = False
    """Read from the longer form, or with bytes after its end."""


def write_memo(memo: Memo) -> str:
    """The canonical form of a memo. Raises InvalidInputError for what that form cannot say."""
    if memo.kind is MemoKind.MARKET_MAKING and memo.pair is not None:
        body = bytes((1,)), memo.pair.bytes
    elif memo.kind is MemoKind.SIMPLY_GROW and memo.pair is None:
        body = bytes((2,)), b""
    else:
        raise InvalidInputError(
            "memo", memo.kind.value, "market_making with a pair, or simply_grow without one"
        )
    kind, pair = body
    return _seal(bytes((VERSION,)) + kind + bytes((_ACTION_NUMBERS[memo.action],)) + pair + memo.order.bytes)


def read_memo(text: str) -> Memo:
    """What a memo says, in either public form. Raises MemoError for what is none."""
    payload = _open(text)
    if payload[0] != VERSION:
        raise MemoError("version", f"version {payload[0]} where 1 is known")
    action = _ACTIONS.get(payload[2])
    if action is None:
        raise MemoError("action", f"action {payload[2]} is none")
    kind, body = payload[1], payload[_HEAD:]
    if len(body) == 2 * _ID + _ADDRESS and kind in {3, 4}:
        name = MemoKind.MARKET_MAKING if kind == 3 else MemoKind.ARBITRAGE  # noqa: PLR2004 - number in the format
        pair, order, reward = body[:_ID], body[_ID : 2 * _ID], body[2 * _ID :]
        return Memo(name, action, UUID(bytes=order), UUID(bytes=pair), reward, legacy=True)
    if kind == 1 and len(body) == 2 * _ID:
        return Memo(MemoKind.MARKET_MAKING, action, UUID(bytes=body[_ID:]), UUID(bytes=body[:_ID]))
    if kind == 2 and len(body) >= _ID:  # noqa: PLR2004 - number in the format
        reward_bytes = body[_ID:] if len(body) == _ID + _ADDRESS else None
        order_id = UUID(bytes=body[:_ID])
        return Memo(MemoKind.SIMPLY_GROW, action, order_id, None, reward_bytes, legacy=len(body) > _ID)
    if kind in {1, 2, 3, 4}:
        raise MemoError("length", f"{len(payload)} bytes fit neither form of type {kind}")
    raise MemoError("type", f"trading type {kind} is not served")


def snapshot_text(memo: str) -> str:
    """The text of a snapshot's memo, which Mixin gives in hex; anything else stays as it is."""
    try:
        raw = bytes.fromhex(memo)
    except ValueError:
        return memo
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return memo
    return text if text.isprintable() else memo


def _seal(payload: bytes) -> str:
    return base58.b58encode(payload + _checksum(payload)).decode("ascii")


def _open(text: str) -> bytes:
    if not text or len(text) > _LONGEST:
        raise MemoError("length", f"{len(text)} characters")
    try:
        raw = base58.b58decode(text.encode("ascii"))
    except ValueError as strange:
        raise MemoError("alphabet", "characters outside of base58") from strange
    payload, checksum = raw[:-_CHECKSUM], raw[-_CHECKSUM:]
    if len(payload) < _HEAD:
        raise MemoError("length", f"{len(raw)} bytes")
    if _checksum(payload) != checksum:
        raise MemoError("checksum", "a character is wrong or missing")
    return payload


def _checksum(payload: bytes) -> bytes:
    return hashlib.sha256(hashlib.sha256(payload).digest()).digest()[:_CHECKSUM]
