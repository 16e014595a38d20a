"""Trying the Angel out: what it would cancel now, and an intervention for real, timed."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from mrmarket.angel.intervention import Intervention
from mrmarket.angel.sweep import Scope
from mrmarket.angel.watch import Angel
from mrmarket.core.clock import NS_PER_MS, Clock
from mrmarket.core.errors import MrMarketError
from mrmarket.store.operations import AngelAction, Beat, OperationsStore
from mrmarket.trading.execution.order_id import order_prefix

_STEP_S: Final = 0.05
_LOOK_S: Final = 0.2
_DRILL_S: Final = 90.0
_ACTIONS: Final = 10_000
"""More than one intervention records; what was there before is told from what is new by it."""


class DrillRefusedError(MrMarketError):
    """The drill was not begun; nothing was touched."""

    code = "drill_refused"

    def __init__(self, why: str) -> None:
        self.why = why
        super().__init__(f"no drill: {why}")


class DrillFailedError(MrMarketError):
    """The drill did not come to its end."""

    code = "drill_failed"
    retryable = True

    def __init__(self, why: str) -> None:
        self.why = why
        super().__init__(f"the drill did not end well: {why}; see mrmarket angel actions")


class WouldCancel(msgspec.Struct, frozen=True, kw_only=True):
    """One order that stands now and would go."""

    venue: str
    symbol: str
    client_order_id: str
    venue_order_id: str
    side: str


class DryRun(msgspec.Struct, frozen=True, kw_only=True):
    """What an intervention would meet now."""

    orders: list[WouldCancel]
    spared: int
    """Orders that stand and are not in its scope."""
    silent: dict[str, str]
    """Venues that did not answer, and why."""


class DrillReport(msgspec.Struct, frozen=True, kw_only=True):
    """How long things took, in ms from the beginning of the drill; None for what was not seen."""

    incident: str
    kind: str
    """`run` or `freeze`."""
    target: str
    orders_cancelled: int
    noticed_ms: int | None
    swept_ms: int | None
    """The first full sweep was acknowledged."""
    proven_ms: int | None
    closed_ms: int | None


async def dry_run(angel: Angel, scope: Scope) -> DryRun:
    """List what would be cancelled; cancels nothing."""
    orders: list[WouldCancel] = []
    silent: dict[str, str] = {}
    spared = 0
    for name, hand in angel.responder.hands.items():
        try:
            found = await hand.open_orders()
        except MrMarketError as error:
            silent[name] = str(error)
            continue
        meant = [order for order in found if scope.covers(order)]
        spared += len(found) - len(meant)
        orders += [
            WouldCancel(
                venue=name,
                symbol=order.symbol,
                client_order_id=order.client_order_id,
                venue_order_id=order.venue_order_id,
                side=order.side.value,
            )
            for order in meant
        ]
    return DryRun(orders=orders, spared=spared, silent=silent)


async def drill_run(angel: Angel, instance: str, run: str, incident: str, clock: Clock) -> DrillReport:
    """Take one run's lease from its living engine, cancel its orders, prove it, and give the lease back.

    Raises:
        DrillFailedError: it took too long; the lease runs out by itself.
    """
    scope = Scope(whole_account=False, prefixes=(order_prefix(instance, run),))
    began_ns = clock.monotonic_ns()
    await angel.responder.act("drill", (run,), scope, incident=incident)
    try:
        async with asyncio.timeout(_DRILL_S):
            while angel.current is not None:
                angel.responder.tick()
                await asyncio.sleep(_STEP_S)
    except TimeoutError:
        raise DrillFailedError(f"{run} could not be proven clear in {_DRILL_S:.0f} s") from None
    state = angel.last
    assert state is not None  # noqa: S101 - it was just closed
    return _report(state, run, began_ns, clock.monotonic_ns())


def _report(state: Intervention, run: str, began_ns: int, closed_ns: int) -> DrillReport:
    def since_ms(at_ns: int | None) -> int | None:
        return None if at_ns is None else (at_ns - began_ns) // NS_PER_MS

    return DrillReport(
        incident=state.id,
        kind="run",
        target=run,
        orders_cancelled=sum(sweep.cancelled for sweep in state.sweeps),
        noticed_ms=since_ms(state.began_ns),
        swept_ms=since_ms(state.swept_ns),
        proven_ms=since_ms(state.proven_ns),
        closed_ms=since_ms(closed_ns),
    )


def engine_to_freeze(operations: OperationsStore, node: str | None) -> Beat:
    """The engine of this machine that a drill would freeze.

    Raises:
        DrillRefusedError: there is none, or more than one and none was named.
    """
    here = socket.gethostname()
    engines = [
        beat
        for beat in operations.beats()
        if beat.role in ("engine", "all") and beat.host == here and beat.pid and node in (None, beat.node)
    ]
    if not engines:
        raise DrillRefusedError(
            "no engine of this machine beats" + (f" under the name {node}" if node else "")
        )
    if len(engines) > 1:
        names = ", ".join(beat.node for beat in engines)
        raise DrillRefusedError(f"more than one engine beats here; name one with --node: {names}")
    if not any(beat.role == "angel" for beat in operations.beats()):
        raise DrillRefusedError("no Angel watches; start one with mrmarket angel run")
    if not _is_ours(engines[0].pid):
        raise DrillRefusedError(f"process {engines[0].pid} is not an engine of ours any more")
    return engines[0]


async def drill_freeze(operations: OperationsStore, engine: Beat, clock: Clock) -> DrillReport:
    """Freeze an engine until the Angel has cleared everything, then let it go on.

    Raises:
        DrillFailedError: the Angel did not do its work in time, or the drill was ended; the engine goes on
            all the same.
    """
    before = {action.id for action in await asyncio.to_thread(operations.actions, _ACTIONS)}
    began_ms = clock.now_ns() // NS_PER_MS
    with _ending_on_signals():
        try:
            os.kill(engine.pid, signal.SIGSTOP)
            rows = await _until_closed(operations, before)
        except asyncio.CancelledError:
            raise DrillFailedError("it was ended in the middle") from None
        finally:
            os.kill(engine.pid, signal.SIGCONT)

    def first_ms(*names: str) -> int | None:
        times = [row.at_ms for row in rows if row.action in names]
        return min(times) - began_ms if times else None

    return DrillReport(
        incident=rows[0].incident,
        kind="freeze",
        target=engine.node,
        orders_cancelled=sum(row.action == "cancelling" for row in rows),
        noticed_ms=first_ms("intervene"),
        swept_ms=first_ms("proving"),
        proven_ms=first_ms("cleared"),
        closed_ms=first_ms("closed"),
    )


@contextmanager
def _ending_on_signals() -> Iterator[None]:
    """Have whoever ends this process, or closes its terminal, leave no engine frozen behind."""
    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    assert task is not None  # noqa: S101 - a coroutine runs in one
    numbers = (signal.SIGTERM, signal.SIGHUP)
    for number in numbers:
        loop.add_signal_handler(number, task.cancel)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


async def _until_closed(operations: OperationsStore, before: set[str]) -> list[AngelAction]:
    try:
        async with asyncio.timeout(_DRILL_S):
            while True:
                rows = await asyncio.to_thread(operations.actions, _ACTIONS)
                new = [row for row in rows if row.id not in before]
                closed = next((row for row in new if row.action == "closed"), None)
                if closed is not None:
                    return [row for row in new if row.incident == closed.incident]
                await asyncio.sleep(_LOOK_S)
    except TimeoutError:
        raise DrillFailedError(f"the Angel closed no intervention in {_DRILL_S:.0f} s") from None


def _is_ours(pid: int) -> bool:
    """Whether a process runs our command; where the system does not tell, it is believed."""
    proc = Path("/proc")
    if not (proc / "self" / "cmdline").exists():
        return True
    try:
        return b"mrmarket" in (proc / str(pid) / "cmdline").read_bytes()
    except OSError:
        return False
