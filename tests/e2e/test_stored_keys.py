"""Live trading with a key from the encrypted store, from the command that keeps it to the last file."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from e2e.loopback_venue import LoopbackVenue, start_venue
from e2e.running import command, start_instance, wait_until

pytestmark = pytest.mark.e2e
MASTER = "the passphrase of this test"


@pytest.fixture
def venue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackVenue]:
    """An exchange, and a master key in the environment."""
    started = start_venue(tmp_path / "exchange", 10)
    monkeypatch.setenv("MRMARKET_KEY", MASTER)
    yield started
    started.end()


def keys(*arguments: str, data: Path, config: Path, typed: str = "") -> subprocess.CompletedProcess[str]:
    """`mrmarket keys …` as a process of its own."""
    line = command("keys", *arguments, "--data", str(data), "--config", str(config), "--json")
    return subprocess.run(line, input=typed, capture_output=True, text=True, check=False)


def test_an_instance_trades_with_a_stored_key_and_shows_it_nowhere(
    tmp_path: Path, venue: LoopbackVenue
) -> None:
    """Added after the exchange told its rights; no file, log, command line or child has any of it."""
    data, config = tmp_path / "data", tmp_path / "mrmarket.toml"
    key, secret = venue.ready["api_key"], venue.ready["api_secret"]
    text = venue.config("order_refresh_time = 0.5\n")
    config.write_text(text.replace("[venue]\n", '[venue]\nkey = "main"\n'))
    wrong = keys(
        "add", "main", "--venue", "binance", "--stdin", data=data, config=config, typed=f"{key}\nwrong\n"
    )
    assert wrong.returncode == 2, wrong
    assert json.loads(wrong.stdout)["error"]["code"] == "authentication_refused"
    typed = f"{key}\n{secret}\n"
    added = keys("add", "main", "--venue", "binance", "--stdin", data=data, config=config, typed=typed)
    assert added.returncode == 0, added
    assert json.loads(added.stdout)["added"]["rights"]["withdraw"] is False
    checked = keys("check", "main", data=data, config=config)
    assert json.loads(checked.stdout)["assets"] > 0, checked
    running = start_instance(data, "--config", str(config))
    wait_until(lambda: running.remote.status().open_orders >= 2)
    seen = [checked.stdout, added.stdout, wrong.stdout, added.stderr, wrong.stderr]
    main = psutil.Process(running.process.pid)
    for child in main.children(recursive=True):
        seen += child.cmdline()
        if "angel" not in child.cmdline():  # the Angel opens a key of the store itself
            seen += child.environ().values()
    seen += main.cmdline()
    seen.append(running.remote.read("instance/config", dict).__repr__())
    assert running.interrupt() == 0
    for path in (path for folder in (data, tmp_path) for path in folder.rglob("*") if path.is_file()):
        if tmp_path / "exchange" in path.parents:
            continue
        assert path.stat().st_mode & 0o077 == 0 or path.parent == tmp_path, path
        seen.append(path.read_bytes().decode("latin-1"))
    assert not any(hidden in text for text in seen for hidden in (key, secret, MASTER))


def test_a_start_with_a_wrong_master_key_is_one_line_and_changes_nothing(
    tmp_path: Path, venue: LoopbackVenue
) -> None:
    """The folder is as it was, and the line says where the key came from."""
    data, config = tmp_path / "data", tmp_path / "mrmarket.toml"
    config.write_text(venue.config("").replace("[venue]\n", '[venue]\nkey = "main"\n'))
    typed = f"{venue.ready['api_key']}\n{venue.ready['api_secret']}\n"
    assert (
        keys("add", "main", "--venue", "binance", "--stdin", data=data, config=config, typed=typed).returncode
        == 0
    )
    before = {path.name: path.read_bytes() for path in data.iterdir()}
    ran = subprocess.run(
        command("run", "--data", str(data), "--config", str(config), "--port", "0"),
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "MRMARKET_KEY": "another passphrase", "NO_COLOR": "1"},
    )
    assert ran.returncode == 2, ran
    assert "master key from MRMARKET_KEY does not open it" in ran.stderr
    assert "another passphrase" not in ran.stderr
    assert {name: content for name, content in before.items() if (data / name).read_bytes() != content} == {}
