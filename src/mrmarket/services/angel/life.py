"""The whole life of an Angel's process: take the folder, watch, end when told to."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any, Final

from mrmarket.angel.watch import Angel
from mrmarket.core.clock import SystemClock
from mrmarket.services.angel.composition import assemble
from mrmarket.services.angel.holding import AngelFolder
from mrmarket.services.angel.plan import AngelPlan
from mrmarket.services.logs import configure_logs
from mrmarket.services.redaction import Redactor, secrets_of
from mrmarket.services.telemetry.server import TelemetryServer
from mrmarket.services.telemetry.telemetry import Telemetry

_LOOK_S: Final = 2.0
Announce = Callable[[dict[str, Any]], None]


async def live(
    plan: AngelPlan,
    data: Path,
    store_url: str,
    environ: Mapping[str, str],
    announce: Announce,
    *,
    with_store: bool = True,
    take_over: bool = False,
    detach: bool = False,
) -> Angel:
    """Watch until a signal, until the instance has signed off, or until the folder is gone.

    Args:
        plan: what to watch.
        data: where its own files, and on one machine the instance's databases, are.
        store_url: a PostgreSQL address; empty for files.
        environ: where keys are.
        announce: told once when it watches.
        with_store: whether there is a database at all.
        take_over: whether to end an Angel that watches from the folder.
        detach: whether to let go of the standard streams afterwards, so that nobody's death closes them.

    Returns:
        The Angel, which has ended.

    Raises:
        MrMarketError: it cannot begin.
    """
    folder = AngelFolder(data)
    await folder.take(take_over=take_over)
    try:
        redactor = configure_logs(
            folder.path, plan.telemetry, redactor=Redactor(secrets_of(plan, environ)), role="angel"
        )
        assembled = await assemble(plan, data, store_url, environ, with_store=with_store, know=redactor.know)
        angel = assembled.angel
        async with assembled.closing, _figures(plan, angel):
            stopping = _stop_on_signals(angel)
            try:
                announce(
                    {
                        "angel": angel.charge.name,
                        "pid": os.getpid(),
                        "venues": [venue.name for venue in angel.charge.venues],
                        "threshold_s": plan.settings.threshold_s,
                        "fail_safe": plan.settings.fail_safe,
                        "recovery": plan.settings.recovery,
                    }
                )
                if detach:
                    _let_go_of_streams()
                leaving = asyncio.create_task(_leave_with(folder, angel))
                try:
                    await angel.run()
                finally:
                    leaving.cancel()
                    await asyncio.gather(leaving, return_exceptions=True)
            finally:
                stopping()
        return angel
    finally:
        folder.let_go()


@contextlib.asynccontextmanager
async def _figures(plan: AngelPlan, angel: Angel) -> AsyncIterator[None]:
    """Serve its figures where it is told to."""
    section = plan.telemetry
    if not section.angel_port:
        yield
        return
    telemetry = Telemetry(plan.name, SystemClock(), node=angel.charge.name, role="angel")
    server = TelemetryServer(telemetry, section.host, section.angel_port)
    await server.start()
    lag = asyncio.create_task(telemetry.lag.keep())
    try:
        yield
    finally:
        lag.cancel()
        await asyncio.gather(lag, return_exceptions=True)
        await server.close()


async def _leave_with(folder: AngelFolder, angel: Angel) -> None:
    """An Angel whose folder was removed has lost its instance for good."""
    while folder.is_there:  # noqa: ASYNC110 - nobody tells of a folder that was removed
        await asyncio.sleep(_LOOK_S)
    angel.stop()


def _stop_on_signals(angel: Angel) -> Callable[[], None]:
    loop = asyncio.get_running_loop()
    numbers = (signal.SIGINT, signal.SIGTERM)
    for number in numbers:
        loop.add_signal_handler(number, angel.stop)
    # A parent that dies closes our terminal or pipe; that is when we are needed.
    with contextlib.suppress(AttributeError):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def undo() -> None:
        for number in numbers:
            loop.remove_signal_handler(number)

    return undo


def _let_go_of_streams() -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    os.close(nowhere)
