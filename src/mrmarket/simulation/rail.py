"""A modelled payment network: wallets, the platform's treasury, accounts at exchanges, and a feed.

Assumptions, all in one place:

- A key is one payment for ever; how it ended is never forgotten.
- A payment leaves its sender when it is accepted and reaches its receiver when it is confirmed.
- One that the network refuses later goes back to its sender in full; there are no fees.
- An exchange credits and debits at once when it is asked, once for each payment.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

from mrmarket.core.clock import NS_PER_MS
from mrmarket.core.errors import MrMarketError
from mrmarket.core.money import Asset
from mrmarket.money.payouts.port import (
    IncomingPage,
    IncomingPayment,
    PaymentState,
    PayTo,
    SendReport,
    SendRequest,
    SendState,
)
from mrmarket.simulation.exchange import QUOTE_DECIMALS, Exchange
from mrmarket.simulation.loop import EPOCH_NS
from mrmarket.simulation.network import Network, NoAnswerError, ServerFaultError, SlowDownError
from mrmarket.simulation.process import Process
from mrmarket.simulation.weather import FaultKind

T = TypeVar("T")

NAME: Final = "rail"
CODE: Final = "USDT"
DECIMALS: Final = 6
TREASURY: Final = "0x" + "f" * 40
CHAIN: Final = "chain"
"""Sender of what comes in from a chain."""
SETTLE_MS: Final = 15_000

_TIMEOUT_S: Final = 4.0
_BLOCK_S: Final = (1.0, 6.0)
_STALL_S: Final = (30.0, 120.0)
_REQUIRED: Final = 3
_PER_QUOTE: Final = 10 ** (QUOTE_DECIMALS - DECIMALS)


class RailSilentError(MrMarketError):
    """The rail did not answer; what was asked may have happened."""

    code = "rail_silent"
    retryable = True

    def __init__(self, request: str) -> None:
        self.request = request
        super().__init__(f"the rail did not answer {request}; ask again")


@dataclass(slots=True)
class Transfer:
    """One payment of the network."""

    key: str
    number: int
    sender: str
    destination: str
    units: int
    memo: str
    state: SendState
    reason: str = ""
    at_ms: int = 0

    @property
    def id(self) -> str:
        """The network's name for it."""
        return f"0x{self.number:064x}"

    def report(self) -> SendReport:
        """What whoever asked for it is told."""
        return SendReport(self.state, reference=self.id, reason=self.reason, at_ms=self.at_ms)


