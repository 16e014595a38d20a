"""The instance's own Angel: started beside it, outlives it, is started again when it dies."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import msgspec

from mrmarket.services.angel.plan import AngelPlan, write_plan
from mrmarket.services.child_process import ChildProcessFailedError

_READY_S: Final = 60.0
_STOP_S: Final = 15.0
_LEAVE_S: Final = 3.0
_FIRST_WAIT_S: Final = 1.0
_LONGEST_WAIT_S: Final = 60.0
_STORE_VARIABLE: Final = "MRMARKET_STORE"


class AngelProcessError(ChildProcessFailedError):
    """The Angel did not start, or ended."""

    code = "angel_process_failed"


class AngelReady(msgspec.Struct, frozen=True):
    """The line that `mrmarket angel run --json` prints when it watches."""

    angel: str
    pid: int
    venues: list[str] = []
    threshold_s: float = 0.0


OnLoss = Callable[[AngelProcessError], None]


class AngelProcess:
    """`mrmarket angel run` in a session of its own.

    Nothing ties it to us: it does not read our input, holds no pipe of ours once it watches, and goes on
    when we are killed or frozen, which is when it is needed. It ends when the instance has signed off, or
    when we ask it to.
    """

    def __init__(self, data: Path, plan: AngelPlan, store_url: str = "") -> None:
        """Nothing is started yet; the keys that the plan names are looked up in our environment."""
        self._data = data
        self._plan = plan
        self._store_url = store_url
        self._process: asyncio.subprocess.Process | None = None
        self.starts = 0
        """How often it was started; more than once means that it died."""

    @property
    def pid(self) -> int | None:
        """Its process id while it runs."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    async def start(self, environ: Mapping[str, str] | None = None) -> AngelReady:
        """Start it, in the place of one that an earlier life of the instance left behind.

        Raises:
            AngelProcessError: it refuses, with its own words.
        """
        path = await asyncio.to_thread(write_plan, self._data, self._plan)
        surroundings = dict(os.environ if environ is None else environ)
        if self._store_url:
            surroundings[_STORE_VARIABLE] = self._store_url
        self.starts += 1
        self._process = process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "mrmarket", "angel", "run", "--plan", str(path)),
            *("--data", str(self._data), "--json"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
            env=surroundings,
        )
        assert process.stdout is not None  # noqa: S101 - asked for above
        assert process.stderr is not None  # noqa: S101 - asked for above
        try:
            async with asyncio.timeout(_READY_S):
                line = await process.stdout.readline()
            return msgspec.json.decode(line, type=AngelReady)
        except (TimeoutError, msgspec.MsgspecError):
            # One that has closed its output is about to leave, with a status that says why.
            await asyncio.wait({asyncio.ensure_future(process.wait())}, timeout=_LEAVE_S)
            await self.stop()
            words = (await process.stderr.read()).decode(errors="replace").strip().splitlines()
            problem = next(
                (w for w in reversed(words) if w.startswith("error: ")), words[-1] if words else ""
            )
            said = problem.removeprefix("error: ") or "it ended without a word"
            raise AngelProcessError(f"the Angel: {said}", process.returncode) from None
        except BaseException:
            await self.stop()
            raise

    async def keep(self, on_loss: OnLoss) -> None:
        """Start it, and again whenever it ends, until cancelled; waits longer after each failure in a row.

        Args:
            on_loss: told each time that it is gone, and what keeps it from starting.
        """
        wait_s = _FIRST_WAIT_S
        while True:
            try:
                await self.start()
            except AngelProcessError as error:
                on_loss(error)
                wait_s = min(_LONGEST_WAIT_S, wait_s * 2)
            else:
                assert self._process is not None  # noqa: S101 - it has just been started
                status = await self._process.wait()
                on_loss(AngelProcessError("the Angel ended; it is started again", status))
                wait_s = _FIRST_WAIT_S
            await asyncio.sleep(wait_s)

    async def stop(self) -> None:
        """End it: terminate, then kill."""
        process = self._process
        if process is None:
            return
        for insist in (process.terminate, process.kill):
            if process.returncode is None:
                insist()
            await asyncio.wait({asyncio.ensure_future(process.wait())}, timeout=_STOP_S)
            if process.returncode is not None:
                return
