"""Addresses inside of Mixin: a user's UUID, a kernel address (XIN…), a group (MIX…)."""

from __future__ import annotations

import hashlib
from typing import Final
from uuid import UUID

import base58
import msgspec

from mrmarket.partners.mixin.errors import AddressError
from mrmarket.partners.mixin.ids import canonical_uuid

_XIN: Final = "XIN"
_MIX: Final = "MIX"
_VERSION: Final = 2
_CHECKSUM: Final = 4
_UUID: Final = 16
_PUBLIC: Final = 64
_MAX_MEMBERS: Final = 64


class MixAddress(msgspec.Struct, frozen=True):
    """A group of users, or of kernel addresses, of whom `threshold` must sign."""

    members: tuple[str, ...]
    """UUIDs or XIN addresses, all of one kind."""
    threshold: int = 1

    @property
    def is_kernel(self) -> bool:
        """Whether the members are kernel addresses."""
        return self.members[0].startswith(_XIN)

    def packed(self) -> bytes:
        """Version, threshold, count, members. Raises AddressError for what is no group."""
        if not 0 < self.threshold <= len(self.members) <= _MAX_MEMBERS:
            raise AddressError("MIX address", f"{self.threshold} of {len(self.members)} members")
        raw = [bytes((_VERSION, self.threshold, len(self.members)))]
        kernel = self.is_kernel
        for member in self.members:
            uuid = canonical_uuid(member)
            if kernel:
                raw.append(read_xin(member))
            elif uuid is not None:
                raw.append(UUID(uuid).bytes)
            else:
                raise AddressError("MIX address", "a member is neither a user nor a kernel address")
        return b"".join(raw)

    def __str__(self) -> str:
        return _seal(_MIX, self.packed())


def unpack_mix(raw: bytes) -> MixAddress:
    """The group in these bytes. Raises AddressError."""
    if len(raw) < 3 or raw[0] != _VERSION:  # noqa: PLR2004 - version, threshold, count
        raise AddressError("MIX address", "another version, or too short")
    threshold, count, rest = raw[1], raw[2], raw[3:]
    if not 0 < threshold <= count <= _MAX_MEMBERS:
        raise AddressError("MIX address", f"{threshold} of {count} members")
    if len(rest) == count * _UUID:
        members = tuple(str(UUID(bytes=rest[at : at + _UUID])) for at in range(0, len(rest), _UUID))
    elif len(rest) == count * _PUBLIC:
        members = tuple(_seal(_XIN, rest[at : at + _PUBLIC]) for at in range(0, len(rest), _PUBLIC))
    else:
        raise AddressError("MIX address", "its length does not fit its members")
    return MixAddress(members, threshold)


def read_mix(text: str) -> MixAddress:
    """The group of a MIX address. Raises AddressError."""
    return unpack_mix(_open(_MIX, text))


def read_xin(text: str) -> bytes:
    """Public spend key and public view key of a kernel address. Raises AddressError."""
    raw = _open(_XIN, text)
    if len(raw) != _PUBLIC:
        raise AddressError("XIN address", "it does not hold two keys")
    return raw


def write_xin(spend_key: bytes, view_key: bytes) -> str:
    """The kernel address of two public keys."""
    return _seal(_XIN, spend_key + view_key)


def receiver(text: str) -> MixAddress | None:
    """Who is meant by a UUID, an XIN or a MIX address; None for what is none of them."""
    user = canonical_uuid(text)
    if user is not None:
        return MixAddress((user,))
    try:
        if text.startswith(_XIN):
            read_xin(text)
            return MixAddress((text,))
        return read_mix(text) if text.startswith(_MIX) else None
    except AddressError:
        return None


def _seal(prefix: str, raw: bytes) -> str:
    return prefix + base58.b58encode(raw + _checksum(prefix, raw)).decode("ascii")


def _open(prefix: str, text: str) -> bytes:
    kind = f"{prefix} address"
    if not text.startswith(prefix):
        raise AddressError(kind, "another beginning")
    try:
        raw = base58.b58decode(text[len(prefix) :].encode("ascii"))
    except ValueError as strange:
        raise AddressError(kind, "characters outside of base58") from strange
    body, checksum = raw[:-_CHECKSUM], raw[-_CHECKSUM:]
    if len(raw) <= _CHECKSUM or _checksum(prefix, body) != checksum:
        raise AddressError(kind, "a character is wrong or missing")
    return body


def _checksum(prefix: str, raw: bytes) -> bytes:
    return hashlib.sha3_256(prefix.encode() + raw).digest()[:_CHECKSUM]
