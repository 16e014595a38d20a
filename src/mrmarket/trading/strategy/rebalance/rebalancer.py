"""Carries plans out: looks at what lies where, decides, moves, and follows each transfer to its end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
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


async def _nowhere() -> None:
    """What is not to outlive the process is written nowhere."""


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
        keep: Callable[[], Awaitable[None]] = _nowhere,
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
            keep: writes `number` and `transfers` down; what it raises goes on, and nothing is sent then.
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
        self._keep = keep

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
        now_ns = self._clock.monotonic_ns()
        # Times of another process mean nothing here: what is young by ours is asked for, not sent again.
        self.transfers = [
            replace(each, requested_ns=now_ns, begun_ns=now_ns, asked_ns=0) for each in transfers
        ]

    async def step(self) -> bool:
        """Do whatever is due; True if it planned, asked or moved anything."""
        if self.is_at_work:
            return await self.follow()
        found = await self.look()
        if found is None or not found.moves:
            return False
        self.begin(found)
        return await self.follow()

    async def look(self) -> RebalancePlan | None:
        """What should be moved now; None where balances are not known. Nothing is begun."""
        try:
            held = await self._port.held(self._asset)
        except TransferUnknownError:
            return None
        self.last = plan(
            self._asset,
            held,
            self._wanted,
            lambda source, target: self._port.terms(self._asset, source, target),
            gain=self._gain(),
            idle_cost=self._idle_cost,
        )
        return self.last

    def begin(self, chosen: RebalancePlan) -> None:
        """Take a plan up; `follow` carries it out. Only while nothing else is at work."""
        self.number += 1
        self.transfers = [
            TransferState(
                TransferOrder(
                    transfer_key(self._run, self.number, at),
                    move.asset,
                    move.source,
                    move.target,
                    move.units,
                    move.fee_units,
                ),
                self._rules,
            )
            for at, move in enumerate(chosen.moves)
        ]

    def forget(self) -> None:
        """Drop a plan of which nothing was asked for yet; its number is not given again."""
        if all(each.stage is TransferStage.PLANNED for each in self.transfers):
            self.transfers = []

    async def follow(self) -> bool:
        """Ask for what is due, and for what has become of it; True if anything was done."""
        moved = False
        for at in range(len(self.transfers)):
            event: TransferEvent | None = Tick(self._clock.monotonic_ns())
            while event is not None:
                before = self.transfers[at]
                self.transfers[at], steps = decide(before, event)
                if self.transfers[at].stage is not before.stage or TransferStep.REQUEST in steps:
                    # Before it is sent: whoever goes on after us asks for this key, and for no other.
                    try:
                        await self._keep()
                    except BaseException:
                        self.transfers[at] = before
                        raise
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
                fate = await self._port.fate(transfer.order)
                return Learnt(self._clock.monotonic_ns(), fate)
            await self._port.request(transfer.order)
        except TransferRefusedError as error:
            return Refused(self._clock.monotonic_ns(), error.detail)
        except TransferUnknownError:
            # A lost answer to a request is asked for at once; a lost answer to a question, another time.
            return Unanswered(self._clock.monotonic_ns()) if step is TransferStep.REQUEST else None
        return Requested(self._clock.monotonic_ns())
