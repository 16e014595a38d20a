"""Drives an intervention: hands its actions to the venues and the store, and their answers back to it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from mrmarket.angel import intervention as machine
from mrmarket.angel.charge import Charge
from mrmarket.angel.crew import Crew
from mrmarket.angel.diary import Diary
from mrmarket.angel.failsafe import FailSafe, Scene, Verdict
from mrmarket.angel.hands import LeaseHand, NoLeasesError, VenueHand
from mrmarket.angel.heartbeat import Pulse
from mrmarket.angel.intervention import Intervention, Stage
from mrmarket.angel.port import AngelDesk
from mrmarket.angel.recovery import CAUSE, Recovery, halt
from mrmarket.angel.settings import AngelSection, SweepScope
from mrmarket.angel.sweep import Pace, Scope
from mrmarket.core import crash
from mrmarket.core.clock import NS_PER_MS, Clock
from mrmarket.store.errors import StoreError

_STORE_S: Final = 5.0
_RETRY_S: Final = 1.0
_HELD_TIMES: Final = 3


class Responder:
    """One intervention at a time; a node that falls silent meanwhile joins it."""

    def __init__(
        self,
        charge: Charge,
        settings: AngelSection,
        pace: Pace,
        leases: LeaseHand,
        operations: AngelDesk | None,
        diary: Diary,
        clock: Clock,
        new_id: Callable[[], str],
        crew: Crew,
        *,
        fail_safe: FailSafe,
        recovery: Recovery,
    ) -> None:
        self.current: Intervention | None = None
        """The intervention under way."""
        self.last: Intervention | None = None
        """The one before."""
        self.hands = {
            venue.name: VenueHand(venue, clock, allow_withdraw_key=settings.allow_withdraw_key)
            for venue in charge.venues
        }
        self.interventions = 0
        self.cancels = 0
        """Orders whose cancel was acknowledged."""
        self._charge = charge
        self._settings = settings
        self._pace = pace
        self._leases = leases
        self._operations = operations
        self._diary = diary
        self._clock = clock
        self._new_id = new_id
        self._crew = crew
        self._fail_safe = fail_safe
        self._recovery = recovery
        self._held_ns = 0

    async def respond(self, pulse: Pulse, *, heirs: bool) -> bool:
        """A node is dead: do what the fail-safe says; False if it cannot be dealt with yet.

        Args:
            pulse: the node.
            heirs: whether other engines live, whose orders must be left alone.
        """
        joined = self.current
        incident = joined.id if joined is not None else self._new_id()
        unfenced = False
        runs: tuple[str, ...] = ()
        try:
            runs = tuple(await self._leases.owned_by([pulse.node], anybody=not heirs))
        except (StoreError, TimeoutError, NoLeasesError) as error:
            self._diary.record(incident, "leases_unknown", pulse.node, str(error), alert=True)
            unfenced = True
        if heirs and not runs:
            if not unfenced:
                self._diary.record(incident, "inherited", pulse.node, "other engines hold its runs")
            # Without the leases nobody can tell its orders from those of the engines that live.
            return not unfenced
        scope = self._scope(runs if heirs else None)
        return await self.act(pulse.node, runs, scope, incident=incident, unfenced=unfenced)

    async def act(
        self,
        node: str,
        runs: tuple[str, ...],
        scope: Scope,
        *,
        incident: str,
        unfenced: bool = False,
        fail_safe: FailSafe | None = None,
    ) -> bool:
        """Begin an intervention, or widen the one under way; False if it is too late to join that one."""
        scene = self._scene(incident, (node,), runs, scope)
        if await self._verdict(scene, fail_safe or self._fail_safe) is Verdict.LEAVE:
            self._diary.record(incident, "closed", node, "the fail-safe left the orders as they are")
            return True
        at_ns = self._clock.monotonic_ns()
        if self.current is not None:
            if self.current.recovering:
                return False
            self.feed(machine.Widened(at_ns=at_ns, node=node, runs=runs, scope=scope, unfenced=unfenced))
            return True
        self.interventions += 1
        state, actions = machine.begin(
            incident, node, runs, scope, tuple(self.hands), at_ns, unfenced=unfenced
        )
        self.current = state
        self._carry_out(state, actions)
        return True

    def tick(self) -> None:
        """Time has passed."""
        state = self.current
        if state is None:
            return
        now_ns = self._clock.monotonic_ns()
        due = now_ns - self._held_ns >= self._pace.lease_ttl_ns // _HELD_TIMES
        if due and state.fences and not state.recovering:
            self._held_ns = now_ns
            self._crew.start(self._hold(state))
        self.feed(machine.Tick(at_ns=now_ns))

    def feed(self, event: machine.Event) -> None:
        """Tell the intervention what happened, and do what it says."""
        if self.current is None:
            return
        state, actions = machine.step(self.current, event, self._pace)
        self.current = state
        self._carry_out(state, actions)
        if state.stage is Stage.CLOSED:
            self.last, self.current = state, None

    async def give_back(self) -> None:
        """The Angel is being ended: let engines in where it stands in the middle."""
        state = self.current
        if state is not None:
            await self._leases.release([run for run, _ in state.fences])
            self._diary.record(state.id, "left", "", "the Angel was ended in the middle", alert=True)

    def _scope(self, runs: tuple[str, ...] | None) -> Scope:
        """Of some runs while other engines trade, else of everything."""
        if runs is not None:
            return Scope(whole_account=False, prefixes=tuple(map(self._charge.run_prefix, runs)))
        whole = self._settings.scope is SweepScope.ACCOUNT
        return Scope(whole_account=whole, prefixes=(self._charge.instance_prefix,))

    async def _verdict(self, scene: Scene, fail_safe: FailSafe) -> Verdict:
        """What the fail-safe wants; the default's word if it raises or takes too long."""
        try:
            async with asyncio.timeout(self._settings.plugin_timeout_s):
                return await fail_safe.begin(scene)
        except Exception as error:  # noqa: BLE001 - an owner's code may raise anything; orders come first
            _failed(scene, fail_safe.name, error)
            return Verdict.SWEEP

    def _carry_out(self, state: Intervention, actions: tuple[machine.Action, ...]) -> None:
        for action in actions:
            if isinstance(action, machine.Record):
                self._diary.record(state.id, action.action, action.target, action.detail, alert=action.alert)
            elif isinstance(action, machine.Seize):
                self._crew.start(self._seize(state.id, action.runs))
            elif isinstance(action, machine.Poll):
                self._crew.start(self._poll(state.id, action.venue))
            elif isinstance(action, machine.Cancel):
                self._crew.start(self._cancel(state.id, action))
            else:
                self._crew.start(self._recover(state))

    def _tell(self, incident: str, event: machine.Event) -> None:
        """Pass on what came of an action, unless its intervention is over."""
        if self.current is not None and self.current.id == incident:
            self.feed(event)

    async def _seize(self, incident: str, runs: tuple[str, ...]) -> None:
        if not runs:
            # The store could not say whose leases these are: by now every engine is silent.
            try:
                runs = tuple(await self._leases.owned_by([], anybody=True))
            except (StoreError, TimeoutError, NoLeasesError) as error:
                failed = machine.SeizeFailed(at_ns=self._clock.monotonic_ns(), reason=str(error))
                self._tell(incident, failed)
                return
        self._held_ns = self._clock.monotonic_ns()
        taken = await self._leases.seize(runs)
        crash.reach("angel.seized")
        self._tell(incident, taken)

    async def _hold(self, state: Intervention) -> None:
        for run in await self._leases.hold([run for run, _ in state.fences]):
            self._diary.record(state.id, "lease_lost", run, "somebody else has taken it")

    async def _poll(self, incident: str, venue: str) -> None:
        self._tell(incident, await self.hands[venue].poll())

    async def _cancel(self, incident: str, action: machine.Cancel) -> None:
        for order in action.orders:
            words = f"{order.symbol} {order.client_order_id or order.venue_order_id}"
            self._diary.record(incident, "cancelling", action.venue, words)
        done = await self.hands[action.venue].cancel(action.orders)
        crash.reach("angel.cancelled")
        self.cancels += done.done
        self._tell(incident, done)

    async def _recover(self, state: Intervention) -> None:
        runs = tuple(run for run, _ in state.fences)
        scene = self._scene(state.id, state.nodes, runs, state.scope)
        try:
            async with asyncio.timeout(self._settings.plugin_timeout_s):
                await self._fail_safe.finish(scene)
        except Exception as error:  # noqa: BLE001 - an owner's code may raise anything
            _failed(scene, self._fail_safe.name, error)
        try:
            async with asyncio.timeout(self._settings.plugin_timeout_s):
                await self._recovery.recover(scene, self._restrict)
        except Exception as error:  # noqa: BLE001 - an owner's code may raise anything
            words = f"{_words(error)}; trading waits for the owner"
            scene.record("recovery_failed", self._recovery.name, words, alert=True)
            await self._restrict("instance", CAUSE, "halt", words)
        crash.reach("angel.recovered")
        for run in await self._leases.release(scene.runs):
            scene.record("release_failed", run, "its lease runs out by itself")
        crash.reach("angel.released")
        self._tell(state.id, machine.Recovered(at_ns=self._clock.monotonic_ns()))

    async def _restrict(self, scope: str, cause: str, state: str, detail: str) -> None:
        """Hold a restriction; tries until the store takes it, for the leases must not be free before."""
        assert self._operations is not None  # noqa: S101 - leases were seized, so there is a database
        by = f"angel {self._charge.name}"
        row = halt(scope, cause, state, detail, by, self._clock.now_ns() // NS_PER_MS)
        while True:
            try:
                async with asyncio.timeout(_STORE_S):
                    await asyncio.to_thread(self._operations.restrict, row)
            except (StoreError, TimeoutError):
                await asyncio.sleep(_RETRY_S)
            else:
                return

    def _scene(self, incident: str, nodes: tuple[str, ...], runs: tuple[str, ...], scope: Scope) -> Scene:
        def record(action: str, target: str = "", detail: str = "", *, alert: bool = False) -> None:
            self._diary.record(incident, action, target, detail, alert=alert)

        return Scene(
            incident=incident,
            nodes=nodes,
            runs=runs,
            venues=tuple(self._charge.venues),
            record=record,
            whole=scope.whole_account or self._charge.instance_prefix in scope.prefixes,
        )


def _failed(scene: Scene, name: str, error: Exception) -> None:
    scene.record("failsafe_failed", name, f"{_words(error)}; cancel_all runs instead", alert=True)


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
