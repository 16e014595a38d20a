"""What the chooser keeps over restarts, and shows: its state, thresholds, decisions and scores."""

from __future__ import annotations

from typing import Any, Final, TypeVar

import msgspec
import structlog

from mrmarket.services.engine.database_line import DatabaseLine
from mrmarket.services.selection.bookkeeping import KeptEstimate
from mrmarket.store.selection_log import SelectionLog
from mrmarket.trading.strategy.selection.budget_plan import BudgetState
from mrmarket.trading.strategy.selection.decision import Decision
from mrmarket.trading.strategy.selection.dry_run import ScoreRow
from mrmarket.trading.strategy.selection.state import EngineState
from mrmarket.trading.strategy.selection.thresholds import Thresholds

_T = TypeVar("_T")
_STATE: Final = "state"
_THRESHOLDS: Final = "thresholds"
_ESTIMATES: Final = "estimates"
_BUDGETS: Final = "budgets"
_CAPS: Final = "caps"
_MS_PER_DAY: Final = 86_400_000
_SCORES_MS: Final = 25 * 3_600_000
_MOST_ROWS: Final = 100_000
_PRUNE_EVERY: Final = 200
_log = structlog.get_logger("mrmarket.selection")


class PagedDecision(msgspec.Struct, frozen=True, kw_only=True):
    """A decision with its place in the log."""

    at_ms: int
    number: int
    decision: Decision


def load_state(log: SelectionLog) -> EngineState | None:
    """Where an earlier life was; None if there is nothing that can be read. Raises a StoreError."""
    return _read(log.note(_STATE), EngineState)


def forget_state(log: SelectionLog) -> None:
    """Nothing is chosen any more. Raises a StoreError."""
    log.put(_STATE, "")


class SelectionMemory:
    """The log, off the event loop; bounded."""

    def __init__(self, log: SelectionLog, line: DatabaseLine, keep_days: int) -> None:
        self._log = log
        self._line = line
        self._keep_ms = keep_days * _MS_PER_DAY
        self._written = 0

    async def state(self) -> EngineState | None:
        """Where an earlier life was. Raises a StoreError."""
        found: EngineState | None = await self._call(load_state, self._log)
        return found

    async def save_state(self, state: EngineState) -> None:
        """Before anything is done by it. Raises a StoreError."""
        await self._call(self._log.put, _STATE, _text(state))

    async def thresholds(self) -> Thresholds | None:
        """What the owner has set; None for what the configuration says. Raises a StoreError."""
        return _read(await self._call(self._log.note, _THRESHOLDS), Thresholds)

    async def save_thresholds(self, thresholds: Thresholds) -> None:
        """Over the last ones. Raises a StoreError."""
        await self._call(self._log.put, _THRESHOLDS, _text(thresholds))

    async def estimates(self) -> dict[str, KeptEstimate]:
        """What an earlier life had measured, by candidate. Raises a StoreError."""
        return _read(await self._call(self._log.note, _ESTIMATES), dict[str, KeptEstimate]) or {}

    async def save_estimates(self, estimates: dict[str, KeptEstimate]) -> None:
        """Over the last ones. Raises a StoreError."""
        await self._call(self._log.put, _ESTIMATES, _text(estimates))

    async def budgets(self) -> BudgetState | None:
        """How the capital was divided last. Raises a StoreError."""
        return _read(await self._call(self._log.note, _BUDGETS), BudgetState)

    async def save_budgets(self, state: BudgetState) -> None:
        """Before any run is bound by it. Raises a StoreError."""
        await self._call(self._log.put, _BUDGETS, _text(state))

    async def caps(self) -> dict[str, float]:
        """Caps that the owner has set while it ran, by candidate. Raises a StoreError."""
        return _read(await self._call(self._log.note, _CAPS), dict[str, float]) or {}

    async def save_caps(self, caps: dict[str, float]) -> None:
        """Over the last ones. Raises a StoreError."""
        await self._call(self._log.put, _CAPS, _text(caps))

    async def transfers(self, candidate: str) -> bytes | None:
        """Money of a candidate that was under way, as `Rebalancing` writes it. Raises a StoreError."""
        text = await self._call(self._log.note, f"transfers:{candidate}")
        return str(text).encode() if text else None

    async def save_transfers(self, candidate: str, book: bytes) -> None:
        """Over the last ones. Raises a StoreError."""
        await self._call(self._log.put, f"transfers:{candidate}", book.decode())

    async def record(self, decision: Decision) -> None:
        """Append a decision. Raises a StoreError."""
        await self._call(self._log.append, "decision", decision.at_ms, _text(decision))

    async def record_scores(self, row: ScoreRow) -> None:
        """Append an evaluation's scores; now and then what is too old goes. Raises a StoreError."""
        await self._call(self._log.append, "scores", row.at_ms, _text(row))
        self._written += 1
        if self._written % _PRUNE_EVERY == 1:
            await self._call(self._log.prune, "scores", row.at_ms - _SCORES_MS)
            await self._call(self._log.prune, "decision", row.at_ms - self._keep_ms)

    async def decisions(self, limit: int, before: tuple[int, int] | None = None) -> list[PagedDecision]:
        """Newest first. Raises a StoreError."""
        found = []
        for row in await self._call(self._log.newest, "decision", limit, before):
            decision = _read(row.payload, Decision)
            if decision is not None:
                found.append(PagedDecision(at_ms=row.at_ms, number=row.number, decision=decision))
        return found

    async def scores_since(self, at_ms: int) -> list[ScoreRow]:
        """Oldest first. Raises a StoreError."""
        rows = await self._call(self._log.since, "scores", at_ms, _MOST_ROWS)
        return [row for row in (_read(each.payload, ScoreRow) for each in rows) if row is not None]

    async def newest_scores(self, limit: int) -> list[ScoreRow]:
        """The last of them, oldest first. Raises a StoreError."""
        rows = await self._call(self._log.newest, "scores", limit)
        read = (_read(each.payload, ScoreRow) for each in reversed(rows))
        return [row for row in read if row is not None]

    async def _call(self, function: Any, *arguments: Any) -> Any:
        return await self._line.call(
            function, *arguments, name=f"selection {function.__name__} {arguments[:1]}"
        )


def _read(text: str | None, kind: type[_T]) -> _T | None:
    """What was written; what another version wrote otherwise is passed over, with a line."""
    if not text:
        return None
    try:
        return msgspec.json.decode(text, type=kind)
    except (msgspec.MsgspecError, RecursionError) as error:
        _log.warning("a record of the choice between strategies cannot be read", error=str(error))
        return None


def _text(value: object) -> str:
    return msgspec.json.encode(value).decode()
