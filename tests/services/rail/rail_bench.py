"""A simulated rail with its world, in this process or in one of its own."""

from __future__ import annotations

import itertools
import secrets
from pathlib import Path
from typing import Any

from mrmarket.core.clock import Clock, ManualClock
from mrmarket.services.rail.address import new_address
from mrmarket.services.rail.client import RailClient
from mrmarket.services.rail.config import RailConfig
from mrmarket.services.rail.faults import FaultDice, RailFaultKind, RailFaultRule, RailFaults
from mrmarket.services.rail.journal import Journal
from mrmarket.services.rail.messages import RailEndpoints
from mrmarket.services.rail.wallet_client import WalletClient
from mrmarket.services.rail.world import World
from rail_conformance import until

FAST: dict[str, Any] = {"seen_ms": 10, "block_ms": 10, "settle_ms": 500}
"""Payments that are final after some 40 ms."""


class SimulatedBench:
    """`RailBench` over the simulated rail."""

    code = "USDT"

    def __init__(self, endpoints: RailEndpoints, timeout_s: float = 1.0) -> None:
        self.endpoints = endpoints
        self.rail = RailClient(endpoints, timeout_s)
        self.wallets = WalletClient(endpoints, 10.0)

    async def close(self) -> None:
        """Hang up."""
        await self.rail.close()
        await self.wallets.close()

    async def payer(self, units: int) -> str:
        """A wallet that the faucet has just filled."""
        address = new_address()
        await self.wallets.fund(address, secrets.token_hex(8), self.code, f"0.{units:08d}")
        return address

    async def pay_in(self, sender: str, units: int, memo: str) -> str:
        """From the wallet to the treasury."""
        target = self.endpoints.treasury
        key = secrets.token_hex(8)
        return (await self.wallets.pay(sender, key, target, self.code, f"0.{units:08d}", memo)).id

    async def held(self, address: str) -> int:
        """What the wallet's side says, in units."""
        text = (await self.wallets.wallet(address)).balances[self.code]
        whole, _, digits = text.partition(".")
        return int(whole + digits.ljust(8, "0"))

    async def fund_platform(self, units: int) -> None:
        """Pay in until it is there; a payment that vanished is paid again."""
        while await self.held(self.endpoints.treasury) < units:
            sender = await self.payer(units)
            await self.pay_in(sender, units, "capital")

            async def gone(sender: str = sender) -> bool:
                wallet = await self.wallets.wallet(sender)
                return wallet.payments[0].stage in ("confirmed", "retracted", "refused")

            await until(gone, bool)

    def nobody(self) -> str:
        """A new address."""
        return new_address()


class SmallWorld:
    """A world without sockets, on a clock that stands still."""

    def __init__(self, folder: Path, *rules: RailFaultRule, seed: int = 1, **settings: Any) -> None:
        self.folder = folder
        self.settings = {"required": 2, "seen_ms": 100, "block_ms": 100, **settings}
        self.rules = RailFaults(rules=list(rules), seed=seed)
        self.clock = ManualClock()
        self._numbers = itertools.count(1)
        self.open()

    def open(self) -> None:
        """Open the journal, as a start does."""
        self.journal = Journal(self.folder)
        self.dice = FaultDice(self.rules, self.clock.now_ns() // 1_000_000)
        config = RailConfig(state_dir=str(self.folder), **self.settings)
        clock: Clock = self.clock
        self.world = World(config, self.journal, clock, self.dice)

    def reopen(self) -> None:
        """Stop and start again."""
        self.journal.close()
        self.open()

    def wait(self, milliseconds: int) -> None:
        """Let time pass, in steps of 50 ms."""
        for _ in range(milliseconds // 50):
            self.clock.advance(50_000_000)
            self.world.advance()

    def wallet(self, units: int = 1_000, asset: str = "USDT") -> str:
        """A wallet that has so many units."""
        address = new_address()
        self.world.fund(address, f"fund-{next(self._numbers)}", asset, units)
        return address

    def fund_treasury(self, units: int) -> None:
        """A payment in, confirmed."""
        self.world.pay(self.wallet(units), "capital", self.world.treasury, "USDT", units, "")
        self.wait(1_000)

    def held(self, account: str, asset: str = "USDT") -> int:
        """Units that an account has."""
        return self.journal.balance(account, asset)


def strike(kind: RailFaultKind, **settings: Any) -> RailFaultRule:
    """A rule."""
    return RailFaultRule(kind=kind, **settings)
