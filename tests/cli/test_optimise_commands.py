"""`mrmarket optimise` and `mrmarket backtest show|compare`, as they are typed."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from laboratory_results import made_up_result
from laboratory_searches import plan_of, short_tape
from mrmarket.cli.app import run
from mrmarket.cli.exit_codes import ExitCode
from mrmarket.trading.backtest.files import write_report
from mrmarket.trading.backtest.optimiser.errors import LookAheadError
from mrmarket.trading.backtest.optimiser.look_ahead import LookAheadCheck
from mrmarket.trading.backtest.optimiser.plan import begin_study
from mrmarket.trading.backtest.report import study_files

SEARCH = ["--strategy", "pure_market_making", "--set", "number_of_layers=1", "--fees", "0"]


@pytest.fixture(scope="module")
def tape(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dozen seconds of a market."""
    return short_tape(tmp_path_factory.mktemp("tape"))


def words(tape: Path, *more: str) -> list[str]:
    """A search on a tape."""
    return ["optimise", "run", "--tape", str(tape), *SEARCH, "--jobs", "1", *more]


def answered(capsys: pytest.CaptureFixture[str]) -> Any:
    """The one JSON object on stdout."""
    return json.loads(capsys.readouterr().out)


def test_a_study_is_run_read_and_taken_over(
    tape: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the search to a section that `config check` accepts; the files are there."""
    monkeypatch.setattr(study_files, "check_look_ahead", lambda _setting: LookAheadCheck(1, 42))
    out = tmp_path / "study"
    search = [
        "--search",
        "bid_spread,ask_spread=0.0001:0.0003:0.0001",
        "--method",
        "grid",
        "--walk-forward",
        "2",
    ]
    assert run(words(tape, *search, "--out", str(out), "--json")) == ExitCode.OK
    found = answered(capsys)
    assert (found["done"], found["failed"], found["planned"]) == (3, 0, 3)
    assert len(found["winners"]) == 2
    assert "42 decisions" in found["look_ahead"]
    assert [Path(file).name for file in found["files"]] == ["study.html", "trials.json"]
    assert len(json.loads((out / "trials.json").read_text())) == 3
    html = (out / "study.html").read_text()
    assert "Does it last?" in html
    assert "Walk-forward" in html

    assert run(["optimise", "best", str(out), "--toml"]) == ExitCode.OK
    section = capsys.readouterr().out
    table = tomllib.loads(section)["strategy"]
    assert table["bid_spread"] == table["ask_spread"] == found["best"]["point"]["bid_spread,ask_spread"]
    assert table["pair"] == "BTC/USDT"
    (tmp_path / "best.toml").write_text(section)
    assert run(["config", "check", str(tmp_path / "best.toml")]) == ExitCode.OK
    capsys.readouterr()

    assert run(["optimise", "best", str(out), "--json"]) == ExitCode.OK
    assert answered(capsys)["parameters"]["kind"] == "pure_market_making"
    assert run(["optimise", "best", str(out)]) == ExitCode.OK
    assert "held out" in capsys.readouterr().out
    assert run(["optimise", "resume", str(out), "--jobs", "1"]) == ExitCode.OK
    assert "3 run" in capsys.readouterr().out


def test_a_best_set_that_looks_ahead_fails_the_study(
    tape: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit status 1, and the page says so."""

    def found_out(_setting: object) -> LookAheadCheck:
        raise LookAheadError("removed", 5, "b1", "no quotes")

    monkeypatch.setattr(study_files, "check_look_ahead", found_out)
    out = tmp_path / "study"
    search = ["--search", "bid_spread=0.001|0.002", "--method", "grid", "--trials", "1"]
    assert run(words(tape, *search, "--out", str(out))) == ExitCode.CHECK_FAILED
    assert "worth nothing" in capsys.readouterr().err
    assert "worth nothing" in (out / "study.html").read_text()


@pytest.mark.parametrize(
    ("more", "code", "said"),
    [
        (["--search", "bid_spred=0.1:0.2"], "search_refused", "did you mean bid_spread?"),
        (["--search", "zzz=0.1:0.2"], "search_refused", "mrmarket strategy show"),
        (["--search", "bid_spread=1"], "search_refused", "NAME=LOW:HIGH"),
        (["--search", "bid_spread=0.6:0.9"], "parameter_refused", "up to 0.5"),
        (["--search", "bid_spread=0.1:0.2", "--method", "grid"], "search_refused", "STEP"),
        (["--search", "bid_spread=0.1:0.2", "--objective", "x"], "invalid_input", "pnl_per_risk"),
        (["--search", "bid_spread=0.1:0.2", "--walk-forward", "101"], "invalid_input", "1 to 100"),
    ],
)
def test_a_search_that_cannot_work_is_refused_before_it_begins(
    tape: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], code: str, said: str
) -> None:
    """One line, a stable code, no folder."""
    assert run(words(tape, *more, "--out", str(tmp_path / "study"), "--json")) == ExitCode.REFUSED
    error = answered(capsys)["error"]
    assert error["code"] == code
    assert said in error["message"]
    assert not (tmp_path / "study").exists()


