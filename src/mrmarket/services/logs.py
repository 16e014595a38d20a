"""Structured logs, one JSON object a line, without secrets."""

from __future__ import annotations

import logging
import sys
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Final

import structlog
from structlog.typing import Processor

from mrmarket.services.redaction import Redactor
from mrmarket.services.telemetry.section import TelemetrySection

_MEGABYTE: Final = 1024**2
_LEVELS: Final = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING}


def configure_logs(
    data: Path,
    section: TelemetrySection | None = None,
    *,
    redactor: Redactor | None = None,
    **context: object,
) -> Redactor:
    """Send every log line to `<data>/mrmarket.log`, warnings also to stderr.

    Args:
        data: the data folder, made if it is not there.
        section: sizes, levels and what goes to stderr.
        redactor: knows the secrets that must not be logged; whoever loads another one tells it.
        context: on every line, such as `node`.

    Returns:
        The redactor.
    """
    section, redactor = section or TelemetrySection(), redactor or Redactor()
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        redactor,
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    structlog.contextvars.bind_contextvars(**context)
    as_json = _formatter(shared, structlog.processors.JSONRenderer())
    file = RotatingFileHandler(
        data / "mrmarket.log",
        maxBytes=section.log_file_mb * _MEGABYTE,
        backupCount=section.log_files - 1,
        encoding="utf-8",
    )
    file.setFormatter(as_json)
    screen = logging.StreamHandler()
    if section.log_stderr == "json":
        screen.setFormatter(as_json)
    else:
        screen.setLevel(logging.WARNING)
        # What ends a run is the command's own last line, in words; the trace belongs into the file.
        screen.addFilter(lambda record: record.name not in {"mrmarket.supervisor", "mrmarket.books"})
        screen.setFormatter(_formatter(shared, structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())))
    # A full disk must not flood the screen with the traces of log lines that could not be written.
    logging.raiseExceptions = False
    root = logging.getLogger()
    root.handlers = [file, screen]
    root.setLevel(_LEVELS[section.log_level])
    for chatty in ("uvicorn.access", "httpx", "aiosqlite", "alembic", "asyncio"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    return redactor


def _formatter(shared: list[Processor], renderer: Processor) -> logging.Formatter:
    return structlog.stdlib.ProcessorFormatter(
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        foreign_pre_chain=shared,
    )
