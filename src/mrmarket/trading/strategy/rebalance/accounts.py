"""Transfers between accounts that can be credited and debited: out here, in there, under two keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from mrmarket.core.clock import Clock
from mrmarket.trading.strategy.rebalance.plan import Terms
from mrmarket.trading.strategy.rebalance.port import (
    TransferFate,
    TransferOrder,
    TransferRefusedError,
    TransferUnknownError,
)


class Wallet(Protocol):
    """One account of one place, in whole units. Every method raises a `TransferError`, or nothing."""

    async def held(self, asset: str) -> int:
        """What is free."""
        ...

    async def move(self, key: str, asset: str, units: int) -> None:
        """Let units in, or out when negative; the same key has one effect, however often it is asked for."""
        ...

    async def has_moved(self, key: str) -> bool:
        """Whether that key had its effect."""
        ...


class AccountTransfers:
    """Implements the port: takes from one account, and after a while gives to the other.

    What is under way is known by the two accounts alone: it was taken there and not given here yet. So
    whoever asks for a transfer's fate brings it to its end, after a crash as well.
    """

    def __init__(
        self, wallets: Mapping[str, Wallet], terms: Mapping[str, Terms], clock: Clock, *, delay_ns: int = 0
    ) -> None:
        """Nothing is moved yet.

        Args:
            wallets: by place.
            terms: of any transfer of an asset; there is no way for one that is not named.
            clock: its monotonic time counts the delay.
            delay_ns: how long a transfer is under way, from when it was first seen to be.
        """
        self._wallets = wallets
        self._terms = terms
        self._clock = clock
        self._delay_ns = delay_ns
        self._since_ns: dict[str, int] = {}

    def terms(self, asset: str, source: str, target: str) -> Terms | None:
        """What a transfer would cost."""
        known = source in self._wallets and target in self._wallets and source != target
        return self._terms.get(asset) if known else None

    async def held(self, asset: str) -> dict[str, int]:
        """Units free at each place."""
        return {place: await wallet.held(asset) for place, wallet in self._wallets.items()}

    async def request(self, order: TransferOrder) -> None:
        """Take it from where it is."""
        if self.terms(order.asset, order.source, order.target) is None:
            raise TransferRefusedError(order.key, "there is no way between these places any more")
        await self._wallets[order.source].move(f"{order.key}:out", order.asset, -order.units)
        self._since_ns.setdefault(order.key, self._clock.monotonic_ns())

    async def fate(self, order: TransferOrder) -> TransferFate:
        """What has become of it; gives it to its target once it is due."""
        source, target = self._wallets.get(order.source), self._wallets.get(order.target)
        if source is None or target is None:
            raise TransferUnknownError(order.key, "one of its places is not here")
        if not await source.has_moved(f"{order.key}:out"):
            return TransferFate.ABSENT
        if await target.has_moved(f"{order.key}:in"):
            return TransferFate.ARRIVED
        now_ns = self._clock.monotonic_ns()
        if now_ns - self._since_ns.setdefault(order.key, now_ns) < self._delay_ns:
            return TransferFate.PENDING
        try:
            await target.move(f"{order.key}:in", order.asset, order.units - order.fee_units)
        except TransferRefusedError as error:
            # The money is out: it is under way until somebody takes it.
            raise TransferUnknownError(order.key, f"its target does not take it: {error.detail}") from error
        return TransferFate.ARRIVED
