"""`mrmarket backtest run`: what it prints, writes, repeats and refuses."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from backtest_stage import wandering, write_tape
from mrmarket.cli import progress
from mrmarket.cli.app import run
from mrmarket.cli.exit_codes import ExitCode
from mrmarket.trading.backtest import runner
from mrmarket.trading.strategy.pure_market_making import PureMarketMaking

MAKER = [
    "--strategy",
    "pure_market_making",
    "--set",
    "bid_spread=0.001",
    "--set",
    "ask_spread=0.001",
    "--set",
    "order_refresh_time=0.1",
    "--balance",
    "base=10,quote=10000",
]


@pytest.fixture
def tape(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A small market, and the kernel as it is: compiling is tried elsewhere."""
    monkeypatch.setattr(runner, "has_compiler", lambda: False)
    return str(write_tape(tmp_path / "t", wandering(4, 250)))


def test_a_run_tells_everything_in_one_object(tape: str, capsys: pytest.CaptureFixture[str]) -> None:
    """With --json stdout holds one line, whose PnL is cash flows plus base at the final mid less fees."""
    assert run(["backtest", "run", "--tape", tape, *MAKER, "--fees", "0.0005", "--json"]) == ExitCode.OK
    (line,) = capsys.readouterr().out.splitlines()
    told = json.loads(line)
    assert told["trades"] > 0
    assert told["failed"] is False
    found = float(told["cash_quote"]) + float(told["base_change"]) * float(told["final_mid"])
    assert float(told["pnl_quote"]) == pytest.approx(found - float(told["fees_quote"]), abs=1e-9)
    assert list(told["passes"]) == ["risk_averse", "power:2"]


def test_a_person_gets_a_table_and_a_folder_that_repeats_itself(
    tape: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """PnL, its parts and the assumptions; `--from` finds exactly the same, also with the tape elsewhere."""
    out = str(tmp_path / "out")
    arguments = ["backtest", "run", "--tape", tape, *MAKER, "--latency", "spiky", "--seed", "4", "--out", out]
    assert run(arguments) == ExitCode.OK
    told = capsys.readouterr()
    for word in ("PnL, USDT", "inventory", "risk_averse", "power:2", "markout 1 s, bp"):
        assert word in told.out
    assert "assumptions: fees" in told.err
    report = tmp_path / "out" / "report.json"
    kept = report.read_bytes()
    assert run(arguments) == ExitCode.REFUSED
    assert "--force" in capsys.readouterr().err
    assert report.read_bytes() == kept
    assert run([*arguments, "--force"]) == ExitCode.OK
    capsys.readouterr()
    assert run(["backtest", "run", "--from", out]) == ExitCode.OK
    assert "exactly what the report says" in capsys.readouterr().err
    moved = Path(tape).rename(tmp_path / "elsewhere")
    assert run(["backtest", "run", "--from", out, "--tape", str(moved), "--json"]) == ExitCode.OK
    assert json.loads(capsys.readouterr().out)["repeated"] is True


def test_a_repeat_that_comes_out_different_says_so(
    tape: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A report whose totals were changed by hand; without its columns the totals alone are compared."""
    out = tmp_path / "out"
    assert (
        run(["backtest", "run", "--tape", tape, *MAKER, "--out", str(out), "--queue", "log"]) == ExitCode.OK
    )
    report = out / "report.json"
    told = json.loads(report.read_text())
    (out / "fills.parquet").unlink()
    assert run(["backtest", "run", "--from", str(out)]) == ExitCode.OK
    told["passes"][0]["totals"]["cash_quote"] = "1"
    report.write_text(json.dumps(told))
    capsys.readouterr()
    assert run(["backtest", "run", "--from", str(out), "--json"]) == ExitCode.CHECK_FAILED
    printed = capsys.readouterr()
    assert json.loads(printed.out)["repeated"] is False
    assert "came out different" in printed.err


def test_a_strategy_that_raises_ends_with_status_1(
    tape: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line says why; the object says it too, beside what was done until then."""

    def broken(_self: object, _view: object) -> None:
        raise ZeroDivisionError("nothing is left")

    monkeypatch.setattr(PureMarketMaking, "quotes", broken)
    assert run(["backtest", "run", "--tape", tape, *MAKER, "--json"]) == ExitCode.CHECK_FAILED
    printed = capsys.readouterr()
    told = json.loads(printed.out)
    assert told["failed"] is True
    assert told["failure"]["code"] == "strategy_raised"
    assert printed.err.count("\n") == 1
    assert "nothing is left" in printed.err
    assert run(["backtest", "run", "--tape", tape, *MAKER]) == ExitCode.CHECK_FAILED


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--strategy", "pure_market_makin"], "unknown_strategy"),
        (["--strategy", "glft", "--template", "wild"], "unknown_template"),
        (["--strategy", "glft", "--set", "gama=1"], "parameter_refused"),
        (["--strategy", "glft", "--set", "max_inventory=-1"], "parameter_refused"),
        (["--strategy", "glft", "--latency", "soon"], "invalid_input"),
        (["--strategy", "glft", "--queue", "fifo"], "invalid_input"),
        (["--strategy", "glft", "--fees", "2"], "invalid_input"),
        (["--strategy", "glft", "--window", "1:0"], "invalid_input"),
        (["--strategy", "glft", "--set", "pair=A/B"], "pair_not_on_tape"),
        ([], "invalid_input"),
    ],
)
def test_bad_words_are_refused(
    tape: str, arguments: list[str], code: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """With status 2, a stable code and one line."""
    assert run(["backtest", "run", "--tape", tape, *arguments, "--json"]) == ExitCode.REFUSED
    printed = capsys.readouterr()
    assert json.loads(printed.out)["error"]["code"] == code
    assert printed.err.count("\n") == 1


def test_a_damaged_tape_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Missing and torn."""
    assert run(["backtest", "run", "--tape", str(tmp_path / "no"), "--strategy", "glft", "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "tape_not_found"
    torn = write_tape(tmp_path / "t", wandering(4, 50))
    torn.write_bytes(torn.read_bytes()[:-20])
    assert run(["backtest", "run", "--tape", str(torn), "--strategy", "glft", "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "tape_cut"


def test_a_run_that_quotes_nothing_says_why(tape: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The commonest reason, in words."""
    assert run(["backtest", "run", "--tape", tape, "--strategy", "glft", "--window", "0:0.1"]) == ExitCode.OK
    assert "nothing was quoted: " in capsys.readouterr().err


def test_progress_is_shown_to_people_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal a bar moves; in a file nothing is written."""
    written = io.StringIO()
    monkeypatch.setattr(progress, "notes", Console(file=written, force_terminal=True, width=80))
    with progress.progress_line() as tell:
        tell(0.5, "playing")
        tell(1.0, "done")
    assert "done" in written.getvalue()
    silent = io.StringIO()
    monkeypatch.setattr(progress, "notes", Console(file=silent))
    with progress.progress_line() as tell:
        tell(0.5, "playing")
    assert silent.getvalue() == ""
