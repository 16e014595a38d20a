"""Runs in other processes, on this machine and on a cluster."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from laboratory_searches import TAPE, dying, hill, plan_of
from mrmarket.trading.backtest.optimiser.conductor import WorkersLostError
from mrmarket.trading.backtest.optimiser.errors import ClusterError, OptimiserMissingError
from mrmarket.trading.backtest.optimiser.plan import begin_study
from mrmarket.trading.backtest.optimiser.pool import _end_with_parent, cluster_pool, fingerprint
from mrmarket.trading.backtest.optimiser.search import run_study
from mrmarket.trading.backtest.optimiser.study import read_outcomes
from mrmarket.trading.backtest.setting import TapeRef, sha256_of

REF = TapeRef(path=str(TAPE), sha256=sha256_of(TAPE))


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A real scheduler with one worker process."""
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=True, dashboard_address="127.0.0.1:0", host="127.0.0.1"
    ) as made:
        yield made


def test_a_cluster_finds_what_this_machine_finds(cluster: Any, tmp_path: Path) -> None:
    """The same grid, set by set."""
    plan = plan_of()
    for name in ("here", "there"):
        begin_study(plan, tmp_path / name)
    here = run_study(tmp_path / "here", jobs=1, evaluation=hill)
    there = run_study(tmp_path / "there", cluster=cluster.scheduler_address, evaluation=hill)
    assert here == there
    assert read_outcomes(tmp_path / "here") == read_outcomes(tmp_path / "there")


def test_a_worker_without_the_tape_is_named(cluster: Any, tmp_path: Path) -> None:
    """Before anything is run; so is one with another recording under the same name."""
    address = cluster.scheduler_address
    gone = TapeRef(path=str(tmp_path / "gone.gz"))
    with pytest.raises(ClusterError, match=r"lacks the tape .*gone\.gz"), cluster_pool(address, [gone]):
        pass
    other = TapeRef(path=str(TAPE), sha256="0" * 64)
    with pytest.raises(ClusterError, match="another tape"), cluster_pool(address, [other]):
        pass


def test_a_scheduler_that_does_not_answer_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """With what to do."""
    pytest.importorskip("distributed")
    monkeypatch.setattr("mrmarket.trading.backtest.optimiser.pool._CONNECT_S", 1)
    with pytest.raises(ClusterError, match="dask scheduler"), cluster_pool("tcp://127.0.0.1:9", [REF]):
        pass


def test_a_missing_library_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It says what to install."""
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(OptimiserMissingError, match=r"mrmarket\[cluster\]"), cluster_pool("x", [REF]):
        pass
    monkeypatch.setitem(sys.modules, "optuna", None)
    begin_study(plan_of(), tmp_path)
    with pytest.raises(OptimiserMissingError, match=r"mrmarket\[lab\]"):
        run_study(tmp_path, jobs=1, evaluation=hill)


def test_a_worker_that_is_killed_ends_the_study_with_a_line(tmp_path: Path) -> None:
    """As happens where memory runs out; what was done is kept."""
    begin_study(plan_of(), tmp_path)
    with pytest.raises(WorkersLostError, match="optimise resume"):
        run_study(tmp_path, jobs=1, evaluation=dying)
    assert run_study(tmp_path, jobs=1, evaluation=hill).done == 15


def test_a_study_that_is_killed_loses_only_what_was_running(tmp_path: Path) -> None:
    """SIGKILL after three sets; its worker ends too, and the rest is run by the next process."""
    folder = tmp_path / "study"
    plan = plan_of("x=0:9", parameters={"folder": str(tmp_path)})
    begin_study(plan, folder)
    script = (
        "from pathlib import Path\n"
        "from laboratory_searches import slow_hill\n"
        "from mrmarket.trading.backtest.optimiser.search import run_study\n"
        "if __name__ == '__main__':\n"
        f"    run_study(Path({str(folder)!r}), jobs=1, evaluation=slow_hill)\n"
    )
    file = tmp_path / "study.py"
    file.write_text(script)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    process = subprocess.Popen([sys.executable, str(file)], env=environment)
    try:
        while len(list(tmp_path.glob("3-*-*"))) < 1:
            assert process.poll() is None
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(0.05)
        workers = psutil.Process(process.pid).children(recursive=True)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    psutil.wait_procs(workers, timeout=60)
    assert not [worker for worker in workers if worker.is_running()]
    assert [each.place for each in read_outcomes(folder)] == [0, 1, 2]
    (tmp_path / "go").touch()
    assert run_study(folder, jobs=1, evaluation=hill).done == 10
    assert len(list(tmp_path.glob("0-*-*"))) == 1


def test_a_fingerprint_tells_tapes_apart(tmp_path: Path) -> None:
    """By their content; nothing is said of one that is not there."""
    version, hashes = fingerprint([str(TAPE), str(tmp_path / "gone")])
    assert version
    assert hashes == {str(TAPE): REF.sha256, str(tmp_path / "gone"): ""}


def test_a_process_without_a_parent_ends() -> None:
    """The main process has none, so its watch ends at once."""
    left: list[int] = []
    done = __import__("threading").Event()

    def leave(status: int) -> None:
        left.append(status)
        done.set()

    _end_with_parent(leave)
    assert done.wait(10)
    assert left == [1]
