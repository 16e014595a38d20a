"""Leads each run of one engine from its lease to its end, so that no run's end touches another's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from mrmarket.core.clock import NS_PER_MS, Clock
from mrmarket.core.ending import end_all
from mrmarket.core.errors import MrMarketError
from mrmarket.core.notice import Notice, NoticeSink, Severity
from mrmarket.services.engine.database_line import DatabaseLine
from mrmarket.services.engine.ports import Hosted, LeaseStore, Workshop
from mrmarket.services.engine.seat import Ending, Phase, Seat
from mrmarket.services.engine.setbacks import Setbacks
from mrmarket.services.engine.timing import EngineTiming
from mrmarket.store.errors import StaleFenceError, StoreError
from mrmarket.store.operations import DesiredState, RunSpec
from mrmarket.trading.execution.reconciler import StopReport
from mrmarket.trading.execution.risk.restart import RestartPolicy

OnRun = Callable[[RunSpec, Hosted | None, Exception | None], None]
"""Told of a run that quotes here from now on, and (None) of one that is here no longer, with its failure."""

_log = structlog.get_logger("mrmarket.engine.keeper")


class Keeper:
    """Recovers, starts, watches, stops; gives leases back and keeps count."""

    def __init__(
        self,
        seats: dict[str, Seat],
        leases: LeaseStore,
        workshop: Workshop,
        line: DatabaseLine,
        timing: EngineTiming,
        clock: Clock,
        notices: NoticeSink,
        restarts: RestartPolicy | None,
        on_run: OnRun,
        on_end: Callable[[str, bool], None],
    ) -> None:
        """`seats` is the host's; `on_end` hears which run is gone, and whether its lease was lost."""
        self.handed_over = 0
        """Runs given to another engine or set down on request."""
        self.lost = 0
        """Leases that somebody else took."""
        self.failures = 0
        """Runs that failed."""
        self.setbacks = Setbacks(timing, restarts)
        self.ends_all: Callable[[str, Exception], bool] = lambda _run, _failure: False
        """Whether this process ends with a run that fails so: then nobody is promised another attempt."""
        self._seats = seats
        self._leases = leases
        self._workshop = workshop
        self._line = line
        self._clock = clock
        self._notices = notices
        self._on_run = on_run
        self._on_end = on_end
        self._starting = asyncio.Semaphore(timing.starts_at_once)

    def begin(self, seat: Seat) -> None:
        """The lease is ours: bring the run up and look after it."""
        self._seats[seat.spec.id] = seat
        seat.task = asyncio.create_task(self._serve(seat), name=f"{seat.spec.id} seat")

    async def _serve(self, seat: Seat) -> None:
        """From the lease to the end of the seat; never raises."""
        life = asyncio.create_task(self._live(seat), name=f"{seat.spec.id} life")
        asked = asyncio.create_task(seat.asked.wait())
        failure: Exception | None = None
        try:
            await asyncio.wait({life, asked}, return_when=asyncio.FIRST_COMPLETED)
            failure = await _end(life)
            if seat.ending is None and seat.run is not None:
                failure = failure or seat.run.failure
            await self._leave(seat, failure)
        except Exception as error:  # noqa: BLE001 - one run's end must not touch another's
            failure = failure or error
            _log.error("a run did not end as it should", run=seat.spec.id, exc_info=error)
        finally:
            life.cancel()
            asked.cancel()
            if self._seats.get(seat.spec.id) is seat:
                del self._seats[seat.spec.id]
            reason = seat.reason or str(failure or "")
            _log.info("set a run down", run=seat.spec.id, fence=seat.fence, reason=reason)
            self._on_run(seat.spec, None, failure)
            self._on_end(seat.spec.id, seat.ending is Ending.DROP or isinstance(failure, StaleFenceError))

    async def _live(self, seat: Seat) -> None:
        async with self._starting:
            seat.begun = True
            seat.run = run = await self._workshop.make(seat.spec, seat.fence, seat.guard)
            await run.start()
        # Nothing has been decided yet: whoever is to be paused has not quoted in between.
        if seat.spec.desired is DesiredState.PAUSED:
            await run.pause("paused by the owner")
        seat.phase = Phase.HELD
        self._on_run(seat.spec, run, None)
        await run.wait()

    async def _leave(self, seat: Seat, failure: Exception | None) -> None:
        """Set the run down in the way that is asked for and give the lease back where it is still ours."""
        may_cancel = (
            seat.phase is Phase.HELD
            and seat.ending in (None, Ending.HAND_OVER)
            and not isinstance(failure, StaleFenceError)
        )
        seat.phase = Phase.LEAVING
        if seat.run is not None:
            if may_cancel:
                await self._stop(seat, seat.run)
            else:
                await seat.run.abandon()
            await self._clear(seat.spec, seat.run)
        if failure is None or isinstance(failure, StaleFenceError):
            self.setbacks.calm(seat.spec.id)
        else:
            self._set_back(seat, failure)
        if seat.ending is Ending.DROP:
            return
        seat.guard.lost()
        run = seat.spec.id
        try:
            await self._line.call(self._leases.release_lease, run, name=f"release {run}")
            self.handed_over += failure is None
        except StaleFenceError:
            self.lost += 1
        except StoreError as error:
            _log.warning("a lease was not given back; it runs out", run=run, error=str(error))

    async def _stop(self, seat: Seat, run: Hosted) -> None:
        """Cancel and prove; drop it at once where the lease is lost in the middle of that."""
        stopping = asyncio.ensure_future(run.stop(seat.reason or "it has failed"))
        dropped = asyncio.ensure_future(seat.dropped.wait())
        try:
            await asyncio.wait({stopping, dropped}, return_when=asyncio.FIRST_COMPLETED)
            if stopping.done():
                _say_what_is_left(seat.spec.id, stopping.result())
                return
        except MrMarketError as error:
            _log.warning(
                "a run could not be stopped cleanly; the next start takes it up",
                run=seat.spec.id,
                error=str(error),
            )
        finally:
            await end_all((stopping, dropped))
        await run.abandon()

    async def _clear(self, spec: RunSpec, run: Hosted) -> None:
        try:
            await self._workshop.clear(spec, run)
        except Exception as error:  # noqa: BLE001 - the lease must be given back whatever this ends with
            _log.warning("what a run used was not closed cleanly", run=spec.id, exc_info=error)

    def _set_back(self, seat: Seat, failure: Exception) -> None:
        self.failures += 1
        now_ns = self._clock.monotonic_ns()
        wait_s = self.setbacks.note(
            seat.spec.id,
            failure,
            revision=seat.spec.revision,
            lasted_ns=now_ns - seat.since_ns,
            mono_ns=now_ns,
        )
        after = "stays down until you start it" if wait_s is None else f"is tried again in {wait_s:.0f} s"
        if self.ends_all(seat.spec.id, failure):
            after = "ends this process with it"
        _log.error("a run failed", run=seat.spec.id, retry_s=wait_s, exc_info=failure)
        self._notices.notify(
            Notice(
                key=f"run_failed:{seat.spec.id}",
                kind="run",
                severity=Severity.WARNING,
                title=f"{seat.spec.id} failed and {after}",
                text=str(failure),
                at_ms=self._clock.now_ns() // NS_PER_MS,
            )
        )


def _say_what_is_left(run: str, report: object) -> None:
    if isinstance(report, StopReport) and (not report.clean or report.fills_missing):
        _log.warning(
            "not everything could be proven; the next start does",
            run=run,
            remaining=report.remaining,
            fills_missing=report.fills_missing,
        )


async def _end(life: asyncio.Task[None]) -> Exception | None:
    """End a run's life; what it failed with if it had ended by itself."""
    await end_all((life,))
    if life.cancelled():
        return None
    error = life.exception()
    # Whatever keeps a run from starting is its failure.
    return error if error is None or isinstance(error, Exception) else RuntimeError(repr(error))
