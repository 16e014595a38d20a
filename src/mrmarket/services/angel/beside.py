"""The Angel beside an instance: started with it, started again when it dies, ended after it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from mrmarket.services.angel.plan import plan_beside
from mrmarket.services.angel.process import AngelProcess, AngelProcessError
from mrmarket.services.config_sections import Config
from mrmarket.services.data_directory import DataDirectory
from mrmarket.services.venue_process import Endpoints

_log = structlog.get_logger("mrmarket.angel")
OnLoss = Callable[[AngelProcessError], None]


class AngelBeside:
    """Keeps an Angel running while the instance does. An instance trades on without one, and says so."""

    def __init__(
        self,
        config: Config,
        directory: DataDirectory,
        url: str,
        embedded: Endpoints | None,
        on_loss: OnLoss | None = None,
    ) -> None:
        """Nothing is started yet.

        Args:
            config: the instance's.
            directory: its data folder.
            url: where its API is.
            embedded: what its own exchange said when it was ready; None on a real one.
            on_loss: told when the Angel is gone or cannot be started.
        """
        self._wanted = config.angel.enabled and not config.venue.paper
        self._config = config
        self._directory = directory
        self._url = url
        self._embedded = embedded
        self._on_loss = on_loss
        self._process: AngelProcess | None = None
        self._keeping: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """The Angel's process while it runs."""
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Begin to keep one, in the background: trading does not wait for it."""
        if not self._wanted:
            return
        plan = plan_beside(
            self._config, self._directory.instance_id(), f"{self._url}/heartbeat", self._embedded
        )
        self._process = AngelProcess(self._directory.root, plan, self._directory.store.url)
        self._keeping = asyncio.create_task(self._process.keep(self._lost))

    async def stop(self) -> None:
        """End it; the instance's orders are gone by now."""
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.gather(self._keeping, return_exceptions=True)
        if self._process is not None:
            await self._process.stop()

    def _lost(self, error: AngelProcessError) -> None:
        _log.warning("nobody watches over this instance", error=str(error))
        if self._on_loss is not None:
            self._on_loss(error)
