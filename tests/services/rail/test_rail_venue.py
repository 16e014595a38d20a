"""Money between the rail and an account of the simulated exchange, through everything that goes wrong."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from front_desk import quiet_events, quiet_instrument
from mrmarket.core.side import Side
from mrmarket.money.payouts.port import SendReport, SendRequest, SendState
from mrmarket.services.rail.client import RailClient
from mrmarket.services.rail.config import VenueLink
from mrmarket.services.rail.funding import RailVenueFunding
from mrmarket.services.rail.server import RailServer
from mrmarket.trading.market.tape import TapeWriter
from mrmarket.trading.venue.front.config import VenueConfig
from mrmarket.trading.venue.front.faults import FaultConfig, FaultKind, FaultRule
from mrmarket.trading.venue.front.server import VenueServer
from mrmarket.trading.venue.port import NewOrder, OrderKind
from mrmarket.trading.venue.simulated.records import SelfTrade
from rail_conformance import FINAL, Follower, insist, until
from services.rail.conftest import StartRail
from services.rail.rail_bench import SimulatedBench

WHOLE = 10**8
OPENING = 1_000_000 * WHOLE
VenueStart = Callable[..., Awaitable[VenueServer]]


@pytest.fixture(scope="module")
def quiet_tape(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A market in which nothing fills."""
    path = tmp_path_factory.mktemp("tapes") / "quiet.tape.gz"
    with TapeWriter(path, quiet_instrument()) as writer:
        for event in quiet_events():
            writer.write(event)
    return path


@pytest.fixture
async def start_venue(quiet_tape: Path, tmp_path: Path) -> AsyncIterator[VenueStart]:
    """Start a venue on one folder; `stop` of what it gives may be called before the end."""
    async with AsyncExitStack() as stack:

        async def start(**settings: Any) -> VenueServer:
            config = VenueConfig(tapes=[str(quiet_tape)], state_dir=str(tmp_path / "venue"), **settings)
            server = VenueServer(config)
            await server.start()
            stack.push_async_callback(_stop_once, server)
            return server

        yield start


async def _stop_once(server: VenueServer) -> None:
    if server._memory._store is not None:
        await server.stop()


class Passage:
    """A rail with a funded treasury, a venue, and the clients of both directions."""

    def __init__(self, rail: RailServer, venue: VenueServer) -> None:
        self.rail = rail
        self.venue = venue
        self.client = RailClient(rail.endpoints)
        self.funding = RailVenueFunding(rail.endpoints)

    async def open(self, treasury_units: int) -> None:
        """Link both and fill the treasury."""
        await self.link(self.venue)
        bench = SimulatedBench(self.rail.endpoints)
        await bench.fund_platform(treasury_units)
        await bench.close()

    async def link(self, venue: VenueServer) -> None:
        """Tell the rail where the venue is now."""
        self.venue = venue
        await self.client.link_venue(VenueLink(url=venue.rest_url, token=venue.funding_token))

    async def deposit(self, key: str, units: int, code: str = "USDT") -> SendReport:
        """Send from the treasury into the trading account and wait for its end."""
        target = await self.funding.deposit_address(code)
        return await insist(self.client, SendRequest(key, code, units, target, "move:1"))

    async def withdraw(self, key: str, units: int) -> SendReport:
        """Take out of the trading account (18 decimals there) and wait for its end."""
        await self.funding.withdraw(key, "USDT", units * 10**10, 18, self.rail.world.treasury, "move:2")
        return await until(lambda: self.funding.find(key), lambda report: report.state in FINAL)

    def traded(self, asset: str = "USDT") -> tuple[int, int]:
        """(free, locked) of the trading account."""
        return self.venue.gateway.exchange.balances("default")[asset]

    async def close(self) -> None:
        """Hang up."""
        await self.client.close()
        await self.funding.close()


@pytest.fixture
async def passage(start_rail: StartRail, start_venue: VenueStart) -> AsyncIterator[Passage]:
    """A calm passage with 900 units in the treasury."""
    passage = Passage(await start_rail(venue_timeout_ms=300), await start_venue())
    await passage.open(900)
    yield passage
    await passage.close()


async def test_a_deposit_is_confirmed_once_the_venue_has_it(passage: Passage) -> None:
    """The treasury is short, the trading account richer, by the same amount, once."""
    report = await passage.deposit("d-1", 400)
    assert (report.state, report.fee_units) == (SendState.CONFIRMED, 0)
    assert passage.traded() == (OPENING + 400, 0)
    assert await passage.client.balances() == {"USDT": 500, "BTC": 0, "ETH": 0}
    assert (await passage.deposit("d-1", 400)).reference == report.reference
    assert passage.traded() == (OPENING + 400, 0)


