"""Transactions of the Mixin kernel, version 5: their fields and their bytes.

Amounts are integers of 10⁻⁸. Of inputs only the spending of outputs is written here: coins that come from
deposits, mints and the genesis are the kernel's business, and reading refuses them.
Source: MixinNetwork/mixin `common/encoding.go`; equal to the official Node SDK byte by byte.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
from blake3 import blake3

from mrmarket.core.decimals import format_units, parse_units
from mrmarket.partners.mixin.errors import TransactionFormError

DECIMALS: Final = 8
SCRIPT: Final = 0x00
WITHDRAWAL: Final = 0xA1
MAX_INPUTS: Final = 255
MAX_OUTPUTS: Final = 255
MAX_REFERENCES: Final = 16
MAX_EXTRA: Final = 256
"""Bytes of extra that need no fee for storage."""

_MAGIC: Final = b"\x77\x77"
_NONE: Final = b"\x00\x00"
_HEAD: Final = _MAGIC + b"\x00\x05"
_HASH: Final = 32
_SIGNATURE: Final = 64
_UINT16: Final = 0xFFFF
_MAX_RAW: Final = 4 * 1024 * 1024


class Input(msgspec.Struct, frozen=True):
    """An output to be spent."""

    hash: str
    """Transaction that made it, hex."""
    index: int


class Output(msgspec.Struct, frozen=True):
    """What a transaction makes: coins under one-time keys, or a withdrawal to another chain."""

    units: int
    keys: tuple[str, ...] = ()
    mask: str = ""
    """Hex of 32 bytes; empty for none."""
    script: str = ""
    """`fffe` and two hex digits: how many of the keys must sign."""
    kind: int = SCRIPT
    address: str = ""
    """Destination of a withdrawal."""
    tag: str = ""


class Transaction(msgspec.Struct, frozen=True):
    """A transaction. `signatures` has, for each input, the signatures by index of the key."""

    asset: str
    """Kernel's name of the asset, hex."""
    inputs: tuple[Input, ...]
    outputs: tuple[Output, ...]
    extra: bytes = b""
    references: tuple[str, ...] = ()
    """Hashes of other transactions, hex."""
    signatures: tuple[dict[int, str], ...] = ()


def script(threshold: int) -> str:
    """The script that asks for so many signatures."""
    if not 0 < threshold <= 64:  # noqa: PLR2004 - the kernel's limit
        raise TransactionFormError(f"a threshold of {threshold}, where 1 to 64 can be")
    return f"fffe{threshold:02x}"


def parse_amount(text: str) -> int:
    """Units of 10⁻⁸ from Mixin's decimal text, without its sign. Raises InvalidInputError."""
    return parse_units(text.removeprefix("-"), DECIMALS)


def format_amount(units: int) -> str:
    """Mixin's decimal text of units."""
    return format_units(units, DECIMALS)


def encode(transaction: Transaction) -> bytes:
    """The bytes of a transaction, with its signatures. Raises TransactionFormError."""
    parts = [_body(transaction), _uint16(len(transaction.signatures), "signatures")]
    for by_key in transaction.signatures:
        parts.append(_uint16(len(by_key), "signatures of an input"))
        for index in sorted(by_key):
            parts += [_uint16(index, "key index"), _fixed(by_key[index], _SIGNATURE, "signature")]
    return b"".join(parts)


def encode_unsigned(transaction: Transaction) -> bytes:
    """The bytes that are hashed and signed: those of the transaction without signatures."""
    return _body(transaction) + _NONE


def transaction_hash(transaction: Transaction) -> str:
    """BLAKE3 over the bytes without signatures, hex: the transaction's name, and what is signed."""
    return blake3(encode_unsigned(transaction)).hexdigest()


def decode(raw: bytes) -> Transaction:
    """The transaction in these bytes, all of them. Raises TransactionFormError, for anything else too."""
    if len(raw) > _MAX_RAW:
        raise TransactionFormError(f"{len(raw)} bytes")
    reader = _Reader(raw)
    if reader.take(4) != _HEAD:
        raise TransactionFormError("another magic number or version")
    asset = reader.take(_HASH).hex()
    inputs = tuple(_read_input(reader) for _ in range(reader.count(MAX_INPUTS, "inputs")))
    outputs = tuple(_read_output(reader) for _ in range(reader.count(MAX_OUTPUTS, "outputs")))
    if not inputs or not outputs:
        raise TransactionFormError("nothing in it, or nothing out")
    references = tuple(reader.take(_HASH).hex() for _ in range(reader.count(MAX_REFERENCES, "references")))
    extra = reader.take(int.from_bytes(reader.take(4), "big"))
    signatures = tuple(_read_signatures(reader) for _ in range(reader.count(MAX_INPUTS, "signatures")))
    if reader.left:
        raise TransactionFormError(f"{reader.left} bytes after its end")
    return Transaction(asset, inputs, outputs, extra, references, signatures)


