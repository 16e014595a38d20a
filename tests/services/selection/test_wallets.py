"""Accounts that money is moved between: one effect a key, and no answer is no proof."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest
from aiohttp import web

from fake_venue import FakeFeed
from mrmarket.core.clock import ManualClock
from mrmarket.services.rail.config import VenueLink
from mrmarket.services.selection.wallets import ExchangeWallet, PaperWallet
from mrmarket.trading.strategy.rebalance.port import TransferRefusedError, TransferUnknownError
from mrmarket.trading.venue.paper import PaperVenue
from mrmarket.trading.venue.simulated.exchange import SimulatedExchange


class Treasury:
    """The exchange's calls for deposits and withdrawals; `broken` answers everything with that."""

    def __init__(self) -> None:
        self.made: dict[str, dict[str, str]] = {}
        self.broken: tuple[int, bytes] | None = None
        self.runner: web.AppRunner | None = None

    async def open(self) -> str:
        """Its address."""
        app = web.Application()
        app.router.add_post("/sim/v1/{what}", self.move)
        app.router.add_get("/sim/v1/transfer", self.find)
        self.runner = web.AppRunner(app)
        await self.runner.setup()
        site = web.TCPSite(self.runner, "127.0.0.1", 0)
        await site.start()
        host, port = self.runner.addresses[0][:2]
        return f"http://{host}:{port}"

    async def move(self, request: web.Request) -> web.Response:
        """Once an id."""
        assert request.headers["X-MBX-APIKEY"] == "token"
        if self.broken is not None:
            return web.Response(status=self.broken[0], body=self.broken[1])
        asked: dict[str, Any] = {"what": request.match_info["what"], **request.query}
        self.made.setdefault(asked["transferId"], asked)
        return web.json_response({})

    async def find(self, request: web.Request) -> web.Response:
        """Whether it was made."""
        if self.broken is not None:
            return web.Response(status=self.broken[0], body=self.broken[1])
        if request.query["transferId"] in self.made:
            return web.json_response({"time": 1})
        return web.json_response({"code": -9003, "msg": "never made"}, status=400)


@pytest.fixture
async def treasury() -> AsyncIterator[tuple[Treasury, ExchangeWallet]]:
    """A treasury and a wallet of the account `arb` there, with a tenth of a bitcoin free."""
    made = Treasury()
    link = VenueLink(url=await made.open(), token="token", account="arb")
    held = {"BTC": Decimal("0.1")}
    yield made, ExchangeWallet(link, held.get, patience_s=30.0)
    assert made.runner is not None
    await made.runner.cleanup()


async def test_the_exchange_is_asked_in_its_own_words(treasury: tuple[Treasury, ExchangeWallet]) -> None:
    """A credit, a debit with the same words twice, and what was never made."""
    made, wallet = treasury
    await wallet.move("k:in", "BTC", 5_000_000)
    for _ in range(2):
        await wallet.move("k:out", "BTC", -1)
    what = [(each["what"], each["account"], each["asset"], each["amount"]) for each in made.made.values()]
    assert what == [("credit", "arb", "BTC", "0.05"), ("debit", "arb", "BTC", "0.00000001")]
    assert await wallet.has_moved("k:in")
    assert not await wallet.has_moved("other")
    assert await wallet.held("BTC") == 10_000_000
    with pytest.raises(TransferUnknownError, match="not known"):
        await wallet.held("USDT")


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (400, b'{"code": -2010, "msg": "too little is free"}', TransferRefusedError),
        (409, b'{"code": -9004, "msg": "another one"}', TransferRefusedError),
        (400, b"<html>", TransferUnknownError),
        (500, b'{"code": -1000, "msg": "busy"}', TransferUnknownError),
    ],
)
async def test_only_what_the_exchange_has_understood_is_a_no(
    treasury: tuple[Treasury, ExchangeWallet], status: int, body: bytes, error: type[Exception]
) -> None:
    """Anything else may have had its effect, and says nothing of what was made."""
    made, wallet = treasury
    made.broken = (status, body)
    with pytest.raises(error):
        await wallet.move("k", "BTC", 1)
    with pytest.raises(TransferUnknownError):
        await wallet.has_moved("k")


async def test_nobody_at_the_door_is_no_answer() -> None:
    """A connection that is refused proves nothing."""
    link = VenueLink(url="http://127.0.0.1:9", token="token", account="arb")
    wallet = ExchangeWallet(link, lambda _: None)
    with pytest.raises(TransferUnknownError, match="no answer"):
        await wallet.move("k", "BTC", 1)


async def test_paper_money_moves_once_and_is_listed() -> None:
    """The venue's own list explains every change of the balance; too much is refused."""
    clock = ManualClock()
    venue = PaperVenue(FakeFeed([]), SimulatedExchange(), clock, account="arb", opening={"BTC": 10})
    venue.instrument("BTC/USDT")
    wallet = PaperWallet(venue, lambda _: Decimal(1))
    before_ns = clock.now_ns()
    for _ in range(2):
        await wallet.move("k:in", "BTC", 5)
    await wallet.move("k:out", "BTC", -15)
    assert await wallet.has_moved("k:in")
    assert not await wallet.has_moved("other")
    assert await venue.balances() == []
    with pytest.raises(TransferRefusedError):
        await wallet.move("more", "BTC", -1)
    listed = await venue.transfers_since(before_ns)
    assert [(each.transfer_id, each.asset, each.amount) for each in listed] == [
        ("k:in", "BTC", "0.00000005"),
        ("k:out", "BTC", "-0.00000015"),
    ]
    assert await venue.transfers_since(before_ns + 1) == []
    assert await wallet.held("BTC") == 100_000_000
