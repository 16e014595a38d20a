"""A whole venue on a port: simulation calls, faults over HTTP, sockets, the end of a tape."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from front_desk import BEST_BID, RawClient, StartVenue, quiet_events, quiet_instrument
from mrmarket.core.clock import NS_PER_S
from mrmarket.core.errors import InvalidInputError
from mrmarket.core.side import Side
from mrmarket.trading.market.errors import TapeCutError
from mrmarket.trading.market.tape import TapeWriter
from mrmarket.trading.venue.front.config import VenueConfig
from mrmarket.trading.venue.front.faults import FaultConfig, FaultKind, FaultRule
from mrmarket.trading.venue.front.feed import with_fees
from mrmarket.trading.venue.front.latency import LatencyConfig
from mrmarket.trading.venue.front.server import PortTakenError, VenueServer
from mrmarket.trading.venue.front.weights import Limits
from mrmarket.trading.venue.port import NewOrder, OrderKind
from mrmarket.trading.venue.simulated.records import SelfTrade

ORDER = {
    "symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.01",
    "price": "59000",
}  # fmt: skip


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    """Plain HTTP and WebSockets."""
    async with aiohttp.ClientSession() as opened:
        yield opened


def short_tape(path: Path, seconds: int, cut: int = 0) -> str:
    """The quiet market, but not for long, with the last bytes cut off."""
    with TapeWriter(path, quiet_instrument()) as writer:
        for event in quiet_events(seconds):
            writer.write(event)
    path.write_bytes(path.read_bytes()[: -cut or None])
    return str(path)


async def test_the_tapes_clock_is_public(alice: RawClient) -> None:
    """Who waits for tape time needs no key."""
    status, clock, _ = await alice.call("GET", "/sim/v1/clock")
    assert status == 200
    assert set(clock) == {"tape_ns", "tape_start_ns", "elapsed_tape_ns", "loops", "ended", "speed"}
    assert clock["tape_ns"] == clock["tape_start_ns"] + clock["elapsed_tape_ns"]
    assert (clock["loops"], clock["ended"], clock["speed"]) == (0, False, 1.0)


async def test_speed_compresses_the_tape_and_loops_go_on(start_venue: StartVenue, tmp_path: Path) -> None:
    """A one-second tape at ×100 is played over and over, with ids that only rise."""
    venue = await start_venue(tapes=[short_tape(tmp_path / "short.tape", 1)], speed=100.0)
    symbol = "BTC/USDT"
    first_id = venue.gateway.exchange.depth(symbol, 1)[0]
    reached = asyncio.Event()

    def watch(*_: Any) -> None:
        if venue.tape_clock().loops >= 2:
            reached.set()

    venue.gateway.listen(watch)
    async with asyncio.timeout(20):
        await reached.wait()
    assert venue.tape_clock().elapsed_tape_ns > 2 * NS_PER_S
    assert venue.gateway.exchange.depth(symbol, 1)[0] > first_id
    assert venue.gateway.exchange.depth(symbol, 1)[1][0][0] == BEST_BID


async def test_a_tape_without_loop_ends(start_venue: StartVenue, tmp_path: Path) -> None:
    """The market ends, the front still answers until it is stopped."""
    venue = await start_venue(tapes=[short_tape(tmp_path / "short.tape", 1)], speed=1_000.0, loop=False)
    async with asyncio.timeout(20):
        await venue.wait()
    assert venue.tape_clock().ended
    assert venue.tape_clock().elapsed_tape_ns == NS_PER_S


async def test_a_tape_that_is_cut_breaks_the_venue(start_venue: StartVenue, tmp_path: Path) -> None:
    """What is wrong with the tape is raised to whoever runs the venue."""
    path = short_tape(tmp_path / "cut.tape", 1, cut=20)
    venue = await start_venue(tapes=[path], speed=10.0)
    with pytest.raises(TapeCutError):
        await asyncio.wait_for(venue.wait(), 20)


async def test_the_generator_is_the_default_market(start_venue: StartVenue) -> None:
    """Without a tape there is a BTC/USDT book to trade on at once."""
    venue = await start_venue(tapes=[], maker_fee="-0.0001", taker_fee="0.0005")
    assert venue.symbols == ["BTC/USDT"]
    bid, ask = venue.gateway.exchange.top("BTC/USDT")
    assert bid is not None
    assert ask is not None
    assert bid[0] < ask[0]
    assert venue.gateway.grids["BTCUSDT"].instrument.maker_fee == Decimal("-0.0001")


@pytest.mark.parametrize("fee", ["much", "1.5", "NaN"])
def test_a_fee_is_a_fraction(fee: str) -> None:
    """Anything else is refused by name."""
    with pytest.raises(InvalidInputError, match="maker_fee"):
        with_fees(VenueConfig(maker_fee=fee), quiet_instrument())


async def test_opening_balances_are_those_of_the_config(start_venue: StartVenue) -> None:
    """Given ones are taken exactly, an empty map is the default."""
    venue = await start_venue(accounts={"small": {"USDT": "12.5"}, "default": {}})
    assert venue.gateway.exchange.balances("small") == {"USDT": (1_250_000_000, 0)}
    assert venue.gateway.exchange.balances("default") == {"BTC": (10**9, 0), "USDT": (10**14, 0)}


async def test_a_taken_port_is_one_sentence(venue: VenueServer, quiet_tape: Path) -> None:
    """It names the port and what to do."""
    second = VenueServer(VenueConfig(port=venue.address[1], tapes=[str(quiet_tape)]))
    with pytest.raises(PortTakenError, match="choose another port"):
        await second.start()


async def test_silence_cancels_orders(alice: RawClient) -> None:
    """The dead man's switch cancels when its countdown runs out, and not before it is taken away."""
    path = "/sim/v1/cancelAllOrdersAfter"
    await alice.place(**ORDER)
    status, body, _ = await alice.call("POST", path, signed=True, symbol="BTCUSDT", countdownTime=60_000)
    assert (status, body) == (200, {"symbol": "BTCUSDT", "countdownTime": "60000"})
    await alice.call("POST", path, signed=True, symbol="BTCUSDT", countdownTime=0)
    cancelled = asyncio.Event()

    def watch(published: list[Any], _: int) -> None:
        if any(getattr(change, "execution", "") == "CANCELED" for change in published):
            cancelled.set()

    alice.server.gateway.listen(watch)
    await alice.call("POST", path, signed=True, symbol="BTCUSDT", countdownTime=1)
    async with asyncio.timeout(20):
        await cancelled.wait()
    assert (await alice.call("GET", "/api/v3/openOrders", signed=True))[1] == []
    status, body, _ = await alice.call("POST", path, signed=True, symbol="BTCUSDT")
    assert (status, body["code"]) == (400, -1102)
    assert (await alice.call("POST", path, symbol="BTCUSDT", countdownTime=1))[0] == 400


