"""Invoices (MIN…): several payments to one receiver that a wallet makes in one go."""

from __future__ import annotations

import hashlib
from typing import Final
from uuid import UUID

import msgspec

from mrmarket.core.decimals import parse_units
from mrmarket.core.errors import InvalidInputError
from mrmarket.partners.mixin.address import MixAddress, unpack_mix
from mrmarket.partners.mixin.errors import AddressError
from mrmarket.partners.mixin.ids import required_uuid
from mrmarket.partners.mixin.jwt import b64, unb64
from mrmarket.partners.mixin.transaction import DECIMALS, MAX_EXTRA, MAX_REFERENCES

_PREFIX: Final = "MIN"
_VERSION: Final = 0
_CHECKSUM: Final = 4
_MAX_ENTRIES: Final = 128
_MAX_AMOUNT: Final = 128
_BY_HASH, _BY_INDEX = 0, 1


class InvoiceEntry(msgspec.Struct, frozen=True):
    """One payment of an invoice."""

    trace: str
    """Request id under which it is to be paid."""
    asset: str
    units: int
    extra: bytes = b""
    index_references: tuple[int, ...] = ()
    """Earlier entries of the invoice that it refers to."""
    hash_references: tuple[str, ...] = ()
    """Transactions that it refers to, hex."""


class Invoice(msgspec.Struct, frozen=True):
    """What is to be paid, and to whom."""

    recipient: MixAddress
    entries: tuple[InvoiceEntry, ...]


def write_invoice(invoice: Invoice) -> str:
    """The text of an invoice, equal to the official SDK's. Raises InvalidInputError."""
    if not 0 < len(invoice.entries) <= _MAX_ENTRIES:
        raise InvalidInputError("entries", len(invoice.entries), f"1 to {_MAX_ENTRIES} payments")
    recipient = invoice.recipient.packed()
    parts = [bytes((_VERSION,)), len(recipient).to_bytes(2, "big"), recipient, bytes((len(invoice.entries),))]
    parts += [_write_entry(entry, place) for place, entry in enumerate(invoice.entries)]
    raw = b"".join(parts)
    return _PREFIX + b64(raw + _checksum(raw))


def read_invoice(text: str) -> Invoice:
    """The invoice in a text. Raises AddressError for what is none."""
    if not text.startswith(_PREFIX):
        raise AddressError("invoice", "another beginning")
    try:
        raw = unb64(text[len(_PREFIX) :])
    except ValueError as strange:
        raise AddressError("invoice", "characters outside of base64") from strange
    body, checksum = raw[:-_CHECKSUM], raw[-_CHECKSUM:]
    if len(raw) <= _CHECKSUM or _checksum(body) != checksum:
        raise AddressError("invoice", "a character is wrong or missing")
    reader = _Reader(body)
    if reader.byte() != _VERSION:
        raise AddressError("invoice", "another version")
    recipient = unpack_mix(reader.take(int.from_bytes(reader.take(2), "big")))
    entries = tuple(_read_entry(reader) for _ in range(reader.byte()))
    if reader.left or not entries:
        raise AddressError("invoice", "bytes after its end, or no payment in it")
    return Invoice(recipient, entries)


def _write_entry(entry: InvoiceEntry, place: int) -> bytes:
    if entry.units <= 0:
        raise InvalidInputError("units", entry.units, "an amount above zero")
    if len(entry.extra) >= MAX_EXTRA:
        raise InvalidInputError("extra", len(entry.extra), f"fewer than {MAX_EXTRA} bytes")
    if len(entry.index_references) + len(entry.hash_references) > MAX_REFERENCES:
        raise InvalidInputError("references", len(entry.hash_references), f"at most {MAX_REFERENCES}")
    if any(not 0 <= index < place for index in entry.index_references):
        raise InvalidInputError("references", entry.index_references, "places of earlier payments")
    amount = f"{entry.units // 10**DECIMALS}.{entry.units % 10**DECIMALS:08d}".encode()
    parts = [
        UUID(required_uuid(entry.trace, "trace")).bytes,
        UUID(required_uuid(entry.asset, "asset")).bytes,
        bytes((len(amount),)),
        amount,
        len(entry.extra).to_bytes(2, "big"),
        entry.extra,
        bytes((len(entry.index_references) + len(entry.hash_references),)),
    ]
    parts += [bytes((_BY_INDEX, index)) for index in entry.index_references]
    for reference in entry.hash_references:
        raw = bytes.fromhex(reference)
        if len(raw) != 32:  # noqa: PLR2004 - bytes of a hash
            raise InvalidInputError("references", reference, "32 bytes in hex")
        parts.append(bytes((_BY_HASH,)) + raw)
    return b"".join(parts)


def _read_entry(reader: _Reader) -> InvoiceEntry:
    trace, asset = str(UUID(bytes=reader.take(16))), str(UUID(bytes=reader.take(16)))
    text = reader.take(reader.byte())
    if len(text) > _MAX_AMOUNT:
        raise AddressError("invoice", "an amount that is too long")
    try:
        units = parse_units(text.decode("ascii"), DECIMALS)
    except (UnicodeDecodeError, InvalidInputError) as strange:
        raise AddressError("invoice", "an amount that is none") from strange
    extra = reader.take(int.from_bytes(reader.take(2), "big"))
    indices: list[int] = []
    hashes: list[str] = []
    for _ in range(reader.byte()):
        kind = reader.byte()
        if kind == _BY_INDEX:
            indices.append(reader.byte())
        elif kind == _BY_HASH:
            hashes.append(reader.take(32).hex())
        else:
            raise AddressError("invoice", f"a reference of kind {kind}")
    return InvoiceEntry(trace, asset, units, extra, tuple(indices), tuple(hashes))


class _Reader:
    """Takes bytes from the front, never more than there are."""

    __slots__ = ("_at", "_raw")

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._at = 0

    @property
    def left(self) -> int:
        return len(self._raw) - self._at

    def take(self, length: int) -> bytes:
        if length > self.left:
            raise AddressError("invoice", "it ends too early")
        self._at += length
        return self._raw[self._at - length : self._at]

    def byte(self) -> int:
        return self.take(1)[0]


def _checksum(raw: bytes) -> bytes:
    return hashlib.sha3_256(_PREFIX.encode() + raw).digest()[:_CHECKSUM]
