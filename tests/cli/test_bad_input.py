"""Bad input gets one clear line, a meaningful exit status, and changes nothing."""

from __future__ import annotations

import gzip
import json
import socket
import sqlite3
from pathlib import Path

import pytest

from mrmarket.cli.app import run
from mrmarket.cli.exit_codes import ExitCode

TAPE = Path(__file__).resolve().parents[1] / "tapes" / "generated.tape.gz"


def refuse(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    """Run a command that must fail; returns its status and its one line."""
    status = run(list(arguments))
    captured = capsys.readouterr()
    lines = [line for line in captured.err.splitlines() if line.strip()]
    assert len(lines) == 1, captured.err
    assert lines[0].startswith("error: ")
    assert "Traceback" not in captured.err
    if "--json" in arguments:
        assert json.loads(captured.out)["error"]["message"] in lines[0]
    else:
        assert captured.out == ""
    return status, lines[0]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[strategy]\nspraed = 1\n", ["unknown key `strategy.spraed`"]),
        ("[strategy]\nbid_spred = 0.1\n", ["did you mean `bid_spread`?"]),
        ("[trading]\nx = 1\n", ["unknown key `trading`", "strategy"]),
        ("[strategy]\nbid_spread = 0\n", ["strategy.bid_spread"]),
        ("[strategy]\nbid_spread = 10\n", ["strategy.bid_spread"]),
        ('[strategy]\nbid_spread = "0"\n', ["strategy.bid_spread"]),
        ("[strategy]\nask_spread = -0.1\n", ["strategy.ask_spread"]),
        ("[simulation]\nspeed = 0\n", ["simulation.speed"]),
        ("[api]\nport = 70000\n", ["api.port"]),
        ("[api\n", ["not valid TOML"]),
        (
            "[venue]\napi_secret = 'hunter2'\n",
            ["unknown key `venue.api_secret`", "did you mean `api_secret_env`?"],
        ),
    ],
)
def test_a_wrong_configuration_is_refused_with_the_key_at_fault(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, words: list[str]
) -> None:
    """The line names the key, never the refused text, and nothing is started or made."""
    file = tmp_path / "mrmarket.toml"
    file.write_text(text)
    data = tmp_path / "data"
    for arguments in (
        ["config", "check", str(file)],
        ["run", "--config", str(file), "--data", str(data), "--json"],
    ):
        status, line = refuse(capsys, *arguments)
        assert status == ExitCode.REFUSED
        assert all(word in line for word in words), line
        assert "hunter2" not in line
    assert not data.exists()


def test_a_missing_configuration_file_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The path stands in the line, with what to do."""
    status, line = refuse(capsys, "config", "show", "--config", str(tmp_path / "none.toml"))
    assert status == ExitCode.REFUSED
    assert "no such file" in line


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["fly"], "No such command"),
        (["run", "--sped", "2"], "--speed"),
        (["run", "--for", "-1"], "--for"),
        (["run", "--speed", "fast"], "--speed"),
        (["tape", "info"], "file"),
    ],
)
def test_a_wrong_option_is_one_line(
    capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    """Usage errors are short and say where help is."""
    status, line = refuse(capsys, *arguments)
    assert status == ExitCode.REFUSED
    assert words in line
    assert "--help" in line


def cut(tmp_path: Path) -> Path:
    """A tape that ends in the middle of a line."""
    text = gzip.decompress(TAPE.read_bytes())
    file = tmp_path / "cut.tape"
    file.write_bytes(text[: len(text) // 2 - 7].rstrip(b"}\n"))
    return file


def gap(tmp_path: Path) -> Path:
    """A tape with a depth update missing in the middle."""
    lines = gzip.decompress(TAPE.read_bytes()).splitlines(keepends=True)
    depth = [number for number, line in enumerate(lines) if b'"first_id"' in line]
    del lines[depth[len(depth) // 2]]
    file = tmp_path / "gap.tape"
    file.write_bytes(b"".join(lines))
    return file


@pytest.mark.parametrize(
    ("make", "words"), [(cut, "cut"), (gap, "missing"), (lambda p: p / "no.gz", "no such file")]
)
def test_a_damaged_tape_is_refused_before_anything_starts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], make: object, words: str
) -> None:
    """A cut, gapped or missing tape is found at once; nothing is left of the new folder."""
    assert callable(make)
    file, data = make(tmp_path), tmp_path / "data"
    status, line = refuse(capsys, "run", "--tape", str(file), "--data", str(data), "--port", "0")
    assert status == ExitCode.REFUSED
    assert words in line.lower(), line
    assert not data.exists()
    assert run(["tape", "info", str(file)]) in {ExitCode.CHECK_FAILED, ExitCode.REFUSED}
    assert words in capsys.readouterr().err.lower()


def test_an_unknown_pair_is_refused_with_those_that_exist(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The line names what the venue has."""
    arguments = [
        "run",
        "--tape",
        str(TAPE),
        "--pair",
        "DOGE/EUR",
        "--data",
        str(tmp_path / "data"),
        "--port",
        "0",
    ]
    status, line = refuse(capsys, *arguments)
    assert status == ExitCode.REFUSED
    assert "DOGE/EUR" in line
    assert "BTC/USDT" in line
    assert not (tmp_path / "data").exists()


def test_a_port_in_use_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The line says which port and what to do; nothing is made."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        status, line = refuse(capsys, "run", "--port", port, "--data", str(tmp_path / "data"))
    assert status == ExitCode.UNAVAILABLE
    assert port in line
    assert "--port" in line
    assert line.count(port) == 1
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("name", ["money.db", "trading.db"])
def test_a_database_of_a_newer_version_is_left_as_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """A file that a later version wrote is refused byte for byte."""
    with sqlite3.connect(tmp_path / name) as later:
        later.execute("CREATE TABLE alembic_version (version_num TEXT NOT NULL)")
        later.execute("INSERT INTO alembic_version VALUES ('9999_from_the_future')")
    later.close()
    before = (tmp_path / name).read_bytes()
    status, line = refuse(capsys, "run", "--data", str(tmp_path), "--port", "0", "--tape", str(TAPE))
    assert status == ExitCode.DATA
    assert name in line
    assert (tmp_path / name).read_bytes() == before


def test_status_of_nothing_says_how_to_start(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without an instance the status is a line and status 3."""
    status, line = refuse(capsys, "status", "--data", str(tmp_path), "--json")
    assert status == ExitCode.UNAVAILABLE
    assert "mrmarket run" in line


def test_verifying_no_ledger_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """There is nothing to verify, and none is made."""
    status, line = refuse(capsys, "ledger", "verify", "--data", str(tmp_path), "--json")
    assert status == ExitCode.REFUSED
    assert "start an instance first" in line
    assert list(tmp_path.iterdir()) == []
