"""All that a process says, opened and closed together."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import msgspec
import pytest
import structlog

from mrmarket.core.clock import SystemClock
from mrmarket.core.notice import Notice, Severity
from mrmarket.services.config_sections import Config
from mrmarket.services.notify.delivery import NotifyConfigError
from mrmarket.services.redaction import MASK
from mrmarket.services.telemetry.server import TelemetryPortError
from mrmarket.services.telemetry.voice import Voice
from services.telemetry.scrape import series, value


@pytest.fixture(autouse=True)
def _logs() -> Iterator[None]:
    root = logging.getLogger()
    before, level = root.handlers, root.level
    yield
    for handler in root.handlers:
        if handler not in before:
            handler.close()
    root.handlers, root.level = before, level
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def free_port() -> int:
    """A port that nobody has right now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def voice(data: Path, port: int = 0, **environ: str) -> Voice:
    """One process's voice."""
    config = msgspec.convert({"telemetry": {"port": port}, "instance": {"name": "My pool"}}, Config)
    return Voice(config, data, SystemClock(), environ, role="engine", node="n1")


async def test_figures_notices_and_log_are_there_while_it_is_open(tmp_path: Path) -> None:
    """The port answers, a notice stands in the log with the node, and afterwards nobody answers."""
    port = free_port()
    async with voice(tmp_path, port) as open_voice, aiohttp.ClientSession() as client:
        assert open_voice.server is not None
        async with client.get(f"{open_voice.server.url}/metrics") as answer:
            found = series(await answer.read())
        open_voice.notifier.notify(
            Notice(key="k", kind="test", severity=Severity.WARNING, title="hear me", at_ms=1)
        )
    assert value(found, "mm_disk_free_bytes") > 0
    assert value(found, "mm_notices_total", way="all", outcome="dropped") == 0
    lines = [json.loads(line) for line in (tmp_path / "mrmarket.log").read_text().splitlines()]
    (told,) = [line for line in lines if line["event"] == "notice"]
    assert (told["title"], told["node"], told["role"]) == ("hear me", "n1", "engine")
    with pytest.raises(OSError):  # noqa: PT011 - refused in whatever words the system has
        await asyncio.open_connection("127.0.0.1", port)


async def test_the_environments_secrets_are_known_to_the_log(tmp_path: Path) -> None:
    """What the configuration's variables hold is masked from the first line on."""
    async with voice(tmp_path, MRMARKET_API_SECRET="not-to-be-seen-anywhere"):
        structlog.get_logger("mrmarket.test").info("signing", note="with not-to-be-seen-anywhere")
    text = (tmp_path / "mrmarket.log").read_text()
    assert "not-to-be-seen" not in text
    assert MASK in text


async def test_what_is_wrong_is_said_before_anything_runs(tmp_path: Path) -> None:
    """Half a webhook and a taken port are refused, and leave no task behind."""
    with pytest.raises(NotifyConfigError):
        voice(tmp_path, MRMARKET_WEBHOOK_URL="https://x")
    before = len(asyncio.all_tasks())
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(TelemetryPortError):
        async with voice(tmp_path, taken.getsockname()[1]):
            pass
    assert len(asyncio.all_tasks()) == before
