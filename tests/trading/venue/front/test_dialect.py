"""Refusals by Binance's codes, headers, and answers that no client library reads."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import aiohttp
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from front_desk import START_NS, Desk, RawClient, StartVenue
from mrmarket.core.clock import NS_PER_MS
from mrmarket.core.errors import InvalidInputError
from mrmarket.trading.venue.front.config import VenueConfig
from mrmarket.trading.venue.front.latency import Latency, LatencyConfig
from mrmarket.trading.venue.front.rest import ROUTES, Rest
from mrmarket.trading.venue.front.signature import ApiKey, KeyRing, sign
from mrmarket.trading.venue.front.weights import Limits

LIMIT = {
    "symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.01",
    "price": "59000",
}  # fmt: skip
MARKET = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.01"}
ONE = {"symbol": "BTCUSDT"}
KEY = ApiKey(account="alice", key="a" * 64, secret="b" * 64)


class Front:
    """The REST front without a socket: a request in, an answer out."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.rest = Rest(desk.gateway, KeyRing([KEY]), Latency(LatencyConfig()))

    def __call__(self, method: str, path: str, **fields: Any) -> tuple[int, Any]:
        """An unsigned request's status and body."""
        return self.send(method, path, urlencode(fields))

    def signed(self, method: str, path: str, **fields: Any) -> tuple[int, Any]:
        """A signed request's status and body."""
        fields.setdefault("timestamp", self.desk.clock.now_ns() // NS_PER_MS)
        query = urlencode({name: value for name, value in fields.items() if value is not None})
        return self.send(method, path, f"{query}&signature={sign(KEY.secret, query)}")

    def send(self, method: str, path: str, query: str, **more: Any) -> tuple[int, Any]:
        """Any request's status and body."""
        more = {"body": "", "header": KEY.key, "address": "127.0.0.1"} | more
        answer = self.rest.answer(method, path, query=query, **more)
        return answer.status, msgspec.json.decode(answer.body)


@pytest.fixture
def front(desk: Desk) -> Front:
    """REST over the quiet market."""
    return Front(desk)


@pytest.mark.parametrize(
    ("fields", "number"),
    [
        ({"symbol": "NOPE"}, -1121),
        ({"symbol": "btcusdt"}, -1100),
        ({"symbol": None}, -1102),
        ({"side": None}, -1102),
        ({"side": "HOLD"}, -1117),
        ({"type": None}, -1102),
        ({"type": "STOP_LOSS_LIMIT"}, -1116),
        ({"timeInForce": None}, -1102),
        ({"timeInForce": "GTX"}, -1115),
        ({"quantity": None}, -1102),
        ({"price": None}, -1102),
        ({"price": "1e5"}, -1100),
        ({"price": "59000.123456789"}, -1111),
        ({"price": "59000.001"}, -1013),
        ({"price": "0"}, -1013),
        ({"price": "9" * 20}, -1013),
        ({"quantity": "0.000001"}, -1013),
        ({"quantity": "0"}, -1013),
        ({"quantity": "9" * 20}, -1013),
        ({"quantity": "10000"}, -1013),
        ({"price": "400000"}, -1013),
        ({"quantity": "0.00001"}, -1013),
        ({"quantity": "100"}, -2010),
        ({"newClientOrderId": "has blank"}, -1100),
        ({"newClientOrderId": "x" * 37}, -1100),
        ({"newOrderRespType": "LONG"}, -1136),
        ({"selfTradePreventionMode": "MAYBE"}, -1147),
        ({"icebergQty": "0.001"}, -1104),
        ({"stopPrice": "59000"}, -1104),
        ({"strategyId": "1"}, -1104),
        ({"quoteOrderQty": "100"}, -1106),
        ({"type": "LIMIT_MAKER"}, -1106),
        ({"type": "LIMIT_MAKER", "timeInForce": None, "price": "60010"}, -2010),
        ({"recvWindow": "60001"}, -1131),
        ({"timestamp": 1}, -1021),
        ({"timestamp": "x"}, -1102),
    ],
)
def test_a_limit_order_is_refused_with_binances_code(
    front: Front, fields: dict[str, Any], number: int
) -> None:
    """Each way to get an order wrong has its own answer, and nothing is placed."""
    status, body = front.signed("POST", "/api/v3/order", **(LIMIT | fields))
    assert (status, body["code"]) == (400, number)
    assert front.desk.gateway.exchange.all_orders("alice", "BTC/USDT") == []


@pytest.mark.parametrize(
    ("fields", "number"),
    [
        ({"timeInForce": "GTC"}, -1106),
        ({"price": "60000"}, -1106),
        ({"quantity": None}, -1102),
        ({"quoteOrderQty": "100"}, -1128),
        ({"quantity": None, "quoteOrderQty": "0.0001"}, -1013),
        ({"quantity": "0.00001"}, -1013),
        ({"quantity": "9000.1"}, -1013),
    ],
)
def test_a_market_order_is_refused_with_binances_code(
    front: Front, fields: dict[str, Any], number: int
) -> None:
    """A market order has either a size or an amount of quote, and no price."""
    assert front.signed("POST", "/api/v3/order", **(MARKET | fields))[1]["code"] == number


@pytest.mark.parametrize(
    ("method", "path", "fields", "status", "number"),
    [
        ("GET", "/api/v3/nothing", {}, 404, -1020),
        ("PUT", "/api/v3/order", {}, 405, -1020),
        ("GET", "/api/v3/ping", {"x": "1"}, 400, -1104),
        ("GET", "/api/v3/depth", {}, 400, -1102),
        ("GET", "/api/v3/depth", ONE | {"limit": "0"}, 400, -1130),
        ("GET", "/api/v3/depth", ONE | {"limit": "ten"}, 400, -1100),
        ("GET", "/api/v3/depth", ONE | {"symbolStatus": "HALT"}, 400, -1122),
        ("GET", "/api/v3/klines", ONE, 400, -1102),
        ("GET", "/api/v3/klines", ONE | {"interval": "2m"}, 400, -1120),
        ("GET", "/api/v3/klines", ONE | {"interval": "1m", "timeZone": "8"}, 400, -1130),
        ("GET", "/api/v3/exchangeInfo", ONE | {"symbols": '["BTCUSDT"]'}, 400, -1128),
        ("GET", "/api/v3/exchangeInfo", {"symbols": '["NOPE"]'}, 400, -1121),
        ("GET", "/api/v3/exchangeInfo", {"symbolStatus": "OPEN"}, 400, -1122),
        ("GET", "/api/v3/exchangeInfo", {"permissions": "MARGIN"}, 400, -1130),
        ("GET", "/api/v3/ticker/24hr", ONE | {"type": "TINY"}, 400, -1139),
        ("GET", "/api/v3/account", {}, 400, -1102),
        ("GET", "/api/v3/account", {"timestamp": "1"}, 400, -1102),
    ],
)
def test_other_calls_are_refused_with_binances_code(
    front: Front, method: str, path: str, fields: dict[str, str], status: int, number: int
) -> None:
    """Unknown paths, parameters and values."""
    got, body = front(method, path, **fields)
    assert (got, body["code"]) == (status, number)


@pytest.mark.parametrize(
    ("method", "path", "fields", "number"),
    [
        ("GET", "/api/v3/order", ONE, -1102),
        ("GET", "/api/v3/order", ONE | {"orderId": "5"}, -2013),
        ("GET", "/api/v3/order", ONE | {"origClientOrderId": "unknown"}, -2013),
        ("DELETE", "/api/v3/order", ONE | {"orderId": "5"}, -2011),
        ("DELETE", "/api/v3/order", ONE | {"orderId": "5", "cancelRestrictions": "ONLY_NEW"}, -2011),
        ("DELETE", "/api/v3/order", ONE | {"orderId": "1", "cancelRestrictions": "SOME"}, -1145),
        ("DELETE", "/api/v3/openOrders", ONE, -2011),
        ("DELETE", "/api/v3/openOrders", {}, -1102),
        ("GET", "/api/v3/allOrders", ONE | {"startTime": "5", "endTime": "4"}, -1023),
        ("GET", "/api/v3/allOrders", ONE | {"startTime": "1", "endTime": "86400002"}, -1127),
        ("GET", "/api/v3/myTrades", ONE | {"startTime": "1", "fromId": "4"}, -1128),
        ("GET", "/api/v3/myTrades", ONE | {"isBuyer": "true"}, -1104),
    ],
)
def test_account_calls_are_refused_with_binances_code(
    front: Front, method: str, path: str, fields: dict[str, str], number: int
) -> None:
    """Orders that do not exist, spans that are too long, parameters that exclude each other."""
    assert front.signed(method, path, **fields)[1]["code"] == number


def test_signatures_are_checked_over_query_and_body(front: Front) -> None:
    """A form body counts as the query does; a wrong signature, key or time unit is refused."""
    query, body = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC", "quantity=0.01&price=59000"
    body += f"&timestamp={START_NS // NS_PER_MS}"
    proof = sign(KEY.secret, query + body)
    status, placed = front.send("POST", "/api/v3/order", query, body=f"{body}&signature={proof}")
    assert (status, placed["status"]) == (200, "NEW")
    assert front.send("POST", "/api/v3/order", f"{query}&{body}&signature={proof}")[1]["code"] == -1022
    assert front.send("GET", "/api/v3/account", "", header=None)[0] == 401
    assert (
        front.send("GET", "/api/v3/historicalTrades", "symbol=BTCUSDT", header="f" * 64)[1]["code"] == -2015
    )
    assert front.send("GET", "/api/v3/ping", "", time_unit="MICROSECOND")[1]["code"] == -1194


def test_a_client_order_id_is_free_again_once_its_order_has_closed(front: Front) -> None:
    """A duplicate among open orders is -2010; after the cancel the id may come again."""
    named = LIMIT | {"newClientOrderId": "twice"}
    assert front.signed("POST", "/api/v3/order", **named)[0] == 200
    assert front.signed("POST", "/api/v3/order", **named)[1] == {
        "code": -2010,
        "msg": "Duplicate order sent.",
    }
    status, gone = front.signed(
        "DELETE", "/api/v3/order", **ONE, origClientOrderId="twice", newClientOrderId="end",
        cancelRestrictions="ONLY_NEW",
    )  # fmt: skip
    assert (status, gone["clientOrderId"], gone["origClientOrderId"]) == (200, "end", "twice")
    assert front.signed("POST", "/api/v3/order", **named)[0] == 200


def test_a_restricted_cancel_spares_other_orders(front: Front) -> None:
    """ONLY_PARTIALLY_FILLED leaves a new order alone."""
    front.signed("POST", "/api/v3/order", **LIMIT)
    status, body = front.signed(
        "DELETE", "/api/v3/order", **ONE, orderId=1, cancelRestrictions="ONLY_PARTIALLY_FILLED"
    )
    assert (status, body["msg"]) == (400, "Order was not canceled due to cancel restrictions.")


def test_response_types_have_their_fields(front: Front) -> None:
    """ACK, RESULT and FULL grow; LIMIT_MAKER acknowledges by default."""
    ack = front.signed("POST", "/api/v3/order", **LIMIT, newOrderRespType="ACK")[1]
    assert set(ack) == {"symbol", "orderId", "orderListId", "clientOrderId", "transactTime"}
    result = front.signed("POST", "/api/v3/order", **LIMIT, newOrderRespType="RESULT")[1]
    assert "fills" not in result
    assert result["workingTime"] == START_NS // NS_PER_MS
    maker = front.signed("POST", "/api/v3/order", **(LIMIT | {"type": "LIMIT_MAKER", "timeInForce": None}))[1]
    assert set(maker) == set(ack)
    full = front.signed("POST", "/api/v3/order", **MARKET)[1]
    assert [fill["qty"] for fill in full["fills"]] == ["0.01000000"]
    spent = front.signed("POST", "/api/v3/order", **(MARKET | {"quantity": None}), quoteOrderQty="600.10")[1]
    assert (spent["executedQty"], spent["origQuoteOrderQty"]) == ("0.01000000", "600.10000000")
    again = front.signed("GET", "/api/v3/order", **ONE, orderId=spent["orderId"])[1]
    assert again["origQuoteOrderQty"] == "600.10000000"


def test_an_order_that_meets_its_own_account_says_so(front: Front) -> None:
    """Self-trade prevention expires the maker and reports the prevented size."""
    resting = front.signed("POST", "/api/v3/order", **(LIMIT | {"price": "60005"}))[1]
    front.signed("POST", "/api/v3/order", **(LIMIT | {"side": "SELL", "price": "60005"}))
    order = front.signed("GET", "/api/v3/order", **ONE, orderId=resting["orderId"])[1]
    assert (order["status"], order["preventedQuantity"]) == ("EXPIRED_IN_MATCH", "0.01000000")


def test_a_test_order_is_checked_and_not_placed(front: Front) -> None:
    """order/test answers nothing, or the fees; errors are the real ones."""
    assert front.signed("POST", "/api/v3/order/test", **LIMIT) == (200, {})
    fees = front.signed("POST", "/api/v3/order/test", **LIMIT, computeCommissionRates="true")[1]
    assert fees["standardCommissionForOrder"] == {"maker": "0.00100000", "taker": "0.00100000"}
    assert front.signed("POST", "/api/v3/order/test", **(LIMIT | {"price": "1.001"}))[1]["code"] == -1013
    assert front.signed("GET", "/api/v3/allOrders", **ONE) == (200, [])


def test_lists_are_cut_by_id_time_and_limit(front: Front) -> None:
    """Without a start the newest rows, with one the oldest; ascending either way."""
    for _ in range(4):
        front.signed("POST", "/api/v3/order", **MARKET)
        front.desk.clock.advance(1_000 * NS_PER_MS)
    later = START_NS // NS_PER_MS + 1_000

    def ids(path: str, name: str, **fields: Any) -> list[int]:
        return [row[name] for row in front.signed("GET", path, **ONE, **fields)[1]]

    orders, trades = "/api/v3/allOrders", "/api/v3/myTrades"
    assert ids(orders, "orderId", limit=2) == [3, 4]
    assert ids(orders, "orderId", orderId=2, limit=2) == [2, 3]
    assert ids(orders, "orderId", startTime=later, limit=2) == [2, 3]
    assert ids(orders, "orderId", startTime=later, endTime=later) == [2]
    assert ids(trades, "orderId", limit=2) == [3, 4]
    assert ids(trades, "orderId", orderId=3) == [3]
    first = ids(trades, "id")[0]
    assert ids(trades, "id", fromId=first + 1, limit=1) == [first + 1]
    assert ids(trades, "orderId", startTime=later) == [2, 3, 4]


def test_public_prints_are_cut_by_id_and_time(front: Front) -> None:
    """trades, historicalTrades and aggTrades agree on ids."""
    for _ in range(3):
        front.signed("POST", "/api/v3/order", **MARKET)
        front.desk.clock.advance(1_000 * NS_PER_MS)
    ids = [row["id"] for row in front("GET", "/api/v3/trades", **ONE)[1]]
    assert len(ids) == 5
    assert [row["id"] for row in front("GET", "/api/v3/trades", **ONE, limit=2)[1]] == ids[-2:]
    assert [
        row["id"] for row in front("GET", "/api/v3/historicalTrades", **ONE, fromId=ids[1], limit=2)[1]
    ] == ids[1:3]
    assert [row["id"] for row in front("GET", "/api/v3/historicalTrades", **ONE, limit=1)[1]] == ids[-1:]
    aggregates = "/api/v3/aggTrades"
    assert [row["a"] for row in front("GET", aggregates, **ONE, fromId=ids[3])[1]] == ids[3:]
    after = START_NS // NS_PER_MS + 1_000
    assert [row["a"] for row in front("GET", aggregates, **ONE, startTime=after, limit=1)[1]] == [ids[3]]
    assert [row["a"] for row in front("GET", aggregates, **ONE, endTime=after, limit=1)[1]] == [ids[3]]
    assert [row["a"] for row in front("GET", aggregates, **ONE, limit=1)[1]] == [ids[4]]


def test_tickers_answer_for_one_pair_or_all(front: Front) -> None:
    """One pair is an object, several are a list, MINI leaves most out."""
    assert front("GET", "/api/v3/ticker/price", **ONE)[1] == {"symbol": "BTCUSDT", "price": "60010.00000000"}
    assert [row["symbol"] for row in front("GET", "/api/v3/ticker/bookTicker")[1]] == ["BTCUSDT"]
    assert len(front("GET", "/api/v3/ticker/price", symbols='["BTCUSDT"]')[1]) == 1
    assert "bidPrice" not in front("GET", "/api/v3/ticker/24hr", **ONE, type="MINI")[1]
    assert front("GET", "/api/v3/avgPrice", **ONE)[1]["price"] == "60005.00000000"
    assert front("GET", "/api/v3/exchangeInfo", symbolStatus="BREAK")[1]["symbols"] == []
    assert front("GET", "/api/v3/klines", **ONE, interval="1m", startTime=1)[1][0][1] == "60000.00000000"
    assert front("GET", "/sapi/v1/system/status") == (200, {"status": 0, "msg": "normal"})


def test_announced_filters_are_those_enforced(front: Front) -> None:
    """The bounds in exchangeInfo are accepted, a step beyond them is refused."""
    info = front("GET", "/api/v3/exchangeInfo", **ONE)[1]["symbols"][0]
    filters = {entry["filterType"]: entry for entry in info["filters"]}
    assert filters["LOT_SIZE"] == {
        "filterType": "LOT_SIZE", "minQty": "0.00001000", "maxQty": "9000.00000000", "stepSize": "0.00001000"
    }  # fmt: skip
    top = f"{60_010 * 5:.2f}"
    test = "/api/v3/order/test"
    order = LIMIT | {"side": "SELL", "price": top}
    assert front.signed("POST", test, **order)[0] == 200
    assert front.signed("POST", "/api/v3/order", **order)[0] == 200
    beyond = front.signed("POST", "/api/v3/order", **(order | {"price": f"{60_010 * 5 + 0.01:.2f}"}))[1]
    assert beyond["msg"] == "Filter failure: PERCENT_PRICE_BY_SIDE"
    assert (filters["NOTIONAL"]["minNotional"], filters["MAX_NUM_ORDERS"]["maxNumOrders"]) == (
        "5.00000000",
        200,
    )


@settings(max_examples=150, deadline=None)
@given(
    route=st.sampled_from(sorted(ROUTES)),
    fields=st.dictionaries(
        st.sampled_from([
            "symbol", "symbols", "side", "type", "timeInForce", "quantity", "price", "quoteOrderQty", "limit",
            "newClientOrderId", "orderId", "origClientOrderId", "startTime", "endTime", "fromId", "interval",
            "recvWindow", "timestamp", "type", "selfTradePreventionMode", "newOrderRespType", "symbolStatus",
        ]),
        st.one_of(
            st.sampled_from(["BTCUSDT", "BUY", "SELL", "LIMIT", "MARKET", "GTC", "IOC", "1m", "0.01", "1"]),
            st.text(max_size=40),
            st.integers().map(str),
            st.decimals(allow_nan=False, allow_infinity=False).map(str),
        ),
    ),
)  # fmt: skip
def test_no_parameters_break_the_venue(route: tuple[str, str], fields: dict[str, str]) -> None:
    """Any signed call is answered with 2xx or 4xx and JSON, never with 500."""
    front = Front(Desk())
    try:
        query = urlencode(fields)
    except UnicodeEncodeError:
        return
    if "timestamp" not in fields:
        query += f"&timestamp={START_NS // NS_PER_MS}"
    query = query.lstrip("&")
    for sent in (query, f"{query}&signature={sign(KEY.secret, query)}"):
        status, _ = front.send(*route, sent)
        assert status < 500, (route, sent)


def test_a_bug_is_answered_as_an_unknown_error(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever breaks inside, the client gets JSON with -1000 and the trace goes to the log."""
    monkeypatch.setattr(front.desk.gateway, "exchange", None)
    assert front("GET", "/api/v3/depth", **ONE) == (
        500,
        {"code": -1000, "msg": "An unknown error occurred while processing the request."},
    )


async def test_weights_and_order_counts_are_in_the_headers(alice: RawClient) -> None:
    """Every answer tells the weight used, orders also their counts."""
    _, _, first = await alice.call("GET", "/api/v3/depth", symbol="BTCUSDT", limit=5_000)
    assert (first["X-MBX-USED-WEIGHT-1M"], first["X-MBX-USED-WEIGHT"]) == ("250", "250")
    _, _, second = await alice.call("POST", "/api/v3/order", signed=True, **LIMIT)
    assert second["X-MBX-ORDER-COUNT-10S"] == second["X-MBX-ORDER-COUNT-1D"] == "1"
    assert int(second["X-MBX-USED-WEIGHT-1M"]) in (1, 251)
    status, counts, _ = await alice.call("GET", "/api/v3/rateLimit/order", signed=True)
    assert (status, [entry["count"] for entry in counts]) == (200, [1, 1])


async def test_too_much_is_429_and_going_on_is_418(start_venue: StartVenue) -> None:
    """Retry-After tells when to come back."""
    limits = Limits(request_weight_1m=3, strikes_before_ban=1, ban_s=7, orders_10s=1)
    venue = await start_venue(limits=limits)
    async with aiohttp.ClientSession() as session:
        client = RawClient(venue, session, venue.keys[0])
        statuses = []
        for _ in range(8):
            status, body, headers = await client.call("GET", "/api/v3/ping")
            statuses.append(status)
        assert statuses[-1] == 418
        assert 429 in statuses
        assert (body["code"], headers["Retry-After"]) == (-1003, "7")


async def test_too_many_orders_are_refused(start_venue: StartVenue) -> None:
    """-1015 with 429 once the window's orders are used."""
    venue = await start_venue(limits=Limits(orders_10s=1, orders_1d=1))
    async with aiohttp.ClientSession() as session:
        client = RawClient(venue, session, venue.keys[0])
        await client.place(quantity="0.01", price="59000")
        status, body, headers = await client.call("POST", "/api/v3/order", signed=True, **LIMIT)
        assert (status, body["code"]) == (429, -1015)
        assert int(headers["Retry-After"]) > 0


async def test_a_form_body_and_an_endless_one(alice: RawClient) -> None:
    """Parameters may come as a form body; one that is far too long is refused unread."""
    query = urlencode(LIMIT | {"timestamp": alice.server.gateway.now_ns() // NS_PER_MS})
    data = f"{query}&signature={sign(alice.key.secret, query)}"
    url = f"{alice.server.rest_url}/api/v3/order"
    headers = {"X-MBX-APIKEY": alice.key.key, "Content-Type": "application/x-www-form-urlencoded"}
    async with alice.session.post(url, data=data, headers=headers) as response:
        assert response.status == 200
    async with alice.session.post(url, data=b"x" * 100_000, headers=headers) as response:
        assert response.status == 400


@pytest.mark.parametrize("chosen", [{"speed": 0}, {"speed": 2_000}, {"port": 70_000}, {"accounts": {}}])
def test_impossible_settings_are_refused(chosen: dict[str, Any]) -> None:
    """Each names what is wrong."""
    with pytest.raises(InvalidInputError) as refused:
        VenueConfig(**chosen)
    assert refused.value.field in chosen
