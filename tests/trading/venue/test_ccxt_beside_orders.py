"""What a venue offers beside orders: transfers, rights, a sweep, a dead man's switch, and the last look."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest

from front_desk import BEST_BID, RawClient, quiet_events, quiet_instrument
from loopback_exchange import Follower
from mrmarket.core.clock import NS_PER_MS, NS_PER_S, SystemClock
from mrmarket.core.side import Side
from mrmarket.trading.market.tape import TapeWriter
from mrmarket.trading.venue.ccxt_adapter import CcxtVenue, CcxtVenueConfig, VenueUrls
from mrmarket.trading.venue.ccxt_adapter.clock_offset import ClockKeeper, patiently
from mrmarket.trading.venue.ccxt_adapter.dialects.bybit import BybitDialect
from mrmarket.trading.venue.ccxt_adapter.dialects.generic import Dialect
from mrmarket.trading.venue.ccxt_adapter.dialects.okx import OkxDialect
from mrmarket.trading.venue.ccxt_adapter.faults import (
    ClockSkewError,
    ClockUntrustedError,
    MalformedAnswerError,
)
from mrmarket.trading.venue.ccxt_adapter.reports import ReportReader
from mrmarket.trading.venue.front.config import VenueConfig
from mrmarket.trading.venue.front.faults import FaultConfig, FaultKind, FaultRule
from mrmarket.trading.venue.front.rest_simulation import DEAD_MAN_PATH
from mrmarket.trading.venue.front.server import VenueServer
from mrmarket.trading.venue.front.signature import ApiKey
from mrmarket.trading.venue.port import (
    AuthenticationRefusedError,
    CancelsAll,
    Capability,
    KeyPermissions,
    NewOrder,
    NotSentError,
    OrderKind,
    OrderReport,
    OrderStatus,
    StreamState,
    TransferReport,
    UnknownOrderError,
    UserEvent,
    VenueError,
    VenueUnavailableError,
    send_permit,
)

PAIR = "BTC/USDT"


@pytest.fixture(scope="module")
def tape(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The quiet market as a file."""
    path = tmp_path_factory.mktemp("tapes") / "quiet.tape.gz"
    with TapeWriter(path, quiet_instrument()) as writer:
        for event in quiet_events():
            writer.write(event)
    return path


class Place:
    """A venue with one account, and adapters for its keys."""

    def __init__(self, tape: Path, stack: AsyncExitStack) -> None:
        self._tape = tape
        self._stack = stack

    async def start(self, *rules: FaultRule) -> VenueServer:
        """Start the venue."""
        faults = FaultConfig(rules=list(rules))
        self.server = VenueServer(VenueConfig(tapes=[str(self._tape)], faults=faults))
        await self.server.start()
        self._stack.push_async_callback(self.server.stop)
        return self.server

    async def adapter(self, key: ApiKey | None = None, **more: Any) -> CcxtVenue:
        """Open the adapter for a key."""
        chosen, server = key or self.server.keys[0], self.server
        config = {
            "name": "simulated",
            "symbols": (PAIR,),
            "api_key": chosen.key,
            "secret": chosen.secret,
            "dead_man_path": DEAD_MAN_PATH,
            "urls": VenueUrls(rest=server.rest_url, ws=server.ws_url, ws_api=server.ws_api_url),
        }
        venue = CcxtVenue(CcxtVenueConfig(**{**config, **more}), SystemClock(), random=lambda: 0.0)
        self._stack.push_async_callback(venue.close)
        await venue.open()
        return venue

    async def fund(self, what: str, name: str, amount: str) -> None:
        """Move USDT from or to the outside, as the payment network does."""
        async with aiohttp.ClientSession() as session:
            treasurer = ApiKey(account="", key=self.server.funding_token, secret="")
            client = RawClient(self.server, session, treasurer)
            fields: dict[str, Any] = {
                "transferId": name,
                "account": "default",
                "asset": "USDT",
                "amount": amount,
            }
            status, body, _ = await client.call("POST", f"/sim/v1/{what}", **fields)
            assert status == 200, body


@pytest.fixture
async def place(tape: Path) -> AsyncIterator[Place]:
    """A venue to be started; everything is closed at the end."""
    async with AsyncExitStack() as stack:
        yield Place(tape, stack)


def _is_cancelled(event: UserEvent) -> bool:
    return isinstance(event, OrderReport) and event.status is OrderStatus.CANCELLED


