"""What does not work with partners at the moment: told once when it begins, shown while it lasts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import structlog

from mrmarket.core.clock import NS_PER_MS, Clock
from mrmarket.core.errors import MrMarketError

_log: Final[Any] = structlog.get_logger("mrmarket.partners")


@dataclass(frozen=True, slots=True)
class Trouble:
    """One thing that does not work."""

    part: str
    """Such as `chain polygon`, `hufi`, `mixin`."""
    code: str
    reason: str
    since_ms: int
    """When it began, by the wall's clock; UTC ms."""


class Troubles:
    """Kept in memory: what still does not work after a start is found again at once."""

    def __init__(self, wall: Clock) -> None:
        self._wall = wall
        self._standing: dict[str, Trouble] = {}

    def note(self, part: str, error: Exception) -> None:
        """It does not work; logged where it did before, or where the reason is another kind."""
        code = error.code if isinstance(error, MrMarketError) else type(error).__name__
        before = self._standing.get(part)
        since_ms = self._wall.now_ns() // NS_PER_MS if before is None else before.since_ms
        self._standing[part] = Trouble(part, code, str(error), since_ms)
        if before is None or before.code != code:
            _log.warning("partner.trouble", part=part, code=code, reason=str(error))

    def over(self, part: str) -> None:
        """It works."""
        if self._standing.pop(part, None) is not None:
            _log.info("partner.well_again", part=part)

    def of(self, part: str) -> str:
        """Why a part does not work; empty where it does."""
        found = self._standing.get(part)
        return "" if found is None else found.reason

    def standing(self) -> Mapping[str, Trouble]:
        """Everything that does not work, by part."""
        return dict(self._standing)
