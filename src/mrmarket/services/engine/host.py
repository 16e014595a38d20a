"""Holds the strategy runs of one process: leases, signs of life, and who takes which run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from random import Random
from typing import Any, Final

import structlog

from mrmarket.core.clock import NS_PER_MS, NS_PER_S, Clock
from mrmarket.core.notice import NoticeSink, Unheard
from mrmarket.services.engine.board_sync import BoardSync
from mrmarket.services.engine.census import Census
from mrmarket.services.engine.commands import CommandDesk
from mrmarket.services.engine.database_line import DatabaseLine
from mrmarket.services.engine.engine_name import EngineName
from mrmarket.services.engine.findings import FindingDesk
from mrmarket.services.engine.keeper import Keeper, OnRun
from mrmarket.services.engine.placement import Moves, plan_moves
from mrmarket.services.engine.ports import Hosted, LeaseLine, LeaseStore, Workshop
from mrmarket.services.engine.reports import RunReports
from mrmarket.services.engine.seat import Ending, Phase, Seat
from mrmarket.services.engine.specs import what_runs
from mrmarket.services.engine.timing import EngineTiming
from mrmarket.store.errors import StaleFenceError, StoreError
from mrmarket.store.operations import Beat, DesiredState, OperationsStore, RunSpec
from mrmarket.trading.execution.lease_guard import LeaseGuard
from mrmarket.trading.execution.risk.board import RiskBoard
from mrmarket.trading.execution.risk.restart import RestartPolicy

_SHUT_S: Final = 30.0
"""Closing waits so long for runs to cancel and prove."""

_log = structlog.get_logger("mrmarket.engine")


class EngineHost:
    """One engine. Everything happens on one event loop; every call to a database in a thread.

    A run is ours while its lease is. Whoever loses a lease drops the run where it is, because an heir is
    at work; whoever cannot renew falls silent by its own clock before others may begin.
    """

    def __init__(
        self,
        node: str,
        operations: OperationsStore,
        leases: LeaseStore,
        workshop: Workshop,
        *,
        clock: Clock,
        timing: EngineTiming | None = None,
        role: str = "engine",
        random: Random | None = None,
        notices: NoticeSink | None = None,
        board: RiskBoard | None = None,
        restarts: RestartPolicy | None = None,
        adopt: bool = False,
        on_run: OnRun | None = None,
        serves: Callable[[RunSpec], bool] = lambda _: True,
        detail: Callable[[], dict[str, Any]] | None = None,
        machine: str = "",
        process: int = 0,
        has_ended: Callable[[Beat], bool] = lambda _: False,
    ) -> None:
        """Put it together; nothing is asked of any database before `keep`.

        Args:
            node: this engine's name, the owner of its leases; no two live engines may share it.
            operations: where engines, API and Angel meet.
            leases: who may write to which stream.
            workshop: puts runs together.
            clock: the machine's.
            timing: how often what is done.
            role: `engine`, or `all` for everything in one process.
            random: spreads engines that would otherwise ask at the same moment.
            notices: who hears of runs that fail and of databases that do not answer.
            board: this process's restrictions, kept the same as those in the database.
            restarts: when a run that failed by itself is started again.
            adopt: whether a run that is handed over leaves its orders standing for the heir.
            on_run: told of runs that come and go.
            serves: whether a run can be held here at all; others are left to other engines.
            detail: what else the sign of life carries.
            machine: name of the machine, for people.
            process: its process id, for people.
            has_ended: whether the process of an earlier sign of life under our name is certainly gone.
        """
        self.node = node
        self.role = role
        self.timing = timing or EngineTiming()
        self.seats: dict[str, Seat] = {}
        """The runs that are here, by id."""
        self.claims = 0
        """Leases taken since the start."""
        self.line = DatabaseLine(clock, self.timing.answer_s)
        self.keeper = Keeper(
            self.seats,
            leases,
            workshop,
            self.line,
            self.timing,
            clock,
            notices or Unheard(),
            restarts,
            on_run or (lambda _spec, _run, _error: None),
            self._set_down,
        )
        self.findings = FindingDesk(operations, self.line, clock)
        """What venues say otherwise; written down when the database is looked at."""
        self.commands = CommandDesk(self, operations, workshop, clock)
        self._operations = operations
        self._leases = leases
        self._clock = clock
        self._random = random or Random(f"{node} {machine} {process}")  # noqa: S311 - spreads load, guards nothing
        self._adopt = adopt
        self._serves = serves
        self._detail = detail or dict
        self._machine = machine
        self._process = process
        self._started_ms = clock.now_ns() // NS_PER_MS
        self._started_ns = clock.monotonic_ns()
        self._name = EngineName(
            node, (self._started_ms, machine, process), operations, self.line, clock, self.timing, has_ended
        )
        self._reports = RunReports(
            node, self.seats, operations, self.line, workshop, clock, self.timing.report_s
        )
        self._census = Census(node, self.timing)
        self._specs: dict[str, RunSpec] = {}
        self._board = None if board is None else BoardSync(board, operations, self.line)
        self._arrived: set[str] = set()
        self._look_now = asyncio.Event()
        self._closing = False
        self._claiming: tuple[str, ...] = ()
        """Leases that are being asked for; if nobody waits for the answer they must be given back."""

    @property
    def specs(self) -> Mapping[str, RunSpec]:
        """Every run as of the last look."""
        return self._specs

    @property
    def seq(self) -> int:
        """Of a sign of life given now; it rises with time, also while a database holds up the writing."""
        return 1 + (self._clock.monotonic_ns() - self._started_ns) // int(self.timing.beat_s * NS_PER_S)

    @property
    def started_ms(self) -> int:
        """When it began, by the wall clock."""
        return self._started_ms

    def run(self, run: str) -> Hosted | None:
        """The run of that id, if it is here."""
        seat = self.seats.get(run)
        return None if seat is None else seat.run

    # Life.

    async def keep(self) -> None:
        """Beat, renew, look and report until cancelled; a database that does not answer is asked again.

        Cancelling leaves the runs where they are: `close` or `abandon` comes next.
        """
        await self._name.secure()
        await self._open_board()
        async with asyncio.TaskGroup() as group:
            # Out of step with a twin: whoever beats just before each look reads its own sign of life alone.
            beating = self._repeat(self._beat, self.timing.beat_s, early=0.2)
            group.create_task(beating, name=f"{self.node} beat")
            group.create_task(self._repeat(self.renew, self.timing.renew_s), name=f"{self.node} renew")
            group.create_task(
                self._repeat(self.look, self.timing.look_s, self._look_now), name=f"{self.node} look"
            )
            group.create_task(self._reports.keep(), name=f"{self.node} report")

    async def close(self) -> None:
        """Set every run down as for a hand-over, and sign off; to be called once `keep` has ended.

        Meanwhile leases are renewed and signs of life given, because proof may take longer than a lease, and
        longer than the Angel waits.
        """
        self._closing = True
        over = asyncio.Event()
        beating = asyncio.ensure_future(self._beat_until(over))
        renewing = asyncio.ensure_future(self._repeat(self.renew, self.timing.renew_s))
        try:
            for seat in self.seats.values():
                seat.ask(Ending.HAND_OVER, "the engine ends")
            tasks = [seat.task for seat in self.seats.values() if seat.task is not None]
            if tasks:
                await asyncio.wait(tasks, timeout=_SHUT_S)
            await self.abandon()
        finally:
            renewing.cancel()
            over.set()
            await asyncio.gather(renewing, beating, return_exceptions=True)
        try:
            for run in self._claiming:
                if run not in self.seats:
                    await self._give_back(run)
            if self._name.is_ours:
                await self.line.call(self._operations.sign_off, self.node)
        except StoreError as error:
            _log.warning("could not sign off; others wait for the leases to run out", error=str(error))

    async def abandon(self) -> None:
        """Drop every run where it is, as a crash would."""
        self._closing = True
        if self._board is not None:
            self._board.close()
        for seat in self.seats.values():
            seat.ask(Ending.DROP, "abandoned")
        tasks = [seat.task for seat in self.seats.values() if seat.task is not None]
        await asyncio.gather(*tasks, return_exceptions=True)

    def release(self, run: str, reason: str, ending: Ending = Ending.HAND_OVER) -> None:
        """Have a run set down; whoever should have it takes it up again."""
        if (seat := self.seats.get(run)) is not None:
            seat.ask(ending, reason)

    def hurry(self) -> None:
        """Look at once and not only when it is due."""
        self._look_now.set()

    # Signs of life and leases.

    async def _beat(self) -> None:
        beat = Beat(
            node=self.node,
            role=self.role,
            seq=self.seq,
            started_ms=self._started_ms,
            at_ms=self._clock.now_ns() // NS_PER_MS,
            host=self._machine,
            pid=self._process,
            detail={
                "runs": len(self.seats),
                "held": sum(seat.phase is Phase.HELD for seat in self.seats.values()),
                "lost": self.keeper.lost,
                "failures": self.keeper.failures,
                **self._detail(),
            },
        )
        await self.line.call(self._operations.beat, beat)

    async def _beat_until(self, over: asyncio.Event) -> None:
        """Beat to the end. Not cancelled in the middle of a beat: none may come after the sign-off."""
        while not over.is_set():
            try:
                await self._beat()
            except StoreError as error:
                _log.warning("the database did not take a sign of life", error=str(error))
            with suppress(TimeoutError):
                async with asyncio.timeout(self.timing.beat_s):
                    await over.wait()

    async def renew(self, call: str = "") -> None:
        """Renew every lease now; runs whose lease somebody else has taken are dropped.

        Args:
            call: a name of its own, for whoever asks while a renewal is under way.

        Raises:
            StoreError: the database does not answer.
        """
        names = sorted(self.seats)
        if not names:
            return
        fences = {name: self.seats[name].fence for name in names}
        asked_ns = self._clock.monotonic_ns()
        gone = set(
            await self.line.call(
                self._leases.renew_leases, names, self.timing.lease_ns, self._clock.now_ns(), name=call
            )
        )
        for name in names:
            seat = self.seats.get(name)
            if seat is None or seat.fence != fences[name]:
                continue
            if name in gone:
                self.keeper.lost += 1
                seat.ask(Ending.DROP, "somebody else took the lease")
            else:
                seat.guard.renewed(asked_ns, self.timing.lease_ns)

    # Which runs are here.

    async def look(self) -> None:
        """One look at specifications, leases and engines: set down, claim, carry out commands."""
        known, beats, leases = await self.line.call(self._read)
        specs = {spec.id: spec for spec in known if self._serves(spec)}
        self._name.look(beats)
        self._specs = specs
        for spec in specs.values():
            self.keeper.setbacks.forgive(spec.id, spec.revision)
        mono_ns, now_ns = self._clock.monotonic_ns(), self._clock.now_ns()
        self._census.see_beats(beats, mono_ns)
        self._follow_specs()
        wanted = [spec.id for spec in specs.values() if spec.desired is not DesiredState.STOPPED]
        holders = self._census.holders(wanted, self.seats, leases, now_ns=now_ns, mono_ns=mono_ns)
        if not self._closing:
            await self._place(holders, mono_ns)
        if self._board is not None:
            arrived, self._arrived = self._arrived, set()
            await self._board.look(arrived)
        await self.findings.write()
        await self.commands.look()

    def _read(self) -> tuple[list[RunSpec], list[Beat], Sequence[LeaseLine]]:
        """What a look is at, in this order, in one go: a thread for each would cost more than the reading."""
        return self._operations.run_specs(), self._operations.beats(), self._leases.leases()

    async def write_restrictions(self) -> None:
        """Write down what the board restricts and lifts by now; raises a StoreError."""
        if self._board is not None:
            await self._board.write()

    def _follow_specs(self) -> None:
        for run, seat in self.seats.items():
            spec = self._specs.get(run)
            if spec is None or spec.desired is DesiredState.STOPPED:
                seat.ask(Ending.HAND_OVER, "no longer wanted")
            elif spec.revision > seat.spec.revision:
                if what_runs(spec) != what_runs(seat.spec):
                    seat.ask(Ending.HAND_OVER, "its specification has changed")
                else:
                    self.commands.follow(seat, spec)

    async def _place(self, holders: Mapping[str, str], mono_ns: int) -> None:
        patience_s = self.timing.patience_s * (1 + self._random.random())
        moves = plan_moves(
            self.node,
            holders,
            self._census.live(mono_ns),
            barred=self.keeper.setbacks.barred(mono_ns),
            overdue=self._census.overdue(patience_s, mono_ns),
            leaving={run for run, seat in self.seats.items() if seat.ending is not None and run in holders},
            waiting={run for run, seat in self.seats.items() if seat.is_waiting},
            late=self._census.late(mono_ns),
            given=self._census.given,
            at_once=self.timing.at_once,
        )
        if moves.hand_over and self._census.steady(mono_ns) != self._census.live(mono_ns):
            moves = Moves(moves.claim)
        for run in moves.hand_over:
            self.seats[run].ask(
                Ending.LEAVE_ORDERS if self._adopt else Ending.HAND_OVER, "another engine has fewer runs"
            )
        if moves.claim:
            await self._claim(moves.claim)

    async def _claim(self, runs: Sequence[str]) -> None:
        """Take the leases first, all at once: recovery, which takes longer, comes one after the other."""
        asked_ns = self._clock.monotonic_ns()
        self._claiming = tuple(runs)
        fences = await self.line.call(
            self._leases.acquire_leases, runs, self.node, self.timing.lease_ns, self._clock.now_ns()
        )
        self._claiming = ()
        for run, fence in fences.items():
            guard = LeaseGuard(self._clock)
            guard.renewed(asked_ns, self.timing.lease_ns)
            self.claims += 1
            self._arrived.add(run)
            seat = Seat(self._specs[run], fence, guard, self._clock.monotonic_ns())
            self.keeper.begin(seat)
            if self._closing:
                seat.ask(Ending.HAND_OVER, "the engine ends")
            _log.info("took a run", run=run, fence=fence, node=self.node)

    def _set_down(self, run: str, lost: bool) -> None:
        if self._board is not None:
            self._board.leave(run, lost=lost)
        self.hurry()

    async def _give_back(self, run: str) -> None:
        try:
            await self.line.call(self._leases.release_lease, run)
        except StaleFenceError:
            _log.info("a lease that was asked for was not given", run=run)

    # Beside.

    async def _open_board(self) -> None:
        """Nothing is claimed before it is known what is halted."""
        while self._board is not None:
            try:
                await self._board.open()
            except StoreError as error:
                _log.warning("waits for the restrictions", error=str(error))
                await asyncio.sleep(self.timing.look_s)
            else:
                return

    async def _repeat(
        self, work: Callable[[], Any], every_s: float, sooner: asyncio.Event | None = None, early: float = 0
    ) -> None:
        """Do it again and again; a database that refuses or is silent is asked again after the same time."""
        while True:
            try:
                await work()
            except StoreError as error:
                _log.warning("the database did not do what was asked", work=work.__name__, error=str(error))
            if sooner is None:
                await asyncio.sleep(every_s * (1 - early * self._random.random()))
                continue
            try:
                async with asyncio.timeout(every_s):
                    await sooner.wait()
            except TimeoutError:
                continue
            sooner.clear()
