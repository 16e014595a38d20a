"""What the commands print: results on stdout, one object with --json, plain words without."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mrmarket.cli.app import run
from mrmarket.cli.exit_codes import ExitCode
from mrmarket.services.api.app import openapi_text

TAPE = Path(__file__).resolve().parents[1] / "tapes" / "generated.tape.gz"


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What a command that succeeds writes on stdout; it says nothing else."""
    assert run(list(arguments)) == ExitCode.OK
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out


def test_the_contract_is_one_object_in_either_form(capsys: pytest.CaptureFixture[str]) -> None:
    """`--json` puts it on one line."""
    assert printed(capsys, "openapi") == openapi_text()
    line = printed(capsys, "openapi", "--json")
    assert line.count("\n") == 1
    assert json.loads(line) == json.loads(openapi_text())


def test_a_good_configuration_is_said_on_stdout(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is a result, so it can be piped."""
    file = tmp_path / "mrmarket.toml"
    file.write_text("[strategy]\nbid_spread = 0.001\n")
    assert printed(capsys, "config", "check", str(file)) == "The configuration is good.\n"
    assert json.loads(printed(capsys, "config", "check", str(file), "--json"))["ok"] is True


def test_a_tape_is_described_in_words_and_in_figures(capsys: pytest.CaptureFixture[str]) -> None:
    """Pair, time and counts stand there without any of Python's brackets."""
    words = printed(capsys, "tape", "info", str(TAPE))
    assert "BTC/USDT, in steps of 0.01 and 0.00001" in words
    assert "2024-08-09 00:00:00 to 2024-08-09 00:02:00 UTC, 120 s" in words
    assert "1 snapshot" in words
    assert "{" not in words
    facts = json.loads(printed(capsys, "tape", "info", str(TAPE), "--json"))
    assert facts["events"]["snapshot"] == 1
    assert facts["gap_lines"] == []


def test_settings_are_shown_with_where_they_come_from(capsys: pytest.CaptureFixture[str]) -> None:
    """For people one line a setting, for programs one object."""
    assert "bid_spread" in printed(capsys, "config", "show")
    sections = json.loads(printed(capsys, "config", "show", "--json"))["sections"]
    assert {section["name"] for section in sections} >= {"strategy", "venue", "api"}


def test_a_file_in_the_folders_place_is_no_fault_of_ours(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`status` finds nobody there, `doctor` names the trouble."""
    file = tmp_path / "file"
    file.write_text("text")
    assert run(["status", "--data", str(file)]) == ExitCode.UNAVAILABLE
    capsys.readouterr()
    assert run(["doctor", "--data", str(file), "--json"]) == ExitCode.CHECK_FAILED
    findings = json.loads(capsys.readouterr().out)["findings"]
    assert any(finding["found"] == f"{file} is not a folder" for finding in findings)


def test_paper_needs_an_exchange(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--paper` alone would follow nobody's feed; it is refused and blamed on the command line."""
    data = tmp_path / "data"
    assert run(["run", "--paper", "--data", str(data), "--port", "0"]) == ExitCode.REFUSED
    line = capsys.readouterr().err
    assert "command line: `venue.paper`" in line
    assert "--venue" in line
    assert not data.exists()


@pytest.mark.parametrize("url", ["nonsense", "ftp://127.0.0.1:1", "http://127.0.0.1:1"])
def test_nobody_is_at_a_wrong_address(capsys: pytest.CaptureFixture[str], url: str) -> None:
    """What is no address, or nobody's, is no fault of ours."""
    assert run(["status", "--url", url]) == ExitCode.UNAVAILABLE
    assert f"no instance is running at {url}" in capsys.readouterr().err


def test_a_tape_is_never_written_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A name that is taken is refused before anybody is asked for data."""
    tape = tmp_path / "have.tape.gz"
    tape.write_bytes(b"hours of recording")
    assert run(["record", "binance", "BTC/USDT", "--out", str(tape), "--json"]) == ExitCode.REFUSED
    captured = capsys.readouterr()
    assert json.loads(captured.out)["error"]["code"] == "tape_not_written"
    assert "--out" in captured.err
    assert tape.read_bytes() == b"hours of recording"
