"""A part of the instance that runs as a process of its own: started, waited for, watched, ended."""

from __future__ import annotations

import asyncio
import fcntl
import os
import sys
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, Generic, TypeVar

import msgspec

from mrmarket.core.errors import MrMarketError
from mrmarket.services.keys.hardening import child_environment

_READY_S: Final = 60.0
_STOP_S: Final = 10.0
_TAIL_LINES: Final = 20
_LEAVE_S: Final = 15.0
_LOOK_S: Final = 0.05

Ready = TypeVar("Ready")
"""The line of JSON that the child prints once it can be used."""


class ChildProcessFailedError(MrMarketError):
    """A process of ours did not start, or ended."""

    code = "child_process_failed"
    retryable = True

    def __init__(self, problem: str, status: int | None) -> None:
        self.problem = problem
        self.status = status
        """The child's exit status; None while it lives."""
        super().__init__(problem)


class ChildProcess(Generic[Ready]):
    """Starts a command of ours, waits until it is ready, and ends it.

    The child reads its standard input and leaves when that closes, so it cannot outlive us, however
    we die. It has a session of its own: Ctrl-C reaches us first, and we decide when it goes.
    """

    def __init__(
        self,
        title: str,
        arguments: Sequence[str],
        ready: type[Ready],
        failure: type[ChildProcessFailedError] = ChildProcessFailedError,
        environment: Mapping[str, str] | None = None,
        patience_s: float = _STOP_S,
    ) -> None:
        """Nothing is started yet.

        Args:
            title: what the child is in the words of an error, `the embedded exchange`.
            arguments: of the `mrmarket` command.
            ready: how to read the line that it prints when it is ready.
            failure: the error to raise when it fails.
            environment: what the child sees; left out: ours, less everything that may be a secret.
            patience_s: how long each way of asking it to end is given.
        """
        self._title = title
        self._arguments = list(arguments)
        self._ready = ready
        self._failure = failure
        self._environment = environment
        self._patience_s = patience_s
        self._process: asyncio.subprocess.Process | None = None
        self._tail: deque[str] = deque(maxlen=_TAIL_LINES)
        self._readers: list[asyncio.Task[None]] = []

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    async def start(self, after: Path | None = None) -> Ready:
        """Start it; raises the failure with its own words if it refuses.

        Args:
            after: a lock that a former life may still hold, whose parent was killed a moment ago and which is
                about to leave; waited for in bounded time.
        """
        if after is not None:
            await _let_leave(after)
        self._readers.clear()
        self._process = process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "mrmarket", *self._arguments),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
            env=child_environment(os.environ) if self._environment is None else dict(self._environment),
        )
        assert process.stdout is not None  # noqa: S101 - asked for above
        assert process.stderr is not None  # noqa: S101 - asked for above
        self._readers.append(asyncio.create_task(self._keep_tail(process.stderr)))
        try:
            line = await asyncio.wait_for(process.stdout.readline(), _READY_S)
            ready = msgspec.json.decode(line, type=self._ready)
        except (TimeoutError, msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
            await self.stop()
            raise self._failure(self._last_words(), process.returncode) from None
        except BaseException:
            await self.stop()
            raise
        # What it says later must be read, or a full pipe would stop it.
        self._readers.append(asyncio.create_task(self._keep_tail(process.stdout)))
        return ready

    async def ended(self) -> ChildProcessFailedError:
        """Wait until it ends by itself; gives the error that this is."""
        assert self._process is not None  # noqa: S101 - only asked of a started one
        status = await self._process.wait()
        await asyncio.gather(*self._readers)
        return self._failure(self._last_words(), status)

    async def stop(self) -> None:
        """Let it go: close its input, then terminate, then kill."""
        process = self._process
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        for insist in (None, process.terminate, process.kill):
            if insist is not None and process.returncode is None:
                insist()
            try:
                await asyncio.wait_for(process.wait(), self._patience_s)
                break
            except TimeoutError:
                continue
        await asyncio.gather(*self._readers)

    async def _keep_tail(self, stream: asyncio.StreamReader) -> None:
        async for line in stream:
            self._tail.append(line.decode(errors="replace").strip())

    def _last_words(self) -> str:
        words = next((line for line in reversed(self._tail) if line.startswith("error: ")), "")
        words = words or next((line for line in reversed(self._tail) if line), "it ended without a word")
        return f"{self._title}: {words.removeprefix('error: ')}"


async def _let_leave(lock: Path) -> None:
    """Wait until nobody holds a lock; whoever holds it for longer is to be named by who wants it, too."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_LEAVE_S):
            while _is_held(lock):  # noqa: ASYNC110 - a lock of another process tells nobody
                await asyncio.sleep(_LOOK_S)


def _is_held(lock: Path) -> bool:
    try:
        with lock.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def write_plan(plan: msgspec.Struct, folder: Path) -> Path:
    """Write down what a child is to be, in its own folder, where nobody else may read it; the file."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = folder / "plan.json"
    file.touch(mode=0o600)
    file.write_bytes(msgspec.json.encode(plan))
    return file