async def test_a_withdrawal_arrives_with_its_memo(passage: Passage) -> None:
    """From the free balance to the treasury, told by the feed as a payment of the venue."""
    report = await passage.withdraw("w-1", 250)
    assert report.state is SendState.CONFIRMED
    assert passage.traded() == (OPENING - 250, 0)
    follower = Follower(passage.client)
    await until(follower.read, lambda latest: report.reference in latest)
    update = follower.latest[report.reference]
    assert (update.sender, update.memo, update.units) == ("venue:default", "move:2", 250)
    assert (await passage.client.balances())["USDT"] == 1_150
    assert passage.client.valid_destination(update.sender) == update.sender


async def test_a_withdrawal_of_what_orders_hold_is_refused(passage: Passage) -> None:
    """With the venue's reason; nothing leaves, nothing comes, and the key stays refused."""
    order = NewOrder(
        symbol="BTC/USDT",
        client_order_id="big",
        side=Side.BUY,
        kind=OrderKind.LIMIT,
        price_ticks=5_900_000,
        size_lots=1_500_000,
    )
    passage.venue.gateway.place("default", order, SelfTrade.EXPIRE_MAKER)
    free, locked = passage.traded()
    report = await passage.withdraw("w-1", free + 1)
    assert report.state is SendState.REFUSED
    assert "insufficient balance" in report.reason
    passage.venue.gateway.cancel("default", "BTC/USDT", 0, "big", "c")
    assert (await passage.withdraw("w-1", free + 1)).state is SendState.REFUSED
    assert passage.traded() == (free + locked, 0)
    assert (await passage.client.balances())["USDT"] == 900


async def test_an_asset_that_the_venue_does_not_trade_comes_back(passage: Passage) -> None:
    """ETH leaves the treasury and is there again once the venue has said no."""
    bench = SimulatedBench(passage.rail.endpoints)
    bench.code = "ETH"
    await bench.fund_platform(100)
    report = await passage.deposit("d-1", 60, "ETH")
    assert (report.state, report.reason.startswith("venue -9001")) == (SendState.REFUSED, True)
    assert (await passage.client.balances())["ETH"] == 100
    await bench.close()


@pytest.mark.parametrize(
    "kind",
    [
        FaultKind.TIMEOUT_BEFORE,
        FaultKind.TIMEOUT_AFTER,
        FaultKind.SERVER_ERROR,
        FaultKind.SERVER_ERROR_AFTER,
        FaultKind.TOO_MANY_REQUESTS,
        FaultKind.BAN,
    ],
)
async def test_the_venues_lost_answers_move_nothing_twice(passage: Passage, kind: FaultKind) -> None:
    """Credit and debit are asked again under the same id until the venue has answered."""
    rule = FaultRule(kind=kind, match="POST /sim/v1/*", times=2, retry_after_s=0)
    passage.venue.gateway.faults.reset(FaultConfig(rules=[rule]), passage.venue.gateway.now_ns())
    deposit = await passage.deposit("d-1", 400)
    withdrawal = await passage.withdraw("w-1", 150)
    assert (deposit.state, withdrawal.state) == (SendState.CONFIRMED, SendState.CONFIRMED)
    assert passage.traded() == (OPENING + 250, 0)
    assert passage.venue.gateway.faults.report().struck == [2]
    assert (await passage.client.balances())["USDT"] == 650


async def test_a_wrong_token_is_nobodys_refusal(passage: Passage) -> None:
    """The payment waits until the link is right; a misconfiguration refunds and loses nothing."""
    right = passage.venue.funding_token
    await passage.client.link_venue(VenueLink(url=passage.venue.rest_url, token="wrong"))
    target = await passage.funding.deposit_address("USDT")
    await passage.client.send(SendRequest("d-1", "USDT", 400, target, ""))
    await until(lambda: passage.client.find("d-1"), lambda report: report.state is SendState.SENT)
    assert passage.traded() == (OPENING, 0)
    await passage.client.link_venue(VenueLink(url=passage.venue.rest_url, token=right))
    assert (await passage.deposit("d-1", 400)).state is SendState.CONFIRMED
    assert passage.traded() == (OPENING + 400, 0)


async def test_payments_wait_for_a_venue_that_is_down(start_rail: StartRail, start_venue: VenueStart) -> None:
    """Stopped before the credit and started elsewhere: the rail is told where, and the credit comes once."""
    passage = Passage(await start_rail(venue_timeout_ms=300), await start_venue())
    await passage.open(900)
    await passage.deposit("d-0", 100)
    await passage.venue.stop()
    target = await passage.funding.deposit_address("USDT")
    await passage.client.send(SendRequest("d-1", "USDT", 400, target, ""))
    asked = await passage.funding.withdraw("w-1", "USDT", 50, 8, passage.rail.world.treasury, "m")
    assert asked.state is SendState.SENDING
    await until(lambda: passage.client.find("d-1"), lambda report: report.state is SendState.SENT)
    await passage.link(await start_venue())
    assert (await passage.deposit("d-1", 400)).state is SendState.CONFIRMED
    await until(lambda: passage.funding.find("w-1"), lambda report: report.state is SendState.CONFIRMED)
    assert passage.traded() == (OPENING + 450, 0)
    await passage.close()
