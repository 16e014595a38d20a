"""The WebSocket API: requests, replies, subscriptions, faults."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from front_desk import BEST_BID, START_NS, Desk
from mrmarket.core.clock import NS_PER_MS
from mrmarket.core.side import Side
from mrmarket.trading.venue.front.errors import DialectError
from mrmarket.trading.venue.front.faults import FaultConfig, FaultKind, FaultRule
from mrmarket.trading.venue.front.latency import Latency, LatencyConfig
from mrmarket.trading.venue.front.outbox import Outbox
from mrmarket.trading.venue.front.signature import ApiKey, KeyRing, sign
from mrmarket.trading.venue.front.user_stream import UserStreams
from mrmarket.trading.venue.front.ws_api import METHODS, ApiSession
from mrmarket.trading.venue.port import OrderKind

KEY = ApiKey(account="alice", key="a" * 64, secret="b" * 64)


class Line:
    """A WebSocket API connection without a socket."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.outbox = Outbox(desk.faults, desk.clock)
        self.session = ApiSession(
            desk.gateway,
            KeyRing([KEY]),
            UserStreams(desk.gateway),
            self.outbox,
            Latency(LatencyConfig()),
            "127.0.0.1",
        )
        self.session.open()

    def heard(self) -> list[Any]:
        """Messages since the last call."""
        return [msgspec.json.decode(data) for data in self.outbox.take()]

    async def ask(self, method: str, /, signed: bool = False, **params: Any) -> Any:
        """Send a request and return its reply."""
        if signed:
            params |= {"apiKey": KEY.key, "timestamp": START_NS // NS_PER_MS}
            text = "&".join(f"{name}={value}" for name, value in sorted(params.items()))
            params["signature"] = sign(KEY.secret, text)
        await self.session.receive(msgspec.json.encode({"id": 7, "method": method, "params": params}))
        return self.heard()[-1]


@pytest.fixture
async def line(desk: Desk) -> Line:
    """A connection over the quiet market."""
    return Line(desk)


async def test_replies_carry_id_status_result_and_limits(line: Line) -> None:
    """Limits come unless they are not wanted; orders also count orders."""
    reply = await line.ask("time")
    assert (reply["id"], reply["status"], reply["result"]) == (7, 200, {"serverTime": START_NS // NS_PER_MS})
    assert reply["rateLimits"][0]["count"] == 3
    assert "rateLimits" not in await line.ask("ping", returnRateLimits=False)
    order = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC"}
    placed = await line.ask("order.place", signed=True, quantity="0.01", price="59000", **order)
    assert (placed["result"]["status"], len(placed["rateLimits"])) == ("NEW", 3)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        (b"{", -1135),
        (b"[]", -1135),
        (b'{"id":1}', -1102),
        (b'{"id":{},"method":"ping"}', -1102),
        (b'{"id":"a b","method":"ping"}', -1100),
        (b'{"id":1,"method":"ping","params":[]}', -1102),
        (b'{"id":1,"method":"dance"}', -1020),
        (b'{"id":1,"method":"ping","params":{"x":1}}', -1104),
        (b'{"id":1,"method":"account.status"}', -2014),
        (b'{"id":1,"method":"session.logon"}', -4056),
        (b'{"id":1,"method":"userDataStream.subscribe"}', -4056),
        (b'{"id":1,"method":"userDataStream.unsubscribe","params":{"subscriptionId":3}}', -1130),
    ],
)
async def test_bad_requests_are_answered(line: Line, text: bytes, number: int) -> None:
    """Each has Binance's code and is answered with the id it came with."""
    await line.session.receive(text)
    (reply,) = line.heard()
    assert reply["error"]["code"] == number
    assert reply["status"] in (400, 401)


async def test_an_accounts_events_come_to_every_subscription(line: Line) -> None:
    """Order, fill and balance events are wrapped with the subscription's number."""
    assert (await line.ask("userDataStream.subscribe.signature", signed=True))["result"] == {
        "subscriptionId": 0
    }
    assert (await line.ask("userDataStream.subscribe.signature", signed=True))["result"] == {
        "subscriptionId": 1
    }
    assert len((await line.ask("session.subscriptions"))["result"]) == 2
    line.desk.place("bob", Side.BUY, BEST_BID + 100, 100)
    assert line.heard() == []
    line.desk.place("alice", Side.SELL, 0, 100, OrderKind.MARKET)
    events = [message["event"] for message in line.heard() if message["subscriptionId"] == 0]
    assert [(event["e"], event.get("x")) for event in events] == [
        ("executionReport", "NEW"),
        ("executionReport", "TRADE"),
        ("outboundAccountPosition", None),
    ]
    assert (events[1]["o"], events[1]["m"], events[1]["L"], events[1]["N"]) == (
        "MARKET",
        False,
        "60001.00000000",
        "USDT",
    )
    assert (await line.ask("session.status"))["result"]["userDataStream"] is True
    await line.ask("userDataStream.unsubscribe", subscriptionId=0)
    await line.ask("userDataStream.unsubscribe")
    assert (await line.ask("session.logout"))["result"]["userDataStream"] is False


async def test_a_closed_connection_hears_nothing(line: Line) -> None:
    """Closing ends the subscriptions; before that the end is announced."""
    await line.ask("userDataStream.subscribe.signature", signed=True)
    line.session.announce_end()
    assert line.heard()[-1]["event"]["e"] == "serverShutdown"
    line.session.close()
    line.desk.place("alice", Side.BUY, BEST_BID, 100)
    assert line.heard() == []


async def test_a_cancel_report_names_both_ids(line: Line) -> None:
    """`C` is the order's own id, `c` the cancel's."""
    order = line.desk.place("alice", Side.BUY, BEST_BID, 1_000)
    await line.ask("userDataStream.subscribe.signature", signed=True)
    await line.ask("order.cancel", signed=True, symbol="BTCUSDT", orderId=order.order_id)
    # The reply was read by `ask`; a second cancel makes the events of the first visible in order.
    kept = line.desk.place("alice", Side.BUY, BEST_BID, 1_000)
    line.heard()
    line.desk.gateway.cancel("alice", "BTC/USDT", kept.order_id, "", "my-cancel")
    report = line.heard()[0]["event"]
    assert (report["x"], report["C"], report["c"]) == ("CANCELED", kept.client_order_id, "my-cancel")


async def test_a_prevented_self_trade_is_reported(line: Line) -> None:
    """The expired maker's report tells the prevented size."""
    line.desk.place("alice", Side.BUY, BEST_BID + 100, 1_000)
    await line.ask("userDataStream.subscribe.signature", signed=True)
    line.desk.place("alice", Side.SELL, BEST_BID + 100, 1_000)
    reports = [message["event"] for message in line.heard() if message["event"]["e"] == "executionReport"]
    expired = [report for report in reports if report["X"] == "EXPIRED_IN_MATCH"]
    assert [report["A"] for report in expired] == ["0.01000000"]


@pytest.mark.parametrize(
    ("kind", "answered", "placed"),
    [
        (FaultKind.TIMEOUT_BEFORE, False, 0),
        (FaultKind.TIMEOUT_AFTER, False, 1),
        (FaultKind.SERVER_ERROR, True, 0),
        (FaultKind.SERVER_ERROR_AFTER, False, 1),
        (FaultKind.DELAY, True, 1),
        (FaultKind.TOO_MANY_REQUESTS, True, 0),
        (FaultKind.BAN, True, 0),
    ],
)
async def test_faults_strike_before_or_after_the_effect(
    line: Line, kind: FaultKind, answered: bool, placed: int
) -> None:
    """Whether an order lives and whether its sender hears of it are two things."""
    rule = FaultRule(kind=kind, match="WS order.*", delay_ms=0)
    line.desk.faults.reset(FaultConfig(rules=[rule]), START_NS)
    params = {
        "symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.01",
        "price": "59000", "apiKey": KEY.key, "timestamp": START_NS // NS_PER_MS,
    }  # fmt: skip
    text = "&".join(f"{name}={value}" for name, value in sorted(params.items()))
    params["signature"] = sign(KEY.secret, text)
    await line.session.receive(msgspec.json.encode({"id": 1, "method": "order.place", "params": params}))
    assert bool(line.heard()) is answered
    assert len(line.desk.gateway.exchange.open_orders("alice")) == placed


async def test_limits_tell_when_to_come_back(line: Line) -> None:
    """429 over WebSocket has retryAfter as a time."""
    rule = FaultRule(kind=FaultKind.TOO_MANY_REQUESTS, retry_after_s=3)
    line.desk.faults.reset(FaultConfig(rules=[rule]), START_NS)
    reply = await line.ask("ping")
    now_ms = START_NS // NS_PER_MS
    assert reply["error"]["data"] == {"serverTime": now_ms, "retryAfter": now_ms + 3_000}


async def test_connections_cost_weight(desk: Desk) -> None:
    """A connection is refused once the address has no weight left."""
    desk.gateway.meters.weight("127.0.0.1").charge(5_999, START_NS)
    with pytest.raises(DialectError):
        Line(desk)


async def test_a_bug_is_answered_as_an_unknown_error(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever breaks inside, the client gets a reply with -1000."""
    monkeypatch.setattr(line.desk.gateway, "exchange", None)
    reply = await line.ask("depth", symbol="BTCUSDT")
    assert (reply["status"], reply["error"]["code"]) == (500, -1000)


@settings(max_examples=100, deadline=None)
@given(
    method=st.sampled_from([*METHODS, "userDataStream.subscribe.signature", "userDataStream.unsubscribe"]),
    params=st.dictionaries(
        st.sampled_from(["symbol", "side", "limit", "apiKey", "timestamp", "subscriptionId"]),
        st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=20), st.lists(st.integers())),
    ),
)  # fmt: skip
async def test_no_request_breaks_the_venue(method: str, params: dict[str, Any]) -> None:
    """Any request is answered, never with 500."""
    line = Line(Desk())
    reply = await line.ask(method, **params)
    assert reply["status"] < 500
