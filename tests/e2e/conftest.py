"""A real instance for the page tests, and an end for whatever a failed test leaves behind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import psutil
import pytest

from e2e.running import END_S, RunningInstance, start_instance


@pytest.fixture(scope="session")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningInstance]:
    """One instance on the generated market for all page tests of a session."""
    running = start_instance(tmp_path_factory.mktemp("instance") / "data")
    running.set_password()
    yield running
    if running.process.poll() is None:
        running.interrupt()


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    """What a test started and did not end is killed: it would take the machine from later tests."""
    before = _children()
    yield
    left = _children() - before
    for process in left:
        process.kill()
    psutil.wait_procs(left, timeout=END_S)


def _children() -> set[psutil.Process]:
    """Commands of ours that this process has started and that live."""
    found = set()
    for process in psutil.Process().children():
        with suppress(psutil.Error):
            if process.status() != psutil.STATUS_ZOMBIE and "mrmarket" in process.cmdline():
                found.add(process)
    return found
