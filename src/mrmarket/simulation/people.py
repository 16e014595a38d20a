"""People who bring money, take it out again, and ask until they are answered."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from random import Random
from typing import Final, Protocol, TypeVar

from mrmarket.core.errors import MrMarketError
from mrmarket.money.ledger.errors import LedgerStoppedError
from mrmarket.services.api.money_schema import DepositRequest, WithdrawalRequest
from mrmarket.services.money.face import MoneyOffice
from mrmarket.simulation.rail import CODE, NAME, TREASURY, Rail
from mrmarket.store.errors import StoreError

T = TypeVar("T")

_PATIENCE_S: Final = 10.0
_PAUSE_S: Final = (1.0, 15.0)
_UNITS: Final = 10**6


class GaveUpError(Exception):
    """The platform has answered no."""


class Door(Protocol):
    """The API: where people's requests arrive, if they do."""

    async def ask(self, question: Callable[[MoneyOffice], Awaitable[T]], timeout_s: float) -> T:
        """Ask; raises TimeoutError where no answer comes, and what the platform refused with."""
        ...


@dataclass(slots=True)
class Person:
    """Somebody with a wallet."""

    name: str
    wallet: str
    pool: str
    rng: Random
    rail: Rail
    door: Door
    deposits: list[str] = field(default_factory=list)
    """Ids that the platform has acknowledged."""
    withdrawals: list[str] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    asks: int = 0
    pace: float = 1.0
    """How much longer than usual it waits between two wishes."""

    async def live(self, until_s: float, time: Callable[[], float]) -> None:
        """Deposit and withdraw until a time."""
        number = 0
        while time() < until_s:
            await asyncio.sleep(self.rng.uniform(20.0, 400.0) * self.pace)
            number += 1
            try:
                await self._deposit(number)
                await asyncio.sleep(self.rng.uniform(60.0, 400.0) * self.pace)
                await self._withdraw(number)
            except GaveUpError as refusal:
                self.refusals.append(str(refusal))

    async def _deposit(self, number: int) -> None:
        whole = self.rng.randint(20, 5_000)
        request = DepositRequest(
            pool=self.pool, asset=f"{NAME}:{CODE}", amount=str(whole), key=f"{self.name}-in-{number}"
        )
        view = await self._until_answered(lambda office: office.deposit(self.name, request))
        self.deposits.append(view.id)
        if view.pay is not None:
            units = whole * _UNITS
            if self.rng.random() < 0.1:  # noqa: PLR2004 - one in ten pays something else
                units += self.rng.randint(-5, 5) * _UNITS
            self.rail.fund(self.wallet, units)
            self.rail.send(f"{self.name}:{number}", self.wallet, TREASURY, units, view.pay.memo)

    async def _withdraw(self, number: int) -> None:
        shares = "all" if self.rng.random() < 0.5 else str(self.rng.randint(1, 100))  # noqa: PLR2004 - the one or the other
        request = WithdrawalRequest(
            pool=self.pool, shares=shares, destination=self.wallet, key=f"{self.name}-out-{number}"
        )
        view = await self._until_answered(lambda office: office.withdraw(self.name, request))
        self.withdrawals.append(view.id)

    async def _until_answered(self, question: Callable[[MoneyOffice], Awaitable[T]]) -> T:
        while True:
            self.asks += 1
            try:
                return await self.door.ask(question, _PATIENCE_S)
            except TimeoutError:
                pass
            except MrMarketError as error:
                if not error.retryable and not isinstance(error, StoreError | LedgerStoppedError):
                    raise GaveUpError(error.code) from error
            await asyncio.sleep(self.rng.uniform(*_PAUSE_S))
