"""`mrmarket halt`: a file in the data folder, and nothing else is asked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mrmarket.cli.app import run
from mrmarket.cli.exit_codes import ExitCode


def test_it_halts_and_lifts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The first reason stays; each call says what there is now and whether it changed anything."""
    data = ["--data", str(tmp_path)]
    said = []
    for arguments in (["--reason", "smoke"], ["--reason", "fire"], ["--lift"], ["--lift"]):
        assert run(["halt", *data, *arguments, "--json"]) == ExitCode.OK
        said.append(json.loads(capsys.readouterr().out))
    assert [each["halted"] for each in said] == [True, True, False, False]
    assert [each["changed"] for each in said] == [True, False, True, False]
    assert [each["reason"] for each in said] == ["smoke", "smoke", "", ""]
    assert list(tmp_path.iterdir()) == []


def test_it_says_in_words_how_to_end_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A person is told the reason and the command."""
    assert run(["halt", "--data", str(tmp_path)]) == ExitCode.OK
    out = capsys.readouterr().out
    assert "halted (halted by hand)" in out
    assert "--lift" in out
    assert run(["halt", "--lift", "--data", str(tmp_path)]) == ExitCode.OK
    assert run(["halt", "--lift", "--data", str(tmp_path)]) == ExitCode.OK
    assert "it was not halted" in capsys.readouterr().out


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong --data must not look like a halted instance."""
    assert run(["halt", "--data", str(tmp_path / "none"), "--json"]) == ExitCode.DATA
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "data_folder_refused"


def test_a_note_that_cannot_be_made_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Somebody has put a folder there: it halts, but it cannot be lifted by this command."""
    (tmp_path / "HALT").mkdir()
    assert run(["halt", "--lift", "--data", str(tmp_path)]) == ExitCode.DATA
    assert "error" in capsys.readouterr().err
