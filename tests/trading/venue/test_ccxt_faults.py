"""What each failure means, told from the class names in ccxt's error tree."""

from __future__ import annotations

import pytest
from aiohttp import ClientPayloadError
from ccxt.base import errors

from mrmarket.core.errors import InvalidInputError
from mrmarket.trading.venue.ccxt_adapter import CcxtVenueConfig, ClockSkewError, MalformedAnswerError
from mrmarket.trading.venue.ccxt_adapter.faults import Attempt, clean, translate
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

PLACE, CANCEL, READ = RequestKind.PLACE, RequestKind.CANCEL, RequestKind.READ

TABLE: list[tuple[type[Exception], int, RequestKind, type[VenueError]]] = [
    (errors.RequestTimeout, 0, PLACE, OutcomeUnknownError),
    (errors.RequestTimeout, 0, CANCEL, OutcomeUnknownError),
    (errors.RequestTimeout, 0, READ, VenueUnavailableError),
    (errors.ExchangeNotAvailable, 503, PLACE, OutcomeUnknownError),
    (errors.ExchangeNotAvailable, 503, READ, VenueUnavailableError),
    (errors.OnMaintenance, 200, PLACE, OutcomeUnknownError),
    (errors.NetworkError, 0, CANCEL, OutcomeUnknownError),
    (errors.OperationFailed, 400, PLACE, OutcomeUnknownError),
    (errors.BadResponse, 200, PLACE, OutcomeUnknownError),
    (errors.InvalidOrder, 400, PLACE, OrderRefusedError),
    (errors.InsufficientFunds, 400, PLACE, OrderRefusedError),
    (errors.OrderImmediatelyFillable, 400, PLACE, OrderRefusedError),
    (errors.OrderNotFillable, 200, PLACE, OrderRefusedError),
    (errors.BadRequest, 400, PLACE, OrderRefusedError),
    (errors.MarketClosed, 400, PLACE, OrderRefusedError),
    (errors.ExchangeError, 400, PLACE, OrderRefusedError),
    (errors.ExchangeError, 500, PLACE, OutcomeUnknownError),
    (errors.ExchangeError, 400, CANCEL, VenueError),
    (errors.ExchangeError, 400, READ, VenueError),
    (errors.ExchangeError, 502, READ, VenueUnavailableError),
    (errors.DuplicateOrderId, 400, PLACE, OutcomeUnknownError),
    (errors.OrderNotFound, 400, CANCEL, UnknownOrderError),
    (errors.OrderNotFound, 400, READ, UnknownOrderError),
    (errors.OrderNotFound, 502, READ, VenueUnavailableError),
    (errors.OrderNotFound, 502, CANCEL, OutcomeUnknownError),
    (errors.AuthenticationError, 401, PLACE, AuthenticationRefusedError),
    (errors.PermissionDenied, 403, READ, AuthenticationRefusedError),
    (errors.AccountSuspended, 400, CANCEL, AuthenticationRefusedError),
    (errors.DDoSProtection, 401, READ, AuthenticationRefusedError),
    (errors.DDoSProtection, 429, PLACE, RateLimitedError),
    (errors.RateLimitExceeded, 200, CANCEL, RateLimitedError),
    (errors.InvalidNonce, 400, PLACE, ClockSkewError),
    (errors.ChecksumError, 200, READ, VenueUnavailableError),
    (KeyError, 200, PLACE, OutcomeUnknownError),
    (KeyError, 200, READ, MalformedAnswerError),
]


@pytest.mark.parametrize(("raised", "status", "kind", "wanted"), TABLE)
def test_each_failure_means_exactly_one_thing(
    raised: type[Exception], status: int, kind: RequestKind, wanted: type[VenueError]
) -> None:
    """Every class, status and kind of request maps to one error of the port."""
    attempt = Attempt(kind, "ask", handed_ns=1, status=status)
    fault = translate(raised("no"), attempt, "somewhere")
    assert type(fault) is wanted
    assert fault.venue == "somewhere"
    assert fault.request == "ask"


def test_what_was_never_handed_over_has_no_effect() -> None:
    """A failure before the HTTP client is a refusal of an order and a plain error of a cancel."""
    error = errors.RequestTimeout("no")
    assert type(translate(error, Attempt(PLACE, "ask"), "x")) is OrderRefusedError
    assert type(translate(error, Attempt(CANCEL, "ask"), "x")) is VenueError


def test_a_broken_transfer_of_the_answer_is_no_refusal() -> None:
    """A payload error that ccxt wraps as a plain ExchangeError says nothing of the order."""
    error = errors.ExchangeError("cut")
    error.__cause__ = ClientPayloadError("cut")
    assert type(translate(error, Attempt(PLACE, "ask", handed_ns=1, status=200), "x")) is OutcomeUnknownError


def test_an_unreadable_answer_to_an_order_leaves_it_unknown() -> None:
    """An order whose answer nobody can read may live; a read that nobody can read is just that."""
    error = MalformedAnswerError("x", "read", "no id")
    assert type(translate(error, Attempt(PLACE, "ask", handed_ns=1), "x")) is OutcomeUnknownError
    assert translate(error, Attempt(READ, "ask", handed_ns=1), "x") is error


@pytest.mark.parametrize(
    ("status", "headers", "retry_s", "banned"),
    [
        (429, {"retry-after": "7"}, 7.0, False),
        (429, {}, 10.0, False),
        (429, {"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 10.0, False),
        (418, {"retry-after": "0.5"}, 0.5, True),
        (418, {}, 120.0, True),
    ],
)
def test_the_pause_is_what_the_venue_says_or_a_safe_guess(
    status: int, headers: dict[str, str], retry_s: float, *, banned: bool
) -> None:
    """`Retry-After` in seconds is obeyed; without one 429 pauses 10 s and a ban 2 minutes."""
    attempt = Attempt(READ, "ask", handed_ns=1, status=status, headers=headers)
    fault = translate(errors.DDoSProtection("slow"), attempt, "x")
    assert isinstance(fault, RateLimitedError)
    assert (fault.retry_after_s, fault.banned) == (retry_s, banned)


def test_messages_are_cut_and_cleaned() -> None:
    """Queries and secrets never show, and an HTML page does not fill the log."""
    text = clean("x GET https://h/api?signature=abc&k=1 failed for KEY " + "y" * 999, ["KEY"])
    assert "abc" not in text
    assert "KEY" not in text
    assert text.endswith("…")
    assert len(text) == 301


@pytest.mark.parametrize(
    "wrong",
    [{"exchange": "Binance!"}, {"recv_window_ms": 0}, {"recv_window_ms": 2001}, {"timeout_ms": 0}],
)
def test_a_wrong_configuration_is_refused(wrong: dict[str, object]) -> None:
    """A malformed id, a receive window beyond two seconds and no time-out are each refused."""
    with pytest.raises(InvalidInputError):
        CcxtVenueConfig(**wrong)  # type: ignore[arg-type] # wrong on purpose
