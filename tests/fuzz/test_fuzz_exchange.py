"""What clients send to the simulated exchange: each request gets an answer as Binance gives them."""

from __future__ import annotations

import asyncio
from typing import Final, cast
from urllib.parse import quote, urlencode

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from front_desk import Desk
from fuzz.mangling import FUZZ, JSON, NUMBERS, TEXTS, json_text, mangled
from mrmarket.core.clock import NS_PER_MS
from mrmarket.trading.venue.front import rest, ws_api
from mrmarket.trading.venue.front.errors import DialectError
from mrmarket.trading.venue.front.hub import Hub
from mrmarket.trading.venue.front.latency import Latency, LatencyConfig
from mrmarket.trading.venue.front.outbox import Outbox as VenueOutbox
from mrmarket.trading.venue.front.parameters import parse_form
from mrmarket.trading.venue.front.signature import ApiKey, KeyRing, sign
from mrmarket.trading.venue.front.streams import parse_stream
from mrmarket.trading.venue.front.user_stream import UserStreams
from mrmarket.trading.venue.front.ws_streams import StreamSession, stream_names

KEY: Final = ApiKey(account="alice", key="K" * 64, secret="S" * 64)
_BROKE: Final = -1000
ORDER: Final = {
    "symbol": "BTCUSDT",
    "side": "BUY",
    "type": "LIMIT",
    "timeInForce": "GTC",
    "quantity": "0.001",
    "price": "60000.01",
    "newClientOrderId": "mm1",
    "orderId": "1",
    "limit": "10",
    "symbols": '["BTCUSDT"]',
    "startTime": "1723075200000",
    "interval": "1m",
    "recvWindow": "5000",
    "fromId": "0",
    "countdownTime": "1000",
}
VALUES = st.sampled_from((*NUMBERS, *TEXTS)) | st.text(max_size=12)


class Outbox:
    """Keeps what is queued for a client."""

    def __init__(self) -> None:
        self.said: list[bytes] = []

    def put(self, data: bytes, *, name: str = "", conflate: bool = False) -> None:
        """Keep one message."""
        self.said.append(data)


class Front:
    """The exchange's two sides without a socket."""

    def __init__(self) -> None:
        self.desk = Desk()
        ring = KeyRing([KEY], "F" * 64)
        latency = Latency(LatencyConfig())
        self.rest = rest.Rest(self.desk.gateway, ring, latency)
        self.routes = sorted(self.rest._routes)
        self.outbox = Outbox()
        outbox = cast("VenueOutbox", self.outbox)
        self.api = ws_api.ApiSession(
            self.desk.gateway, ring, UserStreams(self.desk.gateway), outbox, latency, "127.0.0.1"
        )
        hub = Hub(self.desk.gateway, 1.0)
        self.streams = StreamSession(hub, outbox, frozenset({"BTCUSDT"}), combined=False)

    def ask(self, method: str, path: str, query: str, body: str, header: str | None = KEY.key) -> rest.Answer:
        """One request, in a minute of its own so that no limit stands in the way."""
        self.desk.clock.advance(61 * 1_000_000_000)
        return self.rest.answer(method, path, query=query, body=body, header=header, address="127.0.0.1")

    def signed(self, query: str) -> str:
        """The query with a time stamp and a right signature."""
        query += f"&timestamp={(self.desk.clock.now_ns() + 61 * 1_000_000_000) // NS_PER_MS}"
        return f"{query}&signature={sign(KEY.secret, query)}"


@pytest.fixture(scope="module")
def front() -> Front:
    """One exchange for all examples: whatever one did must not break the next."""
    return Front()


def unbroken(answer: rest.Answer) -> None:
    """The answer is JSON, and not the one that stands for a fault of the exchange itself."""
    said = msgspec.json.decode(answer.body)
    assert not (isinstance(said, dict) and said.get("code") == _BROKE), said


@FUZZ
@given(data=st.data())
def test_any_signed_request_is_answered(front: Front, data: st.DataObject) -> None:
    """Every route, with values that nobody sane would send, under a right signature."""
    method, path = data.draw(st.sampled_from(front.routes))
    names = data.draw(st.lists(st.sampled_from(sorted(ORDER)) | st.text(max_size=5), max_size=8, unique=True))
    fields = {name: ORDER.get(name, "x") for name in names}
    for name in data.draw(st.lists(st.sampled_from(names), max_size=3)) if names else []:
        fields[name] = data.draw(VALUES)
    clean = {name: value.encode("utf-8", "replace") for name, value in fields.items()}
    unbroken(front.ask(method, path, front.signed(urlencode(clean)), ""))


