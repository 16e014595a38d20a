"""ES256 tokens (RFC 7518 §3.4), as the recording oracle gives them out."""

from __future__ import annotations

import base64
import binascii
from typing import Final

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from mrmarket.core.clock import NS_PER_S, Clock

_HALF: Final = 32
_PARTS: Final = 3


class Claims(msgspec.Struct, frozen=True):
    """What a token says."""

    user_id: str
    wallet_address: str
    iat: int
    exp: int


class TokenMint:
    """Makes and reads access tokens with a key of its own, by wall time."""

    def __init__(self, clock: Clock, life_s: int) -> None:
        self._clock = clock
        self._life_s = life_s
        self._key = ec.generate_private_key(ec.SECP256R1())

    def make(self, user: str, wallet: str) -> str:
        """A token for a user."""
        now_s = self._clock.now_ns() // NS_PER_S
        head = _part(b'{"alg":"ES256","typ":"JWT"}')
        body = _part(msgspec.json.encode(Claims(user, wallet, now_s, now_s + self._life_s)))
        signed = f"{head}.{body}"
        r, s = decode_dss_signature(self._key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{signed}.{_part(r.to_bytes(_HALF) + s.to_bytes(_HALF))}"

    def read(self, token: str) -> Claims | None:
        """What a token says; None for one that is not ours or has run out."""
        parts = token.split(".")
        if len(parts) != _PARTS:
            return None
        try:
            signature = _bytes(parts[2])
            if len(signature) != 2 * _HALF:
                return None
            der = encode_dss_signature(int.from_bytes(signature[:_HALF]), int.from_bytes(signature[_HALF:]))
            signed = f"{parts[0]}.{parts[1]}".encode()
            self._key.public_key().verify(der, signed, ec.ECDSA(hashes.SHA256()))
            claims = msgspec.json.decode(_bytes(parts[1]), type=Claims)
        except (InvalidSignature, ValueError, binascii.Error):
            return None
        return claims if self._clock.now_ns() // NS_PER_S < claims.exp else None


def _part(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _bytes(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
