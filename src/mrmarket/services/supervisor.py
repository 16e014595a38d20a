"""Runs everything one machine needs, from the first check to the last line."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import structlog
import uvicorn

from mrmarket.core.clock import SystemClock
from mrmarket.core.errors import MrMarketError
from mrmarket.services.access.access import Access
from mrmarket.services.access.configured import access_settings
from mrmarket.services.angel.beside import AngelBeside
from mrmarket.services.api.app import LOOPBACK_HOSTS, create_app
from mrmarket.services.config import LoadedConfig
from mrmarket.services.config_sections import ApiSection
from mrmarket.services.data_directory import DataDirectory
from mrmarket.services.engine.engine_process import require_role
from mrmarket.services.instance import Instance
from mrmarket.services.summary import Bookkeeper, RemoteBookkeeper, RunSummary
from mrmarket.services.tape_clock import TapeWatch
from mrmarket.services.telemetry.telemetry import Telemetry
from mrmarket.services.telemetry.voice import Voice

_log = structlog.get_logger("mrmarket.supervisor")


class PortInUseError(MrMarketError):
    """The page's port is taken."""

    code = "port_in_use"
    retryable = True

    def __init__(self, host: str, port: int, reason: str) -> None:
        self.host = host
        self.port = port
        super().__init__(
            f"cannot serve on {host}:{port} ({reason}); stop what uses it or give another --port"
        )


class OrdersLeftError(MrMarketError):
    """The run is over, and some of its orders may still stand at the exchange or in the journal."""

    code = "orders_left"
    retryable = True

    def __init__(self, venue: str, orders: list[str]) -> None:
        self.venue = venue
        self.orders = orders
        super().__init__(
            f"{venue} did not confirm the end of {len(orders)} orders (the log names them);"
            " start again to have them found and cancelled, or cancel them at the exchange"
            if orders
            else "the end of the last orders was not written down; start again to have them settled"
        )


class _Server(uvicorn.Server):
    """uvicorn without its own signal handling: the supervisor decides when and in which order to stop."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to the supervisor."""
        yield


class Supervisor:
    """One run of one instance."""

    def __init__(
        self, loaded: LoadedConfig, data: Path, *, for_s: float | None, role: Literal["all", "api"] = "all"
    ) -> None:
        """Nothing is opened yet; with the role `api` engines elsewhere trade."""
        if role == "api":
            require_role(loaded, role)
        self._role: Literal["all", "api"] = role
        self._loaded = loaded
        self._data = data
        self._for_s = for_s

    async def run(
        self,
        on_ready: Callable[[str, str | None], None],
        on_progress: Callable[[float], None] | None = None,
    ) -> RunSummary:
        """Start, serve, and end on a signal, after the time asked for, with the tape, or on a failure.

        Args:
            on_ready: told the page's address once the instance trades, and the link that sets the owner's
                first password while there is none.
            on_progress: told now and then how many seconds of tape time have passed.

        Raises:
            MrMarketError: what kept it from starting or from going on; orders were cancelled first.
        """
        api = self._loaded.config.api
        os.umask(0o077)
        config = self._loaded.config
        with _listen(api) as listener, DataDirectory(self._data, config.store.url) as directory:
            async with Voice(config, self._data, SystemClock(), os.environ, role=self._role) as voice:
                return await self._serve_instance(listener, directory, voice, on_ready, on_progress)

    async def _serve_instance(
        self,
        listener: socket.socket,
        directory: DataDirectory,
        voice: Voice,
        on_ready: Callable[[str, str | None], None],
        on_progress: Callable[[float], None] | None,
    ) -> RunSummary:
        api = self._loaded.config.api
        stopping = _stop_on_signals()
        instance = Instance(self._loaded, directory, voice.notifier, voice, self._role)
        await instance.open()
        bookkeeper = Bookkeeper(instance) if self._role == "all" else RemoteBookkeeper(instance)
        try:
            access = Access.open(self._data, access_settings(self._loaded.config), directory.store)
        except BaseException:
            await _close(instance)
            raise
        server, serving = _serve(instance, access, api, listener, voice.telemetry)
        host, port = listener.getsockname()[:2]
        url = f"http://{host}:{port}"
        angel = AngelBeside(self._loaded.config, directory, url, instance.place.endpoints)
        failures: list[Exception] = []
        try:
            if self._role == "all":
                # Engines elsewhere need an Angel elsewhere: `mrmarket angel` on a machine of its own.
                angel.start()
            setup = access.setup_token()
            directory.announce(url)
            on_ready(url, f"{api.public_url or url}/#setup={setup}" if setup else None)
            failures += await self._until_over(instance, stopping, on_progress)
            bookkeeper.rest()
        except Exception as error:  # noqa: BLE001 - whatever it is, orders are cancelled before it is told
            failures.append(error)
        finally:
            failures += await _close(instance)
            await angel.stop()
            server.should_exit = True
            await serving
            await access.close()
        if failures:
            raise failures[0]
        return bookkeeper.summary()

    async def _until_over(
        self, instance: Instance, stopping: asyncio.Event, on_progress: Callable[[float], None] | None
    ) -> list[Exception]:
        watch = TapeWatch(instance.place, for_s=self._for_s)
        jobs: set[asyncio.Task[object]] = {
            asyncio.create_task(stopping.wait()),
            asyncio.create_task(watch.over(on_progress or (lambda _: None))),
            asyncio.create_task(_settled(instance.failed)),
        }
        done, pending = await asyncio.wait(jobs, return_when=asyncio.FIRST_COMPLETED)
        for job in pending:
            job.cancel()
        if instance.failed.done():
            failure = instance.failed.result()
            _log.error("the instance failed", exc_info=failure)
            return [failure]
        return [
            error if isinstance(error, Exception) else RuntimeError(str(error))
            for job in done
            if (error := job.exception()) is not None
        ]


