"""Deposits, withdrawals and rights as Binance's wallet shows them, and the key that may only cancel."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlencode

import aiohttp
import msgspec
import pytest

from front_desk import BEST_BID, START_NS, Desk, RawClient, StartVenue
from mrmarket.core.clock import NS_PER_MS, NS_PER_S
from mrmarket.core.side import Side
from mrmarket.trading.venue.front.latency import Latency, LatencyConfig
from mrmarket.trading.venue.front.rest import Rest
from mrmarket.trading.venue.front.server import VenueServer
from mrmarket.trading.venue.front.signature import ApiKey, KeyRing, sign

TRADER = ApiKey(account="alice", key="a" * 64, secret="b" * 64)
ANGEL = ApiKey(account="alice", key="c" * 64, secret="d" * 64, use="angel")
START_MS = START_NS // NS_PER_MS


class Wallet:
    """Signed calls of one account over a desk without sockets."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.rest = Rest(desk.gateway, KeyRing([TRADER, ANGEL]), Latency(LatencyConfig()))

    def call(self, method: str, path: str, key: ApiKey = TRADER, **fields: Any) -> tuple[int, Any]:
        """(status, body) of a signed call."""
        query = urlencode({**fields, "timestamp": self.desk.clock.now_ns() // NS_PER_MS})
        query += f"&signature={sign(key.secret, query)}"
        answer = self.rest.answer(method, path, query=query, body="", header=key.key, address="127.0.0.1")
        return int(answer.status), msgspec.json.decode(answer.body)

    def move(self, name: str, units: int, account: str = "alice", asset: str = "USDT") -> None:
        """Let money in, or out when negative."""
        self.desk.gateway.transfer(name, account, asset, units)
        self.desk.clock.advance(NS_PER_S)


@pytest.fixture
def wallet(desk: Desk) -> Wallet:
    """Calls over the quiet market."""
    return Wallet(desk)


def test_each_side_lists_its_own_transfers_newest_first(wallet: Wallet) -> None:
    """Deposits with a time in ms, withdrawals with a UTC text; neither shows another account's."""
    wallet.move("in-1", 150_000_000)
    wallet.move("out-1", -50_000_000)
    wallet.move("bobs", 900_000_000, account="bob")
    wallet.move("in-2", 250_000_000)
    status, found = wallet.call("GET", "/sapi/v1/capital/deposit/hisrec")
    assert status == 200
    assert [(row["id"], row["amount"], row["coin"]) for row in found] == [
        ("in-2", "2.50000000", "USDT"),
        ("in-1", "1.50000000", "USDT"),
    ]
    assert found[1]["insertTime"] == START_MS
    assert {row["status"] for row in found} == {1}
    status, left = wallet.call("GET", "/sapi/v1/capital/withdraw/history")
    assert [(row["id"], row["amount"], row["status"]) for row in left] == [("out-1", "0.50000000", 6)]
    assert left[0]["applyTime"] == "2024-08-08 00:00:01"
    assert left[0]["transactionFee"] == "0.00000000"


def test_a_list_is_cut_by_time_coin_and_page(wallet: Wallet) -> None:
    """`startTime`, `endTime`, `coin`, `offset` and `limit` choose; another status lists nothing."""
    for number in range(5):
        wallet.move(f"in-{number}", 100_000_000, asset="BTC" if number == 2 else "USDT")
    path = "/sapi/v1/capital/deposit/hisrec"

    def ids(**fields: Any) -> list[str]:
        return [row["id"] for row in wallet.call("GET", path, **fields)[1]]

    assert ids(startTime=START_MS + 3_000) == ["in-4", "in-3"]
    assert ids(startTime=START_MS, endTime=START_MS + 1_000) == ["in-1", "in-0"]
    assert ids(coin="BTC") == ["in-2"]
    assert ids(offset=1, limit=2) == ["in-3", "in-2"]
    assert ids(status=6) == []
    assert wallet.call("GET", "/sapi/v1/capital/withdraw/history", status=1) == (200, [])


def test_a_withdrawal_is_found_by_the_second_in_which_it_was_made(wallet: Wallet) -> None:
    """Its stamp is cut to seconds, so a start inside that second still finds it."""
    wallet.desk.clock.advance(300 * NS_PER_MS)
    wallet.move("out-1", -100_000_000)
    path = "/sapi/v1/capital/withdraw/history"
    assert [row["id"] for row in wallet.call("GET", path, startTime=START_MS + 700)[1]] == ["out-1"]
    assert wallet.call("GET", path, startTime=START_MS + 1_000)[1] == []


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"startTime": 10, "endTime": 5}, -1023),
        ({"startTime": 0, "endTime": 91 * 86_400_000}, -1127),
        ({"coin": "usdt"}, -1100),
        ({"limit": 1_001}, -1130),
        ({"more": 1}, -1104),
    ],
)
def test_a_question_that_makes_no_sense_is_refused(wallet: Wallet, fields: dict[str, Any], code: int) -> None:
    """With the venue's own number."""
    status, body = wallet.call("GET", "/sapi/v1/capital/deposit/hisrec", **fields)
    assert (status, body["code"]) == (400, code)


def test_a_key_says_what_it_may_do(wallet: Wallet) -> None:
    """The trading key trades, the Angel's does not, and neither withdraws."""
    path = "/sapi/v1/account/apiRestrictions"
    for key, trades in ((TRADER, True), (ANGEL, False)):
        _, rights = wallet.call("GET", path, key)
        assert rights["enableReading"] is True
        assert rights["enableWithdrawals"] is False
        assert rights["enableSpotAndMarginTrading"] is trades
        assert wallet.call("GET", "/api/v3/account", key)[1]["canTrade"] is trades


def test_the_angel_cancels_and_never_places(wallet: Wallet) -> None:
    """It sees and cancels the account's orders; placing and trying out an order are refused with -2015."""
    order = wallet.desk.place("alice", Side.BUY, BEST_BID - 100, 1_000)
    fields: dict[str, Any] = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC"}
    fields |= {"quantity": "0.001", "price": "59000"}
    for path in ("/api/v3/order", "/api/v3/order/test"):
        status, body = wallet.call("POST", path, ANGEL, **fields)
        assert (status, body["code"]) == (401, -2015)
    (listed,) = wallet.call("GET", "/api/v3/openOrders", ANGEL)[1]
    assert listed["orderId"] == order.order_id
    status, _ = wallet.call("DELETE", "/api/v3/order", ANGEL, symbol="BTCUSDT", orderId=order.order_id)
    assert status == 200
    assert wallet.call("GET", "/api/v3/openOrders", ANGEL)[1] == []
    status, _ = wallet.call("POST", "/api/v3/order/test", **fields)
    assert status == 200


@pytest.fixture
async def angel(start_venue: StartVenue) -> AsyncIterator[tuple[VenueServer, RawClient]]:
    """A venue and a raw client with the Angel's key of its first account."""
    venue = await start_venue()
    async with aiohttp.ClientSession() as session:
        yield venue, RawClient(venue, session, venue.angel_keys[0])


async def test_the_angel_arms_the_switch_over_a_socket(angel: tuple[VenueServer, RawClient]) -> None:
    """The second key of the account opens `cancelAllOrdersAfter`, and another account's is another's."""
    venue, client = angel
    assert [key.account for key in venue.angel_keys] == [key.account for key in venue.keys]
    status, body, _ = await client.call(
        "POST", "/sim/v1/cancelAllOrdersAfter", signed=True, symbol="BTCUSDT", countdownTime=60_000
    )
    assert (status, body["countdownTime"]) == (200, "60000")