async def test_faults_are_switched_while_running(alice: RawClient, session: aiohttp.ClientSession) -> None:
    """POST /sim/v1/faults replaces the rules; nonsense is refused and changes nothing."""
    url = f"{alice.server.rest_url}/sim/v1/faults"
    config = {"rules": [{"kind": "server_error", "match": "GET /api/v3/ping"}], "seed": 3}
    async with session.post(url, json=config) as response:
        assert response.status == 200
    status, body, _ = await alice.call("GET", "/api/v3/ping")
    assert (status, body["code"]) == (503, -1008)
    for wrong in ({"rules": [{"kind": "nonsense"}]}, {"rules": [{"kind": "drop", "rate": 7}]}):
        async with session.post(url, json=wrong) as response:
            assert response.status == 400
    assert (await alice.call("GET", "/sim/v1/faults"))[1]["seed"] == 3
    async with session.post(url, json={}) as response:
        assert response.status == 200
    assert (await alice.call("GET", "/api/v3/ping"))[0] == 200


@pytest.mark.parametrize(
    ("kind", "status", "number", "placed"),
    [
        (FaultKind.SERVER_ERROR, 503, -1008, 0),
        (FaultKind.SERVER_ERROR_AFTER, 504, -1007, 1),
        (FaultKind.TOO_MANY_REQUESTS, 429, -1003, 0),
        (FaultKind.BAN, 418, -1003, 0),
        (FaultKind.DELAY, 200, None, 1),
    ],
)
async def test_requests_fail_before_or_after_their_effect(
    alice: RawClient, kind: FaultKind, status: int, number: int | None, placed: int
) -> None:
    """The answer and the effect are independent, as they are on a real exchange's bad day."""
    gateway = alice.server.gateway
    rule = FaultRule(kind=kind, match="POST /api/v3/order", delay_ms=1)
    gateway.faults.reset(FaultConfig(rules=[rule]), gateway.now_ns())
    got, body, headers = await alice.call("POST", "/api/v3/order", signed=True, **ORDER)
    assert (got, body.get("code")) == (status, number)
    assert ("Retry-After" in headers) is (status in (418, 429))
    assert len(gateway.exchange.open_orders("alice")) == placed


