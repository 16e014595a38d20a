"""Signatures by Binance's own published examples, keys, and the time window of a request."""

from __future__ import annotations

import pytest

from mrmarket.core.clock import NS_PER_MS
from mrmarket.trading.venue.front.errors import DialectError
from mrmarket.trading.venue.front.signature import (
    ApiKey,
    KeyRing,
    check_signature,
    check_window,
    new_key,
    rest_payload,
    sign,
    websocket_payloads,
)

KEY = ApiKey(
    account="docs",
    key="vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A",
    secret="NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j",
)
QUERY = "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC"
BODY = "quantity=1&price=0.1&recvWindow=5000&timestamp=1499827319559"
NOW_NS = 1_700_000_000_000 * NS_PER_MS


def test_binances_rest_example_in_one_part() -> None:
    """All parameters in the query or all in the body give the documented signature."""
    expected = "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71"
    whole = f"{QUERY}&{BODY}"
    assert sign(KEY.secret, whole) == expected
    check_signature(KEY, expected, rest_payload(f"{whole}&signature={expected}", ""))
    check_signature(KEY, expected, rest_payload("", f"{whole}&signature={expected}"))


def test_binances_rest_example_in_two_parts() -> None:
    """Query and body are joined without an ampersand, as documented."""
    expected = "0fd168b8ddb4876a0358a8d14d0c9f3da0e9b20c5d52b2a00fcf7d1c602f9a77"
    check_signature(KEY, expected, rest_payload(QUERY, f"{BODY}&signature={expected}"))


def test_binances_websocket_example() -> None:
    """WebSocket parameters are signed in alphabetical order."""
    parameters = {
        "symbol": "BTCUSDT",
        "side": "SELL",
        "type": "LIMIT",
        "timeInForce": "GTC",
        "quantity": "0.01000000",
        "price": "52000.00",
        "newOrderRespType": "ACK",
        "recvWindow": "100",
        "timestamp": "1645423376532",
        "apiKey": KEY.key,
        "signature": "ignored by itself",
    }
    expected = "cc15477742bd704c29492d96c7ead9414dfd8e0ec4a00f947bb5bb454ddbd08a"
    check_signature(KEY, expected, *websocket_payloads(parameters))


def test_a_changed_parameter_breaks_the_signature() -> None:
    """-1022 for anything that was not signed."""
    with pytest.raises(DialectError) as refused:
        check_signature(KEY, sign(KEY.secret, QUERY), QUERY + "&side=SELL")
    assert refused.value.number == -1022
    with pytest.raises(DialectError):
        check_signature(KEY, "pas une signature é", QUERY)


@pytest.mark.parametrize(
    ("text", "number"), [("", -2014), (None, -2014), ("é" * 64, -2014), ("f" * 64, -2015)]
)
def test_keys_are_malformed_or_unknown(text: str | None, number: int) -> None:
    """Nonsense is -2014, a key nobody gave out -2015."""
    with pytest.raises(DialectError) as refused:
        KeyRing([KEY]).find(text)
    assert (refused.value.number, refused.value.status) == (number, 401)


def test_keys_hide_their_secret() -> None:
    """A key's text form shows neither key nor secret; fresh ones differ."""
    drawn = new_key("alice")
    assert drawn.secret not in repr(drawn)
    assert drawn.key not in repr(drawn)
    assert drawn != new_key("alice")
    assert KeyRing([drawn]).find(drawn.key) is drawn


@pytest.mark.parametrize(
    ("timestamp_ms", "window", "number"),
    [
        (0, "", 0),
        (-5_000, "", 0),
        (-5_001, "", -1021),
        (999, "", 0),
        (1_000, "", -1021),
        (-60_000, "60000", 0),
        (-101, "100.5", -1021),
        (-100, "100.5", 0),
        (0, "60001", -1131),
        (0, "-1", -1100),
        (0, "1e3", -1100),
    ],
)
def test_the_receive_window(timestamp_ms: int, window: str, number: int) -> None:
    """Requests must be at most recvWindow old and less than a second ahead."""
    sent = str(NOW_NS // NS_PER_MS + timestamp_ms)
    if not number:
        check_window(sent, window, NOW_NS)
        check_window(sent + "000", window, NOW_NS)
        return
    with pytest.raises(DialectError) as refused:
        check_window(sent, window, NOW_NS)
    assert refused.value.number == number


@pytest.mark.parametrize("timestamp", ["", "now", "-1", "1" * 30])
def test_a_timestamp_is_a_number(timestamp: str) -> None:
    """-1102 for anything else."""
    with pytest.raises(DialectError) as refused:
        check_window(timestamp, "", NOW_NS)
    assert refused.value.number == -1102
