"""What is logged, and what never is."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from mrmarket.services.logs import configure_logs, redact

SECRET = "tops3cretvalue"


@pytest.fixture
def logs(tmp_path: Path) -> Iterator[Path]:
    """Logging into a fresh folder, and back to what it was afterwards."""
    root = logging.getLogger()
    before, level = root.handlers, root.level
    configure_logs(tmp_path)
    yield tmp_path / "mrmarket.log"
    for handler in root.handlers:
        handler.close()
    root.handlers, root.level = before, level
    structlog.reset_defaults()


@given(st.sampled_from(["api_secret", "apiKey", "password", "signature", "Token", "private_key"]), st.text())
def test_values_of_secret_names_are_masked(name: str, value: str) -> None:
    """Whatever a secret's value is, only its name is logged."""
    assert redact(None, "info", {name: value, "inner": {name: value}}) == {
        name: "********",
        "inner": {name: "********"},
    }


@pytest.mark.parametrize(
    "text",
    [
        f"GET /api/v3/order?symbol=X&signature={SECRET}",
        f'{{"secret": "{SECRET}"}}',
        f"apiKey={SECRET}&x=1",
        f"password: {SECRET}",
    ],
)
def test_secrets_inside_a_text_are_masked(text: str) -> None:
    """A URL or a body in an error message loses its secret and keeps the rest."""
    cleaned = redact(None, "info", {"event": text})["event"]
    assert SECRET not in cleaned
    assert cleaned != "********"


def test_every_line_is_json_and_carries_no_secret(logs: Path) -> None:
    """Our own and foreign loggers write JSON to the file, exceptions included."""
    structlog.get_logger("mrmarket.test").info("ready", api_secret=SECRET, pair="BTC/USDT")
    failure = RuntimeError(f"https://venue/order?signature={SECRET}")
    logging.getLogger("ccxt.test").error("request failed", exc_info=failure)
    lines = [json.loads(line) for line in logs.read_text().splitlines()]
    assert lines[0]["pair"] == "BTC/USDT"
    assert "RuntimeError" in lines[1]["exception"]
    assert SECRET not in logs.read_text()
