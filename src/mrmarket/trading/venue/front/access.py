"""Who calls: from a header or parameters, a signature and a clock to a key."""

from __future__ import annotations

from mrmarket.trading.venue.front import errors
from mrmarket.trading.venue.front.endpoints import Endpoint, Security
from mrmarket.trading.venue.front.parameters import Parameters
from mrmarket.trading.venue.front.signature import (
    ApiKey,
    KeyRing,
    check_signature,
    check_window,
    rest_payload,
    websocket_payloads,
)


def admit_rest(
    keys: KeyRing,
    endpoint: Endpoint,
    parameters: Parameters,
    *,
    header: str | None,
    query: str,
    body: str,
    now_ns: int,
) -> ApiKey | None:
    """The key behind a REST call, None if it needs none.

    Args:
        keys: what the venue accepts.
        endpoint: says what must be proven.
        parameters: of query and body.
        header: `X-MBX-APIKEY`.
        query: as sent, for the signature.
        body: as sent, for the signature.
        now_ns: the venue's clock as the client sees it.

    Raises:
        DialectError: -1021, -1022, -1102, -1131, -2014 or -2015.
    """
    if endpoint.security is Security.NONE:
        return None
    if endpoint.security is Security.FUNDING:
        keys.check_funding(header)
        return None
    key = keys.find(header)
    if endpoint.security is Security.SIGNED:
        signature = _proof(parameters, now_ns)
        check_signature(key, signature, rest_payload(query, body))
    return _entitled(key, endpoint)


def admit_websocket(keys: KeyRing, endpoint: Endpoint, parameters: Parameters, now_ns: int) -> ApiKey | None:
    """The key behind a WebSocket API call, None if it needs none; raises as `admit_rest`."""
    if endpoint.security is Security.NONE:
        return None
    key = keys.find(parameters.raw("apiKey"))
    if endpoint.security is Security.SIGNED:
        signature = _proof(parameters, now_ns)
        check_signature(key, signature, *websocket_payloads(parameters.values))
    return _entitled(key, endpoint)


def _entitled(key: ApiKey, endpoint: Endpoint) -> ApiKey:
    if endpoint.trades and key.use != "trade":
        raise errors.key_refused()
    return key


def _proof(parameters: Parameters, now_ns: int) -> str:
    timestamp, signature = parameters.raw("timestamp"), parameters.raw("signature")
    for name, value in (("timestamp", timestamp), ("signature", signature)):
        if not value:
            raise errors.missing_parameter(name)
    check_window(timestamp, parameters.raw("recvWindow"), now_ns)
    return signature
