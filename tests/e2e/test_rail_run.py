"""Money comes into the trading account and leaves it while the strategy quotes: trading is not disturbed."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from e2e.loopback_venue import LoopbackVenue, start_venue
from fake_exchange import MemoryJournal
from mrmarket.core.clock import NS_PER_S, ScaledClock, SystemClock
from mrmarket.core.events import BalanceObserved, Filled, OrderDoubted, OrderRejected, RunStateChanged
from mrmarket.core.side import Side
from mrmarket.money.payouts.port import SendReport, SendRequest, SendState
from mrmarket.services.rail.client import RailClient
from mrmarket.services.rail.config import RailConfig, VenueLink
from mrmarket.services.rail.funding import RailVenueFunding
from mrmarket.services.rail.process import RailProcess
from mrmarket.services.rail.wallet_client import WalletClient
from mrmarket.trading.strategy.observer import RunState
from mrmarket.trading.strategy.parameters import Parameters
from mrmarket.trading.strategy.pure_market_making import PureMarketMaking
from mrmarket.trading.strategy.run import StrategyRun
from mrmarket.trading.venue.ccxt_adapter import CcxtVenue, CcxtVenueConfig, VenueUrls
from rail_conformance import FINAL, insist, until

pytestmark = pytest.mark.e2e

PAIR = "BTC/USDT"
SPEED = 20.0
WHOLE = 10**8
WALLET = "0x" + "cd" * 20


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoopbackVenue]:
    """The simulated exchange as a process, its market running twenty times as fast as time."""
    venue = start_venue(tmp_path_factory.mktemp("venue"), SPEED)
    yield venue
    venue.end()


class Show:
    """A strategy at work on the exchange, and a rail whose money flows in and out beneath it."""

    def __init__(self, market: LoopbackVenue, folder: Path) -> None:
        self.market = market
        self.journal = MemoryJournal()
        self.process = RailProcess(RailConfig(state_dir=str(folder / "rail"), seen_ms=20, block_ms=20))
        ready = market.ready
        self.venue = CcxtVenue(
            CcxtVenueConfig(
                exchange="binance",
                name="simulated",
                symbols=(PAIR,),
                api_key=ready["api_key"],
                secret=ready["api_secret"],
                urls=VenueUrls(rest=ready["rest"], ws=ready["ws"], ws_api=ready["ws_api"]),
            ),
            SystemClock(),
        )

    async def start(self, **strategy: str | int) -> None:
        """Open everything and wait for quotes on both sides."""
        told = await self.process.start()
        self.rail, self.funding, self.wallets = (
            RailClient(told),
            RailVenueFunding(told),
            WalletClient(told),
        )
        await self.rail.link_venue(
            VenueLink(url=self.market.ready["rest"], token=self.market.ready["funding_token"])
        )
        self.market.clear()
        self.before = self.totals()
        self.known_trades = self.market.clear()
        await self.venue.open()
        table = {"pair": PAIR, "order_refresh_time": 0.2, "order_refresh_tolerance": "0", **strategy}
        self.run = StrategyRun(
            self.venue,
            PureMarketMaking(msgspec.convert(table, Parameters, strict=False)),
            self.journal,
            instance=str(uuid.uuid4()),
            stream="simulated.BTCUSDT",
            wall=SystemClock(),
            world=ScaledClock(SystemClock(), SPEED),
            balances_every_ns=NS_PER_S // 5,
        )
        await self.run.start()
        await self.holds(self.quotes_both)
        self.begun = len(self.journal.facts)

    async def end(self) -> None:
        """Stop what was started."""
        if hasattr(self, "run") and self.run.state is RunState.RUNNING:
            await self.run.stop()
        await self.venue.close()
        for client in (self.rail, self.funding, self.wallets):
            await client.close()
        await self.process.stop()

    def quotes_both(self) -> bool:
        """Whether orders stand on both sides."""
        return {order.side for order in self.run.live_orders if order.is_resting} == set(Side)

    def wanted(self, side: Side) -> int:
        """Lots of the first wanted quote of a side, 0 without one."""
        return next((quote.size_lots for quote in self.run.targets.quotes if quote.side is side), 0)

    def totals(self) -> dict[str, Decimal]:
        """What the exchange says the account has."""
        return {
            asset: Decimal(free) + Decimal(locked) for asset, (free, locked) in self.market.balances().items()
        }

    async def holds(self, condition: Callable[[], object], within_s: float = 90.0) -> None:
        """Wait until something is so."""
        deadline = time.monotonic() + within_s
        while not condition():
            assert time.monotonic() < deadline, "the condition never held"
            await asyncio.sleep(0.02)

    async def fills(self, more: int) -> None:
        """Wait for so many further fills."""
        wanted = self.run.totals.fills + more
        await self.holds(lambda: self.run.totals.fills >= wanted, 180.0)

    async def fund_treasury(self, asset: str, amount: str) -> None:
        """Play money by way of a wallet."""
        await self.wallets.fund(WALLET, f"f-{asset}", asset, amount)
        await self.wallets.pay(WALLET, f"p-{asset}", self.rail.treasury, asset, amount)
        await until(self.rail.balances, lambda held: held[asset] > 0)

    async def deposit(self, asset: str, units: int) -> SendReport:
        """From the treasury into the trading account."""
        target = await self.funding.deposit_address(asset)
        return await insist(self.rail, SendRequest(str(uuid.uuid4()), asset, units, target, ""))

    async def withdraw(self, asset: str, units: int) -> SendReport:
        """From the trading account into the treasury."""
        key = str(uuid.uuid4())
        await self.funding.withdraw(key, asset, units, 8, self.rail.treasury, "back")
        return await until(lambda: self.funding.find(key), lambda report: report.state in FINAL)


def facts_of(journal: MemoryJournal) -> list[BalanceObserved]:
    """What was written down of the quote's balance, oldest first."""
    return [fact for fact in journal.facts if isinstance(fact, BalanceObserved) and fact.asset == "USDT"]