@pytest.mark.parametrize(("kind", "placed"), [(FaultKind.TIMEOUT_BEFORE, 0), (FaultKind.TIMEOUT_AFTER, 1)])
async def test_requests_time_out_before_or_after_their_effect(
    alice: RawClient, kind: FaultKind, placed: int
) -> None:
    """The client waits in vain; whether its order lives it can only ask."""
    gateway = alice.server.gateway
    gateway.faults.reset(FaultConfig(rules=[FaultRule(kind=kind, match="POST *")]), gateway.now_ns())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await alice.call("POST", "/api/v3/order", signed=True, **ORDER)
    assert len(gateway.exchange.open_orders("alice")) == placed


async def test_a_skewed_clock_is_seen_by_clients(alice: RawClient) -> None:
    """ServerTime shows the skew, and requests stamped by the true clock are refused."""
    gateway = alice.server.gateway
    rule = FaultRule(kind=FaultKind.CLOCK_SKEW, delay_ms=60_000)
    gateway.faults.reset(FaultConfig(rules=[rule]), gateway.now_ns())
    _, body, _ = await alice.call("GET", "/api/v3/time")
    assert body["serverTime"] - gateway.now_ns() // 1_000_000 == pytest.approx(60_000, abs=5_000)
    assert (await alice.call("GET", "/api/v3/account", signed=True))[1]["code"] == -1021


async def test_latency_delays_but_loses_nothing(start_venue: StartVenue) -> None:
    """With a way in and a way out orders still arrive."""
    venue = await start_venue(latency=LatencyConfig(entry_ms=2, response_ms=1, jitter_ms=1.5))
    async with aiohttp.ClientSession() as session:
        client = RawClient(venue, session, venue.keys[0])
        placed = [await client.place(**ORDER) for _ in range(5)]
    assert [order["orderId"] for order in placed] == [1, 2, 3, 4, 5]


async def test_websocket_requests_travel_side_by_side(
    start_venue: StartVenue, session: aiohttp.ClientSession
) -> None:
    """A slow request does not hold up the next one on the same connection."""
    rules = [FaultRule(kind=FaultKind.DELAY, match="WS time", delay_ms=50)]
    venue = await start_venue(faults=FaultConfig(rules=rules))
    async with session.ws_connect(venue.ws_api_url) as api:
        await api.send_json({"id": "slow", "method": "time"})
        await api.send_json({"id": "quick", "method": "ping"})
        answers = [(await api.receive_json(timeout=20))["id"] for _ in range(2)]
    assert answers == ["quick", "slow"]


