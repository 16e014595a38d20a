"""OAuth with PKCE: what a user lets the bot see.

The code verifier is 32 random bytes; its challenge hashes these bytes, not their text, as the official SDK
does. Source: developers.mixin.one, "OAuth Authorization".
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Final
from urllib.parse import urlencode

import msgspec
from nacl.signing import SigningKey

from mrmarket.core.errors import InvalidInputError
from mrmarket.partners.mixin.jwt import b64
from mrmarket.partners.mixin.payment_url import SITE

SCOPES: Final = (
    "PROFILE:READ",
    "ASSETS:READ",
    "PHONE:READ",
    "CONTACTS:READ",
    "MESSAGES:REPRESENT",
    "SNAPSHOTS:READ",
    "CIRCLES:READ",
    "CIRCLES:WRITE",
)
_CODE_LENGTH: Final = 64
_SEED: Final = 32


class Login(msgspec.Struct, frozen=True):
    """A login under way; keep it until the user comes back. The secrets are not printed."""

    url: str
    """Where to send the user."""
    state: str
    """Comes back with the user; must be the same."""
    verifier: bytes
    seed: bytes
    """Signs requests in the user's name once granted."""

    def __repr__(self) -> str:
        return f"Login(state={self.state!r}, verifier=<redacted>, seed=<redacted>)"

    def token_body(self, app_id: str, code: str, state: str) -> dict[str, str]:
        """What to post to `/oauth/token` when the user comes back.

        Raises:
            InvalidInputError: if the state is another, or the code is none.
        """
        if state != self.state:
            raise InvalidInputError("state", state[:64], "the state of this login; start again")
        if len(code) != _CODE_LENGTH or not code.isascii() or not code.isalnum():
            raise InvalidInputError("code", code[:8] + "…", f"the code of {_CODE_LENGTH} letters and digits")
        return {
            "client_id": app_id,
            "code": code,
            "code_verifier": b64(self.verifier),
            "ed25519": b64(SigningKey(self.seed).verify_key.encode()),
        }


def challenge_of(verifier: bytes) -> str:
    """The challenge of a verifier."""
    return b64(hashlib.sha256(verifier).digest())


def begin_login(app_id: str, scopes: Sequence[str], random_bytes: Callable[[int], bytes]) -> Login:
    """Start a login that asks for these scopes. Raises InvalidInputError for unknown scopes."""
    unknown = [scope for scope in scopes if scope not in SCOPES]
    if unknown or not scopes:
        raise InvalidInputError("scopes", list(scopes), f"some of {', '.join(SCOPES)}")
    verifier, seed, state = random_bytes(_SEED), random_bytes(_SEED), b64(random_bytes(16))
    query = urlencode(
        {
            "client_id": app_id,
            "scope": " ".join(scopes),
            "response_type": "code",
            "code_challenge": challenge_of(verifier),
            "code_challenge_method": "SHA256",
            "state": state,
        }
    )
    return Login(f"{SITE}/oauth/authorize?{query}", state, verifier, seed)
