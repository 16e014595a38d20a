"""What the venue answers when it says no, in Binance's numbers and words.

Source: https://developers.binance.com/docs/binance-spot-api-docs/errors
"""

from __future__ import annotations

from http import HTTPStatus

from mrmarket.core.errors import MrMarketError


class DialectError(MrMarketError):
    """A refusal that a client sees as `{"code": -1121, "msg": "Invalid symbol."}` with an HTTP status."""

    code = "venue_refused"

    def __init__(
        self,
        number: int,
        message: str,
        *,
        status: int = HTTPStatus.BAD_REQUEST,
        retry_after_s: int = 0,
    ) -> None:
        self.number = number
        self.message = message
        self.status = int(status)
        self.retry_after_s = retry_after_s
        super().__init__(f"{number}: {message}")

    def body(self) -> dict[str, object]:
        """The JSON object that REST and the WebSocket API share."""
        return {"code": self.number, "msg": self.message}


def unknown_error() -> DialectError:
    """Something inside the venue broke; the log has the trace."""
    return DialectError(
        -1000,
        "An unknown error occurred while processing the request.",
        status=HTTPStatus.INTERNAL_SERVER_ERROR,
    )


def unsupported_operation(status: int = HTTPStatus.BAD_REQUEST) -> DialectError:
    """A path or method that this venue does not have."""
    return DialectError(-1020, "This operation is not supported.", status=status)


def illegal_characters(name: str, pattern: str) -> DialectError:
    """A parameter holds something outside its alphabet."""
    return DialectError(-1100, f"Illegal characters found in parameter '{name}'; legal range is '{pattern}'.")


def duplicate_parameter(name: str) -> DialectError:
    """A parameter was sent twice."""
    return DialectError(-1101, f"Duplicate values for parameter '{name}'.")


def missing_parameter(name: str) -> DialectError:
    """A parameter that must be there is not."""
    return DialectError(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")


def unread_parameters(read: int, sent: int) -> DialectError:
    """Something was sent that this endpoint does not know; nothing is ignored in silence."""
    return DialectError(
        -1104, f"Not all sent parameters were read; read '{read}' parameter(s) but was sent '{sent}'."
    )


def not_required(name: str) -> DialectError:
    """A parameter that makes no sense here."""
    return DialectError(-1106, f"Parameter '{name}' sent when not required.")


def too_precise(name: str) -> DialectError:
    """More digits than the asset has."""
    return DialectError(-1111, f"Parameter '{name}' has too much precision.")


def invalid_symbol() -> DialectError:
    """A pair this venue does not list."""
    return DialectError(-1121, "Invalid symbol.")


def bad_combination() -> DialectError:
    """Parameters that exclude each other."""
    return DialectError(-1128, "Combination of optional parameters invalid.")


def invalid_data(name: str) -> DialectError:
    """A value outside its range."""
    return DialectError(-1130, f"Data sent for parameter '{name}' is not valid.")


def filter_failure(name: str) -> DialectError:
    """An order fails one of the pair's filters."""
    return DialectError(-1013, f"Filter failure: {name}")


def order_rejected(message: str) -> DialectError:
    """The matching engine refused a new order."""
    return DialectError(-2010, message)


def cancel_rejected() -> DialectError:
    """There is no such open order to cancel."""
    return DialectError(-2011, "Unknown order sent.")


def no_such_order() -> DialectError:
    """A query for an order this account never had."""
    return DialectError(-2013, "Order does not exist.")


def key_malformed() -> DialectError:
    """The API key is absent or is no key at all."""
    return DialectError(-2014, "API-key format invalid.", status=HTTPStatus.UNAUTHORIZED)


def key_refused() -> DialectError:
    """The API key is unknown."""
    return DialectError(
        -2015, "Invalid API-key, IP, or permissions for action.", status=HTTPStatus.UNAUTHORIZED
    )


def signature_refused() -> DialectError:
    """The signature does not fit the parameters."""
    return DialectError(-1022, "Signature for this request is not valid.")


def timestamp_ahead(ahead_ms: int) -> DialectError:
    """The client's clock runs ahead of ours by more than a second."""
    return DialectError(-1021, f"Timestamp for this request was {ahead_ms}ms ahead of the server's time.")


def timestamp_stale() -> DialectError:
    """The request is older than its recvWindow."""
    return DialectError(-1021, "Timestamp for this request is outside of the recvWindow.")


def too_much_weight(limit: int, retry_after_s: int) -> DialectError:
    """The request weight of this minute is spent."""
    return DialectError(
        -1003,
        f"Too much request weight used; current limit is {limit} request weight per 1 MINUTE. "
        "Please use WebSocket Streams for live updates to avoid polling the API.",
        status=HTTPStatus.TOO_MANY_REQUESTS,
        retry_after_s=retry_after_s,
    )


def banned(until_ms: int, retry_after_s: int) -> DialectError:
    """The client went on after 429."""
    return DialectError(
        -1003,
        f"Way too much request weight used; IP banned until {until_ms}. "
        "Please use WebSocket Streams for live updates to avoid bans.",
        status=HTTPStatus.IM_A_TEAPOT,
        retry_after_s=retry_after_s,
    )


def too_many_orders(limit: int, interval: str, retry_after_s: int) -> DialectError:
    """The order count of this window is spent."""
    return DialectError(
        -1015,
        f"Too many new orders; current limit is {limit} orders per {interval}.",
        status=HTTPStatus.TOO_MANY_REQUESTS,
        retry_after_s=retry_after_s,
    )
