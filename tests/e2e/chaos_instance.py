"""One data folder that is started, killed and started again, and ways to ask its instance and its rail."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import time
import urllib.request
from contextlib import closing
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError

import msgspec
import psutil

from e2e.running import END_S, START_S, command
from mrmarket.core.crash import VARIABLE
from mrmarket.services.data_directory import DataDirectory
from mrmarket.services.rail.faults import RailFaults

_ANSWER_S = 30.0


class GoneError(Exception):
    """Nobody answered, or not in time: what was asked may have happened or not."""


class RefusedError(Exception):
    """An answer that is a refusal."""

    def __init__(self, status: int, body: bytes) -> None:
        try:
            problem = json.loads(body)
        except ValueError:
            problem = {}
        self.status = status
        self.code = str(problem.get("code", ""))
        super().__init__(f"{status} {self.code}: {problem.get('message', body[:200])}")


def ask(method: str, url: str, headers: dict[str, str], body: object = None) -> tuple[Any, dict[str, str]]:
    """One request to a loopback address; the answer's JSON, and its headers.

    Raises:
        GoneError: nothing that can be relied on came back.
        RefusedError: no.
    """
    assert url.startswith("http://127.0.0.1:")
    request = urllib.request.Request(  # noqa: S310 - checked above
        url,
        method=method,
        headers={**headers, "Content-Type": "application/json"},
        data=None if body is None else msgspec.json.encode(body),
    )
    try:
        with urllib.request.urlopen(request, timeout=_ANSWER_S) as answer:  # noqa: S310 - checked above
            return json.loads(answer.read()), dict(answer.headers)
    except HTTPError as refused:
        if refused.code >= 500:
            raise GoneError from refused
        raise RefusedError(refused.code, refused.read()) from refused
    except (URLError, HTTPException, OSError, ValueError) as lost:
        raise GoneError from lost


class ChaosInstance:
    """Lives of one instance on one folder."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        self.log = folder / "instance.log"
        self.lives = 0
        self.slowest_start_s = 0.0
        self.process: subprocess.Popen[bytes] | None = None
        self.url = ""
        self._rail_url = ""
        self._sessions: dict[str, dict[str, str]] = {}

    @property
    def rail_folder(self) -> Path:
        """Where the embedded rail keeps its journal."""
        return self.data / "rail"

    def start(self, config: Path, crash_at: str = "") -> bool:
        """Begin a life, to be ended at a labelled point; False if it ended before it could be used.

        Raises:
            AssertionError: it refused to start, which a kill before must never lead to.
        """
        self.lives += 1
        self._sessions.clear()
        self._rail_url = ""
        began = time.monotonic()
        environment = {**os.environ, "NO_COLOR": "1"}
        if crash_at:
            environment[VARIABLE] = crash_at
        with self.log.open("ab") as log:
            log.write(f"--- life {self.lives}, to end at {crash_at or 'no point'}\n".encode())
            log.flush()
            self.process = subprocess.Popen(
                command("run", "--data", str(self.data), "--port", "0", "--config", str(config)),
                stdout=subprocess.DEVNULL,
                stderr=log,
                env=environment,
            )
        while time.monotonic() - began < START_S:
            found = DataDirectory(self.data).whereabouts()
            if found is not None and found.pid == self.process.pid and self._find_rail():
                self.url = found.url
                self.slowest_start_s = max(self.slowest_start_s, time.monotonic() - began)
                return True
            if self.process.poll() is not None:
                self.require_planned_end(crash_at)
                return False
            time.sleep(0.05)
        self.kill()
        raise AssertionError(f"life {self.lives} did not start:\n{self.last_words()}")

    @property
    def is_alive(self) -> bool:
        """Whether the process is there."""
        return self.process is not None and self.process.poll() is None

    def require_planned_end(self, crash_at: str) -> None:
        """Whether it ended as planned: by the kill, or by itself because its rail was killed."""
        assert self.process is not None
        status = self.process.wait(END_S)
        if crash_at.startswith("rail."):
            assert status > 0, f"exit status {status}"
            assert "payment rail" in self.last_words(), self.last_words()
        else:
            assert crash_at, f"it ended by itself with {status}:\n{self.last_words()}"
            assert status == -signal.SIGKILL, f"exit status {status}:\n{self.last_words()}"

    def interrupt(self) -> int:
        """Ctrl-C, and its exit status."""
        assert self.process is not None
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(END_S)

    def kill(self) -> None:
        """`kill -9`, if it still lives."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(END_S)

    def kill_everything(self) -> None:
        """`kill -9` for the instance, its exchange and its rail at once, as when a machine goes down."""
        assert self.process is not None
        children = psutil.Process(self.process.pid).children(recursive=True)
        for process in (*children, psutil.Process(self.process.pid)):
            process.kill()
        psutil.wait_procs(children, timeout=END_S)
        self.process.wait(END_S)

    def last_words(self) -> str:
        """The end of what it has said."""
        return self.log.read_text(errors="replace")[-3000:]

    # The instance's API.

    def as_person(self, name: str, method: str, path: str, body: object = None) -> Any:
        """One of the demo's people asks the API. Raises GoneError, RefusedError."""
        if name not in self._sessions:
            answer, headers = ask("POST", f"{self.url}/api/v1/auth/demo", {}, {"name": name})
            cookie = headers["set-cookie"].partition(";")[0]
            self._sessions[name] = {"Cookie": cookie, "X-CSRF-Token": answer["csrf"]}
        return ask(method, f"{self.url}/api/v1/{path}", self._sessions[name], body)[0]

    # The rail, from outside the instance.

    def pay(self, wallet: str, key: str, asset: str, amount: str, memo: str) -> Any:
        """A wallet pays the treasury, once per key. Raises GoneError, RefusedError."""
        body = {
            "key": key,
            "destination": self.meta("treasury"),
            "asset": asset,
            "amount": amount,
            "memo": memo,
        }
        return self._rail("POST", f"wallets/{wallet}/payments", "wallet_token", body)

    def fund(self, wallet: str, key: str, asset: str, amount: str) -> Any:
        """Play money, once per key. Raises GoneError, RefusedError."""
        body = {"key": key, "asset": asset, "amount": amount}
        return self._rail("POST", f"wallets/{wallet}/faucet", "wallet_token", body)

    def set_faults(self, faults: RailFaults) -> None:
        """What goes wrong on the rail from now on. Raises GoneError."""
        self._rail("PUT", "faults", "token", faults)

    def meta(self, name: str) -> str:
        """What the rail keeps by name."""
        address = f"file:{self.rail_folder / 'rail.db'}?mode=ro"
        with closing(sqlite3.connect(address, uri=True, timeout=10)) as journal:
            ((value,),) = journal.execute("SELECT value FROM meta WHERE name = ?", (name,))
        return str(value)

    def _rail(self, method: str, path: str, token: str, body: object) -> Any:
        if not self._find_rail():
            raise GoneError
        headers = {"Authorization": f"Bearer {self.meta(token)}"}
        return ask(method, f"{self._rail_url}/v1/{path}", headers, body)[0]

    def _find_rail(self) -> bool:
        """The port that the rail's process listens on."""
        if self._rail_url:
            return True
        assert self.process is not None
        try:
            for child in psutil.Process(self.process.pid).children():
                if "rail" in child.cmdline():
                    for line in child.net_connections(kind="tcp"):
                        if line.status == psutil.CONN_LISTEN:
                            self._rail_url = f"http://127.0.0.1:{line.laddr.port}"
                            return True
        except psutil.Error:
            return False
        return False
