"""The whole life of a sandbox process: start, tell where everything is, end when told to."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO

from mrmarket.core.parent import when_parent_ends
from mrmarket.services.logs import configure_logs
from mrmarket.services.sandbox.config import SandboxConfig
from mrmarket.services.sandbox.endpoints import SandboxEndpoints
from mrmarket.services.sandbox.world import SandboxWorld

Announce = Callable[[SandboxEndpoints], None]


def run_sandbox(config: SandboxConfig, announce: Announce) -> None:
    """Run a world until SIGINT, SIGTERM, or the end of standard input if `exit_with_parent`; blocks.

    Args:
        config: what world.
        announce: told once when it can be lived in.

    Raises:
        MrMarketError: the folder, a port, anvil or the contracts cannot be used, or a part broke.
    """
    configure_logs(Path(config.state_dir))
    asyncio.run(serve(config, announce))


async def serve(config: SandboxConfig, announce: Announce, stdin: IO[bytes] | None = None) -> None:
    """As `run_sandbox`, inside a running loop; `stdin` is watched instead of the process's own."""
    os.umask(0o077)
    world = SandboxWorld(config)
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    if config.exit_with_parent:
        when_parent_ends(stdin.fileno() if stdin else sys.stdin.fileno(), stopping.set)
    stopped = asyncio.create_task(stopping.wait())
    living = asyncio.create_task(_live(world, announce))
    try:
        await asyncio.wait({living, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if living.done():
            await living
    finally:
        for task in (stopped, living):
            task.cancel()
        await asyncio.gather(stopped, living, return_exceptions=True)
        await world.stop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


async def _live(world: SandboxWorld, announce: Announce) -> None:
    announce(await world.start())
    await world.wait()
