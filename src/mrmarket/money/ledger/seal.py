"""Signed statements of where the ledger stands and what it owes, each chained to the one before.

A document is JSON without blanks, ASCII, its keys sorted; amounts are decimal text, hashes and keys
hexadecimal. The signature (Ed25519) is over its bytes. Two formats share one numbered chain: a seal, and
the rotation by which one key hands over to the next, signed by the old one.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Final

import msgspec

from mrmarket.money.ledger.errors import LedgerError
from mrmarket.money.ledger.seal_key import SealKey, is_signed

GENESIS: Final = sha256(b"mrmarket seals v1\0").hexdigest()
"""What the first seal is chained to."""

SEAL_FORMAT: Final = "mrmarket seal v1"
ROTATION_FORMAT: Final = "mrmarket key rotation v1"

_encode: Final = msgspec.json.Encoder(order="sorted").encode


class SealError(LedgerError):
    """A seal is not what it claims to be, or does not fit the ledger."""

    code = "seal_refused"

    def __init__(self, number: int | None, problem: str) -> None:
        self.number = number
        self.problem = problem
        super().__init__(f"seal {number}: {problem}" if number is not None else f"seal: {problem}")


class SealedAsset(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All claims in one asset."""

    id: str
    decimals: int
    leaves: int
    """Accounts with a claim above zero."""
    sum: str
    """What they are owed together, in base units."""
    root: str
    """Hash at the root of the Merkle-sum tree."""


class SealDocument(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the ledger stands."""

    format: str = SEAL_FORMAT
    number: int
    """1, 2, 3 … shared with rotations."""
    previous: str
    """SHA-256 of the document before."""
    public_key: str
    at_ms: int
    seq: int
    """Last group that the seal covers."""
    head: str
    """That group's hash."""
    assets: list[SealedAsset]
    """By id; an asset in which nothing is owed is left out."""


class RotationDocument(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One key hands over to the next."""

    format: str = ROTATION_FORMAT
    number: int
    previous: str
    public_key: str
    """The old one, which signs this."""
    new_public_key: str
    """Signs what follows."""
    at_ms: int


Document = SealDocument | RotationDocument


class Signed(msgspec.Struct, frozen=True):
    """A document as it was signed."""

    document: str
    """Its bytes are what is signed."""
    signature: str
    """Hexadecimal."""

    @property
    def hash(self) -> str:
        """What the next document is chained to."""
        return sha256(self.document.encode()).hexdigest()


def sign(document: Document, key: SealKey) -> Signed:
    """Put a signature under a document."""
    body = _encode(document)
    return Signed(body.decode("ascii"), key.sign(body).hex())


def opened(signed: Signed) -> Document:
    """Read a signed document, after its signature was found to be that of the key it names.

    Raises:
        SealError: if it is none of ours, not in canonical form, or not signed by that key.
    """
    try:
        body = signed.document.encode()
        asked = msgspec.json.decode(body, type=_Format).format
        kind: type[Document] = RotationDocument if asked == ROTATION_FORMAT else SealDocument
        document = msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, UnicodeEncodeError, RecursionError) as error:
        raise SealError(None, f"the document cannot be read ({error})") from error
    if document.format not in {SEAL_FORMAT, ROTATION_FORMAT} or _encode(document) != body:
        raise SealError(document.number, "the document is not in the form that is signed")
    try:
        signature = bytes.fromhex(signed.signature)
    except ValueError:
        signature = b""
    if not is_signed(document.public_key, body, signature):
        raise SealError(document.number, "the signature is not that of the key it names")
    if isinstance(document, SealDocument):
        # A seal with two roots for one asset could show each half of the users a total of their own.
        names = [asset.id for asset in document.assets]
        if names != sorted(set(names)) or any(int(asset.sum) <= 0 for asset in document.assets):
            raise SealError(document.number, "its assets are not in order, each once, with a sum above zero")
    return document


class SealChain:
    """Walks a chain of signed documents and refuses the first that does not follow."""

    def __init__(self) -> None:
        self.number = 0
        self.hash = GENESIS
        self.key: str | None = None
        """The key that must sign the next; None before the first."""

    def follow(self, signed: Signed) -> Document:
        """Take the next document.

        Raises:
            SealError: if it does not follow the last, or another key signed it.
        """
        document = opened(signed)
        if document.number != self.number + 1:
            raise SealError(document.number, f"seal {self.number + 1} is missing")
        if document.previous != self.hash:
            raise SealError(document.number, "it does not follow the seal before it")
        if self.key is not None and document.public_key != self.key:
            raise SealError(document.number, f"signed by {document.public_key}, which nobody handed over to")
        self.number, self.hash = document.number, signed.hash
        self.key = document.new_public_key if isinstance(document, RotationDocument) else document.public_key
        return document


class _Format(msgspec.Struct):
    format: str
