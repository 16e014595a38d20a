"""`mrmarket angel run` in a folder that is not an instance's."""

from __future__ import annotations

from pathlib import Path

import pytest

from mrmarket.cli.app import run
from mrmarket.cli.exit_codes import ExitCode

CONFIG = '[venue]\nexchange = "binance"\nrest_url = "http://127.0.0.1:1"\n'


def test_an_angel_that_cannot_know_the_instance_refuses(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Status 2 and what to give: with an id of its own making it would take every order for a stranger's."""
    config = tmp_path / "mrmarket.toml"
    config.write_text(CONFIG)
    where = ["--config", str(config), "--data", str(tmp_path / "new")]
    status = run(["angel", "run", *where, "--heartbeat-url", "http://127.0.0.1:1/heartbeat"])
    assert status == ExitCode.REFUSED
    said = capfd.readouterr().err
    assert "nothing to watch" in said
    assert "--instance ID" in said
    assert not (tmp_path / "new").exists()