@FUZZ
@given(data=st.data())
def test_any_order_is_answered(front: Front, data: st.DataObject) -> None:
    """A right order with one or two values replaced: taken, or refused with a code of its own."""
    fields = {name: ORDER[name] for name in ("symbol", "side", "type", "timeInForce", "quantity", "price")}
    for name in data.draw(st.lists(st.sampled_from(sorted(fields)), max_size=2)):
        fields[name] = data.draw(VALUES)
    clean = {name: value.encode("utf-8", "replace") for name, value in fields.items()}
    unbroken(front.ask("POST", "/api/v3/order", front.signed(urlencode(clean)), ""))
    unbroken(front.ask("DELETE", "/api/v3/openOrders", front.signed("symbol=BTCUSDT"), ""))


@FUZZ
@given(
    query=st.text(max_size=60) | VALUES,
    body=st.text(max_size=60) | JSON.map(lambda value: json_text(value).decode("utf-8", "replace")),
    header=st.none() | VALUES,
    path=st.sampled_from(["/api/v3/order", "/api/v3/depth", "/", "/api/v3/../order", "\x00", "/sapi/v1/x"]),
    method=st.sampled_from(["GET", "POST", "DELETE", "PUT", "TRACE", ""]),
)
def test_any_unsigned_request_is_answered(
    front: Front, query: str, body: str, header: str | None, path: str, method: str
) -> None:
    """Texts, keys, bodies and paths of any kind."""
    unbroken(front.ask(method, path, query, body, header))


@FUZZ
@given(st.text(max_size=80) | st.lists(VALUES, max_size=4).map(lambda parts: "&".join(map(quote_any, parts))))
def test_any_form_is_read_or_refused(text: str) -> None:
    """Signs, per cents, doubled names and halves of characters."""
    try:
        values = parse_form(text)
    except DialectError:
        return
    assert all(isinstance(value, str) for value in values.values())


def quote_any(text: str) -> str:
    """A text as a URL may carry it."""
    return quote(text.encode("utf-8", "replace"))


MESSAGES = [
    b'{"id":"1","method":"order.place","params":{"symbol":"BTCUSDT","side":"BUY","type":"LIMIT","apiKey":"k","signature":"s","timestamp":1723075200000}}',
    b'{"id":2,"method":"depth","params":{"symbol":"BTCUSDT","limit":5}}',
    b'{"id":3,"method":"userDataStream.unsubscribe","params":{"subscriptionId":0}}',
    b'{"id":null,"method":"session.status"}',
]


@FUZZ
@given(data=st.data())
def test_any_message_to_the_api_is_answered(front: Front, data: st.DataObject) -> None:
    """Each gets one reply that is JSON."""
    front.desk.clock.advance(61 * 1_000_000_000)
    front.outbox.said.clear()
    asyncio.run(front.api.receive(data.draw(mangled(MESSAGES))))
    (reply,) = front.outbox.said
    said = msgspec.json.decode(reply)
    assert said.get("error", {}).get("code") != _BROKE, said


CONTROLS = [
    b'{"method":"SUBSCRIBE","params":["btcusdt@depth@100ms","btcusdt@trade"],"id":1}',
    b'{"method":"UNSUBSCRIBE","params":["btcusdt@trade"],"id":"x"}',
    b'{"method":"SET_PROPERTY","params":["combined",true],"id":5}',
    b'{"method":"LIST_SUBSCRIPTIONS","id":3}',
]


@FUZZ
@given(data=st.data())
def test_any_control_message_is_answered(front: Front, data: st.DataObject) -> None:
    """A result or an error, with the message's own id where it has one."""
    front.outbox.said.clear()
    front.streams.receive(data.draw(mangled(CONTROLS)))
    (reply,) = front.outbox.said
    assert {"result", "error"} & msgspec.json.decode(reply).keys()


@FUZZ
@given(path=st.text(max_size=40) | VALUES, streams=st.text(max_size=40) | VALUES)
def test_any_address_names_streams_or_none(path: str, streams: str) -> None:
    """What is no stream's name is passed over."""
    _, names = stream_names(path, streams)
    for name in names:
        parse_stream(name)
