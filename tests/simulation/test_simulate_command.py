"""`mrmarket simulate`: its answer, its exit status, and that a seed is the same everywhere."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from typer.testing import CliRunner

from mrmarket.cli.app import app
from mrmarket.cli.exit_codes import ExitCode
from mrmarket.simulation import campaign
from mrmarket.simulation.campaign import run_campaign
from mrmarket.simulation.checkers import Violation
from mrmarket.simulation.seed import SeedReport, run_seed

REGRESSIONS = Path(__file__).with_name("regression_seeds.txt")


def regressions() -> list[int]:
    """Seeds of the file, one a line with a word on what they found."""
    lines = REGRESSIONS.read_text().splitlines()
    return [int(line.split(maxsplit=1)[0]) for line in lines if line and not line.startswith("#")]


def report(seed: int, *violations: Violation) -> SeedReport:
    """What a seed came to."""
    return SeedReport(seed, 3_700.0, 300 + seed, 60, {"crash": 1}, 1, 2, 1_000, "abc", violations)


def test_a_seed_is_the_same_twice() -> None:
    """The same seed gives the same trace, another one another."""
    first, second, other = run_seed(7), run_seed(7), run_seed(8)
    assert first == second
    assert first.trace != other.trace
    assert first.violations == ()


def test_a_seed_is_the_same_in_every_process() -> None:
    """Neither the hashes of strings nor what ran before changes a seed."""
    code = "from mrmarket.simulation.seed import run_seed; print(run_seed(7).trace)"
    traces = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": hashes},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for hashes in ("1", "2")
    }
    assert traces == {run_seed(7).trace}


@pytest.mark.parametrize("seed", regressions())
def test_what_was_found_stays_found(seed: int) -> None:
    """A seed that once found a fault finds none now."""
    assert run_seed(seed).violations == ()


def test_each_seed_proves_something() -> None:
    """Seeds act, trade, are struck and crash enough to say anything."""
    summary = run_campaign(range(30, 34), jobs=1)
    assert summary.violations == []
    assert summary.seeds == 4
    assert summary.virtual_seconds >= 4 * 3_600
    assert summary.actions.least >= 300
    assert summary.fills.least >= 50
    assert summary.faults_per_seed.least >= 10
    assert summary.crashes.least >= 1
    assert sum(summary.faults.values()) >= 40


def test_the_answer_is_one_object(monkeypatch: pytest.MonkeyPatch) -> None:
    """With --json stdout carries seeds, virtual seconds, faults and violations, and the status is 0."""
    monkeypatch.setattr(campaign, "run_seed", report)
    result = CliRunner().invoke(app, ["simulate", "--seeds", "3", "--start", "5", "--jobs", "1", "--json"])
    answer = json.loads(result.stdout)
    assert result.exit_code == ExitCode.OK
    assert (answer["seeds"], answer["virtual_seconds"], answer["faults"]) == (3, 11_100, {"crash": 3})
    assert answer["violations"] == []
    assert answer["actions"] == {"least": 305, "median": 306.0, "most": 307}
    assert answer["trace"] == hashlib.sha256(b"abcabcabc").hexdigest()


def test_a_failing_seed_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is violated, and the command that shows it again, are on one line; the status is 1."""
    bad = Violation("sent_once", "engine-1 sends a again", 12.5)
    monkeypatch.setattr(campaign, "run_seed", lambda seed: report(seed, bad) if seed == 6 else report(seed))
    result = CliRunner().invoke(
        app, ["simulate", "--seeds", "3", "--start", "5", "--jobs", "1"], standalone_mode=False
    )
    assert result.return_value == ExitCode.CHECK_FAILED
    (line,) = [line for line in result.stderr.splitlines() if "seed 6" in line]
    assert line.endswith("mrmarket simulate --seeds 1 --start 6")
    assert "sent_once" in line
    assert "1 in 1 seeds" in result.stdout


def test_workers_end_with_whoever_started_them() -> None:
    """A killed command leaves nobody behind that counts on."""
    line = [sys.executable, "-m", "mrmarket", "simulate", "--seeds", "4000", "--jobs", "2", "--json"]
    command = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    workers: list[psutil.Process] = []
    try:
        while len(workers) < 2:
            assert command.poll() is None
            children = psutil.Process(command.pid).children()
            workers = [child for child in children if "spawn_main" in " ".join(child.cmdline())]
    finally:
        command.kill()
        command.wait()
    _, alive = psutil.wait_procs(workers, timeout=60)
    assert alive == []


def test_workers_find_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seeds that run in several processes come back in order and with the same traces."""
    heard: list[SeedReport] = []
    run_campaign(range(40, 42), jobs=2, heard=heard.append)
    assert [each.seed for each in heard] == [40, 41]
    assert heard[0] == run_seed(40)
