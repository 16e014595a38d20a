"""The embedded exchange as a process of its own, so that it never shares our interpreter."""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from mrmarket.core.errors import MrMarketError

_READY_S: Final = 60.0
_STOP_S: Final = 10.0
_TAIL_LINES: Final = 20


class VenueProcessError(MrMarketError):
    """The embedded exchange did not start, or ended."""

    code = "venue_process_failed"

    def __init__(self, problem: str) -> None:
        self.problem = problem
        super().__init__(problem)


class Endpoints(msgspec.Struct, frozen=True):
    """The one line that `mrmarket venue --json` prints when it is ready."""

    rest: str
    ws: str
    ws_api: str
    api_key: str
    api_secret: str
    symbols: list[str]

    def __repr__(self) -> str:
        return f"Endpoints({self.rest})"


class VenueProcess:
    """Starts `mrmarket venue`, waits until it is ready, and ends it.

    The child reads its standard input and leaves when that closes, so it cannot outlive us, however
    we die. It has a session of its own: Ctrl-C reaches us first, and our orders are cancelled before
    the exchange goes.
    """

    def __init__(self, config_file: Path, state: Path) -> None:
        self._arguments = [
            "venue",
            "--plan",
            str(config_file),
            "--state",
            str(state),
            "--exit-with-parent",
            "--json",
        ]
        self._process: asyncio.subprocess.Process | None = None
        self._tail: deque[str] = deque(maxlen=_TAIL_LINES)
        self._reader: asyncio.Task[None] | None = None

    async def start(self) -> Endpoints:
        """Start it; raises VenueProcessError with its own words if it refuses."""
        self._process = await asyncio.create_subprocess_exec(
            *_command(self._arguments),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        self._reader = asyncio.create_task(self._keep_tail())
        assert self._process.stdout is not None  # noqa: S101 - asked for above
        try:
            line = await asyncio.wait_for(self._process.stdout.readline(), _READY_S)
            return msgspec.json.decode(line, type=Endpoints)
        except (TimeoutError, msgspec.MsgspecError):
            await self.stop()
            raise VenueProcessError(self._last_words()) from None

    async def ended(self) -> str:
        """Wait until it ends by itself; returns its last words."""
        if self._process is None:
            return "it was never started"
        await self._process.wait()
        if self._reader is not None:
            await self._reader
        return self._last_words()

    async def stop(self) -> None:
        """Let it go: close its input, then terminate, then kill."""
        process = self._process
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        for signal in (None, process.terminate, process.kill):
            if process.returncode is None and signal is not None:
                signal()
            try:
                await asyncio.wait_for(process.wait(), _STOP_S)
                break
            except TimeoutError:
                continue
        if self._reader is not None:
            await self._reader
            self._reader = None

    async def _keep_tail(self) -> None:
        assert self._process is not None  # noqa: S101 - started before
        assert self._process.stderr is not None  # noqa: S101 - asked for in start
        async for line in self._process.stderr:
            self._tail.append(line.decode(errors="replace").strip())

    def _last_words(self) -> str:
        words = next((line for line in reversed(self._tail) if line), "it ended without a word")
        return f"the embedded exchange: {words.removeprefix('error: ')}"


def _command(arguments: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", "mrmarket", *arguments]
