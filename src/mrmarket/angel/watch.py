"""The Angel itself: looks out, and when an engine falls silent, intervenes until nothing is left."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from mrmarket.angel import intervention as machine
from mrmarket.angel.charge import Charge
from mrmarket.angel.crew import Crew
from mrmarket.angel.diary import Diary
from mrmarket.angel.failsafe import CancelAll, FailSafe
from mrmarket.angel.hands import LeaseHand, VenueHand
from mrmarket.angel.heartbeat import Life, Pulse
from mrmarket.angel.intervention import Intervention
from mrmarket.angel.lookout import Lookout
from mrmarket.angel.port import AngelDesk, HeartbeatSource, Leases
from mrmarket.angel.recovery import Automatic, Recovery
from mrmarket.angel.responder import Responder
from mrmarket.angel.settings import AngelSection
from mrmarket.angel.sweep import Pace, SweepStage
from mrmarket.core.clock import NS_PER_MS, NS_PER_S, Clock
from mrmarket.core.errors import MrMarketError
from mrmarket.store.errors import StoreError
from mrmarket.store.operations import Beat
from mrmarket.trading.venue.port import Capability

_BEAT_S: Final = 1.0
_STORE_S: Final = 5.0
_REFRESHES: Final = 3
_FINISH_NS: Final = 12 * NS_PER_S
"""For so long an Angel that is told to end goes on with an intervention. Whoever tells it waits longer."""


@dataclass(slots=True)
class _Silence:
    """A node that is missing, and what was done about it."""

    seq: int
    noticed_ns: int
    dealt_with: bool = False


class Angel:
    """Watches until stopped. Everything happens on one event loop; databases are asked in threads."""

    def __init__(
        self,
        charge: Charge,
        settings: AngelSection,
        pace: Pace,
        sources: Sequence[HeartbeatSource],
        leases: Leases | None,
        operations: AngelDesk | None,
        diary: Diary,
        clock: Clock,
        new_id: Callable[[], str],
        *,
        fail_safe: FailSafe | None = None,
        recovery: Recovery | None = None,
    ) -> None:
        """Put it together; nothing is asked of anybody before `run`.

        Args:
            charge: what it watches over.
            settings: `[angel]`.
            pace: how an intervention goes about it.
            sources: where signs of life are read.
            leases: who may trade; None where no database can be reached.
            operations: where it beats, records and restricts; None likewise.
            diary: where its actions are written down.
            clock: the machine's.
            new_id: names for incidents.
            fail_safe: what to do; cancels everything by default.
            recovery: how trading goes on; by itself by default.
        """
        self.charge = charge
        self.settings = settings
        self.faults = 0
        """Faults of our own that were caught."""
        self._step_s = min(pace.step_ns / NS_PER_S, settings.poll_s)
        self._operations = operations
        self._diary = diary
        self._clock = clock
        self._crew = Crew(self._fault)
        self._fail_safe: FailSafe = fail_safe or CancelAll()
        self._recovery: Recovery = recovery or Automatic()
        self.responder = Responder(
            charge,
            settings,
            pace,
            LeaseHand(leases, charge.name, clock, pace),
            operations,
            diary,
            clock,
            new_id,
            self._crew,
            fail_safe=self._fail_safe,
            recovery=self._recovery,
        )
        self.lookout = Lookout(sources, settings, clock, self._say)
        self._silences: dict[str, _Silence] = {}
        self._stopping = asyncio.Event()
        self._finish_by_ns = 0
        self._responding = False
        self._seen_engine = False
        self._laid_to_rest: set[str] = set()
        self._book_closed: Intervention | None = None
        self._seq = 0
        self._started_ms = clock.now_ns() // NS_PER_MS

    @property
    def current(self) -> Intervention | None:
        """The intervention under way."""
        return self.responder.current

    @property
    def last(self) -> Intervention | None:
        """The intervention before."""
        return self.responder.last

    @property
    def nodes(self) -> list[tuple[Pulse, Life]]:
        """Every node it watches, and what it believes of it."""
        return [(pulse, self.lookout.life(pulse.node)) for pulse in self.lookout.monitor.pulses]

    def stop(self) -> None:
        """Ask it to end, after an intervention that is under way if that can be finished soon.

        Whoever ends an instance in the middle of one would leave what nobody has proven gone. Asked a second
        time it ends at once; what it holds is given back.
        """
        if self._stopping.is_set():
            self._finish_by_ns = 0
            return
        self._finish_by_ns = self._clock.monotonic_ns() + _FINISH_NS
        self._stopping.set()

    @property
    def _may_end(self) -> bool:
        under_way = self.current is not None or self._responding
        return not under_way or self._clock.monotonic_ns() >= self._finish_by_ns

    async def run(self) -> None:
        """Watch until stopped, or until nothing is left to watch where it leaves with its instance."""
        self._diary.record("", "watching", ", ".join(self.responder.hands), self._fail_safe.name)
        self._crew.start(self._keep_beating())
        for hand in self.responder.hands.values():
            self._crew.start(self._make_ready(hand))
        if self.settings.dead_man_s:
            self._crew.start(self._keep_switch())
        try:
            while not (self._stopping.is_set() and self._may_end):
                self._consider(self.lookout.look())
                self.responder.tick()
                self._close_the_book()
                if self.current is None and self._is_over():
                    break
                await self._pause(self.settings.poll_s if self.current is None else self._step_s)
        finally:
            await self.leave()

    def _consider(self, missing: list[Pulse]) -> None:
        now_ns = self._clock.monotonic_ns()
        silent = {pulse.node for pulse in missing}
        pulses = self.lookout.monitor.pulses
        self._seen_engine |= any(pulse.trades for pulse in pulses)
        listed = {pulse.node for pulse in pulses}
        self._laid_to_rest -= {node for node in listed if self.lookout.life(node) is Life.ALIVE}
        for node in [node for node in self._silences if node not in silent]:
            if self._silences.pop(node).dealt_with and node in listed:
                self._say("node_back", node, "it beats again")
                if self.current is not None and node in self.current.nodes:
                    self.responder.feed(machine.NodeBack(at_ns=now_ns))
        for pulse in missing:
            silence = self._silences.setdefault(pulse.node, _Silence(pulse.seq, now_ns))
            if not silence.dealt_with:
                self._decide(pulse, silence, now_ns)

    def _decide(self, pulse: Pulse, silence: _Silence, now_ns: int) -> None:
        if not pulse.trades:
            silence.dealt_with = True
            if pulse.node != self.charge.name:
                self._say("node_silent", pulse.node, f"role {pulse.role}; it holds no orders")
            return
        heirs = self.lookout.monitor.others_trade(pulse.node, now_ns)
        patience_ns = int(self.settings.heir_patience_s * NS_PER_S) if heirs else 0
        if self._responding or now_ns - silence.noticed_ns < patience_ns:
            return
        silence.dealt_with = self._responding = True
        self._crew.start(self._respond(pulse, silence, heirs=heirs))

    async def _respond(self, pulse: Pulse, silence: _Silence, *, heirs: bool) -> None:
        silence.dealt_with = False
        try:
            silence.dealt_with = await self.responder.respond(pulse, heirs=heirs)
            if silence.dealt_with and self.current is None:
                await self._lay_to_rest(pulse.node)
        finally:
            self._responding = False

    def _close_the_book(self) -> None:
        if self.last is not None and self.last is not self._book_closed:
            self._book_closed = self.last
            for node in self.last.nodes:
                self._crew.start(self._lay_to_rest(node))

    async def _lay_to_rest(self, node: str) -> None:
        """A node that is dead for good is missed no more; a thawed one is back with its next beat."""
        if self._operations is None or self.lookout.life(node) is not Life.MISSING:
            return
        self._laid_to_rest.add(node)
        try:
            async with asyncio.timeout(_STORE_S):
                await asyncio.to_thread(self._operations.sign_off, node)
        except (StoreError, TimeoutError) as error:
            # Only an Angel that starts anew would look at it again.
            self._diary.record("", "not_signed_off", node, str(error))

    def _is_over(self) -> bool:
        if not self.charge.leaves_with_instance or self._responding:
            return False
        trading = [pulse for pulse in self.lookout.monitor.pulses if pulse.trades]
        if self._seen_engine and not trading and self.lookout.signed_off - self._laid_to_rest:
            self._diary.record("", "instance_ended", "", "every engine has signed off")
            return True
        sweeps = self.last.sweeps if self.last is not None else ()
        gone = bool(sweeps) and all(sweep.stage is SweepStage.GONE for sweep in sweeps)
        if gone and all(self.lookout.life(pulse.node) is Life.MISSING for pulse in trading):
            self._diary.record("", "instance_gone", "", "the exchange ended with its instance")
            return True
        return False

    async def _make_ready(self, hand: VenueHand) -> None:
        """Open a venue ahead of need; one that does not answer is tried again when it is needed."""
        try:
            await hand.open()
        except MrMarketError as error:
            self._say("venue_not_ready", hand.venue.name, str(error))
        else:
            self._diary.record("", "venue_ready", hand.venue.name)

    async def _keep_switch(self) -> None:
        """Refresh the exchange's own dead man's switch while the engines live; then let it run out."""
        countdown_s = self.settings.dead_man_s
        while True:
            trading = [pulse for pulse in self.lookout.monitor.pulses if pulse.trades]
            alive = all(self.lookout.life(pulse.node) is Life.ALIVE for pulse in trading)
            if trading and alive and self.current is None:
                for venue, symbols in self.charge.symbols().items():
                    await self._refresh(self.responder.hands.get(venue), symbols, countdown_s)
            await asyncio.sleep(countdown_s / _REFRESHES)

    async def _refresh(self, hand: VenueHand | None, symbols: Sequence[str], countdown_s: float) -> None:
        if hand is None or not hand.is_open or Capability.DEAD_MAN_SWITCH not in hand.venue.capabilities:
            return
        for symbol in symbols:
            try:
                async with asyncio.timeout(countdown_s):
                    await hand.venue.cancel_all_after(symbol, countdown_s)
            except (MrMarketError, TimeoutError) as error:
                self._diary.record("", "switch_failed", f"{hand.venue.name} {symbol}", str(error))

    async def _keep_beating(self) -> None:
        refused = False
        while True:
            self._diary.offer()
            if self._operations is not None:
                self._seq += 1
                try:
                    async with asyncio.timeout(_STORE_S):
                        await asyncio.to_thread(self._operations.beat, self._beat())
                    refused = False
                except (StoreError, TimeoutError) as error:
                    if not refused:
                        self._diary.record("", "beat_failed", "", str(error))
                    refused = True
            await asyncio.sleep(max(_BEAT_S, self.settings.poll_s))

    def _beat(self) -> Beat:
        state = self.current
        return Beat(
            node=self.charge.name,
            role="angel",
            seq=self._seq,
            started_ms=self._started_ms,
            at_ms=self._clock.now_ns() // NS_PER_MS,
            host=self.charge.host,
            pid=self.charge.pid,
            detail={
                "stage": "watching" if state is None else state.stage.value,
                "incident": "" if state is None else state.id,
                "interventions": self.responder.interventions,
                "cancels": self.responder.cancels,
                "fail_safe": self._fail_safe.name,
                "recovery": self._recovery.name,
                "threshold_s": self.settings.threshold_s,
                "venues": {
                    name: "ready" if hand.is_open else "not ready"
                    for name, hand in self.responder.hands.items()
                },
                "nodes": {pulse.node: life.value for pulse, life in self.nodes},
            },
        )

    def _say(self, action: str, target: str, detail: str, alert: bool = True) -> None:
        incident = self.current.id if self.current is not None else ""
        self._diary.record(incident, action, target, detail, alert=alert)

    def _fault(self, error: BaseException) -> None:
        self.faults += 1
        self._say("internal_error", type(error).__name__, str(error))

    async def _pause(self, seconds: float) -> None:
        if self._stopping.is_set():
            await asyncio.sleep(seconds)
            return
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return

    async def leave(self) -> None:
        """End everything, give back what is held, sign off; `run` does it by itself."""
        await self._crew.close()
        await self.lookout.close()
        await self.responder.give_back()
        for hand in self.responder.hands.values():
            await hand.venue.close()
        if self._operations is not None:
            try:
                async with asyncio.timeout(_STORE_S):
                    await asyncio.to_thread(self._operations.sign_off, self.charge.name)
            except (StoreError, TimeoutError) as error:
                self._diary.record("", "not_signed_off", self.charge.name, str(error))
        self._diary.record("", "left")
        await self._diary.finish()
