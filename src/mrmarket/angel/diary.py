"""What the Angel did: into the operations store, or into a file of its own while the store is gone."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Final

import msgspec
import structlog

from mrmarket.angel.port import AngelDesk
from mrmarket.core.clock import NS_PER_MS, Clock
from mrmarket.core.notice import Notice, NoticeSink, Severity
from mrmarket.store.errors import StoreError
from mrmarket.store.operations import AngelAction

_PATIENCE_S: Final = 2.0
_log = structlog.get_logger("mrmarket.angel")


class Journal:
    """An append-only file of actions, one JSON object a line; also without any database."""

    def __init__(self, path: Path | None) -> None:
        """None keeps the newest in memory alone."""
        self._path = path
        if path is not None:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.newest: list[AngelAction] = []

    def append(self, action: AngelAction) -> None:
        """Write one down; a disk that refuses is logged, and the Angel goes on."""
        self.newest = [*self.newest[-199:], action]
        if self._path is None:
            return
        try:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "ab") as file:
                file.write(msgspec.json.encode(action) + b"\n")
        except OSError as error:
            _log.error("the Angel's own log cannot be written", error=str(error))


def read_journal(path: Path, limit: int = 200) -> list[AngelAction]:
    """What a journal holds, newest first; a torn last line is left out."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError:
        return []
    actions = []
    for line in reversed(lines):
        try:
            actions.append(msgspec.json.decode(line, type=AngelAction))
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
            continue
        if len(actions) == limit:
            break
    return actions


class Diary:
    """Records every action at once in the file, and in the store as soon as that answers.

    Nothing here waits: what the store does not take is kept and offered again with the next action.
    """

    def __init__(
        self,
        angel: str,
        operations: AngelDesk | None,
        journal: Journal,
        notices: NoticeSink,
        clock: Clock,
        new_id: Callable[[], str],
    ) -> None:
        self._angel = angel
        self._operations = operations
        self._journal = journal
        self._notices = notices
        self._clock = clock
        self._new_id = new_id
        self._waiting: list[AngelAction] = []
        self._writing: asyncio.Task[None] | None = None

    @property
    def unwritten(self) -> int:
        """Actions that the store has not taken yet."""
        return len(self._waiting)

    def record(
        self, incident: str, action: str, target: str = "", detail: str = "", *, alert: bool = False
    ) -> AngelAction:
        """Write an action down, and tell the owner where it is worth it."""
        at_ms = self._clock.now_ns() // NS_PER_MS
        entry = AngelAction(
            id=self._new_id(),
            angel=self._angel,
            at_ms=at_ms,
            incident=incident,
            action=action,
            target=target,
            detail=detail,
        )
        self._journal.append(entry)
        _log.info("angel", incident=incident, action=action, target=target, detail=detail)
        if alert:
            title = f"Angel: {action.replace('_', ' ')}" + (f" {target}" if target else "")
            self._notices.notify(
                Notice(
                    key=f"angel:{incident}:{action}:{target}",
                    kind="angel",
                    severity=Severity.INFO if action in ("cleared", "closed") else Severity.CRITICAL,
                    title=title,
                    text=detail,
                    at_ms=at_ms,
                )
            )
        self._waiting.append(entry)
        self.offer()
        return entry

    def offer(self) -> None:
        """Offer the store what it has not taken yet."""
        if self._waiting and self._operations is not None and (self._writing is None or self._writing.done()):
            self._writing = asyncio.ensure_future(self._write(self._operations))

    async def finish(self) -> None:
        """Wait for what is being written."""
        if self._writing is not None:
            await asyncio.gather(self._writing, return_exceptions=True)
        self.offer()
        if self._writing is not None:
            await asyncio.gather(self._writing, return_exceptions=True)

    async def _write(self, operations: AngelDesk) -> None:
        while self._waiting:
            try:
                await bounded(asyncio.to_thread(operations.log_action, self._waiting[0]), _PATIENCE_S)
            except (StoreError, TimeoutError) as error:
                _log.warning("the store did not take an action; it is in the file", error=str(error))
                return
            self._waiting.pop(0)


async def bounded(work: Coroutine[Any, Any, Any], seconds: float) -> Any:
    """A call's result, or `TimeoutError`; a thread that is stuck behind it is left to itself."""
    async with asyncio.timeout(seconds):
        return await work
