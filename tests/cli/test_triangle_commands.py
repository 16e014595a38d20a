"""Tapes to try triangles on, and the two strategies of several markets from the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mrmarket.cli.app import run
from mrmarket.cli.exit_codes import ExitCode


def answer(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    """What a command prints with `--json`."""
    assert run([*arguments, "--json"]) == ExitCode.OK
    return json.loads(capsys.readouterr().out)


def test_tapes_are_made_and_a_round_is_sent_around_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Three files by their pairs; the strategy finds the straying, and its report names the home asset."""
    made = answer(
        capsys,
        *("tape", "triangle", str(tmp_path), "--seconds", "6", "--stray", "60", "--every", "2"),
        *("--lasts", "1"),
    )["files"]
    assert [Path(file).name for file in made] == ["BTCUSDT.jsonl.gz", "ETHUSDT.jsonl.gz", "ETHBTC.jsonl.gz"]
    tapes = [word for file in made for word in ("--tape", file)]
    found = answer(
        capsys,
        *("backtest", "run", *tapes, "--strategy", "triangular_arbitrage"),
        *("--balance", "quote=10000", "--out", str(tmp_path / "out")),
    )
    assert found["home"] == "USDT"
    assert found["rounds"]["through"] > 0
    assert (tmp_path / "out" / "report.json").exists()
    assert run(["tape", "triangle", str(tmp_path / "more"), "--seconds", "1"]) == ExitCode.OK
    assert "wrote" in capsys.readouterr().out


def test_carry_needs_its_three_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One file is refused with what to give."""
    arguments = ["backtest", "run", "--tape", str(tmp_path), "--strategy", "spot_perpetual_carry"]
    assert run(arguments) == ExitCode.REFUSED
    assert "give three files" in capsys.readouterr().err
