"""The labelled points of the trading wing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from chaos.labels import ANGEL_LABELS, CRASH_LABELS
from mrmarket import angel
from mrmarket.trading import execution

_REACH = re.compile(r'crash\.reach\("([^"]+)"\)')


@pytest.mark.parametrize(("room", "labels"), [(execution, CRASH_LABELS), (angel, ANGEL_LABELS)])
def test_every_point_is_one_place_in_its_room(room: object, labels: tuple[str, ...]) -> None:
    """A label that nothing reaches, or that two places share, would test something else than it says."""
    (folder,) = room.__path__  # type: ignore[attr-defined]
    found = [
        label for file in sorted(Path(folder).rglob("*.py")) for label in _REACH.findall(file.read_text())
    ]
    assert sorted(found) == sorted(labels)
