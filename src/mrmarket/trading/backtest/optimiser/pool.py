"""Where runs are executed: on this machine's cores, or on a Dask cluster that is already there."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from mrmarket import __version__
from mrmarket.trading.backtest.optimiser.errors import ClusterError, OptimiserMissingError
from mrmarket.trading.backtest.setting import TapeRef, sha256_of

_CONNECT_S: Final = 10


@dataclass(frozen=True, slots=True)
class Pool:
    """Something that runs functions elsewhere, and how many at once."""

    executor: Executor
    width: int


@contextmanager
def local_pool(jobs: int) -> Iterator[Pool]:
    """Processes of this machine. They end with this one, however it ends."""
    executor = ProcessPoolExecutor(
        jobs, mp_context=multiprocessing.get_context("spawn"), initializer=_end_with_parent
    )
    try:
        yield Pool(executor, jobs)
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


@contextmanager
def cluster_pool(address: str, tapes: Sequence[TapeRef]) -> Iterator[Pool]:
    """The workers of a Dask scheduler. Each must have this version installed and the tapes at their paths.

    Raises:
        OptimiserMissingError: distributed is not installed here.
        ClusterError: nobody answers, there are no workers, or one lacks something.
    """
    try:
        import distributed  # noqa: PLC0415 - an extra that only clusters need
    except ImportError:
        raise OptimiserMissingError("distributed", "cluster") from None
    try:
        # Typed as anything: the library has no annotations.
        connect: Any = distributed.Client
        client = connect(address, timeout=_CONNECT_S, set_as_default=False)
    except (OSError, ValueError) as error:
        words = f"no scheduler answers ({error}); start one with `dask scheduler`"
        raise ClusterError(address, words) from error
    try:
        threads: Mapping[str, int] = client.nthreads()
        if not threads:
            raise ClusterError(address, f"it has no workers; start one with `dask worker {address}`")
        _check_workers(client, address, tapes)
        executor = client.get_executor(pure=False)
        try:
            yield Pool(executor, sum(threads.values()))
        finally:
            executor.shutdown(wait=False)
    finally:
        client.close()


def fingerprint(paths: Sequence[str]) -> tuple[str, dict[str, str]]:
    """(version, hash of each tape, empty where it cannot be read) of the process that is asked."""
    hashes = {}
    for path in paths:
        try:
            hashes[path] = sha256_of(Path(path))
        except OSError:
            hashes[path] = ""
    return __version__, hashes


def _check_workers(client: Any, address: str, tapes: Sequence[TapeRef]) -> None:
    try:
        answers: dict[str, tuple[str, dict[str, str]]] = client.run(
            fingerprint, [each.path for each in tapes]
        )
    except Exception as error:
        # Whatever a worker raises comes back as it is; without us installed it cannot even read the question.
        words = f"a worker cannot run mrmarket ({type(error).__name__}: {error}); install {__version__} there"
        raise ClusterError(address, words) from error
    for worker, (version, hashes) in answers.items():
        if version != __version__:
            raise ClusterError(address, f"worker {worker} has mrmarket {version}, here it is {__version__}")
        for tape in tapes:
            if not hashes[tape.path]:
                raise ClusterError(address, f"worker {worker} lacks the tape {tape.path}; put it there too")
            if tape.sha256 and hashes[tape.path] != tape.sha256:
                raise ClusterError(address, f"worker {worker} has another tape at {tape.path}; copy this one")


def _end_with_parent(leave: Callable[[int], None] = os._exit) -> None:
    """A process whose parent was killed would wait for work for ever."""
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
        leave(1)

    threading.Thread(target=watch, daemon=True, name="parent-watch").start()
