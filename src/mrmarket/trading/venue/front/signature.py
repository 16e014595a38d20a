"""Keys, HMAC-SHA256 signatures and the time window of signed requests.

Source: https://developers.binance.com/docs/binance-spot-api-docs/rest-api/endpoint-security-type
"""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Callable, Mapping
from typing import Final, Literal
from urllib.parse import quote_plus

import msgspec

from mrmarket.core.clock import NS_PER_MS
from mrmarket.trading.venue.front import errors

_KEY_TEXT: Final = re.compile(r"[A-Za-z0-9]{16,128}", re.ASCII)
_DIGITS: Final = re.compile(r"[0-9]{1,20}", re.ASCII)
_WINDOW: Final = re.compile(r"[0-9]{1,5}(?:\.[0-9]{1,3})?", re.ASCII)
_MAX_WINDOW_MS: Final = 60_000
_DEFAULT_WINDOW_MS: Final = 5_000
_MAX_AHEAD_MS: Final = 1_000
_MICROSECONDS_FROM: Final = 10**15
"""A timestamp this large counts microseconds."""


Use = Literal["trade", "angel"]
"""What a key is for: trading, or the Angel's, which may query and cancel and nothing else."""


USES: Final[tuple[Use, ...]] = ("trade", "angel")


class ApiKey(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One key pair of one account. Its text form hides the secret."""

    account: str
    key: str
    secret: str
    use: Use = "trade"

    def __repr__(self) -> str:
        return f"ApiKey(account={self.account!r}, use={self.use!r})"


def new_key(account: str, token: Callable[[int], str] = secrets.token_hex, use: Use = "trade") -> ApiKey:
    """Draw a key pair of 64 characters each."""
    return ApiKey(account=account, key=token(32), secret=token(32), use=use)


def sign(secret: str, payload: str) -> str:
    """HMAC-SHA256 of the payload, in hex."""
    return hmac.digest(secret.encode(), payload.encode(), "sha256").hex()


class KeyRing:
    """The keys this venue accepts, and the token of who funds its accounts (none: nobody may)."""

    def __init__(self, keys: list[ApiKey], funding_token: str = "") -> None:  # nosec B107 # none
        self._keys = {key.key: key for key in keys}
        self._funding_token = funding_token

    def find(self, text: str | None) -> ApiKey:
        """The key pair behind an `X-MBX-APIKEY`; raises -2014 or -2015."""
        if not text or not _KEY_TEXT.fullmatch(text):
            raise errors.key_malformed()
        found = self._keys.get(text)
        if found is None:
            raise errors.key_refused()
        return found

    def check_funding(self, text: str | None) -> None:
        """Raise -2015 unless this is the funding token."""
        expected = self._funding_token.encode()
        given = (text or "").encode("utf-8", "replace")  # an HTTP server may hand on what is no text
        if not expected or not hmac.compare_digest(expected, given):
            raise errors.key_refused()


def rest_payload(query: str, body: str) -> str:
    """The text a REST signature covers: query then body, without the signature itself."""
    return _without_signature(query) + _without_signature(body)


def websocket_payloads(parameters: Mapping[str, str]) -> tuple[str, str]:
    """The two spellings in use for signed WebSocket parameters: plain and percent-encoded."""
    pairs = [(name, value) for name, value in sorted(parameters.items()) if name != "signature"]
    plain = "&".join(f"{name}={value}" for name, value in pairs)
    encoded = "&".join(f"{quote_plus(name)}={quote_plus(value)}" for name, value in pairs)
    return plain, encoded


def check_signature(key: ApiKey, signature: str, *payloads: str) -> None:
    """Raise -1022 unless the signature fits one of the payloads."""
    given = signature.lower().encode()
    if not any(hmac.compare_digest(sign(key.secret, payload).encode(), given) for payload in payloads):
        raise errors.signature_refused()


def check_window(timestamp: str, window: str, now_ns: int) -> None:
    """Raise unless `timestamp` lies in the receive window around the server's time.

    Args:
        timestamp: milliseconds, or microseconds from 10^15 on, as sent.
        window: `recvWindow` in milliseconds as sent, empty for the default of 5,000.
        now_ns: the server's time.
    """
    if not _DIGITS.fullmatch(timestamp):
        raise errors.missing_parameter("timestamp")
    if window and not _WINDOW.fullmatch(window):
        raise errors.illegal_characters("recvWindow", r"^[0-9]{1,5}(\.[0-9]{1,3})?$")
    window_ms = float(window) if window else _DEFAULT_WINDOW_MS
    if window_ms > _MAX_WINDOW_MS:
        raise errors.DialectError(-1131, "recvWindow must be less than 60000.")
    sent_ms = int(timestamp)
    if sent_ms >= _MICROSECONDS_FROM:
        sent_ms //= 1000
    now_ms = now_ns // NS_PER_MS
    if sent_ms >= now_ms + _MAX_AHEAD_MS:
        raise errors.timestamp_ahead(_MAX_AHEAD_MS)
    if now_ms - sent_ms > window_ms:
        raise errors.timestamp_stale()


def _without_signature(text: str) -> str:
    if "signature=" not in text:
        return text
    return "&".join(part for part in text.split("&") if not part.startswith("signature="))
