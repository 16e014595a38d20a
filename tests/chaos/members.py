"""Processes of a fleet: each with a name, a command, a log, and somebody who starts it again when it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from mrmarket.core.crash import VARIABLE

_REST_S = 0.5
_LONGEST_REST_S = 4.0
_SHORT_LIFE_S = 10.0


@dataclass(frozen=True, slots=True)
class Ending:
    """How a process ended."""

    member: str
    status: int
    """As of `subprocess`: negative is a signal."""
    killed: bool
    """Whether we sent SIGKILL."""
    crash_at: str
    """Where it was told to end itself."""
    last_words: str


class Member:
    """One process that is to be up; whoever keeps services alive on a machine starts it again."""

    def __init__(
        self, name: str, command: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        """Nothing is started yet; its output goes to `NAME.out` and `NAME.log` in the folder."""
        self.name = name
        self.lives = 0
        self.endings: list[Ending] = []
        self.out = folder / f"{name}.out"
        self.log = folder / f"{name}.log"
        self._command = list(command)
        self._environment = dict(environment or {})
        self._process: subprocess.Popen[bytes] | None = None
        self._crash_at = ""
        self._killed = False
        self._frozen = False
        self._due_s = 0.0
        self._rest_s = _REST_S
        self._began_s = 0.0

    @property
    def pid(self) -> int:
        """Its process id; 0 while it is down."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else 0

    @property
    def is_up(self) -> bool:
        """Whether it runs and is not frozen."""
        return bool(self.pid) and not self._frozen

    def start(self, crash_at: str = "") -> None:
        """Begin a life, perhaps one that ends at a labelled point."""
        environment = {**os.environ, "NO_COLOR": "1", **self._environment}
        if crash_at:
            environment[VARIABLE] = crash_at
        self.lives += 1
        self._crash_at, self._killed, self._frozen = crash_at, False, False
        self._began_s = time.monotonic()
        with self.log.open("ab") as log, self.out.open("ab") as out:
            log.write(f"--- life {self.lives}, to end at {crash_at or 'no point'}\n".encode())
            log.flush()
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=out, stderr=log, env=environment
            )

    def kill(self, away_s: float = 0.0) -> None:
        """SIGKILL; it stays away for so long."""
        if self._process is not None and self._process.poll() is None:
            self._killed = True
            self._process.kill()
            self._process.wait(60)
            self._bury()
        self._due_s = time.monotonic() + away_s

    def freeze(self) -> None:
        """SIGSTOP."""
        if self.pid:
            self._frozen = True
            os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT, if it was frozen."""
        if self._frozen:
            self._frozen = False
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGCONT)

    def forget_plan(self) -> None:
        """A life that was to end at a point it has not come by is ended now."""
        if self._crash_at and self.pid:
            self.kill()

    def mend(self) -> None:
        """Start it again if it is down and has been for long enough."""
        if self._process is not None and self._process.poll() is not None:
            self._bury()
        if self._process is None and time.monotonic() >= self._due_s:
            self.start()

    def interrupt(self, timeout_s: float = 90.0) -> int:
        """Ctrl-C, and its exit status."""
        assert self._process is not None, f"{self.name} is down"
        self._process.send_signal(signal.SIGINT)
        status = self._process.wait(timeout_s)
        self._process = None
        return status

    def end(self) -> None:
        """Leave nothing behind."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait(60)
        self._process = None

    def last_words(self) -> str:
        """The end of what it has said."""
        return self.log.read_text(errors="replace")[-2_000:] if self.log.exists() else ""

    def _bury(self) -> None:
        assert self._process is not None
        status = self._process.returncode
        self.endings.append(Ending(self.name, status, self._killed, self._crash_at, self.last_words()))
        self._process = None
        now_s = time.monotonic()
        # As an init system does: who fails at once rests longer each time.
        quick = now_s - self._began_s < _SHORT_LIFE_S and not self._killed
        self._rest_s = min(2 * self._rest_s, _LONGEST_REST_S) if quick else _REST_S
        self._due_s = now_s + self._rest_s


class Guest:
    """A process that somebody else starts again: an instance's own Angel."""

    def __init__(self, name: str, pid: Callable[[], int]) -> None:
        """`pid()` is its process id now; 0 for none."""
        self.name = name
        self._pid = pid
        self._frozen = 0

    @property
    def pid(self) -> int:
        """Its process id; 0 while it is down."""
        return self._pid()

    def kill(self, away_s: float = 0.0) -> None:
        """SIGKILL; when it comes back is not ours to say."""
        self._send(signal.SIGKILL)

    def freeze(self) -> None:
        """SIGSTOP."""
        self._frozen = self._send(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT, if it was frozen."""
        if self._frozen:
            with suppress(ProcessLookupError):
                os.kill(self._frozen, signal.SIGCONT)
            self._frozen = 0

    def _send(self, number: signal.Signals) -> int:
        pid = self.pid
        if pid:
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        return pid
