"""Request tokens: a JWT (EdDSA) that signs one request, its path as sent and its body.

Source: developers.mixin.one, "API guide"; verified against the official Node SDK.
"""

from __future__ import annotations

import base64
import hashlib
from typing import Any, Final

import msgspec
from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey, VerifyKey

from mrmarket.partners.mixin.errors import TokenError
from mrmarket.partners.mixin.keystore import Keystore

LIFE_S: Final = 3_600
_LEEWAY_S: Final = 60
_HEADER: Final = b'{"alg":"EdDSA","typ":"JWT"}'


class Claims(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a token claims; times in seconds since 1970."""

    iat: int
    exp: int
    jti: str
    """Id of the request, as in the header `X-Request-Id`."""
    sig: str
    """`request_digest` of the request it was made for."""
    scp: str
    uid: str = ""
    """The bot, in a token of its own."""
    sid: str = ""
    """The bot's session, in a token of its own."""
    iss: str = ""
    """The bot, in a token that a user granted."""
    aid: str = ""
    """The grant, in a token that a user granted."""


class Grant(msgspec.Struct, frozen=True):
    """What a user let a bot do (OAuth). `seed` signs its requests and is never printed."""

    app_id: str
    authorization_id: str
    scope: str
    seed: bytes

    def __repr__(self) -> str:
        return f"Grant(app_id={self.app_id!r}, scope={self.scope!r}, seed=<redacted>)"


def b64(raw: bytes) -> str:
    """URL-safe base64 without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def unb64(text: str) -> bytes:
    """The bytes of URL-safe or standard base64, padded or not. Raises ValueError for what is none."""
    plain = text.rstrip("=").replace("+", "-").replace("/", "_")
    return base64.b64decode(plain + "=" * (-len(plain) % 4), altchars=b"-_", validate=True)


def request_digest(method: str, uri: str, body: bytes) -> str:
    """SHA-256 in hex over the method, path with query exactly as sent, and body."""
    return hashlib.sha256(method.encode() + uri.encode() + body).hexdigest()


def sign_request(keystore: Keystore, method: str, uri: str, body: bytes, *, request: str, now_s: int) -> str:
    """A token of the bot for one request; `request` is its UUID, also sent as `X-Request-Id`."""
    claims = Claims(
        uid=keystore.app_id,
        sid=keystore.session_id,
        iat=now_s,
        exp=now_s + LIFE_S,
        jti=request,
        sig=request_digest(method, uri, body),
        scp="FULL",
    )
    return _seal(claims, keystore.session_seed)


def sign_granted(grant: Grant, method: str, uri: str, body: bytes, *, request: str, now_s: int) -> str:
    """A token in a user's name for one request, within what the user granted."""
    claims = Claims(
        iss=grant.app_id,
        aid=grant.authorization_id,
        iat=now_s,
        exp=now_s + LIFE_S,
        jti=request,
        sig=request_digest(method, uri, body),
        scp=grant.scope,
    )
    return _seal(claims, grant.seed)


def read_claims(token: str) -> Claims:
    """What a token claims, unverified. Raises TokenError for what is none."""
    parts = token.split(".")
    if len(parts) != 3:  # noqa: PLR2004 - header, claims, signature
        raise TokenError("it does not have three parts")
    try:
        header: Any = msgspec.json.decode(unb64(parts[0]))
        claims = msgspec.json.decode(unb64(parts[1]), type=Claims)
    except (ValueError, msgspec.MsgspecError) as strange:
        raise TokenError("its parts cannot be read") from strange
    if not isinstance(header, dict) or header.get("alg") != "EdDSA":
        raise TokenError("its algorithm is not EdDSA")
    return claims


def verify_token(token: str, public_key: bytes, method: str, uri: str, body: bytes, *, now_s: int) -> Claims:
    """The claims of a token that was signed by this key for this very request and is still alive.

    Raises:
        TokenError: saying which of it does not hold.
    """
    claims = read_claims(token)
    signed, _, signature = token.rpartition(".")
    try:
        VerifyKey(public_key).verify(signed.encode(), unb64(signature))
    except (ValueError, BadSignatureError) as wrong:
        raise TokenError("the signature is not by this key") from wrong
    if claims.sig != request_digest(method, uri, body):
        raise TokenError("it was made for another method, path or body")
    if not claims.iat - _LEEWAY_S <= now_s < claims.exp:
        raise TokenError("it has expired, or the clocks differ")
    return claims


def _seal(claims: Claims, seed: bytes) -> str:
    signed = f"{b64(_HEADER)}.{b64(msgspec.json.encode(claims))}"
    return f"{signed}.{b64(SigningKey(seed).sign(signed.encode()).signature)}"
