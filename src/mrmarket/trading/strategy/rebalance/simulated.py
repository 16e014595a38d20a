"""Transfers between places that exist only here: with a delay, a cost, and answers that get lost."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from mrmarket.core.clock import Clock
from mrmarket.trading.strategy.rebalance.plan import Terms
from mrmarket.trading.strategy.rebalance.port import (
    TransferFate,
    TransferOrder,
    TransferRefusedError,
    TransferUnknownError,
)


@dataclass(slots=True)
class _UnderWay:
    order: TransferOrder
    arrives_ns: int
    fee_units: int
    arrived: bool = False


class SimulatedTransfers:
    """Implements the port. `faults` says what happens to the next requests, in order.

    `lose_request`: no effect and no answer; `lose_answer`: effect and no answer; `refuse`.
    """

    def __init__(
        self, clock: Clock, held: Mapping[str, Mapping[str, int]], terms: Terms, delay_ns: int
    ) -> None:
        """`held`: units by asset and place. Each transfer between two places has the same terms and delay."""
        self.faults: deque[str] = deque()
        self.deaf = False
        """Whether questions have no answer."""
        self.requests = 0
        self._clock = clock
        self._held = {asset: dict(places) for asset, places in held.items()}
        self._terms = terms
        self._delay_ns = delay_ns
        self._begun: dict[str, _UnderWay] = {}

    def terms(self, asset: str, source: str, target: str) -> Terms | None:
        """What a transfer would cost."""
        places = self._held.get(asset, {})
        return self._terms if source in places and target in places else None

    async def held(self, asset: str) -> dict[str, int]:
        """Units free at each place."""
        if self.deaf:
            raise TransferUnknownError("", "no answer to the question for balances")
        self._arrive()
        return dict(self._held.get(asset, {}))

    async def request(self, order: TransferOrder) -> None:
        """Begin a transfer; a known key begins nothing."""
        self.requests += 1
        fault = self.faults.popleft() if self.faults else ""
        if fault == "refuse":
            raise TransferRefusedError(order.key, "the place does not send this now")
        if fault == "lose_request":
            raise TransferUnknownError(order.key, "no answer")
        if order.key not in self._begun:
            places = self._held[order.asset]
            if places[order.source] < order.units:
                raise TransferRefusedError(order.key, "not enough is free")
            places[order.source] -= order.units
            arrives_ns = self._clock.monotonic_ns() + self._delay_ns
            self._begun[order.key] = _UnderWay(order, arrives_ns, order.fee_units)
        if fault == "lose_answer":
            raise TransferUnknownError(order.key, "no answer")

    async def fate(self, order: TransferOrder) -> TransferFate:
        """What has become of one."""
        if self.deaf:
            raise TransferUnknownError(order.key, "no answer")
        self._arrive()
        found = self._begun.get(order.key)
        if found is None:
            return TransferFate.ABSENT
        return TransferFate.ARRIVED if found.arrived else TransferFate.PENDING

    @property
    def under_way(self) -> int:
        """Units that are at no place now, fees included."""
        self._arrive()
        return sum(each.order.units for each in self._begun.values() if not each.arrived)

    def _arrive(self) -> None:
        now_ns = self._clock.monotonic_ns()
        for each in self._begun.values():
            if not each.arrived and now_ns >= each.arrives_ns:
                each.arrived = True
                places = self._held[each.order.asset]
                places[each.order.target] += each.order.units - each.fee_units
