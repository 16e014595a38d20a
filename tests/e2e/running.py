"""Starts real instances as a user would."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mrmarket.core.clock import SystemClock
from mrmarket.core.errors import MrMarketError
from mrmarket.money.pool.plan import PoolPlan
from mrmarket.money.pool.treasury import Treasury
from mrmarket.money.pool.view import ReconciliationLine
from mrmarket.services.access.owner_token import read_owner_token
from mrmarket.services.data_directory import DataDirectory
from mrmarket.services.remote import RemoteInstance
from mrmarket.store.trading_store import TradingStore

START_S = 180.0
END_S = 90.0
HOLDS_S = 90.0
"""Limits for a machine that has other work to do: three times what was seen on a loaded one. They say nothing
of how fast anything is."""
OWNER_PASSWORD = "correct horse battery staple"


@dataclass(frozen=True)
class RunningInstance:
    """An instance as a process, with where it is and where it keeps its data."""

    url: str
    data: Path
    process: subprocess.Popen[bytes]

    @property
    def remote(self) -> RemoteInstance:
        """Its API, with the owner's rights."""
        return RemoteInstance(self.url, read_owner_token(self.data))

    def stop_trading(self) -> None:
        """The page's stop button: cancels every quote and pauses."""
        self.remote.stop()

    def set_password(self) -> None:
        """Give the owner `OWNER_PASSWORD`, as the command line does; sessions of the owner end."""
        subprocess.run(
            command("admin", "password", "--stdin", "--data", str(self.data)),
            input=OWNER_PASSWORD.encode(),
            check=True,
            capture_output=True,
        )

    def interrupt(self, timeout_s: float = END_S) -> int:
        """Ctrl-C, and wait for its exit status; its last words are printed where that is not 0."""
        self.process.send_signal(signal.SIGINT)
        try:
            status = self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            print(f"it did not end in {timeout_s} s:\n{self.last_words()}")  # noqa: T201 - shown with the failure
            raise
        if status != 0:
            print(f"it ended with status {status}:\n{self.last_words()}")  # noqa: T201 - the same
        return status

    def last_words(self) -> str:
        """The end of what it has said and logged."""
        said = self.data.parent / f"{self.data.name}.log"
        logged = self.data / "mrmarket.log"
        there = [file for file in (said, logged) if file.exists()]
        return "\n".join(f"--- {file.name}\n{file.read_text(errors='replace')[-3000:]}" for file in there)

    def kill(self) -> None:
        """`kill -9`."""
        self.process.kill()
        self.process.wait(END_S)


def owner_cookie(url: str) -> tuple[str, str]:
    """Sign in as the owner, whose password is `OWNER_PASSWORD`; the session's cookie by name and value."""
    assert url.startswith("http://127.0.0.1:")
    request = urllib.request.Request(  # noqa: S310 - checked above
        f"{url}/api/v1/auth/admin",
        data=json.dumps({"password": OWNER_PASSWORD}).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - checked above
        name, _, value = answer.headers["set-cookie"].partition(";")[0].partition("=")
    return name, value


def read_json(url: str, headers: dict[str, str], method: str = "GET") -> Any:
    """One request to a loopback address, as JSON."""
    assert url.startswith("http://127.0.0.1:")
    request = urllib.request.Request(url, headers=headers, method=method)  # noqa: S310 - checked above
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - checked above
        return json.load(answer)


def command(*arguments: str) -> list[str]:
    """The `mrmarket` command with arguments."""
    return [sys.executable, "-m", "mrmarket", *arguments]


def start_instance(data: Path, *arguments: str) -> RunningInstance:
    """Start `mrmarket run` on a folder and wait until it says where it is and trades."""
    process = subprocess.Popen(
        command("run", "--data", str(data), "--port", "0", *arguments),
        stdout=subprocess.PIPE,
        stderr=(data.parent / f"{data.name}.log").open("ab"),
        env={**os.environ, "NO_COLOR": "1"},
    )
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        found = DataDirectory(data).whereabouts()
        if found is not None and found.pid == process.pid:
            return RunningInstance(found.url, data, process)
        if process.poll() is not None:
            break
        time.sleep(0.05)
    log = (data.parent / f"{data.name}.log").read_text()
    process.kill()
    process.wait(END_S)
    raise AssertionError(f"the instance did not start:\n{log[-2000:]}")


def wait_until(
    holds: Callable[[], object], timeout_s: float = HOLDS_S, *, seen: Callable[[], object] | None = None
) -> None:
    """Poll a condition; fail loudly if it never holds.

    Args:
        holds: what is waited for; whoever does not answer in time is asked again.
        timeout_s: for how long.
        seen: what to tell when it never holds; left out: the last answer of `holds`.
    """
    deadline = time.monotonic() + timeout_s
    while not (last := _answer(holds)) or isinstance(last, MrMarketError):
        if time.monotonic() >= deadline:
            told = last if seen is None else seen()
            raise AssertionError(f"the condition did not hold within {timeout_s:.0f} s; seen: {told!r}")
        time.sleep(0.1)


def _answer(ask: Callable[[], object]) -> object:
    """What it says, or the error that may pass."""
    try:
        return ask()
    except MrMarketError as error:
        if not error.retryable:
            raise
        return error


def wait_for(read: Callable[[], object], wanted: object, timeout_s: float = HOLDS_S) -> None:
    """Poll until what is read is what is wanted; tells what was there instead if it never is."""
    wait_until(lambda: read() == wanted, timeout_s, seen=read)


def reconcile(data: Path) -> list[ReconciliationLine]:
    """What the venue last said we hold, against the ledger, by asset."""
    store = TradingStore.open(data / "trading.db")
    stream = store.streams()[0]
    plan = PoolPlan(stream=stream, venue=stream.rsplit(".", 1)[0], quote="USDT")
    treasury = Treasury.open(data / "money.db", store, plan, SystemClock())
    try:
        return treasury.reconciliation()
    finally:
        treasury.close()
        store.close()
