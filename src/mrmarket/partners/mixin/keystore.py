"""The keys of a bot."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, Self

import msgspec

from mrmarket.partners.mixin.errors import KeystoreError
from mrmarket.partners.mixin.ids import canonical_uuid

_KEY_DIGITS: Final = 64


class Keystore:
    """Who a bot is at Mixin and the private keys it signs with. Prints without its secrets.

    `spend_private_key` is needed to send money only; the others sign requests.
    """

    __slots__ = ("_session_seed", "_spend_seed", "app_id", "server_public_key", "session_id")

    def __init__(
        self,
        *,
        app_id: str,
        session_id: str,
        session_private_key: str,
        server_public_key: str = "",
        spend_private_key: str = "",
    ) -> None:
        """Keys are hex: 32-byte Ed25519 seeds (64 bytes, seed and public key, are taken too).

        Raises:
            KeystoreError: naming the field, never its content.
        """
        self.app_id = _uuid("app_id", app_id)
        self.session_id = _uuid("session_id", session_id)
        self.server_public_key = server_public_key.lower()
        self._session_seed = _seed("session_private_key", session_private_key)
        self._spend_seed = _seed("spend_private_key", spend_private_key) if spend_private_key else b""

    @classmethod
    def from_json(cls, text: bytes | str) -> Self:
        """Read what Mixin's dashboard lets one download; unknown fields are ignored.

        Raises:
            KeystoreError: for what is no keystore.
        """
        try:
            fields = msgspec.json.decode(text, type=dict[str, Any])
        except msgspec.DecodeError as strange:
            raise KeystoreError("file", "a JSON object with app_id, session_id and keys") from strange
        taken: dict[str, str] = {}
        for name in ("app_id", "session_id", "session_private_key", "server_public_key", "spend_private_key"):
            value = fields.get(name, "")
            if not isinstance(value, str):
                raise KeystoreError(name, "text")
            taken[name] = value
        return cls(**taken)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a keystore's file. Raises KeystoreError where it cannot be read."""
        try:
            text = path.read_bytes()
        except OSError as error:
            raise KeystoreError("file", f"a file that can be read ({error.strerror})") from error
        return cls.from_json(text)

    @property
    def session_seed(self) -> bytes:
        """Ed25519 seed that signs requests."""
        return self._session_seed

    @property
    def spend_seed(self) -> bytes:
        """Ed25519 seed that signs transactions. Raises KeystoreError where the keystore has none."""
        if not self._spend_seed:
            raise KeystoreError("spend_private_key", "the spend key: without it nothing can be sent")
        return self._spend_seed

    @property
    def can_spend(self) -> bool:
        """Whether it holds the spend key."""
        return bool(self._spend_seed)

    def __repr__(self) -> str:
        return f"Keystore(app_id={self.app_id!r}, keys=<redacted>)"

    def __reduce__(self) -> str:
        raise KeystoreError("keystore", "the file again: keys are not copied or pickled")


def _uuid(field: str, text: str) -> str:
    value = canonical_uuid(text)
    if value is None:
        raise KeystoreError(field, "a UUID")
    return value


def _seed(field: str, text: str) -> bytes:
    wanted = "a key of 32 bytes in hex"
    try:
        raw = bytes.fromhex(text)
    except ValueError as strange:
        raise KeystoreError(field, wanted) from strange
    if len(text) not in {_KEY_DIGITS, 2 * _KEY_DIGITS} or len(raw) not in {32, 64}:
        raise KeystoreError(field, wanted)
    return raw[:32]
