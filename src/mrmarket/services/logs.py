"""Structured logs, one JSON object a line, without secrets."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, MutableMapping
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any, Final

import structlog
from structlog.typing import Processor

_SECRET_NAMES: Final = re.compile(
    r"secret|password|passphrase|api_?key|signature|token|private", re.IGNORECASE
)
_SECRET_TEXT: Final = re.compile(
    r"(?i)(signature|secret|api_?key|password|listenKey)([\"']?\s*[=:]\s*[\"']?)[^\s&\"',}]+"
)
_MASK: Final = "********"
_MAX_BYTES: Final = 10 * 1024**2


def redact(_: object, __: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """A structlog processor that masks values of secret names, and secrets inside any text."""
    return {name: _clean(name, value) for name, value in event.items()}


def _clean(name: str, value: Any) -> Any:
    if _SECRET_NAMES.search(name):
        return _MASK
    if isinstance(value, Mapping):
        return {key: _clean(str(key), inner) for key, inner in value.items()}
    if isinstance(value, str):
        return _SECRET_TEXT.sub(rf"\1\2{_MASK}", value)
    return value


def configure_logs(data: Path) -> None:
    """Send every log line to `<data>/mrmarket.log` (10 MB, three old ones kept); warnings also to stderr."""
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        redact,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    file = RotatingFileHandler(data / "mrmarket.log", maxBytes=_MAX_BYTES, backupCount=3, encoding="utf-8")
    file.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
            foreign_pre_chain=shared,
        )
    )
    screen = logging.StreamHandler()
    screen.setLevel(logging.WARNING)
    # What ends a run is the command's own last line, in words; the trace belongs into the file.
    screen.addFilter(lambda record: record.name not in {"mrmarket.supervisor", "mrmarket.books"})
    screen.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.dev.ConsoleRenderer(colors=False),
            ],
            foreign_pre_chain=shared,
        )
    )
    # A full disk must not flood the screen with the traces of log lines that could not be written.
    logging.raiseExceptions = False
    root = logging.getLogger()
    root.handlers = [file, screen]
    root.setLevel(logging.INFO)
    for chatty in ("uvicorn.access", "httpx", "aiosqlite", "alembic"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
