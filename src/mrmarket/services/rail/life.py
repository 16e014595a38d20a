"""The whole life of a rail process: start, tell where it is, end when told to."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from typing import IO

from mrmarket.core.parent import when_parent_ends
from mrmarket.services.rail.config import RailConfig
from mrmarket.services.rail.messages import RailEndpoints
from mrmarket.services.rail.server import RailServer

Announce = Callable[[RailEndpoints], None]


def run_rail(config: RailConfig, announce: Announce) -> None:
    """Run a rail until SIGINT, SIGTERM, or the end of standard input if `exit_with_parent`; blocks.

    Args:
        config: what to serve.
        announce: told once when clients may come.

    Raises:
        MrMarketError: the folder, the port or a setting cannot be used, or writing failed.
    """
    asyncio.run(serve(config, announce))


async def serve(config: RailConfig, announce: Announce, stdin: IO[bytes] | None = None) -> None:
    """As `run_rail`, inside a running loop; `stdin` is watched instead of the process's own."""
    os.umask(0o077)
    server = RailServer(config)
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    started = False
    try:
        await server.start()
        started = True
        announce(server.endpoints)
        if config.exit_with_parent:
            when_parent_ends(stdin.fileno() if stdin else sys.stdin.fileno(), stopping.set)
        broken = asyncio.create_task(server.wait())
        stopped = asyncio.create_task(stopping.wait())
        await asyncio.wait({broken, stopped}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if broken.done():
            await broken
        broken.cancel()
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
        if started:
            await server.stop()
