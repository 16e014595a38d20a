"""The Mixin rail over the sandbox, both in this process."""

from __future__ import annotations

import asyncio
import secrets
from pathlib import Path
from typing import Any
from uuid import uuid4

from mrmarket.core.clock import Clock, SystemClock
from mrmarket.partners.mixin.book import TransferBook
from mrmarket.partners.mixin.client import MixinClient
from mrmarket.partners.mixin.rail import MixinAsset, MixinRail
from mrmarket.partners.mixin.sandbox.config import (
    ETHEREUM,
    USDT_ETHEREUM,
    USDT_POLYGON,
    SandboxConfig,
)
from mrmarket.partners.mixin.sandbox.server import MixinSandbox

ASSETS = (
    MixinAsset("USDT", USDT_POLYGON),
    MixinAsset("ETH", ETHEREUM),
    MixinAsset("USDT-ETH", USDT_ETHEREUM),
)


async def at_once(_: float) -> None:
    """Ask again without a pause."""
    await asyncio.sleep(0)


class MixinBench:
    """`RailBench` over the sandbox."""

    code = "USDT"

    def __init__(
        self, folder: Path, *, timeout_s: float = 1.0, stamps: Clock | None = None, **config: Any
    ) -> None:
        self.folder = folder
        self.stamps = stamps
        self.config = SandboxConfig(**config)
        self.sandbox = self.new_sandbox()
        self.bot = self.sandbox.enrol("bot")
        self.timeout_s = timeout_s
        self.book = TransferBook(folder / "book.sqlite")

    def new_sandbox(self) -> MixinSandbox:
        """The sandbox on its file, as a start finds it."""
        return MixinSandbox(self.folder / "mixin.sqlite", config=self.config, stamps=self.stamps)

    async def open(self, port: int = 0) -> None:
        """Start the sandbox, and the rail on it."""
        await self.sandbox.start(port)
        self.reopen()

    def reopen(self) -> None:
        """The rail as a new process finds it."""
        self.client = MixinClient(
            self.bot, SystemClock(), url=self.sandbox.url, timeout_s=self.timeout_s, sleep=at_once
        )
        self.rail = MixinRail(self.client, self.book, SystemClock(), ASSETS, settle_ms=500)

    async def close(self) -> None:
        """Stop both."""
        await self.rail.close()
        await self.sandbox.stop()

    async def payer(self, units: int) -> str:
        """A user with so many units."""
        user = self.sandbox.enrol("payer").app_id
        self.sandbox.fund(user, USDT_POLYGON, units)
        return user

    async def pay_in(self, sender: str, units: int, memo: str) -> str:
        """From a user to the bot."""
        return self.sandbox.pay(sender, self.bot.app_id, USDT_POLYGON, units, memo)

    async def held(self, address: str) -> int:
        """What the ledger says."""
        return self.sandbox.ledger.held(address, USDT_POLYGON)

    async def fund_platform(self, units: int) -> None:
        """Coins for the bot, until it has so many."""
        missing = units - self.sandbox.ledger.held(self.bot.app_id, USDT_POLYGON)
        if missing > 0:
            self.sandbox.fund(self.bot.app_id, USDT_POLYGON, missing)

    def nobody(self) -> str:
        """A new user."""
        return self.sandbox.enrol("somebody").app_id


def new_key() -> str:
    """A key for a payment."""
    return str(uuid4())


def chain_hash() -> str:
    """A transaction on another chain."""
    return "0x" + secrets.token_hex(32)
