"""Which notices go out, and which are told later in one line. Pure."""

from __future__ import annotations

from collections import Counter, OrderedDict
from dataclasses import dataclass
from typing import Final

from msgspec.structs import replace

from mrmarket.core.notice import Notice, Severity

DIGEST: Final = "digest"
"""Kind of the notice that stands for those held back."""
_RANK: Final = (Severity.INFO, Severity.WARNING, Severity.CRITICAL)
_KEYS_KEPT: Final = 2_000
_KINDS_NAMED: Final = 5
_MINUTE_MS: Final = 60_000


@dataclass(frozen=True, slots=True)
class GateRules:
    """What is let through."""

    severity: Severity
    quiet_ms: int
    per_minute: int


@dataclass(slots=True)
class _Told:
    at_ms: int
    severity: Severity
    repeats: int = 0


class Gate:
    """Holds repeats back for a quiet time, and what is too much for a digest. Times are UTC ms.

    Critical news have an allowance of their own, so that a flood of warnings keeps none of them back.
    """

    def __init__(self, rules: GateRules) -> None:
        self.repeats = 0
        """Notices that said what had been said before."""
        self.held = 0
        """Notices that went into a digest."""
        self._rules = rules
        self._told: OrderedDict[str, _Told] = OrderedDict()
        self._spent: dict[bool, list[int]] = {False: [], True: []}
        self._waiting: Counter[str] = Counter()
        self._worst = Severity.INFO
        self._last_title = ""

    def admit(self, notice: Notice, now_ms: int) -> Notice | None:
        """The notice as it goes out now; None if it does not."""
        if _rank(notice.severity) < _rank(self._rules.severity):
            return None
        before = self._told.get(notice.key)
        if (
            before is not None
            and now_ms - before.at_ms < self._rules.quiet_ms
            and _rank(notice.severity) <= _rank(before.severity)
        ):
            before.repeats += 1
            self.repeats += 1
            return None
        if not self._has_room(notice.severity, now_ms):
            self.held += 1
            self._waiting[notice.kind] += 1
            self._worst = max(self._worst, notice.severity, key=_rank)
            self._last_title = notice.title
            return None
        self._told[notice.key] = _Told(now_ms, notice.severity)
        self._told.move_to_end(notice.key)
        while len(self._told) > _KEYS_KEPT:
            self._told.popitem(last=False)
        if before is not None and before.repeats:
            return replace(notice, text=_join(notice.text, f"{before.repeats} more since it was last told."))
        return notice

    def digest(self, now_ms: int) -> Notice | None:
        """What was held back, in one notice, once there is room for it."""
        if not self._waiting or not self._has_room(self._worst, now_ms):
            return None
        total, kinds = self._waiting.total(), self._waiting.most_common(_KINDS_NAMED)
        named = ", ".join(f"{kind} ×{count}" for kind, count in kinds)
        severity, title = self._worst, self._last_title
        self._waiting, self._worst, self._last_title = Counter(), Severity.INFO, ""
        return Notice(
            key=DIGEST,
            kind=DIGEST,
            severity=severity,
            title=f"and {total} more: {named}",
            text=f"The last one: {title}",
            at_ms=now_ms,
        )

    @property
    def waiting(self) -> int:
        """Notices that wait for a digest."""
        return self._waiting.total()

    def _has_room(self, severity: Severity, now_ms: int) -> bool:
        spent = self._spent[severity is Severity.CRITICAL]
        while spent and now_ms - spent[0] >= _MINUTE_MS:
            spent.pop(0)
        if len(spent) >= self._rules.per_minute:
            return False
        spent.append(now_ms)
        return True


def _rank(severity: Severity) -> int:
    return _RANK.index(severity)


def _join(text: str, more: str) -> str:
    return f"{text} {more}" if text else more