async def _close(instance: Instance) -> list[Exception]:
    """Close it; what went wrong, or what it had to leave behind."""
    try:
        await instance.close()
    except Exception as error:  # noqa: BLE001 - told after what made it close, which comes first
        _log.error("closing failed", exc_info=error)
        return [error]
    if not instance.trades:
        return []
    if instance.run.settled:
        return []
    left = [order.client_order_id for order in instance.run.live_orders]
    return [OrdersLeftError(instance.place.venue.name, left)]


async def _settled(failed: asyncio.Future[Exception]) -> None:
    """Wait for a failure without taking the future along when cancelled."""
    await asyncio.wait({failed})


@contextmanager
def _listen(api: ApiSection) -> Iterator[socket.socket]:
    """Take the port before anything else is touched."""
    family = socket.AF_INET6 if ":" in api.host else socket.AF_INET
    try:
        listener = socket.create_server((api.host, api.port), family=family)
    except OSError as error:
        raise PortInUseError(api.host, api.port, _reason(error)) from error
    # Connections inherit it. Without, an answer's body waits 40 ms for its head to be acknowledged.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with listener:
        yield listener


def _reason(error: OSError) -> str:
    """What the system says; the text of `socket` names the address a second time."""
    number = error.errno or 0
    return os.strerror(number) if number > 0 else error.strerror or str(error)


def _serve(
    instance: Instance, access: Access, api: ApiSection, listener: socket.socket, telemetry: Telemetry
) -> tuple[_Server, asyncio.Task[None]]:
    hosts = LOOPBACK_HOSTS | {api.host} | set(api.allowed_hosts)
    if api.public_url:
        hosts |= {urlsplit(api.public_url).hostname or ""}
    server = _Server(
        uvicorn.Config(
            create_app(
                instance,
                instance.money,
                access,
                hosts,
                telemetry,
                operations=instance.office,
                selection=instance.selection,
                partners=instance.partners,
            ),
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="websockets-sansio",
            timeout_graceful_shutdown=2,
            server_header=False,
        )
    )
    return server, asyncio.create_task(server.serve(sockets=[listener]))


def _stop_on_signals() -> asyncio.Event:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    return stopping
