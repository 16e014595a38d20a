"""A HuFi sandbox with clocks that are told the time, and a client of it."""

from __future__ import annotations

import json
from contextlib import AsyncExitStack
from decimal import Decimal
from typing import Any, Final, Self

from mrmarket.campaigns.offer import Measure, Offer, RewardToken
from mrmarket.core.clock import NS_PER_MS, NS_PER_S, ManualClock
from mrmarket.partners.hufi.drift import DriftReport
from mrmarket.partners.hufi.launcher import LauncherClient
from mrmarket.partners.hufi.line import HufiLine, LineSettings
from mrmarket.partners.hufi.login import OracleSession, WalletSigner
from mrmarket.partners.hufi.manifest import write_date
from mrmarket.partners.hufi.messages import KeyBody
from mrmarket.partners.hufi.recording_oracle import RecordingOracleClient
from mrmarket.partners.hufi.sandbox.book import LaunchedCampaign
from mrmarket.partners.hufi.sandbox.entrance import key_signer
from mrmarket.partners.hufi.sandbox.feed import WrittenFeed, WrittenSettlement
from mrmarket.partners.hufi.sandbox.server import HufiSandbox, SandboxTerms
from mrmarket.partners.hufi.score import SCALE, TradeMade

START_MS: Final = 1_700_000_000_000
CYCLE_MS: Final = 60_000
CHAIN: Final = 1338
ONE: Final = 10**18


def manifest(**changes: Any) -> dict[str, Any]:
    """The fields of a market-making manifest over three short cycles; None takes one away."""
    fields: dict[str, Any] = {
        "type": "MARKET_MAKING",
        "exchange": "mexc",
        "pair": "ETH/USDT",
        "daily_volume_target": 1000,
        "start_date": write_date(START_MS),
        "end_date": write_date(START_MS + 3 * CYCLE_MS),
    }
    fields |= changes
    return {name: value for name, value in fields.items() if value is not None}


def offer(measure: Measure = Measure.VOLUME, **changes: Any) -> Offer:
    """An offer that pays 300 units a cycle, at a scale where targets are small."""
    fields: dict[str, Any] = {
        "id": "hufi-1338-0xaa",
        "partner": "hufi",
        "chain_id": CHAIN,
        "address": "0xaa",
        "measure": measure,
        "exchange": "mexc",
        "market": "ETH/USDT" if measure.is_traded else "HMT",
        "start_ms": START_MS,
        "end_ms": START_MS + 3 * CYCLE_MS,
        "token": RewardToken(CHAIN, "0xbb", "HMT", 18),
        "fund_units": 900,
        "target": Decimal(1000),
        "prizes": (Decimal(50), Decimal(30), Decimal(20)) if measure is Measure.RANKED_VOLUME else (),
        "cycle_ms": CYCLE_MS,
    }
    return Offer(**(fields | changes))


def trade(offset_ms: int, cost: str, *, maker: bool = True, buy: bool = True) -> TradeMade:
    """A trade so long after the start."""
    return TradeMade(START_MS + offset_ms, maker, buy, int(Decimal(cost) * SCALE))


class Patience:
    """Waits by moving the clocks on, and remembers how long."""

    def __init__(self, *clocks: ManualClock) -> None:
        self.clocks = clocks
        self.pauses: list[float] = []

    async def __call__(self, pause_s: float) -> None:
        """Wait."""
        self.pauses.append(pause_s)
        for clock in self.clocks:
            clock.advance(int(pause_s * NS_PER_S))


class HufiStage:
    """One sandbox, one wallet `we` with a key at mexc, and its clients."""

    def __init__(self, terms: SandboxTerms | None = None, settings: LineSettings | None = None) -> None:
        self.world = ManualClock(START_MS * NS_PER_MS)
        self.wall = ManualClock(START_MS * NS_PER_MS)
        self.feed = WrittenFeed()
        self.settlement = WrittenSettlement()
        self.sandbox = HufiSandbox(
            self.feed, terms or SandboxTerms(cycle_ms=CYCLE_MS), self.settlement, self.world, self.wall
        )
        self.drift = DriftReport(self.wall)
        self.patience = Patience(self.wall)
        self.settings = settings or LineSettings(timeout_s=5, first_pause_s=0.1)
        self.signed: list[str] = []
        self.wallet, self._sign = key_signer(b"\x01" * 32)
        self._opened = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self._opened.enter_async_context(self.sandbox)
        self.launcher_line = await self._line(self.sandbox.launcher_url)
        self.oracle_line = await self._line(self.sandbox.oracle_url)
        self.launcher = LauncherClient(self.launcher_line)
        self.session = self.new_session()
        self.oracle = RecordingOracleClient(self.oracle_line, self.session)
        self.sandbox.book.keys[self.wallet, "mexc"] = KeyBody("mexc", "our key", "our secret")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._opened.aclose()

    def new_session(self) -> OracleSession:
        """A session that has never signed in."""
        return OracleSession(self.oracle_line, WalletSigner(self.wallet, self.sign), self.wall)

    async def sign(self, text: str) -> str:
        """Sign as our wallet, and remember what."""
        self.signed.append(text)
        return self._sign(text)

    def launch(self, fund: int = 900 * ONE, **changes: Any) -> LaunchedCampaign:
        """Add a campaign."""
        return self.sandbox.launch(json.dumps(manifest(**changes)), fund)

    def pass_time(self, ms: int) -> None:
        """Let world time pass."""
        self.world.advance(ms * NS_PER_MS)

    async def _line(self, url: str) -> HufiLine:
        line = HufiLine(url, self.drift, self.wall, self.settings, self.patience)
        return await self._opened.enter_async_context(line)
