"""`mrmarket loyalty compute`: one object or a table on stdout, one line when it is refused."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from money.loyalty.loyalty_samples import raw_events, write_inputs
from mrmarket.cli.app import run
from mrmarket.cli.commands import loyalty
from mrmarket.cli.exit_codes import ExitCode

FILES = [
    "balances.csv",
    "daily_usd.csv",
    "program_state.json",
    "providers.json",
    "report.html",
    "rewards.csv",
]


def arguments(folder: Path, **changes: str | None) -> list[str]:
    """The command on the samples; None leaves an option out."""
    events, prices = write_inputs(folder)
    options: dict[str, str | None] = {
        "events": str(events),
        "prices": str(prices),
        "start": "2024-09-09",
        "end": "2024-12-02",
        "total": "50000",
        "out": str(folder / "out"),
    }
    options |= {name.replace("_", "-"): value for name, value in changes.items()}
    flags = [word for name, value in options.items() if value is not None for word in (f"--{name}", value)]
    return ["loyalty", "compute", *flags]


@pytest.mark.parametrize("model", ["twal", "threshold", "hybrid", "last_balance"])
def test_every_model_writes_the_six_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], model: str
) -> None:
    """And prints one object with the sum."""
    assert run([*arguments(tmp_path, model=model), "--json"]) == ExitCode.OK
    captured = capsys.readouterr()
    summary = json.loads(captured.out)
    assert captured.err == ""
    assert summary["model"] == model
    assert summary["paid"] == summary["total"] == "50000"
    assert summary["providers"] == 4
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == FILES
    assert sorted(summary["files"]) == FILES


def test_for_people_it_is_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The sum, the largest rewards and where the files are."""
    assert run(arguments(tmp_path, as_of="2024-10-01T12:00:00Z", decimals="2")) == ExitCode.OK
    out = capsys.readouterr().out
    assert "50000 of 50000" in out
    assert "after_as_of" in out


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"end": "2024-09-08"}, "dates_out_of_order", "does not come after"),
        ({"end": "2024-09-09"}, "dates_out_of_order", "does not come after"),
        ({"start": "09/09/2024"}, "invalid_input", "2024-09-09"),
        ({"as_of": "soon"}, "invalid_input", "as-of"),
        ({"as_of": "2024-09-01"}, "dates_out_of_order", "--as-of"),
        ({"total": "5e4"}, "invalid_input", "plain digits"),
        ({"total": "-1"}, "invalid_input", "plain digits"),
        ({"total": "0"}, "invalid_input", "positive"),
        ({"total": "0.000000001"}, "invalid_input", "8 digits"),
        ({"min_usd": "0"}, "invalid_input", "min-usd"),
        ({"end": "2025-04-07"}, "price_hole", "--fill-holes"),
        ({"events": "none.json"}, "corrupt_file", "none.json"),
        ({"prices": "none.json"}, "corrupt_file", "none.json"),
        ({"model": "luck"}, "usage", "luck"),
        ({"duplicates": "ignore"}, "usage", "ignore"),
        ({"total": None}, "usage", "--total"),
    ],
)
def test_a_wrong_call_is_one_line_and_writes_nothing(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    changes: dict[str, str | None],
    code: str,
    words: str,
) -> None:
    """Status 2, a stable code, a sentence, and no folder."""
    assert run([*arguments(tmp_path, **changes), "--json"]) == ExitCode.REFUSED
    captured = capsys.readouterr()
    error = json.loads(captured.out)["error"]
    assert error["code"] == code
    assert words in error["message"]
    assert len(captured.err.splitlines()) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["events.json", "prices.json"]


def test_copies_are_refused_or_dropped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The refusal names the option; with it the result is that without copies."""
    wanted = arguments(tmp_path)
    assert run([*wanted, "--json"]) == ExitCode.OK
    first = (tmp_path / "out" / "rewards.csv").read_bytes()
    (tmp_path / "events.json").write_text(json.dumps(raw_events() + raw_events()))
    capsys.readouterr()
    assert run([*wanted, "--json"]) == ExitCode.REFUSED
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "duplicate_event"
    assert run([*wanted, "--json", "--duplicates", "drop"]) == ExitCode.OK
    assert json.loads(capsys.readouterr().out)["remarks"][0]["count"] == 9
    assert (tmp_path / "out" / "rewards.csv").read_bytes() == first


def test_a_foreign_folder_is_refused_before_anything_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The file in it is named and stays."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("years of work")
    assert run([*arguments(tmp_path, events="none.json"), "--json"]) == ExitCode.REFUSED
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["code"] == "folder_not_empty"
    assert "thesis.tex" in error["message"]
    assert (tmp_path / "out" / "thesis.tex").read_text() == "years of work"


def test_a_run_continues_from_its_state_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two steps give the files of one."""
    state = str(tmp_path / "state.json")
    assert run([*arguments(tmp_path, out=str(tmp_path / "whole")), "--json"]) == ExitCode.OK
    assert run([*arguments(tmp_path, as_of="2024-10-10", state=state), "--json"]) == ExitCode.OK
    assert run([*arguments(tmp_path, state=state), "--json"]) == ExitCode.OK
    for name in FILES:
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert run([*arguments(tmp_path, min_usd="5", state=state), "--json"]) == ExitCode.REFUSED
    assert "state_mismatch" in capsys.readouterr().out


def test_progress_is_for_those_who_wait_at_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A pipe gets none of it."""
    assert loyalty.progress() is None
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    show = loyalty.progress()
    assert show is not None
    for done in (1, 1_000, 1_500):
        show("providers", done, 1_500)
    assert "1,500 of 1,500" in capsys.readouterr().err