@pytest.mark.parametrize("speed", [1.0, 40.0])
async def test_published_changes_rebuild_the_book(
    start_venue: StartVenue, session: aiohttp.ClientSession, speed: float
) -> None:
    """On a lively tape with own orders in it, snapshot plus stream equal the venue's book."""
    tape = Path(__file__).parents[3] / "tapes" / "generated.tape.gz"
    venue = await start_venue(tapes=[str(tape)], speed=speed)
    client = RawClient(venue, session, venue.keys[0])
    bid, ask = venue.gateway.exchange.top("BTC/USDT")
    assert bid is not None
    assert ask is not None
    book: dict[str, dict[str, str]] = {"b": {}, "a": {}}
    last_id = 0
    async with session.ws_connect(f"{venue.ws_url}/btcusdt@depth@100ms") as stream:
        update = await stream.receive_json(timeout=20)
        _, snapshot, _ = await client.call("GET", "/api/v3/depth", symbol="BTCUSDT", limit=5_000)
        book = {"b": dict(snapshot["bids"]), "a": dict(snapshot["asks"])}
        last_id = snapshot["lastUpdateId"]
        for number in range(30):
            if number % 3 == 0:
                price = f"{(bid[0] - 10 * number) / 100:.2f}"
                await client.place(quantity="0.01", price=price)
            elif number % 3 == 1:
                await client.call("DELETE", "/api/v3/openOrders", signed=True, symbol="BTCUSDT")
            else:
                await client.place(type="MARKET", timeInForce=None, quantity="0.01")
            while update["u"] <= last_id:
                update = await stream.receive_json(timeout=20)
            assert update["U"] == last_id + 1 or (number == 0 and update["U"] <= last_id + 1)
            last_id = update["u"]
            for side in ("b", "a"):
                book[side] |= dict(update[side])
        now_id, bids, asks = venue.gateway.exchange.depth("BTC/USDT", 5_000)
        while last_id < now_id:
            update = await stream.receive_json(timeout=20)
            assert update["U"] == last_id + 1
            last_id = update["u"]
            for side in ("b", "a"):
                book[side] |= dict(update[side])
            now_id, bids, asks = venue.gateway.exchange.depth("BTC/USDT", 5_000)
    grid = venue.gateway.grids["BTCUSDT"]
    rebuilt = {side: {p: q for p, q in levels.items() if float(q)} for side, levels in book.items()}
    assert rebuilt == {"b": dict(grid.levels(bids)), "a": dict(grid.levels(asks))}


async def test_sockets_are_told_of_the_end(quiet_tape: Path, session: aiohttp.ClientSession) -> None:
    """ServerShutdown comes on the WebSocket API, then every connection is closed with 1001."""
    venue = VenueServer(VenueConfig(tapes=[str(quiet_tape)]))
    await venue.start()
    async with (
        session.ws_connect(venue.ws_api_url) as api,
        session.ws_connect(f"{venue.ws_url}/btcusdt@depth@100ms") as stream,
    ):
        depth = msgspec.json.decode(await stream.receive_str(timeout=20))
        assert depth["e"] == "depthUpdate"
        await api.send_json({"id": 1, "method": "ping"})
        assert (await api.receive_json(timeout=20))["status"] == 200
        stopping = asyncio.create_task(venue.stop())
        assert [message.json()["event"]["e"] async for message in api] == ["serverShutdown"]
        assert all([message.type is aiohttp.WSMsgType.TEXT async for message in stream])
        assert (api.close_code, stream.close_code) == (1001, 1001)
        await stopping


async def test_an_address_out_of_weight_gets_no_socket(
    start_venue: StartVenue, session: aiohttp.ClientSession
) -> None:
    """The handshake is answered with 429."""
    venue = await start_venue(limits=Limits(request_weight_1m=1))
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await session.ws_connect(venue.ws_api_url)
    assert refused.value.status == 429


async def test_binary_messages_are_passed_over(venue: VenueServer, session: aiohttp.ClientSession) -> None:
    """Only text is a request; the connection stays."""
    async with session.ws_connect(venue.ws_url) as stream:
        await stream.send_bytes(b"\x00")
        await stream.send_json({"method": "LIST_SUBSCRIPTIONS", "id": 1})
        assert await stream.receive_json(timeout=20) == {"result": [], "id": 1}


async def test_orders_of_one_process_and_of_clients_share_one_book(venue: VenueServer) -> None:
    """What is placed through the gateway is seen over HTTP."""
    order = NewOrder(
        symbol="BTC/USDT",
        client_order_id="inside",
        side=Side.BUY,
        kind=OrderKind.LIMIT,
        price_ticks=BEST_BID - 100,
        size_lots=1_000,
    )
    venue.gateway.place("bob", order, SelfTrade.EXPIRE_MAKER)
    async with aiohttp.ClientSession() as session:
        client = RawClient(venue, session, venue.keys[1])
        _, rows, _ = await client.call("GET", "/api/v3/openOrders", signed=True)
    assert [row["clientOrderId"] for row in rows] == ["inside"]
