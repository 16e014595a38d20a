"""Market streams: names, control messages, what is told and when."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from front_desk import BEST_ASK, BEST_BID, START_NS, Desk
from mrmarket.core.clock import NS_PER_MS, NS_PER_S
from mrmarket.core.side import Side
from mrmarket.trading.venue.front.hub import Hub
from mrmarket.trading.venue.front.outbox import Outbox
from mrmarket.trading.venue.front.streams import Stream, Topic, parse_stream
from mrmarket.trading.venue.front.ws_streams import StreamSession, stream_names
from mrmarket.trading.venue.port import OrderKind


class Ear:
    """A stream session whose messages are read from its outbox."""

    def __init__(self, desk: Desk, hub: Hub, *names: str, combined: bool = False) -> None:
        self.outbox = Outbox(desk.faults, desk.clock)
        self.session = StreamSession(hub, self.outbox, frozenset({"BTCUSDT"}), combined=combined)
        self.session.open(names)

    def heard(self) -> list[Any]:
        """Messages since the last call."""
        return [msgspec.json.decode(data) for data in self.outbox.take()]

    def ask(self, **message: Any) -> Any:
        """Send a control message and return its reply."""
        self.session.receive(msgspec.json.encode(message))
        return self.heard()[-1]


@pytest.fixture
async def hub(desk: Desk) -> Hub:
    """A hub over the quiet market."""
    return Hub(desk.gateway, 1.0)


@pytest.mark.parametrize(
    ("name", "topic", "period_ms", "levels", "interval"),
    [
        ("btcusdt@trade", Topic.TRADE, 0, 0, ""),
        ("btcusdt@aggTrade", Topic.AGGREGATE, 0, 0, ""),
        ("btcusdt@bookTicker", Topic.BOOK_TICKER, 0, 0, ""),
        ("btcusdt@depth", Topic.DEPTH, 1_000, 0, ""),
        ("btcusdt@depth@100ms", Topic.DEPTH, 100, 0, ""),
        ("btcusdt@depth20@100ms", Topic.PARTIAL, 100, 20, ""),
        ("btcusdt@depth5", Topic.PARTIAL, 1_000, 5, ""),
        ("btcusdt@kline_1M", Topic.KLINE, 2_000, 0, "1M"),
        ("btcusdt@kline_1s", Topic.KLINE, 1_000, 0, "1s"),
        ("btcusdt@ticker", Topic.TICKER, 1_000, 0, ""),
        ("btcusdt@miniTicker", Topic.MINI_TICKER, 1_000, 0, ""),
    ],
)
def test_stream_names_are_read(name: str, topic: Topic, period_ms: int, levels: int, interval: str) -> None:
    """Each documented name becomes its topic, period, depth and interval."""
    assert parse_stream(name) == Stream(
        name=name,
        topic=topic,
        symbol="BTCUSDT",
        period_ns=period_ms * NS_PER_MS,
        levels=levels,
        interval=interval,
    )


@pytest.mark.parametrize(
    "name",
    ["", "btcusdt", "BTCUSDT@trade", "btcusdt@trade@100ms", "btcusdt@depth7", "btcusdt@depth@50ms",
     "btcusdt@kline", "btcusdt@kline_2m", "btcusdt@kline@1m", "!ticker", "btcusdt@avgPrice", "a b@trade"],
)  # fmt: skip
def test_other_names_are_none(name: str) -> None:
    """What this venue does not stream is not read as something else."""
    assert parse_stream(name) is None


@pytest.mark.parametrize(
    ("path", "streams", "combined", "names"),
    [
        ("/ws", "", False, []),
        ("/ws/0", "", False, []),
        ("/ws/btcusdt@trade/btcusdt@depth", "", False, ["btcusdt@trade", "btcusdt@depth"]),
        ("/ws/ws/btcusdt%40trade", "", False, ["btcusdt%40trade"]),
        ("/stream", "btcusdt@trade/x", True, ["btcusdt@trade", "x"]),
        ("/ws/stream", "", True, []),
        ("/stream/0", "", False, []),
    ],
)
def test_addresses_name_streams(path: str, streams: str, combined: bool, names: list[str]) -> None:
    """`/stream` is combined, everything else raw; numbers that clients append are no streams."""
    assert stream_names(path, streams) == (combined, names)


async def test_depth_is_gathered_by_period_without_holes(desk: Desk, hub: Hub) -> None:
    """Changes of a period come in one message whose ids continue the one before."""
    ear = Ear(desk, hub, "btcusdt@depth@100ms")
    hub.tick(START_NS)
    desk.place("alice", Side.BUY, BEST_BID + 100, 1_000)
    second = desk.place("alice", Side.BUY, BEST_BID + 200, 2_000)
    hub.tick(START_NS + 50 * NS_PER_MS)
    assert ear.heard() == []
    hub.tick(START_NS + 100 * NS_PER_MS)
    (first,) = ear.heard()
    assert first["b"] == [["60001.00000000", "0.01000000"], ["60002.00000000", "0.02000000"]]
    assert (first["U"] + 1, first["a"]) == (first["u"], [])
    desk.gateway.cancel("alice", "BTC/USDT", second.order_id, "", "c1")
    hub.tick(START_NS + 200 * NS_PER_MS)
    (third,) = ear.heard()
    assert (third["U"], third["b"]) == (first["u"] + 1, [["60002.00000000", "0.00000000"]])


async def test_partial_depth_and_top_show_own_orders(desk: Desk, hub: Hub) -> None:
    """The top changes at once, the partial book with its period, and only if something changed."""
    ear = Ear(desk, hub, "btcusdt@bookTicker", "btcusdt@depth5@100ms")
    desk.place("alice", Side.SELL, BEST_ASK - 100, 1_000)
    (top,) = ear.heard()
    assert (top["s"], top["a"], top["A"]) == ("BTCUSDT", "60009.00000000", "0.01000000")
    hub.tick(START_NS)
    (book,) = ear.heard()
    assert (len(book["asks"]), book["asks"][0]) == (5, ["60009.00000000", "0.01000000"])
    hub.tick(START_NS + NS_PER_S)
    assert ear.heard() == []


async def test_prints_are_told_at_once_and_aggregated(desk: Desk, hub: Hub) -> None:
    """A market order that walks two orders at one price is two trades and one aggregate."""
    ear = Ear(desk, hub, "btcusdt@trade", "btcusdt@aggTrade")
    for lots in (100, 200):
        desk.place("alice", Side.BUY, BEST_BID + 100, lots)
    desk.place("bob", Side.SELL, 0, 300, OrderKind.MARKET)
    heard = ear.heard()
    trades = [message for message in heard if message["e"] == "trade"]
    (aggregate,) = [message for message in heard if message["e"] == "aggTrade"]
    assert [(trade["q"], trade["m"]) for trade in trades] == [("0.00100000", True), ("0.00200000", True)]
    assert (aggregate["f"], aggregate["l"], aggregate["q"]) == (trades[0]["t"], trades[1]["t"], "0.00300000")


async def test_candles_and_tickers_come_by_period(desk: Desk, hub: Hub) -> None:
    """Candles are told every period, tickers only after a print; all pairs come as a list."""
    ear = Ear(desk, hub, "btcusdt@kline_1m", "btcusdt@ticker", "btcusdt@miniTicker", "!miniTicker@arr")
    hub.tick(START_NS)
    (kline,) = ear.heard()
    assert (kline["k"]["i"], kline["k"]["c"], kline["k"]["x"]) == ("1m", "60010.00000000", False)
    desk.place("bob", Side.BUY, 0, 100, OrderKind.MARKET)
    desk.clock.advance(2 * NS_PER_S)
    hub.tick(desk.clock.now_ns())
    kline, ticker, mini, every = ear.heard()
    assert ticker["e"] == "24hrTicker"
    assert (mini["e"], mini["c"]) == ("24hrMiniTicker", "60010.00000000")
    assert [row["s"] for row in every] == ["BTCUSDT"]


async def test_combined_messages_name_their_stream(desk: Desk, hub: Hub) -> None:
    """A combined connection wraps each message; the property can be changed while it runs."""
    ear = Ear(desk, hub, "btcusdt@bookTicker", combined=True)
    desk.place("alice", Side.BUY, BEST_BID + 100, 1_000)
    assert ear.heard()[0]["stream"] == "btcusdt@bookTicker"
    assert ear.ask(method="GET_PROPERTY", params=["combined"], id=1) == {"result": True, "id": 1}
    assert ear.ask(method="SET_PROPERTY", params=["combined", False], id=2) == {"result": None, "id": 2}
    desk.place("alice", Side.BUY, BEST_BID + 200, 1_000)
    assert ear.heard()[0]["s"] == "BTCUSDT"


async def test_streams_are_joined_and_left(desk: Desk, hub: Hub) -> None:
    """SUBSCRIBE, LIST_SUBSCRIPTIONS and UNSUBSCRIBE; closing leaves nothing behind."""
    ear = Ear(desk, hub)
    names = ["btcusdt@bookTicker", "btcusdt@depth", "btcusdt@trade"]
    assert ear.ask(method="SUBSCRIBE", params=names, id="a") == {"result": None, "id": "a"}
    assert ear.ask(method="SUBSCRIBE", params=names[:1], id=2)["result"] is None
    assert ear.ask(method="LIST_SUBSCRIPTIONS", id=3)["result"] == names
    assert hub.next_due_ns() == 0
    assert ear.ask(method="UNSUBSCRIBE", params=[*names[:2], "btcusdt@ticker"], id=4)["result"] is None
    assert ear.ask(method="LIST_SUBSCRIPTIONS", id=5)["result"] == names[2:]
    assert hub.next_due_ns() is None
    ear.session.close()
    desk.place("bob", Side.BUY, 0, 100, OrderKind.MARKET)
    assert ear.heard() == []
    hub.unsubscribe(ear.session, Stream(name="x", topic=Topic.TRADE))


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (b"{", 3),
        (b"[1]", 2),
        (b'{"method":"SUBSCRIBE","params":["btcusdt@nope"],"id":1}', 2),
        (b'{"method":"SUBSCRIBE","params":["ethusdt@trade"],"id":1}', 2),
        (b'{"method":"SUBSCRIBE","params":"btcusdt@trade","id":1}', 2),
        (b'{"method":"SUBSCRIBE","params":[1],"id":1}', 2),
        (b'{"method":"DANCE","id":1}', 2),
        (b'{"method":"SUBSCRIBE","params":[],"id":[]}', 2),
        (b'{"method":"SET_PROPERTY","params":["colour",1],"id":1}', 0),
        (b'{"method":"SET_PROPERTY","params":["combined","yes"],"id":1}', 1),
        (b'{"method":"GET_PROPERTY","params":[],"id":1}', 0),
    ],
)
async def test_bad_control_messages_are_answered(desk: Desk, hub: Hub, message: bytes, code: int) -> None:
    """Nothing is ignored: each gets Binance's error code."""
    ear = Ear(desk, hub)
    ear.session.receive(message)
    (reply,) = ear.heard()
    assert reply["error"]["code"] == code


async def test_a_connection_has_at_most_1024_streams(desk: Desk) -> None:
    """One more is refused."""
    outbox = Outbox(desk.faults, desk.clock)
    symbols = frozenset(f"A{number}" for number in range(2_000))
    session = StreamSession(Hub(desk.gateway, 1.0), outbox, symbols, combined=False)
    names = [f"a{number}@trade" for number in range(1_025)]
    for some in (names[:1_024], names[1_024:]):
        session.receive(msgspec.json.encode({"method": "SUBSCRIBE", "params": some, "id": 1}))
    first, second = (msgspec.json.decode(data) for data in outbox.take())
    assert ("result" in first, second["error"]["code"]) == (True, 2)


async def test_a_faster_world_speaks_more_often(desk: Desk) -> None:
    """At ×20 a tenth of a second of tape is five milliseconds."""
    hub = Hub(desk.gateway, 20.0)
    ear = Ear(desk, hub, "btcusdt@depth@100ms")
    hub.tick(START_NS)
    desk.place("alice", Side.BUY, BEST_BID + 100, 1_000)
    hub.tick(START_NS + 5 * NS_PER_MS)
    assert len(ear.heard()) == 1
