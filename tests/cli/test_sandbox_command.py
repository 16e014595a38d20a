"""`mrmarket sandbox`: what is refused before a world is begun."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from mrmarket.cli.app import run
from mrmarket.services.sandbox.memory import WorldFolder


@pytest.fixture(autouse=True)
def _logs() -> Iterator[None]:
    """Logging as it was, afterwards."""
    root = logging.getLogger()
    before, level = root.handlers, root.level
    yield
    for handler in root.handlers:
        if handler not in before:
            handler.close()
    root.handlers, root.level = before, level
    structlog.reset_defaults()


@pytest.mark.parametrize(
    ("options", "words"),
    [(["--speed", "0"], "speed: 0.0 was refused"), (["--cycle-s", "0"], "cycle_s: 0 was refused")],
)
def test_a_world_that_cannot_be_is_one_line(
    tmp_path: Path, options: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """With what to give instead, and nothing is written."""
    assert run(["sandbox", "--data", str(tmp_path / "world"), *options]) == 2
    said = capsys.readouterr()
    assert words in said.err
    assert (said.out, list(tmp_path.iterdir())) == ("", [])


def test_a_folder_that_is_in_use_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two worlds never live in one folder."""
    folder = WorldFolder(tmp_path)
    assert run(["sandbox", "--data", str(tmp_path), "--json"]) == 2
    folder.close()
    assert "another world lives in it" in capsys.readouterr().err
