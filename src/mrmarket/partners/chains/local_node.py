"""A real EVM node of one's own: anvil on loopback, as a child process that never outlives its parent.

Source of the command line: `anvil --help` of version 1.7.1.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, Self

from mrmarket.partners.chains.errors import NodeNotStartedError

VARIABLE: Final = "MRMARKET_ANVIL"
"""Path of the program, where it is neither in the sandbox's folder nor on the PATH."""
SANDBOX: Final = Path("tools/sandbox/node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil")
HUMAN_CHAIN_ID: Final = 1338
"""What the SDK of HUMAN Protocol calls localhost."""

_LISTENING: Final = re.compile(rb"Listening on 127\.0\.0\.1:([0-9]+)")
_READY_S: Final = 30.0
_STOP_S: Final = 5.0
_PR_SET_PDEATHSIG: Final = 1
_PASSED_ON: Final = ("PATH", "HOME", "TMPDIR", "LANG")


def find_anvil(environ: Mapping[str, str], folder: Path) -> Path | None:
    """The program: named by the environment, of the sandbox below a folder or its parents, or on the PATH."""
    named = environ.get(VARIABLE)
    if named:
        return Path(named)
    for place in (folder, *folder.parents):
        if os.access(place / SANDBOX, os.X_OK):
            return place / SANDBOX
    found = shutil.which("anvil", path=environ.get("PATH", ""))
    return Path(found) if found else None


class LocalNode:
    """A node with ten rich accounts whose keys everybody knows; nothing on it is worth anything."""

    def __init__(self, process: asyncio.subprocess.Process, port: int, reader: asyncio.Task[None]) -> None:
        self._process = process
        self._reader = reader
        self.port = port

    @property
    def url(self) -> str:
        """Where it takes calls."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def websocket_url(self) -> str:
        """Where it announces blocks."""
        return f"ws://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    async def wait(self) -> int:
        """Wait until its process is gone; its exit status."""
        return await self._process.wait()

    @classmethod
    async def start(
        cls,
        *,
        chain_id: int = HUMAN_CHAIN_ID,
        block_s: int | None = None,
        port: int = 0,
        state: Path | None = None,
        load: Path | None = None,
        mining: bool = True,
        environ: Mapping[str, str] | None = None,
        folder: Path | None = None,
    ) -> Self:
        """Start one and wait until it listens.

        Args:
            chain_id: which chain it plays.
            block_s: seconds between blocks; left out: a block for each transaction.
            port: 0 takes a free one.
            state: a file that it reads when it starts and writes when it ends.
            load: a file that it reads when it starts, and leaves alone.
            mining: whether it makes blocks by itself; else `anvil_mine` does.
            environ: ours, where left out.
            folder: where to look for the sandbox; the working directory, where left out.

        Raises:
            NodeNotStartedError: if the program is missing or does not come up.
        """
        environ = os.environ if environ is None else environ
        program = find_anvil(environ, folder or Path.cwd())
        if program is None:
            raise NodeNotStartedError(f"anvil is not installed; run `make sandbox` or set {VARIABLE}")
        arguments = ["--host", "127.0.0.1", "--port", str(port), "--chain-id", str(chain_id)]
        if block_s is not None:
            arguments += ["--block-time", str(block_s)]
        if state is not None:
            arguments += ["--state", str(state)]
        if load is not None:
            arguments += ["--load-state", str(load)]
        if not mining:
            arguments.append("--no-mining")
        try:
            process = await asyncio.create_subprocess_exec(
                str(program),
                *arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
                env={name: environ[name] for name in _PASSED_ON if name in environ},
                preexec_fn=_die_with_parent(),
            )
        except OSError as error:
            raise NodeNotStartedError(f"{program}: {error.strerror}") from error
        assert process.stdout is not None  # noqa: S101 - asked for above
        try:
            async with asyncio.timeout(_READY_S):
                found = await _listening(process.stdout)
        except TimeoutError:
            await _end(process)
            raise NodeNotStartedError(f"it did not listen within {_READY_S:g} s") from None
        except BaseException:
            await _end(process)
            raise
        return cls(process, found, asyncio.create_task(_drain(process.stdout)))

    async def stop(self) -> None:
        """End it; stopping twice is harmless."""
        await _end(self._process)
        await self._reader

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()


async def _listening(stream: asyncio.StreamReader) -> int:
    last = b""
    async for line in stream:
        match = _LISTENING.search(line)
        if match:
            return int(match[1])
        last = line.strip() or last
    raise NodeNotStartedError(last.decode(errors="replace") or "it ended without a word")


async def _drain(stream: asyncio.StreamReader) -> None:
    # What it says must be read, or a full pipe would stop it.
    while await stream.read(65_536):
        pass


async def _end(process: asyncio.subprocess.Process) -> None:
    for insist in (process.terminate, process.kill):
        if process.returncode is not None:
            return
        insist()
        try:
            await asyncio.wait_for(process.wait(), _STOP_S)
        except TimeoutError:
            continue


def _die_with_parent() -> Callable[[], None] | None:
    """Linux ends the child when its parent is gone, however that died."""
    if sys.platform != "linux":
        return None
    import ctypes  # noqa: PLC0415 - Linux only

    library = ctypes.CDLL(None)

    def ask() -> None:
        library.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)

    return ask
