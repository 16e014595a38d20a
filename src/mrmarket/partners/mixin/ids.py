"""Names that follow from other names, so that asking twice asks for the same thing."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final
from uuid import UUID, uuid5

from mrmarket.core.errors import InvalidInputError

_TRANSFERS: Final = UUID("7b0b1c0e-5d3c-5b8e-9a52-6d1f0f3a9c11")
"""Namespace of our transfers' request ids. Changing it would let a payment be made twice."""

CASHIER: Final = "674d6776-d600-4346-af46-58e77d8df185"
"""Mixin's user that takes the fees of withdrawals."""


def canonical_uuid(text: str) -> str | None:
    """The lower-case form with dashes; None for what is not written in the usual form of a UUID."""
    if len(text) != 36 or not text.isascii():  # noqa: PLR2004 - digits and dashes of a UUID
        return None
    try:
        value = str(UUID(text))
    except ValueError:
        return None
    return value if value == text.lower() else None


def required_uuid(text: str, field: str) -> str:
    """As `canonical_uuid`. Raises InvalidInputError for what is none."""
    value = canonical_uuid(text)
    if value is None:
        raise InvalidInputError(field, text[:64], "a UUID such as 43d61dcd-e413-450d-80b8-101d5e903357")
    return value


def request_id(app_id: str, key: str, leg: str) -> str:
    """Id under which a leg (`tx` or `fee`) of the payment `key` is sent: the same every time."""
    return str(uuid5(_TRANSFERS, f"{app_id}:{key}:{leg}"))


def key_hint(request: str, index: int) -> str:
    """Id under which the one-time keys of an output are asked for."""
    return str(uuid5(_TRANSFERS, f"{request}:output:{index}"))


def hash_members(members: Iterable[str]) -> str:
    """Name of a group: SHA3-256 over its sorted UUID texts, in hex."""
    return hashlib.sha3_256("".join(sorted(members)).encode()).hexdigest()


def kernel_asset(asset_id: str) -> str:
    """The kernel's name of an asset: SHA3-256 over its UUID text, in hex."""
    return hashlib.sha3_256(asset_id.encode()).hexdigest()


def contact_conversation(one: str, other: str) -> str:
    """Conversation of two users: a version 3 UUID over MD5 of both ids in order."""
    low, high = sorted((one, other))
    raw = bytearray(hashlib.md5((low + high).encode(), usedforsecurity=False).digest())
    raw[6] = raw[6] & 0x0F | 0x30
    raw[8] = raw[8] & 0x3F | 0x80
    return str(UUID(bytes=bytes(raw)))
