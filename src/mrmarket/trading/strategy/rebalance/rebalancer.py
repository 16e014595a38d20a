"""Carries plans out: looks at what lies where, decides, moves, and follows each transfer to its end."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from mrmarket.core.clock import Clock
from mrmarket.trading.strategy.rebalance.machine import (
    Learnt,
    Refused,
    Requested,
    Tick,
    TransferEvent,
    TransferRules,
    TransferStage,
    TransferState,
    TransferStep,
    Unanswered,
    decide,
    transfer_key,
)
from mrmarket.trading.strategy.rebalance.plan import RebalancePlan, Wanted, plan
from mrmarket.trading.strategy.rebalance.port import (
    TransferOrder,
    TransferPort,
    TransferRefusedError,
    TransferUnknownError,
)


class Rebalancer:
    """One asset of one pool. A new plan is made only when every transfer of the last one is over."""

    def __init__(
        self,
        run: str,
        asset: str,
        wanted: Wanted,
        port: TransferPort,
        clock: Clock,
        *,
        gain: Callable[[], Fraction],
        idle_cost: Fraction = Fraction(0),
        rules: TransferRules | None = None,
        on_late: Callable[[TransferState], None] = lambda _transfer: None,
        number: int = 0,
    ) -> None:
        """Put it together; nothing moves before `step`.

        Args:
            run: a part of every key.
            asset: its name.
            wanted: where it should lie.
            port: moves it.
            clock: its monotonic time decides.
            gain: what a unit is expected to earn where it is short, until the next rebalance.
            idle_cost: what a unit loses by being under way.
            rules: how long to wait for what.
            on_late: told once of a transfer that does not arrive.
            number: of the last plan of an earlier life; keys go on from there.
        """
        self.number = number
        self.last = RebalancePlan((), ())
        """The plan at work, or the last one."""
        self.transfers: list[TransferState] = []
        self._run = run
        self._asset = asset
        self._wanted = wanted
        self._port = port
        self._clock = clock
        self._gain = gain
        self._idle_cost = idle_cost
        self._rules = rules or TransferRules()
        self._on_late = on_late

    @property
    def is_at_work(self) -> bool:
        """Whether money is under way."""
        return any(not each.is_over for each in self.transfers)

    @property
    def arrived(self) -> int:
        """Transfers of the last plan that have arrived."""
        return sum(each.stage is TransferStage.ARRIVED for each in self.transfers)

    def adopt(self, transfers: list[TransferState]) -> None:
        """Follow what an earlier life has begun; nothing of it is begun anew without proof."""
        self.transfers = list(transfers)

    async def step(self) -> bool:
        """Do whatever is due; True if it planned, asked or moved anything."""
        if self.is_at_work:
            return await self._follow()
        try:
            held = await self._port.held(self._asset)
        except TransferUnknownError:
            return False
        self.last = plan(
            self._asset,
            held,
            self._wanted,
            lambda source, target: self._port.terms(self._asset, source, target),
            gain=self._gain(),
            idle_cost=self._idle_cost,
        )
        if not self.last.moves:
            return False
        self.number += 1
        self.transfers = [
            TransferState(
                TransferOrder(
                    transfer_key(self._run, self.number, at), move.asset, move.source, move.target, move.units
                ),
                self._rules,
            )
            for at, move in enumerate(self.last.moves)
        ]
        return await self._follow()

    async def _follow(self) -> bool:
        moved = False
        for at in range(len(self.transfers)):
            event: TransferEvent | None = Tick(self._clock.monotonic_ns())
            while event is not None:
                self.transfers[at], steps = decide(self.transfers[at], event)
                event = None
                for step in steps:
                    moved = True
                    event = await self._act(self.transfers[at], step) or event
        return moved

    async def _act(self, transfer: TransferState, step: TransferStep) -> TransferEvent | None:
        if step is TransferStep.TELL_LATE:
            self._on_late(transfer)
            return None
        try:
            if step is TransferStep.ASK:
                fate = await self._port.fate(transfer.order.key)
                return Learnt(self._clock.monotonic_ns(), fate)
            await self._port.request(transfer.order)
        except TransferRefusedError as error:
            return Refused(self._clock.monotonic_ns(), error.detail)
        except TransferUnknownError:
            # A lost answer to a request is asked for at once; a lost answer to a question, another time.
            return Unanswered(self._clock.monotonic_ns()) if step is TransferStep.REQUEST else None
        return Requested(self._clock.monotonic_ns())
