"""What a person must hear of: breakers, the Angel's actions, differences that do not go away."""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol

import msgspec


class Severity(StrEnum):
    """How soon somebody should look."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """One message to the owner. Never holds a secret, a user's name or a balance of a user."""

    key: str
    """What makes two notices the same news; a repeat within the quiet time is not sent again."""
    kind: str
    """`breaker`, `angel`, `difference`, `ledger`, `venue` …"""
    severity: Severity
    title: str
    """One line."""
    text: str = ""
    at_ms: int


class NoticeSink(Protocol):
    """Takes notices; returns at once and never raises."""

    def notify(self, notice: Notice) -> None:
        """Pass a notice on."""
        ...


class Unheard:
    """A sink without anybody behind it."""

    def notify(self, notice: Notice) -> None:
        """Drop it."""
