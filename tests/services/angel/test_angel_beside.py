"""The Angel beside an instance: started with it, started again, ended with it; and its commands."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from pathlib import Path

import pytest

from mrmarket.angel.diary import read_journal
from mrmarket.angel.recovery import CAUSE
from mrmarket.cli.app import run
from mrmarket.core.clock import SystemClock
from mrmarket.core.ids import uuid7
from mrmarket.services.angel.beside import AngelBeside
from mrmarket.services.angel.composition import JOURNAL
from mrmarket.services.angel.holding import is_held
from mrmarket.services.angel.plan import FOLDER
from mrmarket.services.angel.process import AngelProcessError
from mrmarket.services.config import load_config
from mrmarket.services.data_directory import DataDirectory
from mrmarket.services.venue_process import Endpoints
from mrmarket.store.operations import AngelAction, Beat, Restriction
from mrmarket.store.sqlite_operations import SqliteOperations
from mrmarket.store.trading_store import TradingStore

NOWHERE = Endpoints(
    rest="http://127.0.0.1:9",
    ws="ws://127.0.0.1:9",
    ws_api="ws://127.0.0.1:9",
    api_key="k",
    api_secret="s",
    symbols=["BTC/USDT"],
    angel_key="a",
    angel_secret="b",
)


def did(data: Path) -> list[str]:
    """What the Angel has done, by its own file."""
    return [action.action for action in read_journal(data / FOLDER / JOURNAL)]


async def test_one_is_kept_running_and_ended_with_the_instance(tmp_path: Path) -> None:
    """A killed one is followed by another, and the loss is told."""
    lost: list[AngelProcessError] = []
    beside = AngelBeside(
        load_config(None, {}).config, DataDirectory(tmp_path), "http://127.0.0.1:9", NOWHERE, lost.append
    )
    beside.start()
    while "watching" not in did(tmp_path):  # noqa: ASYNC110 - a process of its own tells by its files
        await asyncio.sleep(0.05)
    first = is_held(tmp_path)
    os.kill(first, signal.SIGKILL)
    while did(tmp_path).count("watching") < 2:  # noqa: ASYNC110 - the same
        await asyncio.sleep(0.05)
    assert "it is started again" in str(lost[0])
    assert beside.pid == is_held(tmp_path)
    await beside.stop()
    assert is_held(tmp_path) == 0
    assert beside.pid is None


@pytest.mark.parametrize(
    "settings", [{"angel.enabled": False}, {"venue.exchange": "binance", "venue.paper": True}]
)
async def test_none_is_started_where_none_is_wanted(tmp_path: Path, settings: dict[str, object]) -> None:
    """Switched off, or without orders outside."""
    beside = AngelBeside(load_config(None, settings).config, DataDirectory(tmp_path), "http://x", None)
    beside.start()
    assert beside.pid is None
    await beside.stop()


def answer(capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    """The one object on stdout."""
    found: dict[str, object] = json.loads(capsys.readouterr().out)
    return found


def test_the_commands_show_and_resume(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Status is 1 without an Angel and 0 with one; actions come from the database; resume lifts the halt."""
    data = ["--data", str(tmp_path), "--json"]
    assert run(["angel", "status", *data]) == 2
    capsys.readouterr()
    operations = SqliteOperations.open(tmp_path / "control.db")
    TradingStore.open(tmp_path / "trading.db").close()
    now_ms = SystemClock().now_ns() // 1_000_000
    try:
        assert run(["angel", "status", *data]) == 1
        capsys.readouterr()
        operations.beat(Beat(node="angel-1", role="angel", seq=1, started_ms=1, at_ms=now_ms + 60_000))
        operations.restrict(Restriction(scope="instance", cause=CAUSE, state="halt", by="a", since_ms=1))
        operations.log_action(
            AngelAction(id=str(uuid7(SystemClock())), angel="angel-1", at_ms=1, incident="i", action="seize")
        )
        assert run(["angel", "status", *data]) == 0
        assert answer(capsys)["waiting_for_owner"] is True
        assert run(["angel", "status", "--data", str(tmp_path)]) == 0
        capsys.readouterr()
        assert run(["angel", "actions", *data]) == 0
        assert "seize" in str(answer(capsys))
        assert run(["angel", "resume", *data]) == 0
        assert answer(capsys) == {"lifted": ["instance"]}
        assert run(["angel", "resume", "--data", str(tmp_path)]) == 0
        assert "Nothing was waiting" in capsys.readouterr().err
    finally:
        operations.close()


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ([], "drill_refused"),
        (["--dry-run", "--freeze"], "drill_refused"),
        (["--freeze", "--confirm", "x"], "drill_refused"),
        (["--dry-run"], "nothing_to_watch"),
    ],
)
def test_a_drill_that_makes_no_sense_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: str
) -> None:
    """With a stable code and status 2; nothing is touched."""
    SqliteOperations.open(tmp_path / "control.db").close()
    assert run(["angel", "drill", "--data", str(tmp_path), "--json", *arguments]) == 2
    error = answer(capsys)["error"]
    assert isinstance(error, dict)
    assert error["code"] == code