def test_a_tape_that_is_not_there_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """So is a folder of several venues."""
    search = ["--search", "bid_spread=0.1:0.2", "--out", str(tmp_path / "study"), "--json"]
    assert run(words(tmp_path / "gone.gz", *search)) == ExitCode.REFUSED
    assert answered(capsys)["error"]["code"] == "tape_not_found"
    assert run(words(tmp_path, *search)) == ExitCode.REFUSED
    assert "several venues" in answered(capsys)["error"]["message"]


def test_a_study_in_which_everything_fails_says_why(
    tape: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The best of nothing is refused with the first reason."""
    out = tmp_path / "study"
    begin_study(plan_of("number_of_layers=49|50", tape=tape, parameters={"bid_spread": "0.03"}), out)
    assert run(["optimise", "resume", str(out), "--jobs", "1", "--json"]) == ExitCode.OK
    found = answered(capsys)
    assert (found["failed"], found["best"]) == (2, None)
    assert "Failed" in (out / "study.html").read_text()
    assert run(["optimise", "best", str(out)]) == ExitCode.REFUSED
    assert "number_of_layers" in capsys.readouterr().err


def test_backtests_are_shown_and_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Differences of the settings first, then what came out; pages where they are asked for."""
    for name, spread in (("narrow", "0.0001"), ("wide", "0.0005")):
        write_report(made_up_result(len(name), parameters={"bid_spread": spread}), tmp_path / name)
    narrow, wide = str(tmp_path / "narrow"), str(tmp_path / "wide")
    assert run(["backtest", "show", narrow, "--json", "--out", str(tmp_path / "again.html")]) == ExitCode.OK
    shown = answered(capsys)
    assert shown["setting"]["parameters"]["bid_spread"] == "0.0001"
    assert len(shown["assumptions"]) == 3
    assert "<h3>Equity</h3>" in (tmp_path / "again.html").read_text()
    assert run(["backtest", "show", narrow]) == ExitCode.OK
    assert "glft" in capsys.readouterr().out

    pair = ["backtest", "compare", narrow, f"{wide}/report.json"]
    assert run([*pair, "--json", "--out", str(tmp_path / "both.html")]) == ExitCode.OK
    compared = answered(capsys)
    assert compared["differences"] == {"parameters.bid_spread": ["0.0001", "0.0005"], "seed": ["6", "4"]}
    assert [each["name"] for each in compared["results"]] == ["narrow", "wide"]
    html = (tmp_path / "both.html").read_text()
    assert "What was set differently" in html
    assert run(pair) == ExitCode.OK
    assert "parameters.bid_spread" in capsys.readouterr().out
    assert run(["backtest", "compare", narrow, narrow]) == ExitCode.OK
    assert "narrow (2)" in capsys.readouterr().out
    assert run(["backtest", "compare", narrow]) == ExitCode.REFUSED
    assert run(["backtest", "show", narrow, "--out", str(tmp_path / "no" / "x.html")]) == ExitCode.REFUSED
