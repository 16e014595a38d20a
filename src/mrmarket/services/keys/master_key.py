"""From a master key, generated or remembered, to the cipher that seals entries."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Annotated, Final, Literal

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from mrmarket.services.keys.errors import WeakMasterKeyError
from mrmarket.services.keys.secret import Secret

Entropy = Callable[[int], bytes]

PREFIX: Final = "mmk1_"
"""Before a generated master key, so that it is never taken for a passphrase, and scanners can find it."""
SHORTEST: Final = 12
LONGEST: Final = 1024
_KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_PURPOSE: Final = b"mrmarket keys v1"

Text64 = Annotated[str, msgspec.Meta(max_length=65_536)]


class Derivation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the cipher's key follows from the master key; kept beside what it protects."""

    kind: Literal["hkdf-sha256", "argon2id"]
    """HKDF (RFC 5869) for a generated key of 256 random bits, Argon2id (RFC 9106) for a passphrase."""
    salt: Annotated[str, msgspec.Meta(min_length=16, max_length=128)]
    """Base64."""
    memory_kib: Annotated[int, msgspec.Meta(ge=0, le=1_048_576)] = 0
    rounds: Annotated[int, msgspec.Meta(ge=0, le=64)] = 0
    lanes: Annotated[int, msgspec.Meta(ge=0, le=64)] = 0


class Sealed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An AES-256-GCM ciphertext with its nonce, both base64."""

    nonce: Annotated[str, msgspec.Meta(max_length=32)]
    text: Text64


class NotOpenedError(Exception):
    """The cipher does not open it: another key, or changed bytes. Never leaves this room."""


def generate(entropy: Entropy) -> Secret:
    """A new master key of 256 random bits."""
    return Secret(PREFIX + base64.urlsafe_b64encode(entropy(_KEY_BYTES)).decode().rstrip("="))


def new_derivation(
    master: Secret, entropy: Entropy, *, memory_kib: int = 65_536, rounds: int = 3
) -> Derivation:
    """What to derive with from now on, with a fresh salt; the defaults are RFC 9106's second option.

    Raises:
        WeakMasterKeyError: it is too short, or no generated key although it begins like one.
    """
    salt = base64.b64encode(entropy(16)).decode()
    text = master.reveal()
    if text.startswith(PREFIX):
        _bits(text)
        return Derivation(kind="hkdf-sha256", salt=salt)
    if not SHORTEST <= len(text) <= LONGEST:
        raise WeakMasterKeyError(f"a passphrase needs {SHORTEST} to {LONGEST} characters")
    if len(set(text)) < SHORTEST // 2:
        raise WeakMasterKeyError(f"a passphrase needs at least {SHORTEST // 2} different characters")
    return Derivation(kind="argon2id", salt=salt, memory_kib=memory_kib, rounds=rounds, lanes=4)


class Cipher:
    """AES-256-GCM under a derived key, with a random nonce of 96 bits for every text."""

    def __init__(self, key: bytes, entropy: Entropy) -> None:
        self._aead = AESGCM(key)
        self._entropy = entropy

    @classmethod
    def derive(cls, master: Secret, how: Derivation, entropy: Entropy) -> Cipher:
        """The cipher of a file. Takes a quarter of a second and 64 MiB for a passphrase, on purpose.

        Raises:
            NotOpenedError: this kind of master key was not used for it, or the parameters make no sense.
        """
        text = master.reveal()
        generated = text.startswith(PREFIX)
        if generated != (how.kind == "hkdf-sha256"):
            raise NotOpenedError
        try:
            salt = base64.b64decode(how.salt, validate=True)
            if generated:
                return cls(HKDF(SHA256(), _KEY_BYTES, salt, _PURPOSE).derive(_bits(text)), entropy)
            return cls(_argon2id(text, salt, how), entropy)
        except (binascii.Error, ValueError, WeakMasterKeyError) as error:
            raise NotOpenedError from error

    def seal(self, text: bytes | bytearray, about: object) -> Sealed:
        """Encrypt a text and bind it to its circumstances, which must be given again to open it."""
        nonce = self._entropy(_NONCE_BYTES)
        return Sealed(
            nonce=base64.b64encode(nonce).decode(),
            text=base64.b64encode(self._aead.encrypt(nonce, text, msgspec.json.encode(about))).decode(),
        )

    def open(self, sealed: Sealed, about: object) -> bytearray:
        """Decrypt.

        Raises:
            NotOpenedError: another key, other circumstances, or changed bytes.
        """
        try:
            nonce = base64.b64decode(sealed.nonce, validate=True)
            text = base64.b64decode(sealed.text, validate=True)
            return bytearray(self._aead.decrypt(nonce, text, msgspec.json.encode(about)))
        except (binascii.Error, ValueError, InvalidTag) as error:
            raise NotOpenedError from error


def _bits(text: str) -> bytes:
    try:
        found = base64.urlsafe_b64decode(text.removeprefix(PREFIX) + "=")
    except (binascii.Error, ValueError) as error:
        raise WeakMasterKeyError("it begins like a generated key, but is none; copy it whole") from error
    if len(found) != _KEY_BYTES:
        raise WeakMasterKeyError("it begins like a generated key, but has another length; copy it whole")
    return found


def _argon2id(text: str, salt: bytes, how: Derivation) -> bytes:
    from argon2.exceptions import HashingError  # noqa: PLC0415 - a generated key needs none of it
    from argon2.low_level import Type, hash_secret_raw  # noqa: PLC0415 - the same

    try:
        return hash_secret_raw(
            text.encode(), salt, how.rounds, how.memory_kib, how.lanes, _KEY_BYTES, Type.ID
        )
    except HashingError as error:
        raise NotOpenedError from error
