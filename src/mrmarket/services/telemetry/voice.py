"""All that a process says: its log, its figures, its health and its notices, opened and closed together."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Self

from mrmarket.core.clock import Clock
from mrmarket.services.config_sections import Config
from mrmarket.services.logs import configure_logs
from mrmarket.services.notify.configured import open_notifier
from mrmarket.services.redaction import Redactor, secrets_of
from mrmarket.services.telemetry.order_log import OrderLog
from mrmarket.services.telemetry.server import TelemetryServer
from mrmarket.services.telemetry.state_sources import disk_source, notices_source
from mrmarket.services.telemetry.telemetry import Telemetry


class Voice:
    """For the instance, an engine or the Angel: an asynchronous context around everything else.

    Entering it raises what is wrong with `[notify]` or the port for figures; nothing stays open then.
    """

    def __init__(
        self,
        config: Config,
        data: Path,
        clock: Clock,
        environ: Mapping[str, str],
        *,
        role: str,
        node: str = "",
    ) -> None:
        """`node` names this process among others; without one it is the machine's name."""
        self.node = node or socket.gethostname()
        self.redactor = Redactor(secrets_of(config, environ))
        """Knows the configuration's secrets; whoever loads or makes another one tells it."""
        self.telemetry = Telemetry(config.instance.name, clock, node=self.node, role=role)
        self.notifier = open_notifier(config.notify, environ, config.instance.name, clock)
        self.order_log = OrderLog(per_s=config.telemetry.order_lines_per_s)
        self.server: TelemetryServer | None = None
        """On the port of its own, if there is one."""
        self._config = config
        self._data = data
        self._role = role
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        section, telemetry = self._config.telemetry, self.telemetry
        configure_logs(self._data, section, redactor=self.redactor, node=self.node, role=self._role)
        telemetry.watch("notices", notices_source(self.notifier))
        telemetry.watch("disk", disk_source(self._data), threaded=True)
        async with AsyncExitStack() as stack:
            await self.notifier.start()
            stack.push_async_callback(self.notifier.close)
            if section.port:
                hosts = self._config.api.allowed_hosts
                self.server = TelemetryServer(telemetry, section.host, section.port, hosts)
                await self.server.start()
                stack.push_async_callback(self.server.close)
            for work in (telemetry.lag.keep(), self.order_log.keep()):
                stack.push_async_callback(_end, asyncio.create_task(work))
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
