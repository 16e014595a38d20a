"""Random tokens, and the form in which they may be kept."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from typing import Final

TOKEN_BYTES: Final = 32


def new_token(entropy: Callable[[int], bytes]) -> str:
    """256 random bits as 43 characters that fit a cookie, a header and a link."""
    return base64.urlsafe_b64encode(entropy(TOKEN_BYTES)).rstrip(b"=").decode()


def digest_of(token: str) -> str:
    """What is kept of a token: its SHA-256. A token is random enough that a slow hash would add nothing."""
    return hashlib.sha256(token.encode()).hexdigest()