def _body(transaction: Transaction) -> bytes:
    if not 0 < len(transaction.inputs) <= MAX_INPUTS:
        raise TransactionFormError(f"{len(transaction.inputs)} inputs, where 1 to {MAX_INPUTS} can be")
    if not 0 < len(transaction.outputs) <= MAX_OUTPUTS:
        raise TransactionFormError(f"{len(transaction.outputs)} outputs, where 1 to {MAX_OUTPUTS} can be")
    if len(transaction.references) > MAX_REFERENCES:
        raise TransactionFormError(f"{len(transaction.references)} references")
    parts = [_HEAD, _fixed(transaction.asset, _HASH, "asset"), _uint16(len(transaction.inputs), "inputs")]
    for spent in transaction.inputs:
        # No genesis, no deposit, no mint.
        parts += [_fixed(spent.hash, _HASH, "input"), _uint16(spent.index, "index"), _NONE * 3]
    parts.append(_uint16(len(transaction.outputs), "outputs"))
    parts += [_write_output(output) for output in transaction.outputs]
    parts.append(_uint16(len(transaction.references), "references"))
    parts += [_fixed(reference, _HASH, "reference") for reference in transaction.references]
    parts += [len(transaction.extra).to_bytes(4, "big"), transaction.extra]
    return b"".join(parts)


def _write_output(output: Output) -> bytes:
    if output.units <= 0:
        raise TransactionFormError(f"an output of {output.units} units")
    amount = output.units.to_bytes((output.units.bit_length() + 7) // 8, "big")
    keys = b"".join(_fixed(key, _HASH, "key") for key in output.keys)
    mask = _fixed(output.mask, _HASH, "mask") if output.mask else bytes(_HASH)
    parts = [
        bytes((0, output.kind)),
        _sized(amount, "amount"),
        _uint16(len(output.keys), "keys"),
        keys,
        mask,
        _sized(_hex(output.script, "script"), "script"),
    ]
    if output.kind != WITHDRAWAL:
        return b"".join((*parts, _NONE))
    address, tag = _sized(output.address.encode(), "address"), _sized(output.tag.encode(), "tag")
    return b"".join((*parts, _MAGIC, address, tag))


def _read_input(reader: _Reader) -> Input:
    spent = Input(reader.take(_HASH).hex(), reader.uint16())
    if reader.take(6) != _NONE * 3:
        raise TransactionFormError("an input from the genesis, a deposit or a mint")
    return spent


def _read_output(reader: _Reader) -> Output:
    kind = reader.uint16()
    if kind not in {SCRIPT, WITHDRAWAL}:
        raise TransactionFormError(f"an output of type {kind}")
    amount = reader.take(reader.uint16())
    if not amount or amount[0] == 0:
        raise TransactionFormError("an amount that is nothing, or not written in the shortest way")
    keys = tuple(reader.take(_HASH).hex() for _ in range(reader.count(_UINT16, "keys")))
    mask = reader.take(_HASH)
    text = reader.take(reader.uint16()).hex()
    mark = reader.take(2)
    address = tag = ""
    if (mark == _MAGIC) is not (kind == WITHDRAWAL) or mark not in {_MAGIC, _NONE}:
        raise TransactionFormError("a withdrawal where there is none, or none where there is one")
    if mark == _MAGIC:
        address, tag = reader.text(), reader.text()
    return Output(
        int.from_bytes(amount, "big"), keys, mask.hex() if any(mask) else "", text, kind, address, tag
    )


def _read_signatures(reader: _Reader) -> dict[int, str]:
    by_key: dict[int, str] = {}
    last = -1
    for _ in range(reader.uint16()):
        index = reader.uint16()
        if index <= last:
            raise TransactionFormError("signatures out of order")
        last = index
        by_key[index] = reader.take(_SIGNATURE).hex()
    return by_key


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
            raise TransactionFormError(f"{length} bytes are missing at {self._at}")
        self._at += length
        return self._raw[self._at - length : self._at]

    def uint16(self) -> int:
        return int.from_bytes(self.take(2), "big")

    def count(self, most: int, what: str) -> int:
        count = self.uint16()
        if count > most:
            raise TransactionFormError(f"{count} {what}")
        return count

    def text(self) -> str:
        try:
            return self.take(self.uint16()).decode()
        except UnicodeDecodeError as strange:
            raise TransactionFormError("text that is not UTF-8") from strange


def _uint16(value: int, what: str) -> bytes:
    if not 0 <= value <= _UINT16:
        raise TransactionFormError(f"{what}: {value} does not fit")
    return value.to_bytes(2, "big")


def _sized(raw: bytes, what: str) -> bytes:
    return _uint16(len(raw), f"length of {what}") + raw


def _hex(text: str, what: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError as strange:
        raise TransactionFormError(f"{what} is not hex") from strange


def _fixed(text: str, length: int, what: str) -> bytes:
    raw = _hex(text, what)
    if len(raw) != length:
        raise TransactionFormError(f"{what} has {len(raw)} bytes instead of {length}")
    return raw


def outputs_total(outputs: Sequence[Output]) -> int:
    """Units that the outputs have together."""
    return sum(output.units for output in outputs)
