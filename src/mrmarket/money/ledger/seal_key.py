"""The key that signs seals, and the secret that makes leaves unreadable, in a file of their own."""

from __future__ import annotations

import hmac
import os
import secrets
from hashlib import sha256
from pathlib import Path
from typing import Final, Self

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from mrmarket.money.ledger.errors import LedgerError

KEY_FILE: Final = "seal.key"
_FORMAT: Final = "mrmarket seal key v1"
_OTHERS: Final = 0o077


class SealKeyError(LedgerError):
    """The key that signs seals cannot be used."""

    code = "seal_key_refused"

    def __init__(self, path: Path, problem: str) -> None:
        self.path = path
        super().__init__(f"{path}: {problem}")


class _KeyFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    format: str
    private_key: str
    nonce_secret: str


class SealKey:
    """An Ed25519 key pair (RFC 8032) and the secret behind the nonces."""

    def __init__(self, private: bytes, nonce_secret: bytes) -> None:
        self._private_bytes = private
        self._private = Ed25519PrivateKey.from_private_bytes(private)
        self._nonce_secret = nonce_secret
        self.public: Final = self._private.public_key().public_bytes_raw().hex()
        """Public key, hexadecimal."""

    @classmethod
    def generate(cls) -> Self:
        """A new key."""
        return cls(secrets.token_bytes(32), secrets.token_bytes(32))

    @classmethod
    def open(cls, folder: Path) -> Self:
        """The key of a data folder; made at first use, readable by its owner alone.

        Raises:
            SealKeyError: if others may read it, or it is no key.
        """
        path = folder / KEY_FILE
        if not path.exists():
            cls.generate().keep(path)
        return cls.read(path)

    @classmethod
    def read(cls, path: Path) -> Self:
        """A key that exists.

        Raises:
            SealKeyError: if it does not, others may read it, or it is no key.
        """
        try:
            if path.stat().st_mode & _OTHERS:
                raise SealKeyError(path, "others may read it; run: chmod 600 on it, then rotate the key")
            found = msgspec.json.decode(path.read_bytes(), type=_KeyFile)
            if found.format != _FORMAT:
                raise SealKeyError(path, f"has format {found.format!r}; restore the file from your backup")
            return cls(bytes.fromhex(found.private_key), bytes.fromhex(found.nonce_secret))
        except OSError as error:
            raise SealKeyError(
                path, f"cannot be read ({error.strerror}); restore it or its folder"
            ) from error
        except (ValueError, msgspec.MsgspecError, RecursionError) as error:
            raise SealKeyError(path, "is no seal key; restore the file from your backup") from error

    def successor(self) -> SealKey:
        """A new key pair that keeps the secret behind the nonces, so that old seals can still be proved."""
        return SealKey(secrets.token_bytes(32), self._nonce_secret)

    def keep(self, path: Path) -> None:
        """Write the key to a file of its own, replacing what was there in one step."""
        _write(path, self._content())

    def sign(self, message: bytes) -> bytes:
        """64 bytes."""
        return self._private.sign(message)

    def nonce(self, number: int, asset: str, account: str) -> bytes:
        """What hides an account's leaf in one seal: HMAC-SHA-256 over its number, asset and account."""
        subject = msgspec.json.encode(["mrmarket leaf v1", number, asset, account])
        return hmac.digest(self._nonce_secret, subject, sha256)

    def _content(self) -> bytes:
        return msgspec.json.encode(
            _KeyFile(
                format=_FORMAT,
                private_key=self._private_bytes.hex(),
                nonce_secret=self._nonce_secret.hex(),
            )
        )


def is_signed(public_key: str, message: bytes, signature: bytes) -> bool:
    """Whether the holder of a key (hexadecimal) signed a message."""
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(public_key)).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def _write(path: Path, content: bytes) -> None:
    draft = path.with_name(path.name + ".new")
    try:
        draft.unlink(missing_ok=True)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise SealKeyError(path, f"cannot be written ({error.strerror}); check the folder") from error