@pytest.fixture
async def show(market: LoopbackVenue, tmp_path: Path) -> AsyncIterator[Show]:
    """To be started by the test."""
    show = Show(market, tmp_path)
    yield show
    await show.end()


async def test_quoting_goes_on_while_money_comes_and_goes(show: Show) -> None:
    """No halt, no doubt, no refusal; PnL counts fills alone, and every unit of the account is explained."""
    await show.start(number_of_layers=5, bid_spread="0.00004", ask_spread="0.00004")
    await show.fund_treasury("USDT", "90000")
    await show.fund_treasury("BTC", "2")
    await show.fills(5)
    moves: list[Awaitable[SendReport]] = [
        *(show.deposit("USDT", 11 * WHOLE + number) for number in range(6)),
        *(show.withdraw("USDT", 7 * WHOLE + number) for number in range(6)),
        *(show.deposit("BTC", WHOLE // 10) for _ in range(3)),
        *(show.withdraw("BTC", WHOLE // 20) for _ in range(3)),
    ]
    fills = show.run.totals.fills
    reports = await asyncio.gather(*moves)
    assert {report.state for report in reports} == {SendState.CONFIRMED}
    flows = {"USDT": Decimal(24), "BTC": Decimal("0.15")}
    await show.fills(20)
    assert show.run.totals.fills > fills
    assert show.run.state is RunState.RUNNING
    await show.holds(lambda: not show.run.pulled)
    assert show.run.failure is None
    report = await show.run.stop()
    assert (report.clean, report.fills_missing) == (True, 0)

    facts = show.journal.facts
    # A fill may overtake its cancel, and the market a quote; nothing else went wrong with an order.
    assert [fact for fact in facts if isinstance(fact, OrderDoubted) and fact.request != "cancel"] == []
    reasons = {fact.reason for fact in facts if isinstance(fact, OrderRejected)}
    assert reasons <= {"binance Order would immediately match and take."}
    later = [fact for fact in facts[show.begun :] if isinstance(fact, RunStateChanged)]
    assert not {fact.state for fact in later} & {"failed", "paused"}
    # A busy machine may let the book grow old; money that moves pulls nothing.
    pulled = {fact.reason for fact in later if fact.state == "pulled"}
    assert {reason for reason in pulled if not reason.startswith("the book is stale")} == set()
    trades = show.market.trades(show.known_trades)
    ours = [fact for fact in facts if isinstance(fact, Filled)]
    assert sorted(fact.trade_id for fact in ours) == sorted(str(trade["id"]) for trade in trades)
    traded = {"USDT": Decimal(0), "BTC": Decimal(0)}
    for fact in ours:
        sign = 1 if fact.side is Side.BUY else -1
        traded["BTC"] += sign * Decimal(fact.size)
        traded["USDT"] -= sign * Decimal(fact.price) * Decimal(fact.size)
    assert (show.run.totals.inventory_base, show.run.totals.cash_quote) == (traded["BTC"], traded["USDT"])
    paid = show.run.totals.fees
    after = show.totals()
    for asset, flow in flows.items():
        expected = show.before[asset] + flow + traded[asset] - paid.get(asset, Decimal(0))
        # What changes hands in quote is rounded down to 1e-8 on each of the trades.
        assert abs(after[asset] - expected) <= len(ours) * Decimal("1e-8"), asset
        assert (show.run.account.quote_total if asset == "USDT" else show.run.account.base_total) == after[
            asset
        ]


async def test_quotes_follow_the_balances_that_are_left(show: Show) -> None:
    """A large withdrawal makes bids smaller at once, no order exceeds what is there; then it comes back."""
    await show.start(order_amount="1", bid_spread="0.002", ask_spread="0.002", order_refresh_time=2)
    full = show.wanted(Side.BUY)
    taken = 800_000 * WHOLE
    assert (await show.withdraw("USDT", taken)).state is SendState.CONFIRMED
    # What orders hold cannot leave, and more than all there is cannot either.
    refused = await show.withdraw("USDT", taken)
    assert (refused.state, "insufficient" in refused.reason) == (SendState.REFUSED, True)
    await show.holds(lambda: 0 < show.wanted(Side.BUY) < full // 2)
    await show.holds(show.quotes_both)
    quote_total = show.run.account.quote_total
    reserved = sum(
        show.run.instrument.notional(order.price_ticks, order.remaining_lots)
        for order in show.run.live_orders
        if order.side is Side.BUY
    )
    assert 0 < reserved <= quote_total < show.before["USDT"] - 700_000
    assert (await show.deposit("USDT", taken)).state is SendState.CONFIRMED
    await show.holds(lambda: show.wanted(Side.BUY) > full * 9 // 10)
    await show.holds(show.quotes_both)
    await show.holds(lambda: not show.run.pulled)
    assert (show.run.state, show.run.failure) == (RunState.RUNNING, None)
    assert (await show.run.stop()).clean
    observed = [Decimal(fact.free) + Decimal(fact.locked) for fact in facts_of(show.journal)]
    assert min(observed) < show.before["USDT"] - 700_000 < observed[-1]
    reasons = {fact.reason for fact in show.journal.facts if isinstance(fact, OrderRejected)}
    assert not [reason for reason in reasons if "insufficient" in reason]