def bid(name: str, below: int = 100) -> NewOrder:
    """A bid of 0.01 below the best one."""
    return NewOrder(
        symbol=PAIR,
        client_order_id=name,
        side=Side.BUY,
        kind=OrderKind.LIMIT,
        price_ticks=BEST_BID - below,
        size_lots=1_000,
    )


async def test_transfers_are_the_venues_own_list(place: Place) -> None:
    """Deposits positive, withdrawals negative, oldest first, from the time on that was asked for."""
    await place.start()
    venue = await place.adapter()
    assert Capability.TRANSFERS in venue.capabilities
    before_ns = SystemClock().now_ns()
    assert await venue.transfers_since(0) == []
    await place.fund("credit", "a-1", "12.5")
    await place.fund("debit", "a-2", "2.5")
    found = {report.transfer_id: report for report in await venue.transfers_since(before_ns)}
    assert {name: report.amount for name, report in found.items()} == {"in:a-1": "12.5", "out:a-2": "-2.5"}
    assert {report.asset for report in found.values()} == {"USDT"}
    assert await venue.transfers_since(before_ns + 3600 * NS_PER_S) == []


async def test_long_lists_come_page_by_page(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than one page is read to its end."""
    await place.start()
    venue = await place.adapter()
    monkeypatch.setattr(type(venue._dialect), "transfers_page", 2)
    for number in range(5):
        await place.fund("credit", f"a-{number}", "1")
    assert len(await venue.transfers_since(0)) == 5


async def test_each_key_says_what_it_may_do(place: Place) -> None:
    """The trading key trades and cannot withdraw; the Angel's cannot trade, yet it cancels."""
    server = await place.start()
    trader, angel = await place.adapter(), await place.adapter(server.angel_keys[0])
    rights = KeyPermissions(read=True, trade=True, withdraw=False, ip_restricted=True)
    assert await trader.permissions() == rights
    assert (await angel.permissions()).trade is False
    await trader.place(bid("mm-1"))
    with pytest.raises(AuthenticationRefusedError):
        await angel.place(bid("mm-2"))
    assert (await angel.cancel(PAIR, "mm-1", "")).status is OrderStatus.CANCELLED
    assert await angel.open_orders(PAIR) == []


async def test_a_sweep_is_one_request(place: Place) -> None:
    """Every order of the pair goes at once and is named; with none left the venue says so."""
    server = await place.start()
    venue = await place.adapter()
    assert isinstance(venue, CancelsAll)
    for number in range(12):
        await venue.place(bid(f"mm-{number}", 100 + number))
    gone = await venue.cancel_all(PAIR)
    assert {report.client_order_id for report in gone} == {f"mm-{number}" for number in range(12)}
    assert {report.status for report in gone} == {OrderStatus.CANCELLED}
    assert server.gateway.exchange.open_orders("default") == []
    with pytest.raises(VenueError) as none:
        await venue.cancel_all(PAIR)
    assert isinstance(none.value, UnknownOrderError)


async def test_the_switch_fires_unless_refreshed(place: Place) -> None:
    """A countdown that runs out cancels; one that is taken away does not."""
    server = await place.start()
    venue = await place.adapter()
    assert Capability.DEAD_MAN_SWITCH in venue.capabilities
    await venue.place(bid("mm-1"))
    await venue.cancel_all_after(PAIR, 60)
    await venue.cancel_all_after(PAIR, 0)
    assert server._dead_man.next_due_ns() is None
    stream = Follower(venue.user_events())
    await stream.until(lambda seen: StreamState(connected=True) in seen)
    await venue.cancel_all_after(PAIR, 0.05)
    await stream.until(lambda seen: any(_is_cancelled(event) for event in seen))
    assert (await venue.query(PAIR, "mm-1", "")).status is OrderStatus.CANCELLED


async def test_a_venue_without_a_switch_says_so(place: Place) -> None:
    """Binance's own spot market has none: no capability, and an error instead of a silent promise."""
    await place.start()
    venue = await place.adapter(dead_man_path="")
    assert Capability.DEAD_MAN_SWITCH not in venue.capabilities
    with pytest.raises(VenueError, match="has none"):
        await venue.cancel_all_after(PAIR, 30)


async def test_without_a_key_nothing_is_offered(place: Place) -> None:
    """A public feed has no account to sweep, arm or read."""
    await place.start()
    feed = await place.adapter(public_only=True)
    assert feed.capabilities == frozenset()
    with pytest.raises(VenueError, match="does not list them"):
        await feed.transfers_since(0)


async def test_a_permit_that_lapses_on_the_way_keeps_the_order_here(place: Place) -> None:
    """Asked at the hand-over to the socket, after every wait: no request arrives, and it is no doubt."""
    server = await place.start()
    venue = await place.adapter()
    answers = [True, False]
    token = send_permit.set(lambda: answers.pop(0))
    try:
        await venue.place(bid("mm-1"))
        with pytest.raises(NotSentError):
            await venue.place(bid("mm-2"))
        assert (await venue.cancel(PAIR, "mm-1", "")).status is OrderStatus.CANCELLED
    finally:
        send_permit.reset(token)
    (only,) = server.gateway.exchange.all_orders("default", PAIR)
    assert only.client_order_id == "mm-1"


async def test_a_clock_that_cannot_be_trusted_places_nothing(place: Place) -> None:
    """The order is refused before it is sent; cancels and reads go on, and one good measurement ends it."""
    server = await place.start()
    venue = await place.adapter()
    await venue.place(bid("mm-1"))
    venue._clocks.trusted = False
    with pytest.raises(ClockUntrustedError):
        await venue.place(bid("mm-2"))
    assert (await venue.cancel(PAIR, "mm-1", "")).status is OrderStatus.CANCELLED
    assert len(server.gateway.exchange.all_orders("default", PAIR)) == 1
    await venue._clocks.measure()
    assert venue.clock_trusted
    await venue.place(bid("mm-3"))


async def test_a_stamp_that_stays_wrong_is_a_refusal(place: Place) -> None:
    """-1021 measures the clock again and repeats once; a second -1021 means that the order does not live."""
    server = await place.start()
    venue = await place.adapter()

    async def unchanged() -> None:
        """As if the correction did not help."""

    venue._correct_clock = unchanged  # type: ignore[method-assign]  # what a drifting clock looks like
    venue._taps.offset_ms = -60_000
    with pytest.raises(ClockUntrustedError):
        await venue.place(bid("mm-1"))
    assert server.gateway.exchange.all_orders("default", PAIR) == []


async def test_a_start_outlives_bad_reads(place: Place) -> None:
    """Half of all reads answered with 503: opening takes longer and succeeds."""
    rule = FaultRule(kind=FaultKind.SERVER_ERROR, match="GET *", rate=0.5)
    await place.start(rule)
    venue = await place.adapter()
    assert venue.instrument(PAIR).symbol == PAIR


async def test_patience_has_an_end() -> None:
    """A venue that never answers is reported, not waited for for ever."""
    asked = 0

    async def dead() -> int:
        nonlocal asked
        asked += 1
        raise VenueUnavailableError("dead", "read", "connection refused")

    with pytest.raises(VenueUnavailableError):
        await patiently(dead)
    assert asked == 8


async def test_clocks_far_apart_are_noticed_and_forgiven() -> None:
    """A residual above 1 s ends the trust, the next good measurement restores it and sets the offset."""
    jumps = [0] * 5 + [90_000_000] + [5_000] * 6
    offsets: list[int] = []

    async def server_time() -> int:
        return SystemClock().now_ns() // NS_PER_MS + jumps.pop(0)

    keeper = ClockKeeper("venue", SystemClock(), server_time, offsets.append)
    with pytest.raises(ClockSkewError):
        await keeper.measure()
    assert (keeper.trusted, offsets) == (False, [])
    await keeper.measure()
    assert (keeper.trusted, len(offsets)) == (True, 1)
    assert abs(offsets[0] - 5_000) < 1_000


async def test_an_order_on_okx_carries_its_deadline() -> None:
    """`expTime` does for OKX what recvWindow does elsewhere; other dialects send no header."""
    assert OkxDialect().order_headers(1_700_000_002_000) == {"expTime": "1700000002000"}
    assert Dialect().order_headers(5) == {}


class Client:
    """A stand-in for ccxt's exchange that answers with one structure."""

    def __init__(self, answer: Any = None, *, name: str = "okx", **has: Any) -> None:
        self.id = name
        self.has = has
        self.answer = answer
        self.asked: list[Any] = []

    async def __call__(self, *asked: Any) -> Any:
        """Note what was asked."""
        self.asked.append(asked)
        return self.answer

    private_get_account_config = private_get_v5_user_query_api = __call__
    cancel_all_orders_after = cancel_all_orders = fetch_deposits = fetch_withdrawals = __call__


@pytest.mark.parametrize(
    ("answer", "rights"),
    [
        (
            {"data": [{"perm": "read_only,trade", "ip": "1.2.3.4"}]},
            KeyPermissions(read=True, trade=True, withdraw=False, ip_restricted=True),
        ),
        (
            {"data": [{"perm": "read_only,withdraw", "ip": ""}]},
            KeyPermissions(read=True, trade=False, withdraw=True, ip_restricted=False),
        ),
        ({"data": []}, KeyPermissions()),
        ({"data": [{"uid": "1"}]}, KeyPermissions()),
    ],
)
async def test_rights_on_okx(answer: Any, rights: KeyPermissions) -> None:
    """`perm` of `account/config`; what is not told stays unknown."""
    assert await OkxDialect().permissions(Client(answer)) == rights


@pytest.mark.parametrize(
    ("result", "rights"),
    [
        (
            {"permissions": {"Spot": ["SpotTrade"], "Wallet": []}, "readOnly": 0, "ips": ["1.2.3.4"]},
            KeyPermissions(read=True, trade=True, withdraw=False, ip_restricted=True),
        ),
        (
            {"permissions": {"Spot": ["SpotTrade"], "Wallet": ["Withdraw"]}, "readOnly": 1, "ips": ["*"]},
            KeyPermissions(read=True, trade=False, withdraw=True, ip_restricted=False),
        ),
        ({}, KeyPermissions()),
    ],
)
async def test_rights_on_bybit(result: Any, rights: KeyPermissions) -> None:
    """`permissions`, `readOnly` and `ips` of `query-api`."""
    assert await BybitDialect().permissions(Client({"result": result})) == rights


async def test_any_other_exchange_offers_what_ccxt_says() -> None:
    """Capabilities follow `has`; a switch that no call refreshes does not count."""
    everything: dict[str, Any] = {
        "cancelAllOrdersAfter": True,
        "fetchDeposits": True,
        "fetchWithdrawals": True,
        "cancelAllOrders": True,
    }
    assert Dialect().capabilities(Client(**everything)) == frozenset(Capability)
    assert Dialect().capabilities(Client(fetchDeposits=True)) == frozenset()
    assert Capability.DEAD_MAN_SWITCH not in BybitDialect().capabilities(Client(**everything))
    assert await Dialect().permissions(Client()) == KeyPermissions()


async def test_the_unified_calls_of_a_switch_and_a_sweep() -> None:
    """Milliseconds go out, the pair where the exchange wants it; answers that name no order yield none."""
    kraken, whitebit = Client(name="kraken"), Client(name="whitebit")
    await Dialect().cancel_all_after(kraken, PAIR, 30_000)
    await Dialect().cancel_all_after(whitebit, PAIR, 30_000)
    assert (kraken.asked, whitebit.asked) == ([(30_000, {})], [(30_000, {"symbol": PAIR})])
    named = {"id": "1", "symbol": PAIR}
    assert await Dialect().cancel_all(Client([named, {"info": {}}]), PAIR) == [named]
    assert await Dialect().cancel_all(Client({"code": 200}), PAIR) == []
    assert await Dialect().transfers(Client([named]), 5) == [named, named]


def transfer(**changes: Any) -> dict[str, Any]:
    """A unified transaction of ccxt."""
    base = {"id": "7", "type": "deposit", "status": "ok", "currency": "USDT", "amount": "5", "timestamp": 3}
    return {**base, **changes}


def test_a_transfer_counts_once_it_has_moved_money() -> None:
    """A deposit when it is credited; a withdrawal from its start on, with its fee, unless it failed."""
    reader = ReportReader("venue", Dialect(), lambda _: None)
    assert reader.transfer(transfer()) == TransferReport(
        transfer_id="in:7", asset="USDT", amount="5", venue_ns=3 * NS_PER_MS
    )
    assert reader.transfer(transfer(status="pending")) is None
    out = transfer(type="withdrawal", status="pending", fee={"currency": "USDT", "cost": "0.5"})
    report = reader.transfer(out)
    assert report is not None
    assert (report.transfer_id, Decimal(report.amount)) == ("out:7", Decimal("-5.5"))
    assert reader.transfer(transfer(type="withdrawal", status="failed")) is None
    assert reader.transfer(transfer(type="withdrawal", fee={"currency": "BNB", "cost": "1"})) is not None
    with pytest.raises(MalformedAnswerError):
        reader.transfer(transfer(amount=None))
    with pytest.raises(MalformedAnswerError):
        reader.transfer(SimpleNamespace(get=transfer(id=None).get))  # type: ignore[arg-type]  # a mapping by its get
