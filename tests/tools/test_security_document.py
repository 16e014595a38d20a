"""What SECURITY.md refers to is there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_every_test_that_the_threat_model_names_exists() -> None:
    """A mitigation without its proof would be a promise only."""
    text = (ROOT / "SECURITY.md").read_text()
    there = {path.name for path in (ROOT / "tests").rglob("test_*.py")}
    named = set(re.findall(r"\b(test_\w+\.py)\b", text))
    folders = set(re.findall(r"`(tests/[\w/]+/)`", text))
    assert len(named) > 15
    assert named - there == set()
    assert [folder for folder in folders if not (ROOT / folder).is_dir()] == []


def test_every_command_that_it_names_exists() -> None:
    """The checklist can be followed as it stands."""
    known = (ROOT / "docs" / "commands.md").read_text()
    for words in re.findall(r"`mrmarket ([a-z]+)", (ROOT / "SECURITY.md").read_text()):
        assert f"`{words}" in known, words
