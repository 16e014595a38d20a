"""A look at an instance leaves its folder as it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from mrmarket.cli.app import run
from mrmarket.services.remote import RemoteInstance


class Elsewhere:
    """An instance whose books are in PostgreSQL."""

    url = "http://127.0.0.1:1"

    def status(self) -> dict[str, Any]:
        """Anything."""
        return {}

    performance = pool = status


def test_a_status_creates_no_books(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Empty books in the folder would be taken for the instance's, by the Angel for one."""
    monkeypatch.delenv("MRMARKET_STORE", raising=False)
    monkeypatch.setattr(RemoteInstance, "of", classmethod(lambda _cls, _data: Elsewhere()))
    assert run(["status", "--data", str(tmp_path), "--json"]) == 0
    assert msgspec.json.decode(capsys.readouterr().out)["engines"] is None
    assert list(tmp_path.iterdir()) == []
