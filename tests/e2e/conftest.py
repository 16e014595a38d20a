"""A real instance for the page tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from e2e.running import RunningInstance, start_instance


@pytest.fixture(scope="session")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningInstance]:
    """One instance on the generated market for all page tests of a session."""
    running = start_instance(tmp_path_factory.mktemp("instance") / "data")
    running.set_password()
    yield running
    if running.process.poll() is None:
        running.interrupt()
