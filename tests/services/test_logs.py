"""What is logged where, and how much of it."""

from __future__ import annotations

import io
import json
import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from mrmarket.services.logs import configure_logs
from mrmarket.services.redaction import MASK, Redactor
from mrmarket.services.telemetry.section import TelemetrySection

SECRET = "tops3cretvalue"
Configure = Callable[..., Redactor]


@pytest.fixture
def configure(tmp_path: Path) -> Iterator[Configure]:
    """Logging into a fresh folder, and back to what it was afterwards."""
    root = logging.getLogger()
    before, level = root.handlers, root.level

    def begin(**sections: Any) -> Redactor:
        redactor = sections.pop("redactor", None)
        node = sections.pop("node", "here")
        return configure_logs(tmp_path, TelemetrySection(**sections), redactor=redactor, node=node)

    yield begin
    for handler in root.handlers:
        handler.close()
    root.handlers, root.level = before, level
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def lines(folder: Path) -> list[dict[str, Any]]:
    """The log so far."""
    return [json.loads(line) for line in (folder / "mrmarket.log").read_text().splitlines()]


def test_every_line_is_json_and_carries_no_secret(configure: Configure, tmp_path: Path) -> None:
    """Our own and foreign loggers write JSON to the file, exceptions included."""
    configure()
    structlog.get_logger("mrmarket.test").info("ready", api_secret=SECRET, pair="BTC/USDT")
    failure = RuntimeError(f"https://venue/order?signature={SECRET}")
    logging.getLogger("ccxt.test").error("request failed", exc_info=failure)
    first, second = lines(tmp_path)
    assert (first["pair"], first["api_secret"]) == ("BTC/USDT", MASK)
    assert "RuntimeError" in second["exception"]
    assert SECRET not in (tmp_path / "mrmarket.log").read_text()


def test_what_the_redactor_learns_later_is_masked_too(configure: Configure, tmp_path: Path) -> None:
    """A key that is loaded after the log was opened never reaches it, not by any name or trace."""
    redactor = configure(redactor=Redactor())
    redactor.know("zebra-crossing-42")
    try:
        int("cannot sign with zebra-crossing-42")
    except ValueError:
        structlog.get_logger("mrmarket.test").exception(
            "it broke", note="zebra-crossing-42", parts=["zebra-crossing-42"]
        )
    text = (tmp_path / "mrmarket.log").read_text()
    assert "zebra" not in text
    assert "ValueError" in text


def test_the_context_is_on_every_line(configure: Configure, tmp_path: Path) -> None:
    """Node and request stand on lines of ours and of libraries, without anybody passing them on."""
    configure(node="engine-1")
    with structlog.contextvars.bound_contextvars(request_id="r-1"):
        structlog.get_logger("mrmarket.test").info("one")
        logging.getLogger("some.library").warning("two")
    structlog.get_logger("mrmarket.test").info("three")
    one, two, three = lines(tmp_path)
    assert {line["node"] for line in (one, two, three)} == {"engine-1"}
    assert (one["request_id"], two["request_id"]) == ("r-1", "r-1")
    assert "request_id" not in three


def test_the_log_takes_no_more_room_than_it_may(configure: Configure, tmp_path: Path) -> None:
    """Old files go: two files of one megabyte hold what six megabytes of lines leave."""
    configure(log_file_mb=1, log_files=2)
    log = structlog.get_logger("mrmarket.test")
    for _ in range(60):
        log.info("x", filler="y" * 100_000)
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == ["mrmarket.log", "mrmarket.log.1"]
    assert sum(file.stat().st_size for file in files) <= 2 * 1024**2


@pytest.mark.parametrize(
    ("level", "events"), [("info", ["b", "c"]), ("debug", ["a", "b", "c"]), ("warning", ["c"])]
)
def test_lighter_lines_than_asked_for_are_not_written(
    configure: Configure, tmp_path: Path, level: str, events: list[str]
) -> None:
    """`log_level` decides what is written at all."""
    configure(log_level=level)
    log = structlog.get_logger("mrmarket.test")
    log.debug("a")
    log.info("b")
    log.warning("c")
    assert [line["event"] for line in lines(tmp_path)] == events


def test_stderr_shows_people_warnings_and_containers_json(
    configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By default stderr has warnings in words; with `json` it has every line as an object."""
    for wanted in ("warnings", "json"):
        screen = io.StringIO()
        monkeypatch.setattr(sys, "stderr", screen)
        configure(log_stderr=wanted)
        structlog.get_logger(f"mrmarket.{wanted}").info("quiet")
        structlog.get_logger(f"mrmarket.{wanted}").warning("loud", password=SECRET)
        shown = screen.getvalue().splitlines()
        if wanted == "warnings":
            assert len(shown) == 1
            assert "loud" in shown[0]
            assert not shown[0].startswith("{")
        else:
            assert [json.loads(line)["event"] for line in shown] == ["quiet", "loud"]
        assert SECRET not in screen.getvalue()