class Rail:
    """The network itself. Every step is atomic; balances are units by address."""

    def __init__(
        self,
        network: Network,
        exchanges: Mapping[str, Exchange],
        name: str = NAME,
        asset: Asset | None = None,
    ) -> None:
        """`asset` is the one that it carries; left out: the exchanges' quote."""
        self.name = name
        self.asset = asset or Asset(NAME, CODE, DECIMALS)
        self.balances: dict[str, int] = {TREASURY: 0}
        self.transfers: dict[str, Transfer] = {}
        self.feed: list[IncomingPayment] = []
        self.issued = 0
        """Units that wallets were given from outside."""
        self._network = network
        self._exchanges = exchanges

    def fund(self, wallet: str, units: int) -> None:
        """Give a wallet money from outside."""
        self.issued += units
        self.balances[wallet] = self.balances.get(wallet, 0) + units

    def send(self, key: str, sender: str, destination: str, units: int, memo: str) -> SendReport:
        """A payment; the same key again is the same payment."""
        known = self.transfers.get(key)
        if known is not None:
            return known.report()
        transfer = self._new(key, sender, destination, units, memo)
        if self.balances.get(sender, 0) < units:
            transfer.state, transfer.reason = SendState.REFUSED, "insufficient funds"
        else:
            self.balances[sender] -= units
            self._go_on(transfer)
        return transfer.report()

    def deposit(self, key: str, units: int) -> None:
        """Units come in from a chain, which names no sender; the same key is the same payment."""
        if key not in self.transfers:
            self._go_on(self._new(key, CHAIN, TREASURY, units, ""))

    def withdraw(self, key: str, exchange: str, units: int, memo: str) -> SendReport:
        """Take quote units of an exchange's precision out of our account there and pay the treasury."""
        known = self.transfers.get(key)
        if known is not None:
            return known.report()
        transfer = self._new(key, f"venue:{exchange}", TREASURY, units // _PER_QUOTE, memo)
        if self._exchanges[exchange].transfer(transfer.id, -units, self._now_ns()):
            self._go_on(transfer)
        else:
            transfer.state, transfer.reason = SendState.REFUSED, "the venue has less than that free"
        return transfer.report()

    def find(self, key: str) -> SendReport:
        """What became of a payment."""
        known = self.transfers.get(key)
        return SendReport(SendState.ABSENT) if known is None else known.report()

    def incoming(self, cursor: str, limit: int) -> IncomingPage:
        """Updates of payments to the treasury."""
        after = int(cursor or 0)
        page = self.feed[after : after + limit]
        weather = self._network.weather
        following = after + len(page)
        if page and weather.strikes(FaultKind.FEED_DISORDER):
            draw = weather.rng.random()
            if draw < 0.4:  # noqa: PLR2004 - one of three kinds of disorder
                page = page + page[-2:]
            elif draw < 0.7:  # noqa: PLR2004 - the same
                page = list(reversed(page))
            else:
                page, following = page[:-1], following - 1
        return IncomingPage(page, str(following))

    @property
    def in_flight(self) -> int:
        """Units that have left their sender and have not come anywhere."""
        moving = (SendState.SENDING, SendState.SENT)
        return sum(transfer.units for transfer in self.transfers.values() if transfer.state in moving)

    def _new(self, key: str, sender: str, destination: str, units: int, memo: str) -> Transfer:
        transfer = Transfer(key, len(self.transfers) + 1, sender, destination, units, memo, SendState.SENDING)
        transfer.at_ms = self._now_ms()
        self.transfers[key] = transfer
        return transfer

    def _go_on(self, transfer: Transfer) -> None:
        weather = self._network.weather
        wait_s = weather.rng.uniform(*_BLOCK_S)
        if weather.strikes(FaultKind.RAIL_DELAY):
            wait_s += weather.rng.uniform(*_STALL_S)
        self._network.later(wait_s, self._step, transfer)

    def _step(self, transfer: Transfer) -> None:
        transfer.at_ms = self._now_ms()
        if transfer.state is SendState.SENDING:
            from_treasury = transfer.sender == TREASURY
            if from_treasury and self._network.weather.strikes(FaultKind.RAIL_REFUSAL):
                transfer.state, transfer.reason = SendState.REFUSED, "the network refused it"
                self.balances[TREASURY] += transfer.units
                return
            transfer.state = SendState.SENT
            self._tell(transfer, PaymentState.SEEN, 1)
            self._go_on(transfer)
            return
        transfer.state = SendState.CONFIRMED
        name = transfer.destination.partition("venue:")[2]
        if name:
            self._exchanges[name].transfer(transfer.id, transfer.units * _PER_QUOTE, self._now_ns())
        else:
            self.balances[transfer.destination] = self.balances.get(transfer.destination, 0) + transfer.units
        self._tell(transfer, PaymentState.CONFIRMED, _REQUIRED)

    def _tell(self, transfer: Transfer, state: PaymentState, confirmations: int) -> None:
        if transfer.destination == TREASURY:
            sender = "" if transfer.sender.startswith(("venue:", CHAIN)) else transfer.sender
            self.feed.append(
                IncomingPayment(
                    self.name,
                    transfer.id,
                    self.asset.code,
                    transfer.units,
                    sender,
                    transfer.memo,
                    state,
                    confirmations,
                    _REQUIRED,
                    transfer.at_ms,
                )
            )

    def _now_ns(self) -> int:
        return EPOCH_NS + self._network.loop.now_ns()

    def _now_ms(self) -> int:
        return self._now_ns() // NS_PER_MS


class RailLine:
    """Implements `PaymentRail` for one process."""

    settle_ms = SETTLE_MS

    def __init__(self, rail: Rail, network: Network, process: Process) -> None:
        self.name = rail.name
        self._rail = rail
        self._network = network
        self._process = process

    def assets(self) -> list[Asset]:
        """The one asset."""
        return [self._rail.asset]

    def valid_destination(self, text: str) -> str | None:
        """An address of 42 characters, or an exchange's."""
        known = text.startswith("venue:") or (text.startswith("0x") and len(text) == len(TREASURY))
        return text if known and text != TREASURY else None

    async def instructions(self, user: str, memo: str) -> PayTo:  # noqa: ARG002 - one address serves all
        """The treasury; the memo says who pays."""
        return PayTo(TREASURY, memo, "")

    async def incoming(self, cursor: str, limit: int) -> IncomingPage:
        """Updates after a cursor."""
        return await self._ask("incoming", lambda: self._rail.incoming(cursor, limit))

    async def send(self, request: SendRequest) -> SendReport:
        """Pay from the treasury."""

        def effect() -> SendReport:
            return self._rail.send(
                f"send:{request.key}", TREASURY, request.destination, request.units, request.memo
            )

        return await self._ask("send", effect)

    async def find(self, key: str) -> SendReport:
        """What became of a payment."""
        return await self._ask("find", lambda: self._rail.find(f"send:{key}"))

    async def balances(self) -> dict[str, int]:
        """What the treasury holds."""
        return await self._ask("balances", lambda: {self._rail.asset.code: self._rail.balances[TREASURY]})

    async def _ask(self, request: str, effect: Callable[[], T]) -> T:
        return await ask_rail(self._network, self._process, request, effect, self.name)


class FundingLine:
    """Implements `VenueFunding` for one process and one exchange."""

    settle_ms = SETTLE_MS

    def __init__(self, rail: Rail, network: Network, process: Process, exchange: str) -> None:
        self._rail = rail
        self._network = network
        self._process = process
        self._exchange = exchange

    @property
    def venue(self) -> str:
        """Namespace of the venue's assets."""
        return self._exchange

    async def deposit_address(self, code: str) -> str:  # noqa: ARG002 - there is one asset
        """Where the rail credits the exchange."""
        return f"venue:{self._exchange}"

    async def withdraw(
        self,
        key: str,
        code: str,  # noqa: ARG002 - there is one asset
        units: int,
        decimals: int,
        address: str,  # noqa: ARG002 - it is always the treasury's
        memo: str,
    ) -> SendReport:
        """Take out and pay the treasury."""
        wanted = units // 10 ** (decimals - QUOTE_DECIMALS)

        def effect() -> SendReport:
            return self._rail.withdraw(f"withdraw:{key}", self._exchange, wanted, memo)

        return await ask_rail(self._network, self._process, "withdraw", effect)

    async def find(self, key: str) -> SendReport:
        """What became of a withdrawal."""
        return await ask_rail(
            self._network, self._process, "find", lambda: self._rail.find(f"withdraw:{key}")
        )


async def ask_rail(
    network: Network, process: Process, request: str, effect: Callable[[], T], peer: str = NAME
) -> T:
    """One request to the rail. Raises RailSilentError; what was asked may have happened."""
    try:
        return await network.ask(process, peer, effect, timeout_s=_TIMEOUT_S)
    except (NoAnswerError, ServerFaultError, SlowDownError) as error:
        raise RailSilentError(request) from error
