"""What went wrong at the exchange, in the port's own errors.

The one question behind every branch: does the order live? An explicit no is a refusal; silence,
a broken connection or an answer nobody can read is an unknown outcome, never a failure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from mrmarket.trading.venue.port import (
    AuthenticationRefusedError,
    OrderRefusedError,
    OutcomeUnknownError,
    RateLimitedError,
    UnknownOrderError,
    VenueError,
    VenueUnavailableError,
)
from mrmarket.trading.venue.rate_budget import RequestKind

_QUERY: Final = re.compile(r"\?[^\s\"']*")
_SHOWN: Final = 300
_SERVER_ERROR: Final = 500
_TOO_MANY: Final = 429
_BANNED: Final = 418
_UNAUTHORISED: Final = 401
_DEFAULT_RETRY_S: Final = 10.0
_LONGEST_RETRY_S: Final = 7 * 86_400.0
"""The longest ban there is is three days; more is a mistake that must not stop us for good."""
_DEFAULT_BAN_S: Final = 120.0


class ClockSkewError(VenueError):
    """Our clock and the venue's differ by more than can be corrected; set the machine's clock."""

    code = "clock_skew"
    retryable = True


class ClockUntrustedError(OrderRefusedError):
    """The clocks are too far apart for an order's stamp to mean anything: it was not taken."""

    code = "clock_skew"
    retryable = True


class MalformedAnswerError(VenueError):
    """The venue's answer is not what it documents."""

    code = "malformed_answer"


class UnknownExchangeError(VenueError):
    """ccxt has no exchange of that id, or it lacks what trading needs."""

    code = "unknown_exchange"


@dataclass(slots=True)
class Attempt:
    """One request and what came back, as far as it got."""

    kind: RequestKind
    request: str
    """What was asked, for the error: `place mm-1`."""
    client_order_id: str = ""
    handed_ns: int = 0
    """When it went to the HTTP client, monotonic; 0 if it never did."""
    status: int = 0
    """HTTP status; 0 if no answer came."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Names in lower case."""

    @property
    def retry_after_s(self) -> float | None:
        """Seconds the venue asks us to wait, where it says so."""
        text = self.headers.get("retry-after", "")
        if not text.isascii() or not text.replace(".", "", 1).isdigit():
            return None
        return min(float(text), _LONGEST_RETRY_S)


def clean(text: str, secrets: Sequence[str]) -> str:
    """A message without query strings, which hold signatures, and without secrets."""
    text = _QUERY.sub("?…", text)
    for secret in secrets:
        text = text.replace(secret, "…")
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def translate(error: Exception, attempt: Attempt, venue: str, secrets: Sequence[str] = ()) -> VenueError:
    """The port's error for whatever ccxt, the HTTP client or the answer's shape raised.

    Classes are told apart by the names in their ancestry, so that ccxt need not be loaded here.
    Source of the names: ccxt/base/errors.py, `error_hierarchy`.
    """
    if isinstance(error, VenueError):
        unreadable = isinstance(error, MalformedAnswerError) and attempt.kind is not RequestKind.READ
        # The exchange did answer, but not so that anybody could tell what became of the order.
        return OutcomeUnknownError(venue, attempt.request, error.detail) if unreadable else error
    names = {ancestor.__name__ for ancestor in type(error).__mro__}
    detail = clean(str(error) or type(error).__name__, secrets)
    request, kind, status = attempt.request, attempt.kind, attempt.status
    if status == _UNAUTHORISED or "AuthenticationError" in names:
        return AuthenticationRefusedError(venue, request, detail)
    if names & {"RateLimitExceeded", "DDoSProtection"} or status in (_TOO_MANY, _BANNED):
        banned = status == _BANNED
        retry_s = attempt.retry_after_s
        if retry_s is None:
            retry_s = _DEFAULT_BAN_S if banned else _DEFAULT_RETRY_S
        return RateLimitedError(venue, request, detail, retry_s, banned=banned)
    if "InvalidNonce" in names and "ChecksumError" not in names:
        return ClockSkewError(venue, request, detail)
    if kind is not RequestKind.READ:
        return _write_fault(error, names, attempt, venue, detail)
    return _read_fault(names, status, venue, request, detail)


def _read_fault(names: set[str], status: int, venue: str, request: str, detail: str) -> VenueError:
    if "OrderNotFound" in names and status < _SERVER_ERROR:
        return UnknownOrderError(venue, request, detail)
    if "OperationFailed" in names or status >= _SERVER_ERROR:
        return VenueUnavailableError(venue, request, detail)
    if "BaseError" in names:
        return VenueError(venue, request, detail)
    return MalformedAnswerError(venue, request, detail)


def _write_fault(error: Exception, names: set[str], attempt: Attempt, venue: str, detail: str) -> VenueError:
    request = attempt.request
    placing = attempt.kind is RequestKind.PLACE
    if not attempt.handed_ns:
        # It never left this process, so nothing lives because of it.
        return OrderRefusedError(venue, request, detail) if placing else VenueError(venue, request, detail)
    answered_no = (
        "ExchangeError" in names
        # ccxt wraps a broken transfer of the answer as a plain ExchangeError.
        and not type(error.__cause__).__module__.startswith("aiohttp")
        and 0 < attempt.status < _SERVER_ERROR
        # A duplicate id was refused because an order of that id exists: it may well live.
        and "DuplicateOrderId" not in names
    )
    if not answered_no:
        return OutcomeUnknownError(venue, request, detail)
    if placing:
        return OrderRefusedError(venue, request, detail)
    if "OrderNotFound" in names:
        return UnknownOrderError(venue, request, detail)
    return VenueError(venue, request, detail)
